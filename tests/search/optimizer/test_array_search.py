"""The maximiser returns legal, new, distinct configurations, and finds the best one where it is known."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.records.architecture import Architecture
from search.optimizer.array_search import ArraySearch, SpaceExhausted
from search.race.synthetic import SyntheticProblem
from search.records.trial import TuningChoice
from search.space.recipe_ranges import RecipeRanges
from search.space.space import MOVES, SearchSpace

NO_ROWS = np.empty((0, 0))


def plain(architecture: Architecture, moves: str = "hier") -> SearchSpace:
    """Widths only: recipes fixed; one published width that is not legal."""
    fixed = RecipeRanges(("l1",), ("one-shot",), (0.01, 0.01), (1e-4, 1e-4), (0.0, 0.0))
    legal = {"layer1.0.conv1": (0, 8, 16), "layer1.1.conv1": (0, 4, 8, 16), "layer2.0.conv1": (8, 16, 24, 32)}
    return SearchSpace(architecture, legal, fixed, moves, exact=[architecture.partial({"layer1.0.conv1": 7})])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from(MOVES))
def test_only_legal_unseen_distinct_rows_come_back(architecture: Architecture, seed: int, moves: str) -> None:
    space, rng = plain(architecture, moves), np.random.default_rng(seed)
    weights = rng.normal(size=space.dimensions)
    published = space.encode(architecture.partial({"layer1.0.conv1": 7}), TuningChoice(weight_decay=1e-4))
    search = ArraySearch(space, challengers=60, generations=2)
    evaluated = np.concatenate([published[None], search.random_rows(5, rng)])
    taken = space.keys(evaluated)
    found = search.maximize(lambda rows: rows @ weights, evaluated, taken, 8, rng, np.empty((0, space.dimensions)))
    assert space.legal(found).all()
    assert not set(space.keys(found)) & set(taken)
    assert len(set(space.keys(found))) == len(found)


def test_the_best_of_all_configurations_is_found_first(architecture: Architecture) -> None:
    space = plain(architecture)
    everything = np.array(
        list(itertools.product(*(np.flatnonzero(mask[:size]) for mask, size in zip(space._legal, space.sizes, strict=True)))), float
    )
    goal = np.array([2.0, 2.0, 1.0])

    def value(rows: np.ndarray) -> np.ndarray:
        return -np.abs(rows - goal).sum(axis=1)

    found = ArraySearch(space).maximize(value, np.empty((0, 3)), [], 3, np.random.default_rng(0), np.empty((0, 3)))
    assert len(everything) == 3 * 4 * 4 == space.configurations
    assert found[0].tolist() == everything[value(everything).argmax()].tolist()
    assert (np.diff(value(found)) <= 0).all()


def test_values_that_are_not_numbers_count_as_worthless(architecture: Architecture) -> None:
    space = plain(architecture)
    found = ArraySearch(space).maximize(
        lambda rows: np.where(rows[:, 2] > 0, np.nan, -rows[:, 1]), np.empty((0, 3)), [], 1, np.random.default_rng(0), np.empty((0, 3))
    )
    assert found[0][2] == 0


def test_a_space_that_is_used_up_says_so(architecture: Architecture) -> None:
    space = plain(architecture)
    everything = np.array(list(itertools.product(range(4), range(4), range(4))), float)
    with pytest.raises(SpaceExhausted):
        ArraySearch(space).maximize(
            lambda rows: rows[:, 0], everything, space.keys(everything), 4, np.random.default_rng(0), np.empty((0, 3))
        )


def test_stage_moves_keep_one_ratio_per_stage(architecture: Architecture) -> None:
    legal = dict.fromkeys(("layer1.0.conv1", "layer1.1.conv1"), (0, 4, 8, 12, 16))
    fixed = RecipeRanges(("l1",), ("one-shot",), (0.01, 0.01), (1e-4, 1e-4), (0.0, 0.0))
    space = SearchSpace(architecture, legal, fixed, "stage")
    search, rng = ArraySearch(space), np.random.default_rng(3)
    rows = search.mutate(search.random_rows(50, rng), 200, rng)
    assert (rows[:, 0] == rows[:, 1]).all()
    assert len(np.unique(rows[:, 0])) == 5


def test_every_mutation_changes_something_and_leaves_its_parents_alone(space: SearchSpace) -> None:
    search, rng = ArraySearch(space), np.random.default_rng(0)
    parents = np.tile(search.random_rows(1, rng), (4, 1))
    before = parents.copy()
    children = search.mutate(parents, 300, rng)
    assert (parents == before).all()
    assert (children != parents[0]).any(axis=1).mean() > 0.8
    assert space.legal(children).all()
    split = space.groups + len(space.numbers)
    assert ((children[:, space.groups : split] >= 0) & (children[:, space.groups : split] <= 1)).all()
    assert set(np.unique(children[:, split:])) <= {0.0, 1.0}


def test_rows_for_side_by_side_trials_are_the_best_one_and_others_apart_from_it(vgg: SyntheticProblem) -> None:
    """A smooth peak: without penalties the second best row is the best one's neighbour."""
    space = vgg.space("layer")
    centre = ArraySearch(space).random_rows(3, np.random.default_rng(3))[0, : space.groups]

    def value(rows: np.ndarray) -> np.ndarray:
        return -(((rows[:, : space.groups] - centre) / space.sizes) ** 2).mean(axis=1)

    def found(apart: float) -> np.ndarray:
        search = ArraySearch(space, challengers=200, generations=3, apart=apart)
        return search.maximize(value, np.empty((0, space.dimensions)), (), 3, np.random.default_rng(0), np.empty((0, space.dimensions)))

    def distances(rows: np.ndarray) -> np.ndarray:
        keep = 1.0 - space.features(rows).pruned
        return np.array([np.abs(keep[one] - keep[other]).mean() for one, other in ((0, 1), (0, 2), (1, 2))])

    near, apart = found(0.0), found(0.05)
    assert (near[0] == apart[0]).all()
    assert distances(near).max() < 0.05
    assert distances(apart).min() > distances(near).max()
    assert len(set(space.keys(apart))) == 3
