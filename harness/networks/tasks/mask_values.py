"""What the pixels of masks say: class numbers, in one channel or by a palette, and whether all masks of a folder say them alike.

Masks come from several tools. Some write one class as 255 and others as 1, some number their palettes anew for every picture, some smooth
edges into grey levels. Each mask is right by itself; together they would teach nonsense, or ask nothing, unseen.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.errors import DatasetError
from harness.files import reading
from harness.networks.tasks.segmentation import IGNORED

MOST_UNNAMED = 64  # classes that nobody names; more are grey levels, as smoothed edges are
_GREY = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B")  # Pillow's modes of one number a pixel
_TOLD = 4  # numbers that a message names

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class MaskPixels:
    """The numbers of a mask's pixels, ``H x W``, and the colours that its palette shows each in, where it has one."""

    numbers: NDArray[np.int64]
    colours: tuple[tuple[int, Colour], ...] = ()


def read(mask: Path, picture: Path) -> MaskPixels:
    """The pixels of a mask that is as large as its picture; DatasetError, naming the file, for one that is not, or no mask of classes."""
    try:
        ours, beside = (io.BytesIO(reading.read(path)) for path in (mask, picture))
        with Image.open(ours) as opened, Image.open(beside) as other:
            lossy, mode, size, wanted = opened.format == "JPEG", opened.mode, opened.size, other.size
            numbers = np.asarray(opened).astype(np.int64) if mode in _GREY else None
            palette = (opened.getpalette() or []) if mode == "P" else []
    except DatasetError:
        raise
    except Exception as error:  # a damaged file decides which of many exceptions Pillow's readers raise
        raise DatasetError(f"{mask} or its picture is not a readable image ({type(error).__name__}); replace or remove it") from error
    if lossy:
        raise DatasetError(f"{mask} is a JPEG, which does not keep class numbers; save masks as PNG")
    if numbers is None:
        raise DatasetError(f"{mask} is a mask in colours ({mode}); save class numbers in one channel, or with a palette")
    if size != wanted:
        raise DatasetError(f"{mask} is {size[0]} x {size[1]}, its picture {wanted[0]} x {wanted[1]}; give masks of their pictures' size")
    return MaskPixels(numbers, _colours(palette, np.unique(numbers).tolist()))


def _colours(palette: list[int], numbers: Iterable[int]) -> tuple[tuple[int, Colour], ...]:
    """Of those numbers; none where two of them look alike, for then colours tell no classes."""
    each = [(one, (palette[3 * one], palette[3 * one + 1], palette[3 * one + 2])) for one in numbers if 3 * one + 2 < len(palette)]
    return tuple(each) if len({colour for _, colour in each}) == len(each) else ()


@dataclass
class Conventions:
    """What all masks of a folder hold, mask by mask."""

    held: set[int] = field(default_factory=set)
    _white: Path | None = None  # the first mask of 0 and 255 alone
    _numbered: Path | None = None  # the first with another class
    _edged: bool = False  # whether any holds 255 beside another class, as Pascal VOC's edges are
    _shown: dict[Colour, tuple[int, Path]] = field(default_factory=dict)

    def add(self, path: Path, mask: MaskPixels) -> None:
        """Look at one more; DatasetError where its palette numbers the colours of another otherwise."""
        there = set(np.unique(mask.numbers).tolist())
        classes = there - {0, IGNORED}
        self._edged = self._edged or bool(classes and IGNORED in there)
        if there == {0, IGNORED}:
            self._white = self._white or path
        if classes:
            self._numbered = self._numbered or path
        self.held |= there
        for number, colour in mask.colours:
            other, where = self._shown.setdefault(colour, (number, path))
            if other != number:
                raise DatasetError(
                    f"{path} has class {number} in the colour {colour} in which {where} has class {other}: each mask has a palette of its "
                    "own; save all masks by one palette, or as class numbers in one channel"
                )

    @property
    def is_binary(self) -> bool:
        """Whether there is nothing but 0 and 255."""
        return self.held == {0, IGNORED}

    def check(self, folder: Path, classes: int) -> None:
        """DatasetError where masks say their classes in two ways, or hold grey levels. classes: that are named; 0: nobody says."""
        if self._white is not None and self._numbered is not None and not self._edged:
            raise DatasetError(
                f"masks of two kinds: {self._white} holds 0 and 255 alone, {self._numbered} class numbers. Whether 255 is a class or where "
                "none is asked cannot be told; save the class as its number in all of them"
            )
        numbers = sorted(self.held - {IGNORED})
        if classes or self.is_binary or not numbers:
            return
        if numbers[-1] >= MOST_UNNAMED or 2 * len(numbers) < numbers[-1] + 1:
            told = ", ".join(map(str, numbers[:_TOLD])) + (f" ... {numbers[-1]}" if len(numbers) > _TOLD else "")
            raise DatasetError(
                f"the masks of {folder} hold the numbers {told}, which would be {numbers[-1] + 1} classes; number classes from 0 on "
                "without gaps, without smoothed edges, or name every one in classes.txt, one a line"
            )
