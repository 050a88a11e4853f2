"""Random search as a rival: honest, which means screened by the same known latencies, and never twice the same."""

import numpy as np
import pytest

from search.campaign import campaign
from search.campaign.settings import CampaignSettings
from search.optimizer.array_search import SpaceExhausted
from search.optimizer.random_search import RandomSearch
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records.trial import KnownCost
from search.space.goals import Goal
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace


def searching(problem: SyntheticProblem, seed: int = 0) -> RandomSearch:
    return RandomSearch(problem.space(), problem, Goal(1.0), seed, (), 1, 20)


def test_every_proposal_is_legal_new_and_faster_than_the_best_that_keeps_the_limit(vgg: SyntheticProblem) -> None:
    optimizer, best, seen = searching(vgg), np.inf, set()
    for number in range(12):
        row, is_seed = optimizer.ask()
        seconds = float(vgg.costs(optimizer.space.widths(row[None]))[0])
        key = optimizer.space.keys(row[None])[0]
        assert not is_seed
        assert optimizer.space.legal(row[None])[0]
        assert key not in seen
        assert seconds < best
        seen.add(key)
        drop = 0.5 if number in (2, 5, 9) else 3.0
        optimizer.tell(row, drop, crashed=number == 5)
        best = seconds if number in (2, 9) else best


def test_a_replayed_search_goes_on_as_the_first_one_did(vgg: SyntheticProblem) -> None:
    whole, again = searching(vgg), searching(vgg)
    rows = []
    for number in range(12):
        rows.append(whole.ask()[0])
        whole.tell(rows[-1], float(number % 3))
    for number, row in enumerate(rows[:8]):
        again.tell(row, float(number % 3))
    assert (again.ask()[0] == rows[8]).all()


def test_other_seeds_draw_other_networks(vgg: SyntheticProblem) -> None:
    assert (searching(vgg, 1).ask()[0] != searching(vgg, 2).ask()[0]).any()


def test_where_nothing_faster_can_be_drawn_the_fastest_new_one_is_tried_until_none_is_left(
    space: SearchSpace, linear_latency: KnownCost
) -> None:
    fixed = RecipeRanges(criteria=("l1",), learning_rate=(0.01, 0.01), weight_decay=(5e-4, 5e-4), label_smoothing=(0.0, 0.0))
    small = SearchSpace(space.architecture, {"conv1": (8, 16), "layer2.0.conv1": (8, 16, 32)}, fixed)
    optimizer = RandomSearch(small, linear_latency, Goal(None, 1e-9), 0, (), 1, 20)
    rows = []
    with pytest.raises(SpaceExhausted):
        while True:
            rows.append(optimizer.ask()[0])
    assert len({small.keys(row[None])[0] for row in rows}) == len(rows) == 6


def test_a_campaign_is_journalled_and_chosen_from_alike(vgg: SyntheticProblem, tmp_path) -> None:
    settings = CampaignSettings("drawn", trials=10, seeds=4, budget_epochs=3.0, finalists=2, repeats=1)
    found = campaign.run(settings, vgg.space(), vgg, SyntheticEvaluate("vgg", 0, 0), tmp_path / "drawn", optimizer_class=RandomSearch)
    assert len(found.searched) == 10
    assert {trial.request.purpose for trial in found.searched} == {"model"}
    assert found.chosen is not None


def test_what_full_length_brings_back_counts_for_trials_that_were_told_before_it_was_known(vgg: SyntheticProblem) -> None:
    optimizer = searching(vgg)
    row, _ = optimizer.ask()
    optimizer.tell(row, 2.5)
    assert optimizer.ceiling == np.inf
    optimizer.acquisition.limit_shift = 2.0
    assert optimizer.ceiling == float(vgg.costs(optimizer.space.widths(row[None]))[0])
