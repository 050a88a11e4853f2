"""The initial design is small, hopeful, and on the way that latency and expected cost suggest together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.architecture import Architecture
from search.campaign.settings import CampaignSettings
from search.optimizer import first_design, width_costs
from search.race import synthetic
from search.race.synthetic import SyntheticProblem
from search.records.sensitivity_record import GroupLoss, Sensitivity
from search.records.trial import KnownCost
from search.space.goals import Goal
from search.space.space import SearchSpace

GOAL = Goal(1.0)


def keeps(space: SearchSpace, rows: list[np.ndarray]) -> np.ndarray:
    return 1.0 - space.features(np.asarray(rows)).pruned


@given(st.integers(1, 500))
def test_the_initial_design_takes_a_third_of_the_trials_at_most(trials: int) -> None:
    count = CampaignSettings("c", trials=trials).first_count
    assert 1 <= count <= max(1, trials / 3)
    assert count <= CampaignSettings("c").seeds


@pytest.mark.parametrize("wanted", [1, 4, 6, 12])
def test_rows_are_different_and_begin_with_the_dense_network(vgg: SyntheticProblem, wanted: int) -> None:
    space = vgg.space()
    rows = first_design.rows(space, vgg, (), wanted, 0, GOAL, synthetic.look("vgg", 0, 0))
    assert len(set(space.keys(np.asarray(rows)))) == len(rows) == wanted
    assert space.decode(rows[0])[0] == vgg.architecture.dense()
    assert space.legal(np.asarray(rows)).all()


@pytest.mark.parametrize("limit", [0.5, 1.0, 5.0, 50.0])
@pytest.mark.parametrize("looks", [True, False], ids=["looked at", "guessed"])
def test_nothing_keeps_one_channel_of_sixteen_first(limit: float, looks: bool) -> None:
    problem = synthetic.problem("r56", 0)
    space = problem.space()
    seen = synthetic.look("r56", 0, 0) if looks else None
    rows = first_design.rows(space, problem, (), 4, 0, Goal(limit), seen)
    assert keeps(space, rows).min() >= first_design.LEAST_KEPT


def test_a_larger_limit_lets_faster_networks_be_tried_first(vgg: SyntheticProblem) -> None:
    space = vgg.space()
    fastest = []
    for limit in (0.25, 1.0, 4.0):
        rows = np.asarray(first_design.rows(space, vgg, (), 4, 0, Goal(limit)))
        fastest.append(vgg.costs(space.widths(rows)).min())
    assert fastest[0] > fastest[1] > fastest[2]


def test_a_group_that_is_seen_to_be_dear_is_pruned_later(architecture: Architecture, linear_latency: KnownCost) -> None:
    space = SearchSpace(architecture, {group.name: tuple(range(4, group.channels + 1, 4)) for group in architecture.groups})
    kept = []
    for dear in (0.0, 60.0):
        losses = [GroupLoss(g.name, g.channels // 2, dear if g.name == "layer2.0.conv1" else 2.0) for g in architecture.groups]
        rows = first_design.rows(space, linear_latency, (), 4, 0, GOAL, Sensitivity(tuple(losses)))
        kept.append(space.widths(np.asarray(rows))[:, 3].min())
    assert kept[1] > kept[0]


def test_towards_a_latency_the_first_pruned_network_is_as_fast_as_asked_for(vgg: SyntheticProblem) -> None:
    space, wanted_s = vgg.space(), 0.5 * vgg.dense_us * 1e-6
    rows = np.asarray(first_design.rows(space, vgg, (), 4, 0, Goal(None, wanted_s)))
    assert vgg.costs(space.widths(rows))[1] <= wanted_s


def test_costs_never_fall_with_pruning_and_are_one_where_everything_is_halved() -> None:
    problem = synthetic.problem("vgg", 0)
    space = problem.space()
    halved = np.full((1, space.groups), 0.5)
    for seen in (None, synthetic.look("vgg", 0, 0)):
        costs = width_costs.of(space, seen)
        assert costs(halved) == pytest.approx([1.0])
        steps = np.linspace(0, 1, 21)[:, None] * np.ones(space.groups)
        assert (np.diff(costs(steps)) >= 0).all()


def test_a_look_that_tells_no_group_from_another_leaves_the_guess(vgg: SyntheticProblem) -> None:
    space, pruned = vgg.space(), np.random.default_rng(0).random((5, 13))
    flat = Sensitivity(tuple(replace(one, points=0.01) for one in synthetic.look("vgg", 0, 0).losses))
    assert (width_costs.of(space, flat)(pruned) == width_costs.guessed(space)(pruned)).all()
