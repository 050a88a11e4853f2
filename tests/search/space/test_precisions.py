"""Precision is a dimension of the space: every row has the latency of what it runs in, and old spaces stay what they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import UnknownName, UsageError
from harness.networks import zoo
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.records.conditions import Conditions
from harness.training import recipes
from search.campaign.notes import helped
from search.campaign.subject import space_of
from search.optimizer import first_design, seeds, width_costs
from search.records import folder as folders
from search.records import journal, recipe_record
from search.records.outcome import MEASUREMENTS
from search.records.trial import KnownCost, TuningChoice
from search.space import measurements
from search.space.goals import Goal, fastest
from search.space.measurements import Stored
from search.space.recipe_ranges import RecipeRanges
from search.space.screened_latency import LatencyByPrecision, cost_of, fastest_precision, in_precision
from search.space.space import SearchSpace

CAMPAIGNS = Path(__file__).parents[3] / "reports" / "campaigns"
PUBLISHED = sorted(path.parent.name for path in CAMPAIGNS.glob(f"*/{MEASUREMENTS}"))
SHAPE, CLASSES = (1, 32, 32), 10  # of Fashion-MNIST, which all of them are about
BOTH = ("f32", "int8")
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(space: SearchSpace, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = [*space.sizes, *(1 for _ in space.numbers), *(len(choices) for choices in space.choices)]
    return np.stack([np.floor(rng.random(len(columns)) * columns) for _ in range(count)])


@shared
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 12))
def test_the_seconds_of_a_row_are_those_of_its_precisions_table(
    joint_space: SearchSpace, joint_latency: LatencyByPrecision, seed: int, count: int
) -> None:
    rows = drawn(joint_space, count, seed)
    found = joint_space.costs(joint_latency, rows)
    for row, seconds in zip(rows, found, strict=True):
        config, recipe = joint_space.decode(row)
        assert seconds == pytest.approx(joint_latency.by_precision[recipe.precision].costs(joint_space.widths(row[None]))[0])
        assert seconds == pytest.approx(cost_of(joint_space.architecture, joint_latency, config, recipe.precision))


@shared
@given(seed=st.integers(0, 2**32 - 1))
def test_a_row_comes_back_with_its_precision_and_the_same_widths_in_another_one_are_another_trial(
    joint_space: SearchSpace, seed: int
) -> None:
    row = drawn(joint_space, 1, seed)[0]
    config, recipe = joint_space.decode(row)
    assert recipe.precision in BOTH
    assert (joint_space.encode(config, recipe) == row).all()
    other = joint_space.encode(config, replace(recipe, precision=BOTH[1 - BOTH.index(recipe.precision)]))
    assert len(set(joint_space.keys(np.stack([row, other])))) == 2


def test_one_precision_is_no_dimension_and_no_word_in_a_recipe(space: SearchSpace, joint_space: SearchSpace) -> None:
    assert joint_space.dimensions == space.dimensions + 1
    assert space.start.precision == ""
    assert joint_space.start.precision == "f32"
    with pytest.raises(UnknownName, match="precision"):
        joint_space.encode(space.architecture.dense(), space.start)
    assert joint_space.covers(space.architecture.dense(), replace(space.start, precision="int8"))
    assert not joint_space.covers(space.architecture.dense(), replace(space.start, precision="bf16"))
    assert joint_space.digest != space.digest


@pytest.mark.parametrize("precisions", [(), ("f32", "f32")])
def test_precisions_are_named_once_each(precisions: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="choices of precision"):
        RecipeRanges(precisions=precisions)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_campaign_has_the_space_that_its_journal_names(name: str) -> None:
    """Or nobody could resume it: it is of before there were precisions in a space."""
    request, told = folders.read_request(CAMPAIGNS / name), journal.read(CAMPAIGNS / name)
    shapes = [(SHAPE[0], *map(int, size.split("x"))) for size in request.sizes] or [SHAPE]
    network, *smaller = (Network.wrap(request.network, zoo.build(request.network, one, CLASSES), one, CLASSES) for one in shapes)
    architectures = network.architecture, *(one.architecture for one in smaller)
    stored = measurements.read(CAMPAIGNS / name / MEASUREMENTS, architectures[0], *request.precisions, sizes=architectures[1:])
    settled = recipe_record.read(CAMPAIGNS / name)
    recipe = recipes.tuning_recipe(request.dataset, request.budget, request.seed) if settled is None else settled.recipe
    space, _ = space_of(request, network, stored, recipe)
    assert space.digest == told.header.space
    assert all(space.covers(trial.request.config, trial.request.recipe) for trial in told.finished)


def test_the_first_design_but_its_dense_network_and_the_walk_begin_in_the_fastest_precision(
    joint_space: SearchSpace, joint_latency: LatencyByPrecision
) -> None:
    slow_int8 = LatencyByPrecision({"f32": joint_latency.by_precision["int8"], "int8": joint_latency.by_precision["f32"]})
    for latency, wanted in ((joint_latency, "int8"), (slow_int8, "f32")):
        assert fastest_precision(joint_space.architecture, latency) == wanted
        first, *others = first_design.rows(joint_space, latency, (), 4, 0, Goal(20.0))
        assert (first == joint_space.encode(joint_space.architecture.dense(), joint_space.start)).all()
        walked = [row for row, _ in seeds.walk(joint_space, latency, width_costs.guessed(joint_space))]
        assert len(walked) > 1
        assert {joint_space.decode(row)[1].precision for row in (*others[:3], *walked)} == {wanted}


def test_the_walk_tells_the_seconds_of_its_rows(joint_space: SearchSpace, joint_latency: LatencyByPrecision) -> None:
    for row, seconds in seeds.walk(joint_space, joint_latency, width_costs.guessed(joint_space)):
        assert seconds == pytest.approx(float(joint_space.costs(joint_latency, row[None])[0]))


def test_walks_towards_a_latency_and_targets_count_from_the_first_precisions_dense_network(
    joint_space: SearchSpace, joint_latency: LatencyByPrecision
) -> None:
    dense_cost = cost_of(joint_space.architecture, joint_latency, joint_space.architecture.dense(), "f32")
    begun = seeds.begin(joint_space, joint_latency)
    targets = (0.5, 0.4)
    found = seeds.prune_next(joint_space, joint_latency, targets)
    assert found
    for widths, target in zip(found, targets, strict=False):
        row = seeds.with_recipe(joint_space, widths, begun)
        assert float(joint_space.costs(joint_latency, row[None])[0]) <= target * dense_cost


@shared
@given(overhead=st.floats(-16, 40), slope=st.floats(0.2, 2.0))
def test_fastest_reaches_the_fastest_in_any_precision(
    joint_space: SearchSpace, linear_latency: KnownCost, overhead: float, slope: float
) -> None:
    """Whichever precision is faster dense, and whichever narrow: overhead and slope decide."""

    class Other:
        def costs(self, widths: np.ndarray) -> np.ndarray:
            return np.maximum(1e-7, (1 + overhead + slope * widths.sum(axis=1)) * 1e-6)

    latency = LatencyByPrecision({"f32": linear_latency, "int8": Other()})
    row, seconds = fastest(joint_space, latency)
    assert seconds == pytest.approx(float(joint_space.costs(latency, row[None])[0]))
    narrow = joint_space.snap(np.zeros((1, joint_space.groups)))[0].astype(float)
    widths = joint_space.widths(np.concatenate([narrow, np.zeros(joint_space.dimensions - joint_space.groups)])[None])
    assert seconds <= min(float(one.costs(widths)[0]) for one in latency.by_precision.values()) + 1e-12


def test_what_is_known_in_one_precision_is_known_of_a_campaign_that_has_no_other(linear_latency: KnownCost) -> None:
    assert in_precision(linear_latency, "int8") is linear_latency
    both = LatencyByPrecision({"bf16": linear_latency, "f32": linear_latency})
    assert in_precision(both, "") is both


@pytest.fixture(scope="module")
def stored() -> Stored:
    """One published campaign's measurements, as if of two precisions: INT8 twice as fast."""
    name = "resnet20-fashion-mnist-cpu"
    network = Network.wrap("resnet20", zoo.build("resnet20", SHAPE, CLASSES), SHAPE, CLASSES)
    found = measurements.read(CAMPAIGNS / name / MEASUREMENTS, network.architecture, "f32")
    halved = tuple(
        replace(
            one,
            conditions=replace(one.conditions, precision="int8", effective_precision="int8"),
            latency=replace(one.latency, samples_s=tuple(s / 2 for s in one.latency.samples_s)),
        )
        for one in found.file.measurements
    )
    other = replace(found.file, measurements=halved)
    return replace(found, others=(Stored(found.path, other, measurements._fit(other, network.architecture, "int8")),))


