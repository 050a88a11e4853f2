"""How pictures are asked to be prepared: their size, how they are brought to it, and what their channels are standardised by.

[TorchVision2016] TorchVision maintainers and contributors: TorchVision, PyTorch's Computer Vision library, 2016: its Resize and CenterCrop
are what one length or two mean here, to the pixel, and its weights' transforms tell IMAGENETS.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from harness.errors import UsageError

CHANNELS = (1, 3, 4)  # grey, RGB, RGB with alpha or anything else in a fourth band
SIDE = 32  # of pictures of which nothing tells the size, and of every campaign from before it was asked for
LEAST_SIDE, MOST_SIDE = 8, 8192
DATA, IMAGENET, GIVEN = "data", "imagenet", "given"  # where mean and deviation come from
COVER, MARGIN = "cover", "margin"
IMAGENETS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation of RGB, as torchvision's networks were trained by


@dataclass(frozen=True)
class Preparation:
    """What pictures are brought to.

    channels: None for what the pictures or the network say. resize: ``cover`` scales until the picture covers the size, ``margin``
    never enlarges and puts black around it; ``256`` scales the shorter side to that, ``256x320`` both sides (height x width), as
    torchvision's Resize does. The centre is cut out of what is larger. mean, std: of pixels between 0 and 1, a number for every channel
    or one for all; None for those of the training pictures. divided_as: the preparation by which copies of a picture are told where sets
    are divided; None for this one.
    """

    channels: int | None = None
    height: int = SIDE
    width: int = SIDE
    resize: str = COVER
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    standard: str = DATA
    divided_as: Preparation | None = None

    @property
    def size(self) -> str:
        """Height and width as ``--input-size`` takes them."""
        return f"{self.height}x{self.width}"

    @property
    def sentence(self) -> str:
        """The size, and how pictures get there."""
        how = {COVER: "scaled until they cover it, the centre cut out", MARGIN: "in the middle, with a black margin"}
        told = how.get(self.resize)
        if told is None:
            target = "x" in self.resize and self.resize.replace("x", " x ")
            told = f"scaled to {target}" if target else f"the shorter side scaled to {self.resize}"
            told += "" if self.resize == f"{self.height}x{self.width}" else ", the centre cut out"
        return f"pictures are brought to {self.height} x {self.width} ({told})"

    def at_size(self, size: str) -> Preparation:
        """The same pictures at another size (``HxW``): as much of every picture is seen, and they are divided as they are at this one."""
        if size == self.size:
            return self
        _, height, width = parsed_shape(size)
        resize, (tall, wide) = self.resize, (height / self.height, width / self.width)
        if resize not in (COVER, MARGIN):
            sides = [int(side) for side in resize.split("x")]
            scaled = [sides[0] * max(tall, wide)] if len(sides) == 1 else [sides[0] * tall, sides[1] * wide]
            resize = "x".join(str(math.ceil(round(side, 6))) for side in scaled)
        return replace(self, height=height, width=width, resize=resize, divided_as=self)

    def standardised(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and deviation of every channel, or None for the data's; UsageError where their number is another."""
        if self.mean is None or self.std is None:
            return None
        for word, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, channels):
                told = ",".join(f"{number:g}" for number in numbers)
                raise UsageError(f"--{word}={told} for pictures of {channels} channels: give 1 or {channels} numbers")
        mean, std = (numbers * channels if len(numbers) == 1 else numbers for numbers in (self.mean, self.std))
        return mean, std


def of_words(
    input_shape: str | None = None,
    channels: int | None = None,
    resize: str | None = None,
    mean: str | None = None,
    std: str | None = None,
) -> Preparation:
    """What the options say; UsageError, naming the option, for what cannot be meant."""
    asked, height, width = (None, SIDE, SIDE) if input_shape is None else parsed_shape(input_shape)
    if min(height, width) < LEAST_SIDE:
        raise UsageError(f"--input-shape={input_shape}: pictures are at least {LEAST_SIDE} pixels high and wide, to be shifted in training")
    if channels is not None and channels not in CHANNELS:
        raise UsageError(f"images of {channels} channels: choose 1 (grey), 3 (RGB) or 4 (RGB and a fourth band)")
    if asked is not None and asked not in CHANNELS:
        raise UsageError(f"--input-shape={input_shape}: pictures have 1, 3 or 4 channels")
    if None not in (asked, channels) and asked != channels:
        raise UsageError(f"--input-shape={input_shape} and --channels={channels} differ; give one of them")
    means, stds, standard = _standard(mean, std)
    return Preparation(asked or channels, height, width, _resize(resize, height, width), means, stds, standard)


