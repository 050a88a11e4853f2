"""When a trial is stopped early: where it stands lower than one stood that ended hopeless, and lower than any that did not.

In the manner of the median rule of [Golovin2017]_ sec. 3.2.2 and of successive halving ([Jamieson2016]_), but far more reluctant: half
of all trials are never stopped, only what a finished trial showed to lead nowhere. What was stopped is no observation. The surrogate
learns that it loses at least as much as the least of those trials did, for without that it would ask for a neighbour next.

.. [Golovin2017] D. Golovin et al.: Google Vizier, A Service for Black-Box Optimization. KDD 2017.
.. [Jamieson2016] K. Jamieson, A. Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization. AISTATS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.records.trial import NEW, Floor, Trial

LEAST_SEEN = 3  # trials that must have gone by a point to their end before anything is stopped there
LIMITS_OVER, POINTS_OVER = 3.0, 4.0  # multiples of the limit, and points above it: a drop beyond both is hopeless
SURE_DEVIATIONS = 2.0  # of the validation split's noise by which it must be beyond
MARGIN_RATIO, MARGIN_DEVIATIONS = 0.02, 3.0  # of top-1, and of noise, by which a trial must stand lower than the others did


def floors(trials: Sequence[Trial], limit_points: float, epochs: float) -> tuple[Floor, ...]:
    """Below which top-1, after which share of its steps, a trial of ``epochs`` is stopped; none until one ended hopeless.

    limit_points: the drop that must be kept, as it counts for trials of that length.
    """
    ours = [one for one in trials if one.outcome.ok and one.request.purpose in NEW and one.request.budget_epochs == epochs]
    shares = sorted({share for one in ours for share, _ in one.outcome.curve})
    found = (_floor([one for one in ours if share in dict(one.outcome.curve)], limit_points, share) for share in shares)
    return tuple(one for one in found if one is not None)


def is_hopeless(trial: Trial, limit_points: float) -> bool:
    """Whether a finished trial lost, beyond the noise and in every precision, so much that nothing longer will keep the limit."""
    beyond = max(LIMITS_OVER * limit_points, limit_points + POINTS_OVER)
    return least_points(trial) - SURE_DEVIATIONS * trial.outcome.deviation_points > beyond


def least_points(trial: Trial) -> float:
    """What a finished trial lost in the precision in which it lost least."""
    return min(trial.outcome.drop_points, *(one.drop_points for one in trial.outcome.others), math.inf)


def _floor(trials: Sequence[Trial], limit_points: float, share: float) -> Floor | None:
    lost = [one for one in trials if is_hopeless(one, limit_points)]
    if not lost or len(trials) < LEAST_SEEN or len(lost) == len(trials):
        return None
    highest = max(lost, key=lambda one: dict(one.outcome.curve)[share])
    lowest_kept = min(dict(one.outcome.curve)[share] for one in trials if one not in lost)
    margin = max(MARGIN_RATIO, MARGIN_DEVIATIONS * highest.outcome.deviation_points / 100)
    stood = min(dict(highest.outcome.curve)[share], lowest_kept)
    return Floor(share, stood - margin, min(map(least_points, lost)), highest.number)