def test_measurements_of_two_precisions_survive_the_campaigns_folder(stored: Stored, tmp_path: Path) -> None:
    path = tmp_path / MEASUREMENTS
    stored.keep_all(path)
    architecture = stored.predictor.architecture
    again = measurements.read(path, architecture, *BOTH)
    assert [one.precision for one in (again, *again.others)] == list(BOTH)
    dense = architecture.dense()
    for precision in BOTH:
        before, after = (cost_of(architecture, one.known, dense, precision) for one in (stored, again))
        assert after == pytest.approx(before)
    in_f32, in_int8 = (cost_of(architecture, again.known, dense, one) for one in BOTH)
    assert in_int8 == pytest.approx(in_f32 / 2, rel=0.02)
    alone = measurements.read(path, architecture, "f32")
    assert cost_of(architecture, alone.known, dense) == pytest.approx(cost_of(architecture, again.known, dense))


def _later(taken: Conditions) -> Conditions:
    before, after = (replace(state, taken_at="2099-01-01T00:00:00+00:00") for state in (taken.before, taken.after))
    return replace(taken, before=before, after=after)


def test_a_campaign_that_is_resumed_knows_the_latencies_that_it_began_with(stored: Stored, tmp_path: Path) -> None:
    """Of few networks in INT8 and many in f32, taken before: one file of both tells more than each alone, from the first trial on."""
    (int8,) = stored.others
    kept = [m for m in int8.file.measurements if m.role == "held-out"] + [m for m in int8.file.measurements if m.role == "design"][:25]
    few = replace(int8.file, measurements=tuple(replace(m, conditions=_later(m.conditions)) for m in kept))
    architecture = stored.predictor.architecture
    alone = Stored(stored.path, few, measurements._fit(few, architecture, "int8"))
    begun = replace(stored, others=(alone,)).keep_all(tmp_path / MEASUREMENTS)
    again = measurements.read(tmp_path / MEASUREMENTS, architecture, *BOTH)
    request = folders.read_request(CAMPAIGNS / "resnet20-fashion-mnist-cpu")
    network = Network.wrap("resnet20", zoo.build("resnet20", SHAPE, CLASSES), SHAPE, CLASSES)
    recipe = recipes.tuning_recipe("fashion-mnist", 1.0, 0)
    digests = [space_of(replace(request, precision="f32,int8"), network, one, recipe)[0].digest for one in (begun, again)]
    assert digests[0] == digests[1]
    widths = np.random.default_rng(0).integers(1, [g.channels for g in architecture.groups], (20, len(architecture.groups)), endpoint=True)
    for one, other in zip((begun, *begun.others), (again, *again.others), strict=True):
        assert one.predictor.seconds(widths).tolist() == other.predictor.seconds(widths).tolist()
    assert begun.others[0].predictor.learnt_from is not None, "or the test shows nothing"
    assert alone.predictor.seconds(widths).tolist() != begun.others[0].predictor.seconds(widths).tolist()
    (told,) = helped(begun, ())
    assert told.startswith("int8, with what was measured in f32: predictor: ")
    assert helped(stored, ()) == []


