"""Fidelities: cheap evaluations that stand for expensive ones, and what the one says about the other.

All configurations are tried short, the best are promoted to full length, and the relation between the two is learnt from those that
were tried both ways. The same relation, from recalibrated batch norm to a short trial, screens out hopeless ones.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from harness.records.pruning_config import PruningConfig
from search.records.trial import NEW, PROMOTE, Floats, Trial

PROMOTE_EVERY, PROMOTE_COUNT = 12, 2  # for every so many short trials, so many are promoted
PROMOTE_MARGIN_POINTS = 0.3  # short drops above the limit by up to this may be promoted
LEAST_PAIRS_TO_RELATE = 4
# Until enough were promoted, nobody knows what full length brings back. On ResNet-56 four times the length brought back 0.95 points, and
# of every factor of four as much is hoped for; the fastest of a band above that, as much wider, are tried first.
FIRST_COUNT, HOPED_POINTS, HOPED_FACTOR = LEAST_PAIRS_TO_RELATE, 0.95, 4.0
# Where nothing in full keeps the limit, so many of the least harmed short trials are tried in full, no two nearer in latency than this.
LEAST_HARMED_COUNT, LEAST_STEP_RATIO = FIRST_COUNT, 0.03
LEAST_PAIRS_TO_SHIFT = 2
LEAST_PAIRS_TO_FIT = 3
LEAST_PAIRS_TO_SCREEN = 8
SCREENED_OUT_BELOW = 0.05  # chance to keep the limit below which a configuration is not tried any longer
LEAST_DEVIATION_POINTS = 0.1
LEAST_SLOPE = 0.05  # flatter, and a short trial says nothing of a full one
TOLD_AT_MOST_POINTS = 60.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """A straight line from one fidelity's drop to the next one's, on a scale that tames broken networks.

    slope, intercept: of ``log(1 + drop)``, negative drops kept linear. deviation: of the residuals on that scale.
    error_points: mean absolute leave-one-out error, in points. pairs: how many configurations were seen at both.
    """

    slope: float
    intercept: float
    deviation: float
    error_points: float
    pairs: int

    @classmethod
    def fit(cls, low: Floats, high: Floats) -> Calibration:
        """From at least two pairs of drops, in points."""
        x, y = _tamed(low), _tamed(high)
        slope, intercept = _line(x, y)
        residuals = y - (slope * x + intercept)
        freedom = max(1, len(x) - 2)
        left_out = []
        for index in range(len(x)):
            keep = np.arange(len(x)) != index
            one_slope, one_intercept = _line(x[keep], y[keep])
            left_out.append(abs(float(_released(np.asarray(one_slope * x[index] + one_intercept))) - float(high[index])))
        deviation = math.sqrt(float((residuals**2).sum()) / freedom)
        return cls(slope, intercept, max(deviation, 1e-3), float(np.mean(left_out)), len(x))

    def predict(self, low: float) -> tuple[float, float]:
        """Expected drop at the higher fidelity and its standard deviation, in points."""
        middle = self.slope * float(_tamed(np.asarray(low))) + self.intercept
        expected, above = float(_released(np.asarray(middle))), float(_released(np.asarray(middle + self.deviation)))
        return min(expected, TOLD_AT_MOST_POINTS), max(above - expected, LEAST_DEVIATION_POINTS)

    def inverse(self, high: float) -> float:
        """The lower fidelity's drop from which ``high`` is expected at the higher one; NaN where the relation does not rise."""
        if self.slope < LEAST_SLOPE:
            return math.nan
        return float(_released(np.asarray((float(_tamed(np.asarray(high))) - self.intercept) / self.slope)))

    def chance(self, low: float, limit: float) -> float:
        """Probability that the higher fidelity's drop is within ``limit``, given the lower one's."""
        expected, deviation = self.predict(low)
        return float(ndtr((limit - expected) / deviation))


def short_of(trials: Sequence[Trial], epochs: float) -> list[Trial]:
    """Those of a search's own length, from which promotions are chosen."""
    return [one for one in trials if one.request.purpose in NEW and one.request.budget_epochs == epochs]


def promoted_of(trials: Sequence[Trial], epochs: float) -> list[Trial]:
    """The promotions to this full length; another campaign's may be to another one."""
    return [one for one in trials if one.request.purpose == PROMOTE and one.request.budget_epochs == epochs]


