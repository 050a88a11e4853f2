"""Mean and deviation of every channel of pictures in bytes, and what brings them to 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.networks.pictures import large_arrays
from harness.networks.pictures.division import Pixels

LEAST_DEVIATION = 1e-6  # of a channel that is not constant, in parts of its range
COUNTED = 1 << 20  # pixels that are counted at once: numpy makes 8 bytes of each


def mean_and_deviation(pixels: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of every channel, of pixels between 0 and 1; a constant channel's deviation is 1.

    From counts of the 256 values, in whole numbers: whatever the order of the images, it is the same to the last bit.
    """
    counts = np.zeros((pixels.shape[1], 256), np.int64)
    rows = max(1, COUNTED // (pixels.shape[2] * pixels.shape[3]))
    for start in range(0, len(pixels), rows):
        for channel in range(len(counts)):
            counts[channel] += np.bincount(pixels[start : start + rows, channel].ravel(), minlength=256)
        large_arrays.was_read(pixels[start : start + rows].nbytes)
    means, deviations = [], []
    for row in counts.tolist():
        count, total, squares = sum(row), sum(value * times for value, times in enumerate(row)), sum(v * v * n for v, n in enumerate(row))
        deviation = math.sqrt((count * squares - total * total) / (255 * count) ** 2)
        deviations.append(deviation if deviation >= LEAST_DEVIATION else 1.0)  # a constant channel stays constant
        means.append(total / (255 * count))
    return tuple(means), tuple(deviations)


def scale_and_shift(mean: Sequence[float], std: Sequence[float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What to multiply a channel by and what to take from it then, each ``C``."""
    scales, shifts = [1 / (255 * deviation) for deviation in std], [one / deviation for one, deviation in zip(mean, std, strict=True)]
    return np.array(scales, np.float32), np.array(shifts, np.float32)
