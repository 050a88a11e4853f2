"""Bayesian linear regression whose groups of weights each have an unknown amplitude, found by maximum marginal likelihood.

The amplitudes and the noise are found by the monotone fixed-point iteration of [Zhou2019]_; everything else is exact
linear algebra on an ``n x n`` matrix, n the number of observations. Leave-one-out predictions are exact [Rasmussen2006]_.

.. [Zhou2019] H. Zhou, L. Hu, J. Zhou, K. Lange. MM algorithms for variance components models. JCGS 28(2), 2019.
.. [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian Processes for Machine Learning. 2006, sec. 5.4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MAX_ITERATIONS = 100
TOLERANCE = 1e-4  # relative change of the noise and of the strongest component at which the iteration ends
OUTLIER_SD = 3.0  # beyond this many of its own standard deviations an observation's noise is raised to fit
REWEIGHTINGS = 2
_FLOOR = 1e-30


@dataclass(frozen=True)
class Posterior:
    """A fitted model of ``target = sum of components + noise``.

    amplitudes: prior variance of the weights of each component, in the order given. noise: variance of an observation of
    weight one. alpha: ``n``. precision: ``n x n`` inverse covariance of the observations. left_out_mean, left_out_sd:
    prediction of each observation, noise included, from all the others.
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


def fit(grams: tuple[FloatArray, ...], target: FloatArray, noise_floor: float) -> Posterior:
    """Fit amplitudes, noise and weights.

    grams: ``n x n`` Gram matrix of each component's design matrix. target: ``n``. noise_floor: least standard deviation
    of an observation, in the target's unit. Observations that contradict all others are given more noise.
    """
    noise_weights = np.ones(len(target))
    posterior = _fit_weighted(grams, target, noise_weights, noise_floor)
    for _ in range(REWEIGHTINGS):
        z = np.abs(target - posterior.left_out_mean) / posterior.left_out_sd * np.sqrt(noise_weights)
        raised = np.maximum(1.0, (z / OUTLIER_SD) ** 2)
        if np.array_equal(raised, noise_weights):
            break
        noise_weights = raised
        posterior = _fit_weighted(grams, target, noise_weights, noise_floor)
    return posterior


def _fit_weighted(grams: tuple[FloatArray, ...], target: FloatArray, noise_weights: FloatArray, noise_floor: float) -> Posterior:
    amplitudes, noise = _start(grams, target, noise_floor)
    stack = np.stack(grams)
    count = len(target)
    flat = stack.reshape(len(grams), -1)
    for _ in range(MAX_ITERATIONS):
        precision, alpha = _solve(flat, amplitudes, noise, noise_weights, target)
        quadratic = np.einsum("i,kij,j->k", alpha, stack, alpha, optimize=True)
        trace = flat @ precision.reshape(-1)
        updated = amplitudes * np.sqrt(np.maximum(quadratic, _FLOOR) / np.maximum(trace, _FLOOR))
        ratio = float(np.sum(alpha**2 * noise_weights) / np.sum(np.diag(precision) * noise_weights))
        updated_noise = max(noise * float(np.sqrt(ratio)), noise_floor**2)
        share = np.abs(updated - amplitudes) * np.trace(stack, axis1=1, axis2=2) / count
        settled = share.max() <= TOLERANCE * float(np.mean(target**2)) and abs(updated_noise - noise) <= TOLERANCE * noise
        amplitudes, noise = updated, updated_noise
        if settled:
            break
    precision, alpha = _solve(flat, amplitudes, noise, noise_weights, target)
    variance = 1.0 / np.diag(precision)
    return Posterior(
        amplitudes=tuple(float(a) for a in amplitudes),
        noise=noise,
        alpha=alpha,
        precision=precision,
        left_out_mean=target - alpha * variance,
        left_out_sd=np.sqrt(variance),
    )


def _start(grams: tuple[FloatArray, ...], target: FloatArray, noise_floor: float) -> tuple[FloatArray, float]:
    level = float(np.mean(target**2))
    traces = np.array([max(float(np.trace(gram)) / len(target), _FLOOR) for gram in grams])
    return 0.1 * level / traces, max(1e-4 * level, noise_floor**2)


def _solve(
    flat: FloatArray, amplitudes: FloatArray, noise: float, noise_weights: FloatArray, target: FloatArray
) -> tuple[FloatArray, FloatArray]:
    count = len(target)
    covariance = (amplitudes @ flat).reshape(count, count)
    covariance[np.diag_indices(count)] += noise * noise_weights
    precision = np.linalg.inv(covariance)
    precision = 0.5 * (precision + precision.T)
    return precision, precision @ target