def pairs(low: Sequence[Trial], high: Sequence[Trial]) -> tuple[Floats, Floats]:
    """Drops of the configurations that were evaluated at both fidelities; ``high`` names its ``low`` trial in ``of``."""
    drops = {trial.number: trial.outcome.drop_points for trial in low if trial.outcome.ok}
    found = [(drops[one.request.of], one.outcome.drop_points) for one in high if one.outcome.ok and one.request.of in drops]
    both = np.asarray(found, dtype=np.float64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def limit_shift(low: Floats, high: Floats, limit: float, longer: float) -> float:
    """By how many points the limit (points of drop at the higher fidelity) is looser for short trials.

    longer: by what factor full length is longer than short. Without pairs, what is hoped for: a search that takes short drops for full
    ones while the first promotions run stays beside the dense network. With few pairs, what full length brings back at the median; with
    more, the short drop from which the relation expects the limit itself: what is brought back grows with what was lost. No further
    than pairs were seen.
    """
    if len(low) < LEAST_PAIRS_TO_SHIFT:
        return HOPED_POINTS * _factors(longer)
    median = float(np.median(low - high))
    if len(low) < LEAST_PAIRS_TO_RELATE:
        return median
    expected = Calibration.fit(low, high).inverse(limit)
    if math.isnan(expected):
        return median
    return float(np.clip(expected, low.min(), low.max() + PROMOTE_MARGIN_POINTS)) - limit


def promotions_by(short: int) -> int:
    """How many promotions ``short`` short trials are worth: a campaign that was killed makes up for what it had planned."""
    rounds = short // PROMOTE_EVERY
    return FIRST_COUNT + PROMOTE_COUNT * (rounds - 1) if rounds else 0


def due_for_promotion(
    short: Sequence[Trial],
    promoted: set[int],
    limit: float,
    count: int,
    longer: float,
    cheaper_than: float = math.inf,
) -> list[Trial]:
    """The ``count`` fastest short trials, not yet promoted, whose drop is near or within ``limit``.

    longer: by what factor full length is longer than short. cheaper_than: latency of what is good enough already; full length would
    be wasted on anything slower.
    """
    margin = PROMOTE_MARGIN_POINTS
    if len(promoted) < FIRST_COUNT:
        margin *= max(1.0, _factors(longer))
    open_ones = [t for t in short if t.outcome.ok and t.number not in promoted and t.cost < cheaper_than]
    fit = [t for t in open_ones if t.outcome.drop_points <= limit + margin]
    return sorted(fit, key=lambda trial: (trial.cost, trial.number))[:count]


def least_harmed(short: Sequence[Trial], taken: Collection[int], dense: PruningConfig, dense_cost: float, count: int) -> list[Trial]:
    """Up to ``count`` short trials along the front of latency and short drop, the least harmed first, whose numbers are not ``taken``.

    Only pruned networks that are predicted to be faster than the ``dense`` one. Those that hardly differ in latency come last. Their order
    does not depend on what was taken: a campaign that was killed after a few of them goes on with the same others.
    """
    able = [one for one in short if one.outcome.ok and one.request.config != dense and one.cost < dense_cost]
    front: list[Trial] = []
    for trial in sorted(able, key=lambda one: (one.cost, one.outcome.drop_points, one.number)):
        if not front or trial.outcome.drop_points < front[-1].outcome.drop_points:
            front.append(trial)
    apart: list[Trial] = []
    for trial in reversed(front):
        if all(abs(trial.cost / other.cost - 1) > LEAST_STEP_RATIO for other in apart):
            apart.append(trial)
    ordered = [*apart, *(one for one in reversed(front) if one not in apart)]
    return [one for one in ordered if one.number not in taken][:count]


def _factors(longer: float) -> float:
    """How many factors of four."""
    return max(0.0, math.log(longer) / math.log(HOPED_FACTOR))


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Least squares with a weak pull of the slope towards 1: two pairs must not turn the order round."""
    pull = 0.1
    centred = x - x.mean()
    slope = float((centred @ (y - y.mean()) + pull) / (centred @ centred + pull))
    return slope, float(y.mean() - slope * x.mean())


def _tamed(drop: Floats) -> Floats:
    return np.asarray(np.where(drop > 0, np.log1p(np.maximum(drop, 0.0)), drop))


def _released(tamed: Floats) -> Floats:
    return np.asarray(np.where(tamed > 0, np.expm1(np.minimum(tamed, 10.0)), tamed))
