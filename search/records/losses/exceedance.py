"""How often test drops exceed a limit, and how much of that the test split's own noise explains.

A test drop is the true drop plus what its pictures add. The true drops of all campaigns are taken as normally distributed around a mean;
mean and deviation are those of highest likelihood given every test drop with its own paired error, and each true drop's posterior follows
(empirical Bayes, [Efron2010]_ ch. 1). The mean of their probabilities to lie over the limit is the share that noise does not explain.

.. [Brown2001] L. Brown, T. Cai, A. DasGupta, Interval estimation for a binomial proportion, Statistical Science 16, 2001.
.. [Efron2010] B. Efron, Large-Scale Inference, Cambridge University Press, 2010.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from search.records.losses.drop import Paired

RESAMPLED = 400  # for the interval of what is explained
_Z_975 = 1.959963984540054
_SPREADS = np.linspace(0.0, 4.0, 81)  # points, of true drops between campaigns, that are tried
_LEAST_POINTS = 0.01


@dataclass(frozen=True, slots=True)
class Exceedance:
    """Shares of campaigns whose test drop is over the limit. low, high: 95 % interval of ``seen``, by Jeffreys' prior [Brown2001]_.

    beyond: share whose true drop is over it, by the model; beyond_low, beyond_high: its 95 % interval over campaigns, resampled.
    mean_points, spread_points: of the true drops.
    """

    campaigns: int
    seen: float
    low: float
    high: float
    beyond: float
    beyond_low: float
    beyond_high: float
    mean_points: float
    spread_points: float

    @property
    def sentence(self) -> str:
        """Both shares, and what lies between them."""
        return (
            f"test drop over the limit in {self.seen:.0%} of {self.campaigns} campaigns ({self.low:.0%} to {self.high:.0%}); the test "
            f"split's own noise explains {max(self.seen - self.beyond, 0.0):.0%}, true drops over the limit remain in {self.beyond:.1%} "
            f"({self.beyond_low:.1%} to {self.beyond_high:.1%}); true drops have mean {self.mean_points:+.2f}, deviation "
            f"{self.spread_points:.2f}"
        )


def of(lost: Sequence[Paired], limit_points: float, seed: int = 0) -> Exceedance:
    """From the test pictures that each campaign's chosen network lost; at least one."""
    drops = np.array([100 * one.total / one.images for one in lost])
    errors = np.array([one.margin_points / _Z_975 for one in lost])
    over, count = int((drops > limit_points).sum()), len(lost)
    low, high = (float(betaincinv(over + 0.5, count - over + 0.5, at)) for at in (0.025, 0.975))
    low, high = low if over else 0.0, high if over < count else 1.0  # where none or all are, the interval reaches the end [Brown2001]_
    mean, spread = _fitted(drops, errors)
    rng, resampled = np.random.default_rng(seed), []
    for _ in range(RESAMPLED):
        rows = rng.integers(0, count, count)
        resampled.append(_beyond(drops[rows], errors[rows], limit_points, *_fitted(drops[rows], errors[rows])))
    beyond_low, beyond_high = np.quantile(resampled, (0.025, 0.975)).tolist()
    beyond = _beyond(drops, errors, limit_points, mean, spread)
    return Exceedance(count, over / count, low, high, beyond, beyond_low, beyond_high, mean, spread)


def _fitted(drops: NDArray[np.float64], errors: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and deviation of the true drops, of highest (restricted) likelihood."""
    weights = 1 / (errors[None] ** 2 + _SPREADS[:, None] ** 2)
    means = (weights * drops).sum(axis=1) / weights.sum(axis=1)
    logs = 0.5 * (np.log(weights) - weights * (drops - means[:, None]) ** 2).sum(axis=1) - 0.5 * np.log(weights.sum(axis=1))
    best = int(np.argmax(logs))
    return float(means[best]), float(_SPREADS[best])


def _beyond(drops: NDArray[np.float64], errors: NDArray[np.float64], limit_points: float, mean: float, spread: float) -> float:
    """Mean posterior probability of a true drop over the limit."""
    share = spread**2 / (spread**2 + errors**2)
    deviation = np.maximum(np.sqrt(share) * errors, _LEAST_POINTS)
    return float(ndtr((mean + share * (drops - mean) - limit_points) / deviation).mean())