def test_one_file_that_holds_both_precisions_is_kept_once(stored: Stored, tmp_path: Path) -> None:
    """As a bench run of both leaves it: each precision is found in the same file."""
    whole = replace(stored.file, measurements=tuple(m for one in (stored, *stored.others) for m in one.file.measurements))
    found = replace(stored, file=whole, others=tuple(replace(one, file=whole) for one in stored.others))
    found.keep_all(tmp_path / MEASUREMENTS)
    kept = benchmark_json.read(tmp_path / MEASUREMENTS).measurements
    assert len(kept) == len(whole.measurements)


def test_legal_is_what_pays_in_any_precision(stored: Stored) -> None:
    request = folders.read_request(CAMPAIGNS / "resnet20-fashion-mnist-cpu")
    network = Network.wrap("resnet20", zoo.build("resnet20", SHAPE, CLASSES), SHAPE, CLASSES)
    recipe = recipes.tuning_recipe("fashion-mnist", 1.0, 0)
    joint, _ = space_of(replace(request, precision="f32,int8"), network, stored, recipe)
    alone, _ = space_of(request, network, replace(stored, others=()), recipe)
    assert joint.ranges.precisions == BOTH
    assert all(set(alone.legal_widths[name]) <= set(joint.legal_widths[name]) for name in alone.legal_widths)
    assert TuningChoice().precision == alone.start.precision
