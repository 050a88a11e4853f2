"""Accuracy lost against the dense network, in percentage points, with an interval.

All networks answer the same images. Where it is known which ones each got right, the interval is that of the mean of paired
differences, with one pseudo-image each way as in [AgrestiMin2005]_. Where only the counts are known, it is [Newcombe1998]_'s hybrid score
interval for independent samples, which is wider and errs on the safe side. Where networks were tuned with several seeds, the
spread between the seeds widens it, by Student's t.

.. [Newcombe1998] R. G. Newcombe, Interval estimation for the difference between independent proportions, method 10,
   Statistics in Medicine 17, 1998.
.. [AgrestiMin2005] A. Agresti, Y. Min, Simple improved confidence intervals for comparing matched proportions,
   Statistics in Medicine 24, 2005.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.errors import RecordError
from harness.records.accuracy import Accuracy

_Z_975 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Drop:
    """Top-1 lost against the dense network, in percentage points, with its 95 % interval; below 0 is a gain."""

    points: float
    low: float
    high: float


def drop(ours: Accuracy, dense: Accuracy) -> Drop:
    """Points of top-1 that ``ours`` loses against ``dense``, with [Newcombe1998]_'s 95 % interval."""
    lost = dense.top1_ratio - ours.top1_ratio
    (dense_low, dense_high), (our_low, our_high) = dense.interval_ratio, ours.interval_ratio
    below = math.hypot(dense.top1_ratio - dense_low, our_high - ours.top1_ratio)
    above = math.hypot(dense_high - dense.top1_ratio, ours.top1_ratio - our_low)
    return Drop(100 * lost, max(-100.0, 100 * (lost - below)), min(100.0, 100 * (lost + above)))  # rounding may leave that by a bit


def mean_accuracy(accuracies: Sequence[Accuracy]) -> Accuracy:
    """Mean over seeds that answered the same images, rounded to whole answers: more seeds do not make more images."""
    return Accuracy(round(statistics.fmean(one.correct for one in accuracies)), accuracies[0].total)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two networks on the same images: what each image lost, summed.

    An image's loss is the share of seeds in which dense was right less that in which ours was, from -1 to 1. total: sum of
    the losses; squares: sum of their squares.
    """

    total: float
    squares: float
    images: int

    def __post_init__(self) -> None:
        most = self.images * (1 + 1e-9)  # sums of shares are rounded
        if self.images < 1 or not (abs(self.total) <= most and 0 <= self.squares <= most):
            raise RecordError(f"losses of {self.total:g} and {self.squares:g} on {self.images} images are none; judge again")

    @classmethod
    def of(cls, ours: NDArray[np.bool_], dense: NDArray[np.bool_]) -> Paired:
        """From which answers were right: seeds x images, of both networks."""
        lost = dense.mean(axis=0) - ours.mean(axis=0)
        return cls(float(lost.sum()), float((lost**2).sum()), lost.size)

    @property
    def drop(self) -> Drop:
        """Points lost, for other images."""
        points = 100 * self.total / self.images
        return Drop(points, points - self.margin_points, points + self.margin_points)

    @property
    def margin_points(self) -> float:
        """Half the 95 % interval for other images, in points."""
        images = self.images + 2  # of the two pseudo-images, half a one is lost and half a one won
        mean = self.total / images
        variance = (self.squares + 1) / images - mean**2
        return 100 * _Z_975 * math.sqrt(max(variance, 0.0) / images)


def drop_over_seeds(ours: Sequence[Accuracy], dense: Sequence[Accuracy], paired: Paired | None = None) -> Drop:
    """Mean points lost over the seeds of both networks, with a 95 % interval for other images and other seeds alike.

    paired: which images were lost, where it is known. One accuracy each without it gives ``drop``. The images' share of the interval is
    that of the means; the seeds' share, independent of it, is that of two means with n_ours + n_dense - 2 degrees of freedom.
    """
    plain = drop(mean_accuracy(ours), mean_accuracy(dense))
    if paired is not None:
        plain = Drop(plain.points, plain.points - paired.margin_points, plain.points + paired.margin_points)
    lost = 100 * (statistics.fmean(one.top1_ratio for one in dense) - statistics.fmean(one.top1_ratio for one in ours))
    spread, freedom = seed_spread(ours, dense)
    margin = float(stdtrit(freedom, 0.975)) * spread if freedom else 0.0
    return Drop(lost, lost - math.hypot(plain.points - plain.low, margin), lost + math.hypot(plain.high - plain.points, margin))


def seed_spread(ours: Sequence[Accuracy], dense: Sequence[Accuracy]) -> tuple[float, int]:
    """Standard error of the mean difference between seeds, in points, and its degrees of freedom; zeros for one seed each."""
    freedom = len(ours) + len(dense) - 2
    groups = [[100 * one.top1_ratio for one in group] for group in (ours, dense)]
    squares = sum(sum((one - statistics.fmean(group)) ** 2 for one in group) for group in groups)
    return (math.sqrt(squares / freedom * (1 / len(ours) + 1 / len(dense))) if freedom else 0.0), freedom
