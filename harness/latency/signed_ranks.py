"""The signed-rank test and its interval: exact, free of any assumption but symmetry [Wilcoxon1945]_ [Hodges1963]_.

.. [Wilcoxon1945] F. Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin 1(6), 1945.
.. [Hodges1963] J. L. Hodges, E. L. Lehmann. Estimates of location based on rank tests. Ann. Math. Statist. 34(2), 1963.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EXACT_UP_TO = 60  # differences; beyond, the normal approximation of the rank sum is closer than any measurement


@dataclass(frozen=True, slots=True)
class Location:
    """Where the centre of symmetric differences lies: estimate and two-sided interval (infinite ends where too few)."""

    estimate: float
    low: float
    high: float


def location(differences: FloatArray, confidence: float) -> Location:
    """Hodges-Lehmann estimate of the centre of ``differences`` with its distribution-free interval."""
    walsh = walsh_averages(differences)
    centre = float(np.median(walsh))
    cut = _largest_cut(len(differences), 1.0 - confidence)
    if cut < 0:
        return Location(centre, -math.inf, math.inf)
    return Location(centre, float(walsh[cut]), float(walsh[-1 - cut]))


def two_sided_p(differences: FloatArray) -> float:
    """Chance of a rank sum at least this extreme if the centre were 0; differences of exactly 0 say nothing."""
    moved = differences[differences != 0.0]
    if not len(moved):
        return 1.0
    ranks = _mean_ranks(np.abs(moved))
    smaller = min(float(ranks[moved > 0].sum()), float(ranks[moved < 0].sum()))
    return min(1.0, 2.0 * _tail(len(moved), math.floor(smaller)))


def walsh_averages(differences: FloatArray) -> FloatArray:
    """Sorted means of all pairs of differences, each with itself included: ``n (n + 1) / 2``."""
    upper = np.triu_indices(len(differences))
    return np.sort((differences[:, None] + differences[None, :])[upper] / 2.0)


@lru_cache(maxsize=256)
def _cumulative(count: int) -> tuple[float, ...]:
    """Probability of a rank sum of at most 0, 1, 2 ... for ``count`` symmetric differences."""
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        ways[rank:] += ways[:-rank].copy()
    return tuple(float(share) for share in np.cumsum(ways) / 2.0**count)


def _tail(count: int, rank_sum: int) -> float:
    """Probability of a rank sum of at most ``rank_sum``."""
    if count <= EXACT_UP_TO:
        return _cumulative(count)[rank_sum]
    mean, variance = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1) / 24
    return 0.5 * math.erfc((mean - rank_sum - 0.5) / math.sqrt(2 * variance))


def _largest_cut(count: int, error: float) -> int:
    """How many Walsh averages may be cut off at each end at this two-sided error; -1 when not even the whole range suffices."""
    cut = -1
    while cut + 1 < count * (count + 1) // 4 and 2.0 * _tail(count, cut + 1) <= error:
        cut += 1
    return cut


def _mean_ranks(values: FloatArray) -> FloatArray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], dtype=np.float64)
