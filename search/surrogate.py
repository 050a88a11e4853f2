"""The surrogate: a small Gaussian process of the accuracy drop over pruned fractions and tuning recipes.

Six hyper-parameters whatever the number of layers: a linear and quadratic trend in the pruned fractions, a smooth
deviation from it, and the similarity of the recipes. Prediction as in [Rasmussen2006]_ alg. 2.1.

.. [Rasmussen2006] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

from search.space import Features
from search.trial import Floats, Ints

# Prior of the logarithms of: weight of the trend, weight of the deviation, its length scale, length scale of the recipe's
# numbers, decay per differing category, noise variance (of standardised drops).
PRIOR_MEDIANS = np.log([1.0, 0.5, 0.3, 0.6, 0.5, 0.05])
PRIOR_DEVIATIONS = np.array([1.5, 1.5, 0.7, 0.7, 0.8, 1.5])
BOUND_DEVIATIONS = 5.0  # prior deviations beyond which no hyper-parameter is looked for: a line search may try anything
JITTER = 1e-6  # added to the diagonal; the unit is a standardised drop's variance
REFIT_ALWAYS_BELOW = 60  # observations: up to here hyper-parameters move with every one
REFIT_EVERY, REFIT_SELDOM, SELDOM_FROM = 5, 25, 300
FIT_AT_MOST = 300  # observations used for the hyper-parameters; the prediction uses all
LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, slots=True)
class _Distances:
    """Pairwise parts of the kernel that do not depend on hyper-parameters, each n x n'."""

    trend: Floats
    pruned: Floats
    numbers: Floats
    categories: Floats


def distances(one: Features, other: Features) -> _Distances:
    """Trend products and mean squared distances between two sets of configurations."""
    groups = max(one.pruned.shape[1], 1)
    trend = (one.pruned @ other.pruned.T + (one.pruned**2) @ (other.pruned**2).T) / groups + 1.0
    differing = (
        (one.categories[:, None, :] != other.categories[None, :, :]).mean(axis=2) if one.categories.shape[1] else np.zeros_like(trend)
    )
    return _Distances(trend, _mean_squared(one.pruned, other.pruned), _mean_squared(one.numbers, other.numbers), differing)


def kernel(theta: Floats, parts: _Distances) -> Floats:
    """Covariance without noise: ``trend weight x trend x recipe + deviation weight x exp(-distance) x recipe``."""
    trend, deviation, length, recipe_length, decay, _ = np.exp(theta)
    similar = -parts.numbers / (2 * recipe_length**2) - decay * parts.categories
    covariance: Floats = trend * parts.trend * np.exp(similar) + deviation * np.exp(similar - parts.pruned / (2 * length**2))
    return covariance


def diagonal(theta: Floats, features: Features) -> Floats:
    """The kernel of every configuration with itself."""
    trend, deviation = np.exp(theta[:2])
    groups = max(features.pruned.shape[1], 1)
    own: Floats = trend * ((features.pruned**2).sum(axis=1) / groups + (features.pruned**4).sum(axis=1) / groups + 1.0) + deviation
    return own


