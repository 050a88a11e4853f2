"""How many independent pieces a comparison's pairs are, and how likely they are between equal networks.

Where a load lies in memory makes a network quicker or slower for as long as it lies there, so the pairs of a load are one piece, however
many they are [Kish1965]_. With many loads the signs of whole loads are flipped; with a few, Student's test of the loads' means stays valid
whatever their spreads [Ibragimov2010]_. With fewer still, or where loads are not known, pairs stand alone unless those of a load agree more
than chance. Pieces that follow the ones before them, by more than [Bartlett1946]_ allows chance, are joined over the time that their
correlation lasts [Geyer1992]_; the chance of error is then the largest of all lengths tried, so that joining never makes a verdict surer.

.. [Bartlett1946] M. Bartlett. On the theoretical specification of sampling properties of autocorrelated time series. JRSS Suppl. 8, 1946.
.. [Geyer1992] C. Geyer. Practical Markov chain Monte Carlo. Statistical Science 7(4), 1992, sec. 3.3: initial positive sequence.
.. [Ibragimov2010] R. Ibragimov, U. Müller. t-statistic based correlation and heterogeneity robust inference. JBES 28(4), 2010.
.. [Kish1965] L. Kish. Survey Sampling. 1965, ch. 5: the design effect of clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.latency.verdict.pairs import Pairs
from harness.latency.verdict.sign_flips import FloatArray, IntArray, Location, location, two_sided_p, weighed

FLIPPED_LOADS = 12  # from as many on, flipped signs of loads can be rarer than 1 in 1,000, as several comparisons at once need
FEWEST_LOADS = 5  # with fewer, their means have no interval
FEWEST_PIECES = 8  # that joining leaves: fewer could decide nothing
CHANCE_RATIO = 0.05  # of shuffles in which pairs of a load would agree as much: below, it is no chance
SHUFFLES = 400
_Z_CHANCE = 1.645  # one-sided 5 %


@dataclass(frozen=True, slots=True)
class Judged:
    """What a comparison's pairs say.

    p_value: chance of such pairs between equal networks. centre: of the log ratios. effective: how many independent pairs tell as much.
    """

    p_value: float
    centre: Location
    effective: float


def judge(pairs: Pairs, z: float) -> Judged:
    """The chance of error, the centre with the interval of ``z`` deviations, and the effective number of pairs."""
    logs = pairs.log_ratios
    pieces, few = _pieces(logs, pairs.loads, z)
    length = 1 if few else _lasting(logs, pieces, z)
    p_value = max(_few_p(logs, pieces) if few else two_sided_p(logs, pieces // joined) for joined in _lengths(length))
    centre = location(logs, z, pieces // length)
    return Judged(p_value, centre, _effective(logs, pieces // length, centre.estimate))


def student_p(t: float, freedom: int) -> float:
    """Two-sided chance of Student's t of ``freedom`` >= 1 degrees (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    if math.isinf(t):
        return 0.0
    angle = math.atan(abs(t) / math.sqrt(freedom))
    odd = freedom % 2
    term, total = (math.cos(angle), 0.0) if odd else (1.0, 0.0)
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= step / (step + 1) * math.cos(angle) ** 2
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return min(1.0, max(0.0, 1.0 - inside))


def _pieces(logs: FloatArray, loads: IntArray | None, z: float) -> tuple[IntArray, bool]:
    """Of every pair its piece, and whether the pieces are so few that Student's test is needed."""
    alone = np.arange(len(logs))
    if loads is None:
        return alone, False
    count = int(loads.max()) + 1
    if count < FEWEST_LOADS and not _agree(logs, loads, z):
        return alone, False
    return loads, count < FLIPPED_LOADS


def _agree(logs: FloatArray, loads: IntArray, z: float) -> bool:
    """Whether the pairs of a load agree more than shuffled ones do: the intraclass correlation is no chance."""
    left = weighed(logs, location(logs, z).estimate)
    rng = np.random.default_rng(len(logs))

    def between(shuffled: FloatArray) -> float:
        return float(np.sum(np.bincount(loads, shuffled) ** 2 / np.bincount(loads)))

    seen = between(left)
    return sum(between(rng.permutation(left)) >= seen for _ in range(SHUFFLES)) < CHANCE_RATIO * SHUFFLES


def _few_p(logs: FloatArray, loads: IntArray) -> float:
    """Student's test of the loads' means; pairs are weighed as everywhere, so that one that was hit on one side is left out."""
    means = np.bincount(loads, weighed(logs, 0.0)) / np.bincount(loads)
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
    centre = float(np.mean(means))
    if deviation <= 1e-12 * abs(centre) or deviation == 0.0:
        return 0.0 if centre and len(means) > 1 else 1.0
    return student_p(centre / deviation * math.sqrt(len(means)), len(means) - 1)


def _lasting(logs: FloatArray, pieces: IntArray, z: float) -> int:
    """For how many pieces, a power of two, what one shows lasts; 1 where they follow each other by chance."""
    left = np.bincount(pieces, weighed(logs, location(logs, z, pieces).estimate))
    count = len(left)
    left = left - left.mean()
    power = float(left @ left)
    if count < 2 * FEWEST_PIECES or power <= 0.0:
        return 1
    correlation = [float(left[lag:] @ left[:-lag]) / power for lag in range(1, count // 2)]
    if correlation[0] <= _Z_CHANCE / math.sqrt(count):
        return 1
    lasting = 1.0 + 2.0 * correlation[0]
    for even, odd in zip(correlation[1::2], correlation[2::2], strict=False):
        if even + odd <= 0.0:
            break
        lasting += 2.0 * (even + odd)
    most = 2 ** int(math.log2(count / FEWEST_PIECES))
    return int(min(most, 2 ** math.ceil(math.log2(lasting))))


def _lengths(longest: int) -> list[int]:
    return [2**power for power in range(longest.bit_length())]


def _effective(logs: FloatArray, pieces: IntArray, centre: float) -> float:
    """Pairs over the design effect: how much more the sums of pieces scatter than as many independent pairs would."""
    left = weighed(logs, centre)
    together = float(np.sum(np.bincount(pieces, left) ** 2))
    return len(logs) * min(1.0, float(left @ left) / together) if together > 0.0 else float(len(logs))
