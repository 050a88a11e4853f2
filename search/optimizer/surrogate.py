"""The surrogate: a small Gaussian process of the accuracy drop over pruned fractions and tuning recipes.

Eleven hyper-parameters whatever the number of layers. The drop is modelled as a trend in the pruned fractions, linear and
quadratic, at three levels (of the whole network, of its stages, of every group), plus a path of every group's own that may climb at
any fraction (a Wiener process: cliffs), plus a smooth deviation from all of it; recipes scale the whole, and add a part of their own.
The levels say before any evidence that groups of one stage behave alike, which is worth more than any other refinement while trials
are few. Prediction as in [Rasmussen2006]_ alg. 2.1.

.. [Rasmussen2006] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from search.optimizer.drop_scale import DropScale
from search.records.trial import Floats, Ints
from search.space.space import Features

# Places in theta; all are logarithms but the last one, a logit.
GROUPS, STAGES, WHOLE, PATHS, DEVIATION, LENGTH, RECIPE, RECIPE_LENGTH, DECAY, NOISE, SHARED = range(11)
# Prior: weights of the three trends and of the groups' paths, weight and length scale of the deviation, weight of the recipe's own
# part, length scale of its numbers, decay per differing category, noise variance (of standardised drops), share of the trend that all
# recipes have in common.
PRIOR_MEDIANS = np.array([*np.log([1.0, 1.0, 1.0, 0.5, 0.5, 0.3, 1.0, 0.6, 0.5, 0.05]), 0.5])
PRIOR_DEVIATIONS = np.array([1.5, 1.5, 1.5, 1.5, 1.5, 0.7, 1.5, 0.7, 0.8, 1.5, 1.0])
KNOWN_NOISE_DEVIATION = 0.5  # the same for noise whose size is expected
BOUND_DEVIATIONS = 5.0  # prior deviations beyond which no hyper-parameter is looked for: a line search may try anything
JITTER = 1e-6  # added to the diagonal; the unit is a standardised drop's variance
REFIT_ALWAYS_BELOW = 60  # observations: up to here hyper-parameters move with every one
REFIT_EVERY, REFIT_SELDOM, SELDOM_FROM = 5, 25, 300
FIT_AT_MOST = 300  # observations used for the hyper-parameters; the prediction uses all
FIT_STEPS = 20
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairwise parts of the kernel that do not depend on hyper-parameters, each n x n'.

    groups, stages, whole: trend products at the three levels. paths: products of the groups' steps. pruned, numbers: mean squared
    distances. categories: share that differs.
    """

    groups: Floats
    stages: Floats
    whole: Floats
    paths: Floats
    pruned: Floats
    numbers: Floats
    categories: Floats


def pairs(one: Features, other: Features) -> _Pairs:
    """Trend products and distances between two sets of configurations."""
    shape = (len(one), len(other))
    differing = (one.categories[:, None, :] != other.categories[None, :, :]).mean(axis=2) if one.categories.shape[1] else np.zeros(shape)
    return _Pairs(
        one.group_trend @ other.group_trend.T,
        one.stage_trend @ other.stage_trend.T,
        one.whole_trend @ other.whole_trend.T,
        one.group_steps @ other.group_steps.T,
        _mean_squared(one.pruned, other.pruned),
        _mean_squared(one.numbers, other.numbers),
        differing,
    )


@dataclass(frozen=True, slots=True)
class _Kernel:
    """The kernel's factors at one theta: ``total = recipe weight x similar + scale x body``."""

    body: Floats
    deviation: Floats
    similar: Floats
    scale: Floats
    total: Floats


def kernel(theta: Floats, parts: _Pairs) -> _Kernel:
    """Covariance without noise, and what it is made of."""
    similar = np.exp(-parts.numbers / (2 * np.exp(2 * theta[RECIPE_LENGTH])) - np.exp(theta[DECAY]) * parts.categories)
    shared = _share(theta)
    deviation = np.exp(theta[DEVIATION] - parts.pruned / (2 * np.exp(2 * theta[LENGTH])))
    trend = (
        np.exp(theta[GROUPS]) * parts.groups
        + np.exp(theta[STAGES]) * parts.stages
        + np.exp(theta[WHOLE]) * parts.whole
        + np.exp(theta[PATHS]) * parts.paths
    )
    body, scale = trend + deviation, shared + (1 - shared) * similar
    return _Kernel(body, deviation, similar, scale, np.exp(theta[RECIPE]) * similar + scale * body)