class DropModel:
    """Posterior of the drop, in percentage points, at any configuration.

    ``update`` adds observations and refits the hyper-parameters by maximum a posteriori when it is worth it: at every call
    below ``REFIT_ALWAYS_BELOW`` observations, then at multiples of ``REFIT_EVERY``.
    """

    def __init__(self) -> None:
        self.theta: Floats = PRIOR_MEDIANS.copy()
        self._fitted = 0  # observations at the last fit of theta
        self._features = Features(np.empty((0, 0)), np.empty((0, 0)), np.empty((0, 0)))

    def update(self, features: Features, drops: Floats) -> DropModel:
        """Condition on ``drops`` (n points) observed at ``features``; returns itself."""
        self._features, self._mean, self._scale = features, float(drops.mean()), float(drops.std()) + 1e-9
        targets = (drops - self._mean) / self._scale
        if self._due(len(drops)):
            rows = np.arange(len(drops)) if len(drops) <= FIT_AT_MOST else _spread(drops, FIT_AT_MOST)
            self.theta = _fit(distances(features.take(rows), features.take(rows)), targets[rows], self.theta)
            self._fitted = len(drops)
        covariance = kernel(self.theta, distances(features, features))
        covariance[np.diag_indices_from(covariance)] += np.exp(self.theta[5]) + JITTER
        self._factor = np.linalg.cholesky(covariance)
        self._weights = cho_solve((self._factor, True), targets)
        return self

    def predict(self, features: Features) -> tuple[Floats, Floats]:
        """Posterior mean and standard deviation of the noise-free drop, in points, one per row."""
        cross = kernel(self.theta, distances(features, self._features))
        mean = cross @ self._weights
        reduced = solve_triangular(self._factor, cross.T, lower=True, check_finite=False, overwrite_b=True)
        variance = np.maximum(diagonal(self.theta, features) - np.einsum("ij,ij->j", reduced, reduced), LEAST_VARIANCE)
        return mean * self._scale + self._mean, np.sqrt(variance) * self._scale

    @property
    def noise_points(self) -> float:
        """Standard deviation of one observation around the drop, in points, as learnt."""
        return float(np.sqrt(np.exp(self.theta[5])) * self._scale)

    def _due(self, count: int) -> bool:
        if self._fitted == 0 or count < REFIT_ALWAYS_BELOW:
            return True
        every = REFIT_EVERY if count <= SELDOM_FROM else REFIT_SELDOM
        return count // every > self._fitted // every


def _fit(parts: _Distances, targets: Floats, start: Floats) -> Floats:
    """Hyper-parameters of the highest posterior density, from ``start``, with the analytic gradient."""
    bounds = list(
        zip(PRIOR_MEDIANS - BOUND_DEVIATIONS * PRIOR_DEVIATIONS, PRIOR_MEDIANS + BOUND_DEVIATIONS * PRIOR_DEVIATIONS, strict=True)
    )
    result = minimize(_loss, start, args=(parts, targets), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 15})
    return np.asarray(result.x, dtype=np.float64) if np.isfinite(result.fun) and result.fun < 1e9 else start


def _loss(theta: Floats, parts: _Distances, targets: Floats) -> tuple[float, Floats]:
    """Negative log posterior of the hyper-parameters ([Rasmussen2006]_ eq. 2.30 plus the prior) and its gradient (eq. 5.9)."""
    trend_weight, deviation_weight, length, recipe_length, decay, noise = np.exp(theta)
    similar = np.exp(-parts.numbers / (2 * recipe_length**2) - decay * parts.categories)
    trend = trend_weight * parts.trend * similar
    deviation = deviation_weight * similar * np.exp(-parts.pruned / (2 * length**2))
    covariance = trend + deviation
    total = covariance.copy()
    total[np.diag_indices_from(total)] += noise + JITTER
    prior = (theta - PRIOR_MEDIANS) / PRIOR_DEVIATIONS
    try:
        factor = cho_factor(total, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    weights = cho_solve(factor, targets, check_finite=False)
    loss = 0.5 * targets @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * (prior**2).sum()
    inverse = cho_solve(factor, np.eye(len(targets)), check_finite=False)
    inner = inverse - np.outer(weights, weights)  # d loss / d total, twice
    slopes = np.array(
        [
            (inner * trend).sum(),
            (inner * deviation).sum(),
            (inner * deviation * parts.pruned).sum() / length**2,
            (inner * covariance * parts.numbers).sum() / recipe_length**2,
            -(inner * covariance * parts.categories).sum() * decay,
            np.trace(inner) * noise,
        ]
    )
    return float(loss), 0.5 * slopes + prior / PRIOR_DEVIATIONS


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
