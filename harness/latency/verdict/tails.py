"""Intervals of what lies in a latency's tail: a percentile, or the share of inferences that missed a deadline.

Samples of one block follow each other, so a share is worth as many independent ones as its spread over blocks says, the design effect of
clusters [Kish1965]_. Its interval is [Wilson1927]_'s with Student's quantile for as many blocks, and that of a percentile is read off the
samples at the ends of its share's interval [Woodruff1952]_.

.. [Kish1965] L. Kish. Survey Sampling. 1965, ch. 5.
.. [Wilson1927] E. B. Wilson. Probable inference, the law of succession, and statistical inference. JASA 22, 1927.
.. [Woodruff1952] R. S. Woodruff. Confidence intervals for medians and other position measures. JASA 47, 1952.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np

from harness.latency.verdict.independence import student_p
from harness.records.measurement import Latency

_Z_975 = 1.960
FEWEST_BLOCKS = 3  # fewer tell no spread over blocks


def missed_share(latency: Latency, deadline_s: float) -> tuple[float, float, float]:
    """The share of samples longer than ``deadline_s``, and its 95 % interval."""
    return _share(latency, deadline_s)


def percentile(latency: Latency, share: float) -> tuple[float, float, float]:
    """The nearest-rank percentile in seconds, and its 95 % interval; its upper end is infinite where too few samples lie above."""
    found_s = latency.quantile_s(share)
    count, effective, z = len(latency.samples_s), *_worth(latency, found_s)
    low, high = wilson(share, effective, z)
    return found_s, latency.quantile_s(low), latency.quantile_s(high) if high <= 1 - 1 / count else math.inf


def samples_for(share: float) -> int:
    """How many samples a percentile needs at least: ten beyond it."""
    return round(10 / (1 - share))


def wilson(share: float, count: float, z: float = _Z_975) -> tuple[float, float]:
    """The interval of a share among ``count`` independent ones."""
    square = z**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = z / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _share(latency: Latency, beyond_s: float) -> tuple[float, float, float]:
    share = sum(sample > beyond_s for sample in latency.samples_s) / len(latency.samples_s)
    effective, z = _worth(latency, beyond_s)
    low, high = wilson(share, effective, z)
    return share, min(low, share), max(high, share)


def _worth(latency: Latency, beyond_s: float) -> tuple[float, float]:
    """How many independent samples tell as much of the share beyond, and the quantile that its interval needs."""
    count, blocks = len(latency.samples_s), np.array(latency.block_sizes, dtype=np.float64)
    beyond = np.array(latency.samples_s) > beyond_s
    share = float(beyond.mean())
    if len(blocks) < FEWEST_BLOCKS or not 0.0 < share < 1.0:
        return count, _Z_975
    edges = itertools.pairwise(itertools.accumulate(latency.block_sizes, initial=0))
    sums = np.array([beyond[start:end].sum() for start, end in edges])
    clustered = float(np.sum((sums - share * blocks) ** 2)) * len(blocks) / (len(blocks) - 1) / count**2
    effect = clustered * count / (share * (1 - share))
    return (count, _Z_975) if effect <= 1.0 else (max(1.0, count / effect), t_975(len(blocks) - 1))


@lru_cache
def t_975(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t."""
    low, high = 0.0, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > 0.05 else (low, middle)
    return high