def diagonal(theta: Floats, features: Features) -> Floats:
    """The kernel of every configuration with itself."""
    levels = ((GROUPS, features.group_trend), (STAGES, features.stage_trend), (WHOLE, features.whole_trend), (PATHS, features.group_steps))
    own: Floats = (
        np.exp(theta[RECIPE])
        + np.exp(theta[DEVIATION])
        + sum(np.exp(theta[at]) * np.einsum("ij,ij->i", trend, trend) for at, trend in levels)
    )
    return own


class DropModel:
    """Posterior of the drop, in percentage points, at any configuration.

    ``update`` adds observations and refits the hyper-parameters by maximum a posteriori when it is worth it: at every call
    below ``REFIT_ALWAYS_BELOW`` observations, then at multiples of ``REFIT_EVERY``.
    """

    def __init__(self) -> None:
        self.theta: Floats = PRIOR_MEDIANS.copy()
        self.scale: DropScale | None = None
        self._fitted = 0  # observations at the last fit of theta
        self._features: Features

    def update(self, features: Features, drops: Floats, scale: DropScale | None = None) -> DropModel:
        """Condition on ``drops`` (n points) observed at ``features``; returns itself. scale: what they are modelled on; points without.

        With a scale, drops that are all alike leave an uncertainty of the order of its limit, and its noise is expected: where one network
        keeps the limit and its neighbour does not, no noise is learnt from it.
        """
        self.scale = scale
        scaled = drops if scale is None else scale.scaled(drops)
        self._features, self._mean = features, float(scaled.mean())
        self._scale = max(float(scaled.std()) + 1e-9, 0.0 if scale is None else scale.limit_points)
        medians, deviations = PRIOR_MEDIANS.copy(), PRIOR_DEVIATIONS.copy()
        if scale is not None:
            medians[NOISE], deviations[NOISE] = 2 * np.log(scale.noise_points / self._scale), KNOWN_NOISE_DEVIATION
        targets = (scaled - self._mean) / self._scale
        if self._due(len(drops)):
            rows = np.arange(len(drops)) if len(drops) <= FIT_AT_MOST else _spread(drops, FIT_AT_MOST)
            self.theta = _fit(pairs(features.take(rows), features.take(rows)), targets[rows], self.theta, medians, deviations)
            self._fitted = len(drops)
        covariance = kernel(self.theta, pairs(features, features)).total
        covariance[np.diag_indices_from(covariance)] += np.exp(self.theta[NOISE]) + JITTER
        self._factor = np.linalg.cholesky(covariance)
        self._weights = cho_solve((self._factor, True), targets)
        return self

    def predict(self, features: Features) -> tuple[Floats, Floats]:
        """Posterior mean and standard deviation of the noise-free drop, in points, one per row."""
        cross = kernel(self.theta, pairs(features, self._features)).total
        mean = cross @ self._weights
        reduced = solve_triangular(self._factor, cross.T, lower=True, check_finite=False, overwrite_b=True)
        variance = np.maximum(diagonal(self.theta, features) - np.einsum("ij,ij->j", reduced, reduced), LEAST_VARIANCE)
        mean, deviation = mean * self._scale + self._mean, np.sqrt(variance) * self._scale
        return (mean, deviation) if self.scale is None else self.scale.posterior_points(mean, deviation)

    def difference(self, one: Features, other: Features) -> tuple[Floats, Floats]:
        """Posterior mean and standard deviation of (drop at ``one`` - drop at ``other``), row by row, in points.

        Far more certain than two separate predictions: what both share cancels.
        """
        cross = kernel(self.theta, pairs(one, self._features)).total - kernel(self.theta, pairs(other, self._features)).total
        between = np.array([kernel(self.theta, pairs(one.take(row), other.take(row))).total[0, 0] for row in _singles(len(one))])
        reduced = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        prior = diagonal(self.theta, one) + diagonal(self.theta, other) - 2 * between
        variance = np.maximum(prior - np.einsum("ij,ij->j", reduced, reduced), LEAST_VARIANCE)
        return cross @ self._weights * self._scale, np.sqrt(variance) * self._scale

    @property
    def noise_points(self) -> float:
        """Standard deviation of one observation around the drop, in points, as learnt."""
        return float(np.exp(self.theta[NOISE] / 2) * self._scale)

    def _due(self, count: int) -> bool:
        if self._fitted == 0 or count < REFIT_ALWAYS_BELOW:
            return True
        every = REFIT_EVERY if count <= SELDOM_FROM else REFIT_SELDOM
        return count // every > self._fitted // every


