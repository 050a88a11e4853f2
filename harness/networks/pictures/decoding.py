"""Picture files to bytes of one size: hashed and decoded by several threads, straight into the rows of an array.

Threads, not processes: Pillow decodes and scales without the interpreter's lock, and a thread needs no import of everything again.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from harness.errors import DatasetError

VERSION = f"2 pillow-{PIL.__version__}"  # of what a file becomes: raise the number with every change of a decoded pixel
DIGEST_BYTES = 16
_KEY = b"espalier pictures"  # keyed: nothing else that hashes files stands in the same order
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N")
_LONGEST = 256  # times the shorter side, to be scaled whole; of anything longer no more than the middle is looked at
_PER_TASK = 64  # files: small ones take less time than handing them over

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


class Coloured(Exception):
    """A picture has colours where grey ones were expected."""


@dataclass(frozen=True)
class Size:
    """What every picture is brought to: the shorter side scaled to ``side``, the centre cut out.

    channels: 1 grey, 3 RGB. strict: a picture with colours is no grey one (Coloured) and is not turned into one.
    """

    side: int
    channels: int
    strict: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels x height x width."""
        return self.channels, self.side, self.side


def digest(content: bytes) -> bytes:
    """What a file is told by, and ordered by: nothing but its bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=_KEY).digest()


def digests(files: Sequence[Path]) -> list[bytes]:
    """The digest of every file; DatasetError for one that cannot be read."""
    return [found for part in _in_parallel(lambda part: [digest(_content(file)) for file in part], files) for found in part]


def fill(rows: NDArray[np.uint8], files: Sequence[Path], expected: Sequence[bytes], size: Size) -> None:
    """Decode ``files`` into the rows of an ``N x C x side x side`` array.

    Raises DatasetError, naming the file, for what is no picture or no longer has its expected digest, and Coloured.
    """

    def decode(part: Sequence[int]) -> None:
        for row in part:
            content = _content(files[row])
            if digest(content) != expected[row]:
                raise DatasetError(f"{files[row]} was changed while it was read; start again when nothing writes there")
            rows[row] = _pixels(files[row], content, size)

    for _ in _in_parallel(decode, range(len(files))):
        pass


def _in_parallel(work: Callable[[Sequence[_Item]], _Answer], items: Sequence[_Item]) -> Iterator[_Answer]:
    """What ``work`` answers to slices of ``items``, in their order; the first error ends it."""
    parts = [items[start : start + _PER_TASK] for start in range(0, len(items), _PER_TASK)]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(processors) as pool:
        yield from pool.map(work, parts)


def _content(file: Path) -> bytes:
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read()
    except MemoryError as error:
        raise _without_memory(file) from error
    except OSError as error:
        raise DatasetError(f"{file} cannot be read ({error.strerror}); give it back its permissions, or remove it") from error


def _without_memory(file: Path) -> DatasetError:
    return DatasetError(f"{file} takes more memory than there is; make it smaller, or remove it")


def _pixels(file: Path, content: bytes, size: Size) -> NDArray[np.uint8]:
    """One picture, ``C x side x side``."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if size.strict and size.channels == 1 and opened.mode not in _GREY_MODES:
                raise Coloured(file)
            image = _converted(opened, "L" if size.channels == 1 else "RGB")
        found = np.asarray(_of_size(image, size.side), np.uint8)
    except Coloured:
        raise
    except MemoryError as error:
        raise _without_memory(file) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(f"{file} is too large for Pillow to open it safely; make it smaller, or remove it") from error
    except Exception as error:  # a damaged file decides which of many exceptions Pillow's readers raise
        raise DatasetError(f"{file} is not a readable image ({type(error).__name__}); replace or remove it") from error
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


def _of_size(image: Image.Image, side: int) -> Image.Image:
    """The shorter side scaled to ``side``, the centre cut out."""
    shorter = min(image.size)
    if max(image.size) > _LONGEST * shorter:  # whole, it would be scaled to gigabytes that are cut off again
        width, height = (min(length, _LONGEST * shorter) for length in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    scale = side / shorter
    scaled = max(side, round(image.width * scale)), max(side, round(image.height * scale))
    if image.size != scaled:
        image = image.resize(scaled, Image.Resampling.BILINEAR)
    if image.size != (side, side):
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    return image


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """In 8 bits per channel, without transparency."""
    image.load()
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("more than 16 bits")
        image = Image.fromarray((values >> 8).astype(np.uint8))  # Pillow would clip at 255
    elif image.mode == "F":
        raise ValueError("floating point: no telling what is white")
    return image.copy() if image.mode == mode else image.convert(mode)
