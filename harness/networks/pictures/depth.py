"""Grey pictures of more than 8 bits: what is white in them is told by the brightest of all, for no file says it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError

_BITS = (8, 10, 12, 14, 16)  # that cameras and scanners count grey in
_FLOAT_WHITES = (1.0, 255.0, 65535.0)


@dataclass(frozen=True)
class Depth:
    """The brightest value that a picture may hold, in whole numbers or in floating point."""

    white: float
    is_float: bool = False

    def in_8_bits(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The values between 0 and white as 0 to 255; ValueError for others."""
        whole = values.dtype.kind != "f"
        if whole == self.is_float:
            raise ValueError("floating point: no telling what is white" if self.is_float is False else "whole numbers among floating point")
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= self.white):
            raise ValueError(f"values from {low:g} to {high:g}")
        if whole:
            return np.asarray(values.astype(np.int64) >> (int(self.white).bit_length() - 8), np.uint8)
        return np.rint(values.astype(np.float64) * (255 / self.white)).astype(np.uint8)

    @property
    def sentence(self) -> str:
        """What is taken for white."""
        kind = "floating point" if self.is_float else "more than 8 bits"
        return f"grey pictures of {kind}: {self.white:g} is taken for white, as the brightest of them tells"


SIXTEEN_BITS = Depth(65535.0)


def is_deep(mode: str) -> bool:
    """Whether pictures of this mode of Pillow's hold more than 8 bits of grey."""
    return mode.startswith("I") or mode == "F"


def of_ranges(ranges: Sequence[tuple[bool, float, float, Path]]) -> Depth:
    """The depth of pictures of which it is known whether they are floating point, and their darkest and brightest values.

    DatasetError, naming a file, where no white can be told: below 0, above 16 bits, no number, or both kinds.
    """
    kinds = {one[0]: one[3] for one in ranges}
    if len(kinds) > 1:
        raise DatasetError(f"{kinds[True]} is floating point, {kinds[False]} is not: no telling what is white in both; save them alike")
    is_float, brightest = next(iter(kinds)), max(one[2] for one in ranges)
    for _, low, high, file in ranges:
        if not (math.isfinite(low) and math.isfinite(high) and low >= 0 and high <= 65535):
            raise DatasetError(
                f"{file} holds values between {low:g} and {high:g}: no telling what is white; "
                "save grey pictures in 8 or 16 bits, or as numbers between 0 and 1"
            )
    whites = _FLOAT_WHITES if is_float else tuple(float((1 << bits) - 1) for bits in _BITS)
    return Depth(next(white for white in whites if brightest <= white), is_float)
