"""A recipe refuses what no training can use, and its learning rate rises once and falls to zero."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.training import recipes
from harness.training.finetune import learning_rate, step_count
from harness.training.recipes import Recipe


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": math.nan}, "epochs is nan"),
        ({"learning_rate": math.inf}, "learning_rate is inf"),
        ({"batch_size": 1}, "batch_size is 1; give 2"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"distillation": 1.5}, "distillation"),
        ({"precision": "f16"}, "precision is 'f16'; give one of auto, f32, bf16"),
    ],
    ids=str,
)
def test_values_that_no_training_can_use_are_refused(change: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        replace(Recipe(epochs=1), **change)


@given(steps=st.integers(1, 500), warm_up=st.floats(0, 1))
def test_the_learning_rate_rises_to_the_peak_once_and_ends_near_zero(steps: int, warm_up: float) -> None:
    recipe = Recipe(epochs=1, learning_rate=0.3, warm_up_ratio=warm_up)
    rates = [learning_rate(step, steps, recipe) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if steps * (1 - warm_up) >= 1:
        assert rates[-1] < 1e-9, "the last step of a cosine is the smallest"


@given(epochs=st.floats(0.001, 20), images=st.integers(2, 5000), batch=st.integers(2, 256))
def test_a_budget_above_zero_is_at_least_one_step(epochs: float, images: int, batch: int) -> None:
    steps = step_count(Recipe(epochs=epochs, batch_size=batch), images)
    assert steps >= 1
    assert abs(steps - max(1, epochs * images / batch)) <= 0.5 + 1e-9


def test_no_epochs_are_no_steps_and_a_subset_counts() -> None:
    assert step_count(Recipe(epochs=0), 1000) == 0
    assert step_count(Recipe(epochs=2, batch_size=10, max_images=100), 1000) == 20


@pytest.mark.parametrize("dataset", ["digits", "fashion-mnist", "cifar10", "imagefolder:birds"])
def test_every_dataset_has_both_recipes(dataset: str) -> None:
    assert recipes.dense_recipe(dataset).epochs > 0
    tuning = recipes.tuning_recipe(dataset, 0.5, seed=3)
    assert (tuning.epochs, tuning.seed) == (0.5, 3)
    assert tuning.with_epochs(2).with_seed(4) == recipes.tuning_recipe(dataset, 2, seed=4)


def test_equal_recipes_have_equal_text_and_different_ones_do_not() -> None:
    assert Recipe(epochs=1).canonical == Recipe(epochs=1).canonical
    assert Recipe(epochs=1).canonical != Recipe(epochs=1, seed=1).canonical


@given(epochs=st.floats(0, 100), small=st.floats(0, 1), seed=st.integers(0, 2**31), flip=st.booleans())
def test_a_recipe_survives_its_canonical_text(epochs: float, small: float, seed: int, flip: bool) -> None:
    recipe = Recipe(epochs=epochs, small_ratio=small, seed=seed, flip=flip)
    assert Recipe.of_canonical(recipe.canonical) == recipe


def test_an_older_recipe_without_newer_fields_is_read_and_nonsense_is_refused() -> None:
    assert Recipe.of_canonical('{"epochs": 3}') == Recipe(epochs=3)
    for text in ("", "[]", "{}", '{"epochs": 1, "tempo": 2}', '{"epochs": "many"}'):
        with pytest.raises(UsageError, match="no recipe"):
            Recipe.of_canonical(text)