def _fit(parts: _Pairs, targets: Floats, start: Floats, medians: Floats, deviations: Floats) -> Floats:
    """Hyper-parameters of the highest posterior density, from ``start``, with the analytic gradient; two vectors of their prior."""
    reach = BOUND_DEVIATIONS * deviations
    bounds = list(zip(medians - reach, medians + reach, strict=True))
    start = np.clip(start, medians - reach, medians + reach)
    result = minimize(
        _loss, start, args=(parts, targets, medians, deviations), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": FIT_STEPS}
    )
    return np.asarray(result.x, dtype=np.float64) if np.isfinite(result.fun) and result.fun < 1e9 else start


def _loss(
    theta: Floats, parts: _Pairs, targets: Floats, medians: Floats = PRIOR_MEDIANS, deviations: Floats = PRIOR_DEVIATIONS
) -> tuple[float, Floats]:
    """Negative log posterior of the hyper-parameters ([Rasmussen2006]_ eq. 2.30 plus the prior) and its gradient (eq. 5.9)."""
    found = kernel(theta, parts)
    noisy = found.total.copy()
    noisy[np.diag_indices_from(noisy)] += np.exp(theta[NOISE]) + JITTER
    prior = (theta - medians) / deviations
    try:
        factor = cho_factor(noisy, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    weights = cho_solve(factor, targets, check_finite=False)
    loss = 0.5 * targets @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * (prior**2).sum()
    inverse = cho_solve(factor, np.eye(len(targets)), check_finite=False)
    inner = inverse - np.outer(weights, weights)  # twice the slope of the loss in each entry of the covariance
    return float(loss), 0.5 * _slopes(theta, parts, found, inner) + prior / deviations


def _slopes(theta: Floats, parts: _Pairs, found: _Kernel, inner: Floats) -> Floats:
    """Sum over all entries of ``inner`` times the covariance's derivative, per hyper-parameter."""
    shared, scaled = _share(theta), inner * found.scale
    by_similar = inner * (np.exp(theta[RECIPE]) + (1 - shared) * found.body) * found.similar
    slopes = np.empty_like(theta)
    slopes[GROUPS] = np.exp(theta[GROUPS]) * (scaled * parts.groups).sum()
    slopes[STAGES] = np.exp(theta[STAGES]) * (scaled * parts.stages).sum()
    slopes[WHOLE] = np.exp(theta[WHOLE]) * (scaled * parts.whole).sum()
    slopes[PATHS] = np.exp(theta[PATHS]) * (scaled * parts.paths).sum()
    slopes[DEVIATION] = (scaled * found.deviation).sum()
    slopes[LENGTH] = (scaled * found.deviation * parts.pruned).sum() / np.exp(2 * theta[LENGTH])
    slopes[RECIPE] = np.exp(theta[RECIPE]) * (inner * found.similar).sum()
    slopes[RECIPE_LENGTH] = (by_similar * parts.numbers).sum() / np.exp(2 * theta[RECIPE_LENGTH])
    slopes[DECAY] = -np.exp(theta[DECAY]) * (by_similar * parts.categories).sum()
    slopes[NOISE] = np.exp(theta[NOISE]) * np.trace(inner)
    slopes[SHARED] = shared * (1 - shared) * (inner * (1 - found.similar) * found.body).sum()
    return slopes


def _share(theta: Floats) -> float:
    return float(1 / (1 + np.exp(-theta[SHARED])))


def _singles(count: int) -> list[Ints]:
    return [np.array([row]) for row in range(count)]


def _mean_squared(one: Floats, other: Floats) -> Floats:
    """Mean over columns of the squared difference, for all pairs of rows; zeros when there are no columns."""
    if not one.shape[1]:
        return np.zeros((len(one), len(other)))
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
    return np.asarray(np.maximum(squared, 0.0) / one.shape[1])


def _spread(drops: Floats, count: int) -> Ints:
    """``count`` observations: half the smallest drops, where the limit lies, half spread evenly over the others."""
    order = np.argsort(drops, kind="stable")
    near = order[: count // 2]
    others = order[count // 2 :]
    return np.sort(np.concatenate([near, others[np.linspace(0, len(others) - 1, count - len(near)).astype(int)]]))
