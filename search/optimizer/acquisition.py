"""The acquisition: improvement in exactly known latency, weighed by the probability of keeping the accuracy.

The constrained expected improvement of [Gardner2014]_, with the objective known: only the constraint is uncertain.

.. [Eriksson2021] D. Eriksson, M. Poloczek: Scalable Constrained Bayesian Optimization. AISTATS 2021.
.. [Gardner2014] Gardner et al. Bayesian Optimization with Inequality Constraints. ICML 2014.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from search.records.trial import Bools, Floats

LEAST_IMPROVEMENT = 1e-6  # of the dense latency; less counts as none
# Of the latency of the fastest that is known to keep the limit, a proposal saves at most so much, whatever the model hopes: half after
# every attempt that failed, twice as much again after every one that did not, as trust regions go in [Eriksson2021]_.
LEAP, LEAST_LEAP = 0.5, 0.06
_LEAP_COST, _TOO_FAR = 3.0, 20.0  # logarithms: for going further at all, and per share of the dense latency beyond the leap
_NOT_IMPROVING = -50.0  # below the value of any improving candidate that has a chance


def feasibility(mean: Floats, deviation: Floats, limit: float) -> Floats:
    """Log probability that the drop is at most ``limit``; all drops in the same unit."""
    log_probability: Floats = log_ndtr((limit - mean) / (deviation + 1e-9))
    return log_probability


def known_improvement(
    mean: Floats, deviation: Floats, latency: Floats, limit: float, best: float | None, caution: float = 1.0, leap: float = 1.0
) -> Floats:
    """Log of (latency saved x probability that the drop stays within ``limit``), per candidate.

    mean, deviation: posterior of the drop. latency: of the candidates, as ratios to the dense network. best: the lowest
    latency among evaluated configurations whose posterior mean is within the limit; None: first find something feasible.
    caution: power of the probability; more than 1 prefers sure savings to large ones. leap: share of ``best`` that may be saved at once;
    further away all is worth less. Candidates that save nothing are
    ordered below those that do.
    """
    chance = caution * feasibility(mean, deviation, limit)
    if best is None:
        return chance
    saved = best - latency
    improving = saved > LEAST_IMPROVEMENT
    beyond = np.maximum((1 - leap) * best - latency, 0.0)
    gain: Floats = np.where(
        improving,
        np.log(np.maximum(saved, LEAST_IMPROVEMENT)) + chance - np.where(beyond > 0, _LEAP_COST + _TOO_FAR * beyond, 0.0),
        _NOT_IMPROVING + 5 * np.minimum(saved, 0.0) + np.minimum(0.0, chance),
    )
    return gain


def known_cost_improvement(mean: Floats, deviation: Floats, latency: Floats, limit: float, best: float | None) -> Floats:
    """Log expected improvement of the drop below ``best`` within a latency ``limit`` (a ratio), per candidate.

    best: the lowest posterior mean among evaluated configurations within the limit; None: none is, the fastest come first.
    """
    excess = np.maximum(latency - limit, 0.0)
    if best is None:
        return np.where(excess > 0, -5 * excess, 100.0 - mean)
    scale = deviation + 1e-9
    standard = (best - mean) / scale
    density = np.exp(-0.5 * standard**2) / np.sqrt(2 * np.pi)
    improvement = scale * (density + standard * np.exp(log_ndtr(standard)))
    # far below any hope the closed form cancels to nothing: fall back on the logarithm of its leading term
    logarithm = np.where(
        standard > -6, np.log(np.maximum(improvement, 1e-300)), np.log(scale) - 0.5 * standard**2 - 3 * np.log(np.abs(standard) + 1)
    )
    allowed: Floats = np.where(excess > 0, -1e3 - 5 * excess, logarithm)
    return allowed


def incumbent_latency(mean: Floats, deviation: Floats, latency: Floats, limit: float, chance: float) -> float | None:
    """Lowest latency among evaluated configurations that are within the limit with probability ``chance``; None when none is.

    What is compared with is what would be recommended now: a lucky borderline configuration sets no mark to beat.
    """
    feasible: Bools = feasibility(mean, deviation, limit) >= np.log(chance)
    return float(latency[feasible].min()) if feasible.any() else None


def leap_after(within: Bools, latency: Floats) -> float:
    """The share of the best latency that the next proposal may save, after evaluations in this order.

    within: whether each is within the limit as far as is known now. latency: as ratios to the dense network.
    """
    leap, best = LEAP, np.inf
    for kept, ratio in zip(within.tolist(), latency.tolist(), strict=True):
        if ratio >= best:
            continue  # it was no attempt
        if kept:
            leap, best = min(2 * leap, LEAP), ratio
        elif np.isfinite(best):
            leap = max(leap / 2, LEAST_LEAP)
    return leap


def incumbent_drop(mean: Floats, latency: Floats, limit: float) -> float | None:
    """Lowest posterior mean among evaluated configurations within a latency limit; None when none is."""
    allowed: Bools = latency <= limit
    return float(mean[allowed].min()) if allowed.any() else None
