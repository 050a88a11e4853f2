"""The pictures' size is a dimension of the space: every row has the latency of its size, and a space with one is as it was without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import UnknownName, UsageError
from harness.networks.pictures import preparing
from harness.networks.pictures.preparing import Preparation
from search.optimizer import first_design, seeds
from search.optimizer.surrogate import DropModel
from search.records.request import Request
from search.records.trial import KnownCost, RunsIn, TuningChoice
from search.space.goals import Goal, fastest
from search.space.recipe_ranges import unit_pixels
from search.space.screened_latency import LatencyByPrecision, LatencyBySize, as_it_runs, cost_of
from search.space.space import SearchSpace

SIZES = ("32x32", "28x28", "16x24")
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


class Scaled:
    """Another latency, by a factor."""

    def __init__(self, latency: KnownCost, factor: float) -> None:
        self.latency, self.factor = latency, factor

    def costs(self, widths: np.ndarray) -> np.ndarray:
        return self.factor * self.latency.costs(widths)


@pytest.fixture
def sized_space(joint_space: SearchSpace) -> SearchSpace:
    """Two precisions, three sizes."""
    return SearchSpace(joint_space.architecture, joint_space.legal_widths, replace(joint_space.ranges, sizes=SIZES))


@pytest.fixture
def sized_latency(joint_latency: LatencyByPrecision) -> LatencyBySize:
    """Every size takes time by its pixels."""
    pixels = [preparing.pixels_of(size) / 1024 for size in SIZES]
    return LatencyBySize(
        {
            size: LatencyByPrecision({name: Scaled(one, factor) for name, one in joint_latency.by_precision.items()})
            for size, factor in zip(SIZES, pixels, strict=True)
        }
    )


def drawn(space: SearchSpace, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = [*space.sizes, *(1 for _ in space.numbers), *(len(choices) for choices in space.choices)]
    return np.stack([np.floor(rng.random(len(columns)) * columns) for _ in range(count)])


@shared
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_the_seconds_of_a_row_are_those_of_its_size_and_precision(
    sized_space: SearchSpace, sized_latency: LatencyBySize, joint_latency: LatencyByPrecision, seed: int, count: int
) -> None:
    rows = drawn(sized_space, count, seed)
    for row, seconds in zip(rows, sized_space.costs(sized_latency, rows), strict=True):
        config, recipe = sized_space.decode(row)
        alone = joint_latency.by_precision[recipe.precision].costs(sized_space.widths(row[None]))[0]
        assert seconds == pytest.approx(alone * preparing.pixels_of(recipe.size) / 1024)
        assert seconds == cost_of(sized_space.architecture, sized_latency, config, *recipe.runs_in)


@shared
@given(seed=st.integers(0, 2**32 - 1))
def test_a_row_comes_back_with_its_size_and_another_size_is_another_trial(sized_space: SearchSpace, seed: int) -> None:
    row = drawn(sized_space, 1, seed)[0]
    config, recipe = sized_space.decode(row)
    assert recipe.size in SIZES
    assert np.array_equal(sized_space.encode(config, recipe), row)
    keys = {sized_space.keys(sized_space.encode(config, replace(recipe, size=size))[None])[0] for size in SIZES}
    assert len(keys) == len(SIZES)
    with pytest.raises(UnknownName):
        sized_space.encode(config, replace(recipe, size="20x20"))


@shared
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 8))
def test_a_space_with_one_size_is_the_space_without(
    joint_space: SearchSpace, joint_latency: LatencyByPrecision, seed: int, count: int
) -> None:
    one = SearchSpace(joint_space.architecture, joint_space.legal_widths, replace(joint_space.ranges, sizes=("32x32",)))
    rows, latency = drawn(joint_space, count, seed), LatencyBySize({"32x32": joint_latency})
    assert one.digest == joint_space.digest
    assert one.dimensions == joint_space.dimensions
    assert np.array_equal(one.costs(latency, rows), joint_space.costs(joint_latency, rows))
    ours, theirs = (space.features(rows) for space in (one, joint_space))
    for name in ("pruned", "numbers", "categories", "stages"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name))
    drops = np.random.default_rng(seed).normal(size=count)
    assert np.array_equal(DropModel().update(ours, drops).predict(ours), DropModel().update(theirs, drops).predict(theirs))
    begun = [first_design.rows(space, known, (), 6, seed, Goal(1.0)) for space, known in ((one, latency), (joint_space, joint_latency))]
    assert np.array_equal(*map(np.stack, begun))


@shared
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_known_at_one_size_does_not_change_with_another(sized_space: SearchSpace, sized_latency: LatencyBySize, seed: int) -> None:
    widths = sized_space.widths(drawn(sized_space, 3, seed))
    fewer = LatencyBySize({size: sized_latency.by_size[size] for size in SIZES[:2]})
    for size in SIZES[:2]:
        for precision in ("f32", "int8"):
            runs_in = RunsIn(precision, size)
            assert np.array_equal(as_it_runs(fewer, runs_in).costs(widths), as_it_runs(sized_latency, runs_in).costs(widths))
    assert np.array_equal(as_it_runs(sized_latency, RunsIn("int8")).costs(widths), as_it_runs(fewer, RunsIn("int8", "32x32")).costs(widths))
    assert np.array_equal(sized_latency.costs(widths), as_it_runs(fewer, RunsIn("f32", "32x32")).costs(widths))


def test_what_was_not_measured_is_refused_by_name(sized_latency: LatencyBySize) -> None:
    with pytest.raises(UnknownName, match="20x20"):
        as_it_runs(sized_latency, RunsIn("f32", "20x20"))
    with pytest.raises(UnknownName, match="bf16"):
        as_it_runs(sized_latency, RunsIn("bf16", "28x28"))


def test_the_first_design_tries_the_dense_network_at_further_sizes_and_a_walked_one_there(
    sized_space: SearchSpace, sized_latency: LatencyBySize
) -> None:
    rows = first_design.rows(sized_space, sized_latency, (), 9, 0, Goal(1.0))
    tried = [sized_space.decode(row) for row in rows]
    dense = [recipe.size for config, recipe in tried if config == sized_space.architecture.dense()]
    assert dense[:3] == list(SIZES)
    assert {recipe.size for config, recipe in tried if config != sized_space.architecture.dense()} == set(SIZES)
    walked = [row for row, _ in seeds.walk(sized_space, sized_latency, lambda pruned: pruned.sum(axis=1))]
    assert {sized_space.decode(row)[1].size for row in walked} == {SIZES[0]}


def test_the_fastest_row_is_at_the_smallest_size(sized_space: SearchSpace, sized_latency: LatencyBySize) -> None:
    row, _ = fastest(sized_space, sized_latency)
    assert sized_space.decode(row)[1].size == SIZES[-1]


def test_the_surrogate_knows_which_sizes_are_near_each_other(sized_space: SearchSpace) -> None:
    """What dense loses at 16 x 24 says more of 28 x 28 the nearer that is: the model interpolates between the sizes it saw."""
    dense = sized_space.architecture.dense()
    rows = np.stack([sized_space.encode(dense, replace(sized_space.start, size=size)) for size in SIZES])
    features = sized_space.features(rows)
    assert features.numbers[:, -1].tolist() == pytest.approx(unit_pixels(SIZES).tolist())
    assert features.categories.shape[1] == len(sized_space.categories) - 1
    mean, deviation = DropModel().update(features.take(np.array([0, 2])), np.array([0.0, 4.0])).predict(features)
    assert mean[0] < mean[1] < mean[2]
    assert deviation[1] > deviation[0]


@given(sides=st.lists(st.tuples(st.integers(8, 400), st.integers(8, 400)), min_size=1, max_size=5))
def test_sizes_are_read_as_they_are_written_each_once_the_full_one_first(sides: list[tuple[int, int]]) -> None:
    told = [f"{height}x{width}" if height != width else str(height) for height, width in sides]
    full = "96x128"
    asked = Request(input_shape=full, input_size=",".join(told))
    wanted = dict.fromkeys((full, *(f"{height}x{width}" for height, width in sides)))
    assert asked.sizes == (tuple(wanted) if len(wanted) > 1 else ())
    if asked.sizes:
        assert replace(asked, input_size=",".join(asked.sizes)).sizes == asked.sizes
        assert f"--input-size={asked.input_size}" in asked.command.replace("--input-size ", "--input-size=")


@pytest.mark.parametrize("text", ["", "32,", "7", "32x", "3x32x32", "9000", "a", "32;24"])
def test_what_is_no_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--input-size"):
        _ = Request(input_size=text).sizes


@given(
    full=st.tuples(st.integers(32, 200), st.integers(32, 200)),
    size=st.tuples(st.integers(8, 200), st.integers(8, 200)),
    more=st.integers(0, 60),
    both=st.booleans(),
)
def test_as_much_of_every_picture_is_seen_at_every_size(full: tuple[int, int], size: tuple[int, int], more: int, both: bool) -> None:
    resize = f"{full[0] + more}x{full[1] + more}" if both else str(max(full) + more)
    asked = preparing.of_words("x".join(map(str, full)), resize=resize)
    there = asked.at_size("x".join(map(str, size)))
    assert preparing.of_words(there.size, resize=there.resize).resize == there.resize, "what it says is allowed"
    if both:
        for scaled, side, before, was in zip(map(int, there.resize.split("x")), size, map(int, resize.split("x")), full, strict=True):
            assert side * before / was <= scaled + 1e-6 < side * before / was + 1 + 1e-6
    if size != full:
        assert there.divided_as == asked
    assert Preparation().at_size("24x20").resize == "cover"


def test_a_tuning_choice_of_before_has_no_size() -> None:
    assert TuningChoice(**{"criterion": "l1", "precision": "int8"}).runs_in == RunsIn("int8", "")
