"""The recipe is chosen by what it does: no harm to the unpruned network first, then what it brings back."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TrainingError
from harness.training.recipes import Recipe
from search.campaign import recipe_choice
from search.campaign.recipe_choice import HARM_SHARE, MOST_LONG, MOST_TRIALS, RATE_STEP, Right, choose, lengths, rates_at_length

BASE = Recipe(epochs=0.25, learning_rate=0.05, distillation=0.5)
IMAGES = 1000


def answers(wrong: float) -> Right:
    """``wrong`` of a thousand images are answered wrongly, the same ones first."""
    return np.arange(IMAGES) >= round(min(max(wrong, 0), IMAGES))


def world(harm: Callable[[float], float], brought_back: Callable[[float], float]) -> Callable[[Recipe, bool], Right]:
    """Images of a thousand that the unpruned network loses, and that are wrong for the pruned one, by learning rate."""
    return lambda recipe, pruned: answers((brought_back if pruned else harm)(recipe.learning_rate) + 50)


UNTOUCHED = answers(50)


def test_a_rate_that_harms_the_unpruned_network_gives_way_to_a_lower_one() -> None:
    judge = world(lambda rate: 400 * rate, lambda rate: 20 + 400 * rate)
    chosen, tried = choose(BASE, judge, UNTOUCHED, 1.0, 5)
    assert chosen.learning_rate < 0.01
    assert tried[0].recipe == BASE, "the dataset's own is tried first"
    assert tried[0].harm.points == pytest.approx(2.0)


def test_a_recipe_that_fits_is_kept() -> None:
    judge = world(lambda rate: 0, lambda rate: 100 * abs(np.log(rate / 0.05)))
    assert choose(BASE, judge, UNTOUCHED, 1.0, 5)[0].learning_rate == 0.05


def test_a_higher_rate_is_found_where_the_own_one_is_too_timid() -> None:
    judge = world(lambda rate: 0, lambda rate: 100 * abs(np.log(rate / 0.16)))
    assert choose(BASE, judge, UNTOUCHED, 1.0, 5)[0].learning_rate == pytest.approx(0.05 * RATE_STEP)


def test_of_equally_good_recipes_the_highest_rate_is_taken() -> None:
    judge = world(lambda rate: 0, lambda rate: 30)
    chosen, tried = choose(BASE, judge, UNTOUCHED, 1.0, 5)
    assert chosen.learning_rate == max(one.recipe.learning_rate for one in tried)


def test_a_training_that_diverges_is_not_chosen() -> None:
    def judge(recipe: Recipe, pruned: bool) -> Right:
        if recipe.learning_rate > 0.01:
            raise TrainingError("the loss became nan")
        return answers(60)

    chosen, tried = choose(BASE, judge, UNTOUCHED, 1.0, 5)
    assert chosen.learning_rate < 0.01
    assert tried[0].unpruned.correct == 0


def test_what_else_decides_is_changed_where_it_helps() -> None:
    def judge(recipe: Recipe, pruned: bool) -> Right:
        return answers(50 + (0 if recipe.distillation > 0.8 else 80) + 200 * recipe.learning_rate)

    chosen, _ = choose(BASE, judge, UNTOUCHED, 1.0, 5)
    assert chosen.distillation > 0.8


@given(
    harms=st.lists(st.floats(0, 300), min_size=12, max_size=12),
    losses=st.lists(st.floats(0, 300), min_size=12, max_size=12),
    limit=st.floats(0.1, 5),
    most=st.integers(2, 5),
)
def test_no_recipe_does_harm_where_one_that_was_tried_does_none(harms: list[float], losses: list[float], limit: float, most: int) -> None:
    seen: dict[str, int] = {}

    def judge(recipe: Recipe, pruned: bool) -> Right:
        place = seen.setdefault(recipe.canonical, len(seen))
        return answers(50 + (losses if pruned else harms)[place])

    chosen, tried = choose(BASE, judge, UNTOUCHED, limit, most)
    assert 2 <= len(tried) <= most
    assert len({one.recipe.canonical for one in tried}) == len(tried), "nothing is tried twice"
    mild = [one for one in tried if one.harm.points <= HARM_SHARE * limit]
    ours = next(one for one in tried if one.recipe == chosen)
    assert not mild or ours in mild
    for other in mild or tried:
        assert other.unpruned.correct + other.pruned.correct <= ours.unpruned.correct + ours.pruned.correct, "nothing was better"


@given(
    epochs=st.floats(0.01, 8),
    train=st.integers(20, 100_000),
    validation=st.integers(10, 20_000),
    batch=st.sampled_from([16, 32, 64, 128]),
    calibration=st.integers(2, 5000),
)
def test_the_choice_costs_at_most_two_trials(epochs: float, train: int, validation: int, batch: int, calibration: int) -> None:
    recipe = Recipe(epochs=epochs, batch_size=batch, calibration_images=calibration)
    plan = lengths(recipe, train, validation)
    if plan is None:
        return
    assert 0 < plan.epochs <= epochs
    assert plan.epochs * train >= 0.99 * recipe_choice.LEAST_STEPS * batch or plan.epochs == epochs
    assert plan.judged_images <= validation
    each = 3 * plan.epochs * train + plan.calibration_images + plan.judged_images
    assert 2 * plan.recipes * each <= 1.001 * MOST_TRIALS * (3 * epochs * train + min(calibration, train) + validation) + 4 * plan.recipes


def test_real_budgets_leave_something_to_choose_by() -> None:
    short = lengths(replace(BASE, epochs=0.25), 55_000, 5_000)
    assert short is not None
    assert short.recipes >= 3
    whole = lengths(replace(BASE, epochs=4), 55_000, 5_000)
    assert whole is not None
    assert whole.judged_images == 5_000
    assert lengths(replace(BASE, epochs=0.01), 1_000, 100) is None


@given(answered=st.lists(st.integers(0, 1000), min_size=MOST_LONG, max_size=MOST_LONG))
def test_higher_rates_are_tried_at_length_for_as_long_as_they_bring_back_more(answered: list[int]) -> None:
    asked: list[float] = []

    def judge(rate: float) -> float:
        asked.append(rate)
        return answered[len(asked) - 1]

    found = rates_at_length(0.005, judge)
    assert [rate for rate, _ in found] == asked == pytest.approx([0.005 * RATE_STEP**place for place in range(len(found))])
    rising = [later > before for before, later in itertools.pairwise(answered[: len(found)])]
    assert all(rising[:-1])
    assert len(found) == MOST_LONG or not rising[-1]
