"""Accuracy lost against the dense network, in percentage points, with an interval.

Intervals are [Newcombe1998]_'s hybrid score intervals for independent samples. All networks answer the same images, which
makes the true interval narrower: the one given errs on the safe side.

.. [Newcombe1998] R. G. Newcombe, Interval estimation for the difference between independent proportions, method 10,
   Statistics in Medicine 17, 1998.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
