"""Accuracy lost against the dense network, in percentage points, with an interval.

Intervals are [Newcombe1998]_'s hybrid score intervals for independent samples. All networks answer the same images, which
makes the true interval narrower: the one given errs on the safe side. Where networks were tuned with several seeds, the spread
between the seeds widens it, by Student's t.

.. [Newcombe1998] R. G. Newcombe, Interval estimation for the difference between independent proportions, method 10,
   Statistics in Medicine 17, 1998.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from harness.records.accuracy import Accuracy


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
    return Drop(100 * lost, 100 * (lost - below), 100 * (lost + above))


def mean_accuracy(accuracies: Sequence[Accuracy]) -> Accuracy:
    """Mean over seeds that answered the same images, rounded to whole answers: more seeds do not make more images."""
    return Accuracy(round(statistics.fmean(one.correct for one in accuracies)), accuracies[0].total)


def drop_over_seeds(ours: Sequence[Accuracy], dense: Sequence[Accuracy]) -> Drop:
    """Mean points lost over the seeds of both networks, with a 95 % interval for other images and other seeds alike.

    One accuracy each gives ``drop``. The images' share of the interval is that of the means; the seeds' share, independent of
    it, is that of two means with n_ours + n_dense - 2 degrees of freedom.
    """
    plain = drop(mean_accuracy(ours), mean_accuracy(dense))
    lost = 100 * (statistics.fmean(one.top1_ratio for one in dense) - statistics.fmean(one.top1_ratio for one in ours))
    freedom = len(ours) + len(dense) - 2
    groups = [[100 * one.top1_ratio for one in group] for group in (ours, dense)]
    squares = sum(sum((one - statistics.fmean(group)) ** 2 for one in group) for group in groups)
    spread = math.sqrt(squares / freedom * (1 / len(ours) + 1 / len(dense))) if freedom else 0.0
    margin = float(stdtrit(freedom, 0.975)) * spread if freedom else 0.0
    return Drop(lost, lost - math.hypot(plain.points - plain.low, margin), lost + math.hypot(plain.high - plain.points, margin))
