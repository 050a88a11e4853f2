"""Where the centre of symmetric but wild differences lies, and whether it is 0: sign flips of a redescending sum.

Under the null hypothesis every difference is as likely with the other sign, so the chance of a sum this large is counted over
random signs [Fisher1935]_. The sum weighs a difference by Hampel's function [Hampel1986]_ of its size over the median size: a
block that a burst hit on one side only says nothing of the two networks, and is left out. Sizes do not change when signs do,
so the test stays exact. (Signed ranks give such blocks the highest ranks, and lose a third of the power.)

Differences that share a cause, such as where a load lies in memory, have one coin in common: they are summed, and the sums' signs flip
[Winkler2015]_. Which differences stand together in a *piece* is said by the caller, and must not depend on their signs.

.. [Fisher1935] R. A. Fisher. The Design of Experiments. 1935, ch. 3.
.. [Hampel1986] F. Hampel, E. Ronchetti, P. Rousseeuw, W. Stahel. Robust Statistics. 1986, sec. 2.6.
.. [Winkler2015] A. Winkler et al. Multi-level block permutation. NeuroImage 123, 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FULL_WEIGHT = 1.5  # up to this many median sizes a difference counts in full, from twice as many not at all
EXACT_UP_TO = 14  # differences: all 16,384 sign patterns are counted
FLIPS = 20_000  # beyond: random patterns; a chance of 1 in 100 is then known to 0.0007
_GRID = 400  # places at which the interval is looked for
_TINY = 1e-12  # relative size below which two sums are equal


@dataclass(frozen=True, slots=True)
class Location:
    """Where the centre of the differences lies: estimate and two-sided interval (infinite ends where too few)."""

    estimate: float
    low: float
    high: float


def two_sided_p(differences: FloatArray, pieces: IntArray | None = None) -> float:
    """Chance of a weighted sum at least this far from 0 if the sign of every piece were a coin's.

    pieces: of every difference the number of its piece, from 0 without gaps; each is its own where None.
    """
    weighted = _per_piece(_weighted(differences), pieces)
    patterns = _patterns(len(weighted))
    observed = abs(float(weighted.sum()))
    slack = _TINY * float(np.abs(weighted).sum())
    extreme = int(np.count_nonzero(np.abs(patterns @ weighted) >= observed - slack))
    exact = len(weighted) <= EXACT_UP_TO
    return extreme / len(patterns) if exact else (extreme + 1) / (len(patterns) + 1)


def location(differences: FloatArray, z: float, pieces: IntArray | None = None) -> Location:
    """Centre of ``differences`` and the interval of all centres whose weighted sum is within ``z`` of its own spread over pieces."""
    spread = float(np.ptp(differences))
    count = len(differences) if pieces is None else int(pieces.max()) + 1
    if spread == 0.0 and count > z**2:
        return Location(float(differences[0]), float(differences[0]), float(differences[0]))
    margin = max(spread, _TINY)
    places = np.linspace(differences.min() - 0.01 * margin, differences.max() + 0.01 * margin, _GRID)
    places = np.sort(np.concatenate([places, differences, [float(np.median(differences))]]))
    scores = _scores(differences[None, :] - places[:, None], pieces)
    estimate = _crossing(places, scores)
    if count <= z**2:  # even equal signs everywhere do not reach z
        return Location(estimate, -math.inf, math.inf)
    inside = places[np.abs(scores) <= z]
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (estimate, estimate)
    return Location(estimate, min(low, estimate), max(high, estimate))


def weighed(differences: FloatArray, centre: float) -> FloatArray:
    """What every difference adds to the sum whose root is the centre."""
    return _weighted(differences - centre)


def _scores(differences: FloatArray, pieces: IntArray | None) -> FloatArray:
    """Per row, the weighted sum over its standard deviation under random signs."""
    weighted = _per_piece(_weighted(differences), pieces)
    scale = np.sqrt(np.sum(weighted**2, axis=1))
    return np.asarray(weighted.sum(axis=1) / np.where(scale > 0.0, scale, 1.0))


def _per_piece(weighted: FloatArray, pieces: IntArray | None) -> FloatArray:
    """Sums over each piece, along the last axis."""
    if pieces is None:
        return weighted
    belongs = (pieces[:, None] == np.arange(int(pieces.max()) + 1)).astype(np.float64)
    return np.asarray(weighted @ belongs)


def _weighted(differences: FloatArray) -> FloatArray:
    """Hampel's psi along the last axis: full up to ``FULL_WEIGHT`` median sizes, falling to nothing at twice that."""
    size = np.abs(differences)
    unit = FULL_WEIGHT * np.median(size, axis=-1, keepdims=True)
    share = np.clip(2.0 - size / np.where(unit > 0.0, unit, 1.0), 0.0, 1.0)
    redescending = np.where(unit > 0.0, np.minimum(size, unit) * share, 1.0)
    return np.asarray(np.sign(differences) * redescending)


def _crossing(places: FloatArray, scores: FloatArray) -> float:
    """The place nearest to the middle of the differences at which the score changes sign."""
    falls = np.flatnonzero((scores[:-1] >= 0.0) & (scores[1:] <= 0.0))
    if not len(falls):
        return float(places[np.argmin(np.abs(scores))])
    middle = len(places) / 2
    at = int(falls[np.argmin(np.abs(falls - middle))])
    drop = scores[at] - scores[at + 1]
    share = scores[at] / drop if drop > 0.0 else 0.5
    return float(places[at] + share * (places[at + 1] - places[at]))


@lru_cache(maxsize=64)
def _patterns(count: int) -> FloatArray:
    if count <= EXACT_UP_TO:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    else:
        bits = np.random.default_rng(count).integers(0, 2, (FLIPS, count))
    return (2.0 * bits - 1.0).astype(np.float64)