def parsed_shape(text: str) -> tuple[int | None, int, int]:
    """Channels, or None where only a size is given, height and width; UsageError for anything else."""
    found = re.fullmatch(r"(?:(\d{1,4})x)?(\d{1,4})x(\d{1,4})", text.strip().lower())
    sizes = [None if part is None else int(part) for part in found.groups()] if found else [0]
    if any(size is not None and not 0 < size <= MOST_SIDE for size in sizes):
        raise UsageError(f"--input-shape={text}: give channels, height and width, as 3x224x224, or height and width alone")
    channels, height, width = sizes
    if channels is None and height in CHANNELS:  # nobody has pictures so low
        raise UsageError(f"--input-shape={text}: give channels, height and width, as {text}x{width}, or height and width alone")
    return channels, height or 0, width or 0


def parsed_sizes(text: str) -> tuple[str, ...]:
    """The sizes that ``--input-size`` names, each once, as ``HxW``; UsageError, naming the one that cannot be meant."""
    found = []
    for part in (one.strip().lower() for one in text.split(",")):
        told = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", part)
        if not told:
            raise UsageError(
                f"--input-size={text}: {part or 'nothing'} is no size; give sides as 32,28,24, or heights and widths as 96x128"
            )
        height, width = int(told[1]), int(told[2] or told[1])
        if not LEAST_SIDE <= min(height, width) <= max(height, width) <= MOST_SIDE:
            raise UsageError(f"--input-size={text}: {part} is no size for pictures; give sides from {LEAST_SIDE} to {MOST_SIDE}")
        found.append(f"{height}x{width}")
    return tuple(dict.fromkeys(found))


def pixels_of(size: str) -> int:
    """Of a picture of this size (``HxW``)."""
    return math.prod(map(int, size.split("x")))


def _resize(text: str | None, height: int, width: int) -> str:
    if text is None or text in (COVER, MARGIN):
        return text or COVER
    found = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text.strip().lower())
    if not found:
        raise UsageError(f"--resize={text}: give {COVER}, {MARGIN}, a length as 256, or height and width as 256x320")
    tall, wide = int(found[1]), int(found[2] or found[1])
    least = max(height, width) if found[2] is None else None
    if (least is not None and tall < least) or tall < height or wide < width or max(tall, wide) > MOST_SIDE:
        told = f"at least {least}" if least is not None else f"at least {height}x{width}"
        raise UsageError(f"--resize={text}: pictures of {height} x {width} cannot be cut out of it; give {told}, at most {MOST_SIDE}")
    return f"{tall}x{wide}" if found[2] else str(tall)


def _standard(mean: str | None, std: str | None) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, str]:
    """Mean and deviation, and where they come from; one that says where decides for both."""
    words = {text for text in (mean, std) if text in (DATA, IMAGENET)}
    numbers = [text for text in (mean, std) if text is not None and text not in (DATA, IMAGENET)]
    if len(words) > 1 or (words and numbers) or len(numbers) == 1:
        raise UsageError(f"--mean={mean} and --std={std}: give numbers for both, or say {DATA} or {IMAGENET} for both")
    if not numbers:
        mean_std = IMAGENETS if words == {IMAGENET} else (None, None)
        return *mean_std, words.pop() if words else DATA
    means, stds = _numbers("mean", numbers[0]), _numbers("std", numbers[1])
    if min(stds) <= 0:
        raise UsageError(f"--std={std}: give numbers above 0, of pixels between 0 and 1, as 0.5 or 0.229,0.224,0.225")
    if max(map(abs, means)) > 1 or max(stds) > 1:
        raise UsageError(f"--mean={mean} --std={std}: these are of pixels between 0 and 1; divide by 255 what is of 0 to 255")
    return means, stds, GIVEN


def _numbers(word: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        raise UsageError(f"--{word}={text}: give {DATA}, {IMAGENET}, or numbers of pixels between 0 and 1, as 0.5 or 0.485,0.456,0.406")
    return found
