"""Which groups matter is told by leaving them out."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from search.optimizer.importance import group_importance, recipe_importance
from search.optimizer.surrogate import DropModel
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records.trial import Trial, TrialRequest


@pytest.fixture(scope="module")
def trials(vgg: SyntheticProblem) -> list[Trial]:
    rng, space, evaluate = np.random.default_rng(0), vgg.space(), SyntheticEvaluate("vgg", 0)
    found = []
    for number in range(90):
        row = space.encode(vgg.architecture.dense(), space.start)
        row[: space.groups] = space.snap(rng.uniform(0.4, 1.0, (1, space.groups)))[0]
        row[space.groups :] = [*rng.random(3), rng.integers(6), rng.integers(3)]
        config, recipe = space.decode(row)
        request = TrialRequest(number, "model", "", config, recipe, 27.0, 0)
        found.append(Trial(request, evaluate(request, lambda phase, share: None), 1e-3))
    return found


def test_groups_rank_as_in_truth(vgg: SyntheticProblem, trials: list[Trial]) -> None:
    space = vgg.space()
    row = space.encode(vgg.architecture.dense(), space.start)
    row[: space.groups] = space.snap(np.full((1, space.groups), 0.6))[0]
    found = group_importance(space, vgg, trials, row)
    config, recipe = space.decode(row)
    truth = [vgg.true_drop(config, recipe) - vgg.true_drop(config.with_channels(one.group, one.channels), recipe) for one in found]
    costs = np.array([one.cost_points for one in found])
    assert spearmanr(costs, truth).statistic > 0.75
    inside = np.abs(costs - truth) < 3 * np.array([one.deviation_points for one in found])
    assert inside.mean() > 0.8
    assert (np.diff(costs) <= 0).all()
    assert {one.group for one in found} == set(space.names)
    assert all(one.saved_s > 0 for one in found)


def test_a_dense_group_is_told_by_its_next_width(vgg: SyntheticProblem, trials: list[Trial]) -> None:
    space = vgg.space()
    found = group_importance(space, vgg, trials, space.encode(vgg.architecture.dense(), space.start))
    assert all(one.hypothetical and one.kept == one.channels for one in found)


def test_the_criterion_matters_and_taylor_is_best(vgg: SyntheticProblem, trials: list[Trial]) -> None:
    space = vgg.space()
    row = space.encode(vgg.architecture.dense(), space.start)
    row[: space.groups] = space.snap(np.full((1, space.groups), 0.5))[0]
    found = {one.name: one for one in recipe_importance(space, trials, row)}
    assert set(found) == {"learning_rate", "weight_decay", "label_smoothing", "criterion", "schedule"}
    assert found["learning_rate"].range_points > found["label_smoothing"].range_points
    assert found["criterion"].best != "random"


def test_a_difference_is_surer_than_two_predictions(vgg: SyntheticProblem, trials: list[Trial]) -> None:
    space = vgg.space()
    rows = np.asarray([space.encode(one.request.config, one.request.recipe) for one in trials])
    model = DropModel().update(space.features(rows), np.asarray([one.outcome.drop_points for one in trials]))
    one, other = space.features(rows[:5]), space.features(rows[5:10])
    mean, deviation = model.difference(one, other)
    (mean_one, deviation_one), (mean_other, _) = model.predict(one), model.predict(other)
    assert mean == pytest.approx(mean_one - mean_other)
    same_mean, same_deviation = model.difference(one, one)
    assert same_mean == pytest.approx(np.zeros(5), abs=1e-9)
    assert (same_deviation < deviation_one / 10).all()
    assert (deviation > 0).all()
