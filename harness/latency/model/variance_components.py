"""Bayesian linear regression whose groups of weights each have an unknown amplitude, found by maximum marginal likelihood.

The amplitudes and the noise are found by the monotone fixed-point iteration of [Zhou2019]_, extrapolated [Varadhan2008]_;
everything else is exact linear algebra on an ``n x n`` matrix, n the number of observations. Leave-one-out predictions are
exact [Rasmussen2006]_.

.. [Zhou2019] H. Zhou, L. Hu, J. Zhou, K. Lange. MM algorithms for variance components models. JCGS 28(2), 2019.
.. [Varadhan2008] R. Varadhan, C. Roland. Simple and globally convergent methods for accelerating the convergence of any EM
   algorithm. Scand. J. Statist. 35(2), 2008.
.. [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. 2006, sec. 5.4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MAX_CYCLES = 25  # of three evaluations each
REFIT_CYCLES = 4  # after re-weighting, from where the fit before ended
TOLERANCE = 1e-3  # change of any component's share of the target, over one cycle, at which the iteration ends
LONGEST_STRIDE = 16.0  # how far an extrapolation may reach, in steps
OUTLIER_SD = 3.0  # beyond this many of its own standard deviations an observation's noise is raised to fit
REWEIGHTINGS = 2
ROUNDING = 1e-10  # of the covariance's diagonal: few networks with hardly any noise are else no more positive definite
_FLOOR = 1e-30


@dataclass(frozen=True)
class Posterior:
    """A fitted model of ``target = sum of components + noise``.

    amplitudes: prior variance of the weights of each component, in the order given. noise: variance of an observation of
    weight one. alpha: ``n``. precision: ``n x n`` inverse covariance of the observations. left_out_mean, left_out_sd:
    prediction of each observation, noise of weight one included, from all the others.
    """

    amplitudes: tuple[float, ...]
    noise: float
    alpha: FloatArray
    precision: FloatArray
    left_out_mean: FloatArray
    left_out_sd: FloatArray

    def weights(self, component: int, design: FloatArray) -> FloatArray:
        """Posterior mean of the weights of ``component`` that stand behind the columns of ``design`` (``n x d``)."""
        return np.asarray(self.amplitudes[component] * (design.T @ self.alpha))


def fit(grams: tuple[FloatArray, ...], target: FloatArray, noise_floor: float, doubt: FloatArray | None = None) -> Posterior:
    """Fit amplitudes, noise and weights.

    grams: ``n x n`` Gram matrix of each component's design matrix. target: ``n``. noise_floor: least standard deviation
    of an observation, in the target's unit. doubt: ``n``, by what factor the standard deviation of an observation's noise exceeds that of
    the others, where that is known. Observations that contradict all others are given more noise.
    """
    problem = _Problem(np.stack(grams).reshape(len(grams), -1), target, noise_floor**2)
    known = np.ones(len(target)) if doubt is None else doubt**2
    noise_weights = known
    variances = problem.maximise(problem.start(), noise_weights, MAX_CYCLES)
    posterior = problem.posterior(variances, noise_weights)
    for _ in range(REWEIGHTINGS):
        z = np.abs(target - posterior.left_out_mean) / posterior.left_out_sd
        raised = np.maximum(known, (z / OUTLIER_SD) ** 2)
        if np.array_equal(raised, noise_weights):
            break
        noise_weights = raised
        variances = problem.maximise(variances, noise_weights, REFIT_CYCLES)
        posterior = problem.posterior(variances, noise_weights)
    return posterior


@dataclass(frozen=True)
class _Problem:
    """grams: ``components x n^2``. A vector of variances holds the components' amplitudes, then the noise."""

    grams: FloatArray
    target: FloatArray
    noise_floor: float

    def start(self) -> FloatArray:
        """A tenth of the target's size for every component."""
        level = float(np.mean(self.target**2))
        return np.append(0.1 * level / self._sizes(), max(1e-4 * level, self.noise_floor))

    def maximise(self, variances: FloatArray, noise_weights: FloatArray, cycles: int) -> FloatArray:
        """Variances of the largest marginal likelihood: two steps, an extrapolation of them in logarithms, a step from there."""
        shares = np.append(self._sizes(), 1.0) / float(np.mean(self.target**2))
        for _ in range(cycles):
            first, likelihood = self._step(variances, noise_weights)
            second, _ = self._step(first, noise_weights)
            logs = [np.log(np.maximum(point, _FLOOR)) for point in (variances, first, second)]
            pace, bend = logs[1] - logs[0], logs[2] - 2 * logs[1] + logs[0]
            stride = float(np.clip(np.linalg.norm(pace) / max(float(np.linalg.norm(bend)), _FLOOR), 1.0, LONGEST_STRIDE))
            reached = np.exp(np.maximum(logs[0] + 2 * stride * pace + stride**2 * bend, math.log(_FLOOR)))
            reached[-1] = max(reached[-1], self.noise_floor)
            landed, reached_likelihood = self._step(reached, noise_weights)
            updated = landed if reached_likelihood >= likelihood else second
            settled = np.max(np.abs(updated - variances) * shares) <= TOLERANCE * float(np.sum(variances * shares))
            settled = settled and abs(updated[-1] - variances[-1]) <= 0.02 * variances[-1]
            variances = updated
            if settled:
                break
        return variances

    def posterior(self, variances: FloatArray, noise_weights: FloatArray) -> Posterior:
        """The model at these variances."""
        precision, _ = self._invert(variances, noise_weights)
        alpha = precision @ self.target
        left_out = 1.0 / np.diag(precision)
        return Posterior(
            amplitudes=tuple(float(amplitude) for amplitude in variances[:-1]),
            noise=float(variances[-1]),
            alpha=alpha,
            precision=precision,
            left_out_mean=self.target - alpha * left_out,
            left_out_sd=np.sqrt(np.maximum(left_out - variances[-1] * (noise_weights - 1.0), variances[-1])),  # noise alone is in it
        )

    def _sizes(self) -> FloatArray:
        """Mean prior variance of an observation per unit of each component's amplitude."""
        count = len(self.target)
        return np.asarray(np.maximum(self.grams[:, :: count + 1].sum(axis=1) / count, _FLOOR))

    def _step(self, variances: FloatArray, noise_weights: FloatArray) -> tuple[FloatArray, float]:
        """One step of the fixed-point iteration, and the log-likelihood where it began."""
        precision, likelihood = self._invert(variances, noise_weights)
        alpha = precision @ self.target
        explained = self.grams @ np.outer(alpha, alpha).reshape(-1)
        expected = self.grams @ precision.reshape(-1)
        amplitudes = variances[:-1] * np.sqrt(np.maximum(explained, _FLOOR) / np.maximum(expected, _FLOOR))
        ratio = float(np.sum(alpha**2 * noise_weights) / np.sum(np.diag(precision) * noise_weights))
        return np.append(amplitudes, max(variances[-1] * math.sqrt(ratio), self.noise_floor)), likelihood

    def _invert(self, variances: FloatArray, noise_weights: FloatArray) -> tuple[FloatArray, float]:
        count = len(self.target)
        covariance = (variances[:-1] @ self.grams).reshape(count, count)
        rounding = ROUNDING * float(np.trace(covariance)) / count
        covariance[np.diag_indices(count)] += variances[-1] * noise_weights + rounding
        factor = np.linalg.cholesky(covariance)
        inverse = np.linalg.inv(factor)
        whitened = inverse @ self.target
        likelihood = -0.5 * float(whitened @ whitened) - float(np.sum(np.log(np.diag(factor))))
        return inverse.T @ inverse, likelihood
