"""The Gaussian process against the formulas written out, and against what it must be able to learn."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from search.optimizer import surrogate
from search.optimizer.surrogate import DropModel, kernel
from search.race.synthetic import SyntheticProblem
from search.records.trial import TuningChoice
from search.space.space import STEPS, Features

THETA = np.array([*np.log([1.3, 0.7, 0.9, 0.6, 0.4, 0.25, 0.8, 0.7, 0.6, 0.03]), 0.2])
STAGES = np.array([0, 0, 0, 1, 1, 2, 2])
LAYERS = np.array([5.0, 1.0, 1.0, 5.0, 1.0, 5.0, 1.0])


def drawn(count: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    pruned = rng.random((count, 7))
    means = [np.stack([(pruned**power)[:, stage == STAGES].mean(axis=1) for stage in range(3)], axis=1) for power in (1, 2)]
    weights = np.sqrt(np.bincount(STAGES) / 7)
    stages = np.concatenate([means[0] * weights, means[1] * weights], axis=1)
    return Features(pruned, np.sqrt(LAYERS / LAYERS.mean()), stages, rng.random((count, 3)), rng.integers(3, size=(count, 2)).astype(float))


def kernel_written_out(theta: np.ndarray, one: Features, other: Features) -> np.ndarray:
    """The kernel entry by entry, with nothing vectorised."""
    groups, by_stage, whole, paths, b, l1, c, l2, decay, _ = np.exp(theta[:10])
    shared = 1 / (1 + np.exp(-theta[10]))
    covariance = np.empty((len(one), len(other)))
    for i in range(len(one)):
        for j in range(len(other)):
            p, q = one.pruned[i], other.pruned[j]
            recipe = np.exp(
                -np.mean((one.numbers[i] - other.numbers[j]) ** 2) / (2 * l2**2) - decay * np.mean(one.categories[i] != other.categories[j])
            )
            by_layers = LAYERS / LAYERS.mean()
            trend = groups * (np.mean(by_layers * p * q) + np.mean(by_layers * p**2 * q**2)) + whole * (
                p.mean() * q.mean() + (p**2).mean() * (q**2).mean()
            )
            for stage in range(3):
                here = stage == STAGES
                products = p[here].mean() * q[here].mean() + (p[here] ** 2).mean() * (q[here] ** 2).mean()
                trend += by_stage * here.mean() * products
            gone_p, gone_q = ([[min(max(one * STEPS - step, 0), 1) for step in range(STEPS)] for one in fractions] for fractions in (p, q))
            trend += paths * np.mean([w * np.dot(u, v) / STEPS for w, u, v in zip(by_layers, gone_p, gone_q, strict=True)])
            smooth = b * np.exp(-np.mean((p - q) ** 2) / (2 * l1**2))
            covariance[i, j] = c * recipe + (shared + (1 - shared) * recipe) * (trend + smooth)
    return covariance


def test_kernel_is_trends_plus_deviation_scaled_by_the_recipe() -> None:
    one, other = drawn(9, 1), drawn(5, 2)
    assert kernel(THETA, surrogate.pairs(one, other)).total == pytest.approx(kernel_written_out(THETA, one, other), rel=1e-10)
    assert surrogate.diagonal(THETA, one) == pytest.approx(np.diag(kernel_written_out(THETA, one, one)), rel=1e-10)


def test_posterior_is_the_textbook_formula() -> None:
    """[Rasmussen2006]_ eq. 2.25 and 2.26, with an inverse instead of a Cholesky factor."""
    seen, new = drawn(20, 3), drawn(6, 4)
    drops = np.random.default_rng(5).normal(3.0, 2.0, 20)
    model = DropModel().update(seen, drops)
    total = kernel_written_out(model.theta, seen, seen) + (np.exp(model.theta[surrogate.NOISE]) + surrogate.JITTER) * np.eye(20)
    cross = kernel_written_out(model.theta, new, seen)
    scale = drops.std() + 1e-9
    mean = cross @ np.linalg.inv(total) @ ((drops - drops.mean()) / scale) * scale + drops.mean()
    variance = np.diag(kernel_written_out(model.theta, new, new) - cross @ np.linalg.inv(total) @ cross.T) * scale**2
    found_mean, found_deviation = model.predict(new)
    assert found_mean == pytest.approx(mean, rel=1e-6)
    assert found_deviation**2 == pytest.approx(variance, rel=1e-5)


def test_gradient_of_the_fit_agrees_with_differences() -> None:
    seen = drawn(15, 6)
    targets = np.random.default_rng(7).normal(size=15)
    parts = surrogate.pairs(seen, seen)
    _, gradient = surrogate._loss(THETA, parts, targets)
    for place in range(len(THETA)):
        step = np.zeros(len(THETA))
        step[place] = 1e-5
        above, below = surrogate._loss(THETA + step, parts, targets)[0], surrogate._loss(THETA - step, parts, targets)[0]
        assert gradient[place] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-6)


def test_a_covariance_that_is_not_positive_counts_as_worthless(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(surrogate, "cho_factor", refuse)
    seen = drawn(4)
    loss, _ = surrogate._loss(THETA, surrogate.pairs(seen, seen), np.zeros(4))
    assert loss == 1e10


def test_products_of_steps_are_the_smaller_fraction_of_each_group() -> None:
    """[Rasmussen2006]_ B.2.1: the covariance of a Wiener process, exact where a step begins."""
    rng = np.random.default_rng(8)
    one, other = (replace(drawn(6, seed), pruned=rng.integers(0, STEPS + 1, (6, 7)) / STEPS) for seed in (1, 2))
    smaller = np.minimum(one.pruned[:, None, :], other.pruned[None, :, :])
    assert surrogate.pairs(one, other).paths == pytest.approx((smaller * LAYERS / LAYERS.mean()).mean(axis=2), rel=1e-10)


def test_cliffs_are_learnt_group_by_group() -> None:
    """80 observations of a network that loses 8 points where each of three groups passes one half, and nothing elsewhere."""

    def drops(features: Features) -> np.ndarray:
        return 8.0 * (features.pruned[:, [1, 4, 6]] > 0.5).sum(axis=1)

    errors = []
    for seed in range(5):
        seen, new = drawn(80, 10 + seed), drawn(200, 40 + seed)
        mean, _ = DropModel().update(seen, drops(seen)).predict(new)
        errors.append(np.abs(mean - drops(new)).mean())
    assert np.mean(errors) < 2.6  # with linear and quadratic trends alone it is 3.0


def test_equal_drops_are_predicted_as_such() -> None:
    mean, deviation = DropModel().update(drawn(5), np.full(5, 1.5)).predict(drawn(3, 9))
    assert mean == pytest.approx([1.5] * 3, abs=1e-6)
    assert np.isfinite(deviation).all()


def test_one_observation_is_enough() -> None:
    mean, deviation = DropModel().update(drawn(1), np.array([0.7])).predict(drawn(2, 1))
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_hyper_parameters_are_refitted_when_it_pays() -> None:
    model = DropModel()
    assert model._due(1)
    model._fitted = 59
    assert model._due(59)
    model._fitted = 60
    assert next(count for count in range(61, 76) if model._due(count)) == 65
    model._fitted = 300
    assert next(count for count in range(301, 340) if model._due(count)) == 325


def test_many_observations_are_thinned_for_the_fit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "FIT_AT_MOST", 20)
    seen = drawn(50)
    drops = seen.pruned.mean(axis=1) * 5
    mean, _ = DropModel().update(seen, drops).predict(seen)
    assert mean == pytest.approx(drops, abs=0.5)


def test_pruned_fractions_carry_the_trend(vgg: SyntheticProblem) -> None:
    """50 noisy observations are enough to rank new configurations of the synthetic problem."""
    rng, space, recipe = np.random.default_rng(0), vgg.space(), TuningChoice()
    keep = rng.uniform(0.4, 1.0, (130, 1)) + rng.normal(0, 0.1, (130, space.groups))
    rows = np.tile(space.encode(vgg.architecture.dense(), recipe), (130, 1))
    rows[:, : space.groups] = space.snap(keep)
    drops = np.array([vgg.true_drop(*space.decode(row)) for row in rows])
    seen = rows[:50]
    model = DropModel().update(space.features(seen), drops[:50] + rng.normal(0, 0.15, 50))
    mean, deviation = model.predict(space.features(rows[50:]))
    assert spearmanr(mean, drops[50:]).statistic > 0.93
    assert np.mean(np.abs(mean - drops[50:]) < 2.6 * deviation) > 0.9
