"""What the search may choose from: one staircase says it, measured widths before predicted ones."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.latency.explanation.width_series import ROLE
from harness.latency.model.predictor import LatencyPredictor
from harness.records import benchmark_json
from harness.records.architecture import Architecture, ChannelGroup
from harness.records.benchmark_json import BenchmarkFile
from harness.records.measurement import Latency, Measurement
from search.race import rehearsal
from search.space import legal_widths, measurements
from search.space.legal_widths import LegalWidths
from search.space.measurements import Stored

GROUP = ChannelGroup("g", 16, ("g",), False, "s")
ONE_GROUP = Architecture("one", (3, 8, 8), 4, (GROUP,), ())
STEPS_OF_FOUR = [WidthCost(width, 10.0 + -(-width // 4)) for width in range(1, 17)]


def told(measured: list[WidthCost] | None) -> LegalWidths:
    swept = None if measured is None else Staircase.fit({"g": measured})
    return LegalWidths(ONE_GROUP, Staircase.fit({"g": STEPS_OF_FOUR}), swept)


def test_without_measured_widths_the_model_decides() -> None:
    widths = told(None)
    assert widths.by_group() == {"g": (4, 8, 12, 16)}
    useful, kind = widths.next_useful("g", 16)  # type: ignore[misc]
    assert (useful.width, useful.saved, kind) == (12, 1.0, "predicted")
    assert widths.next_useful("g", 4) is None


def test_a_measured_width_is_judged_by_its_measurement_and_the_others_by_the_model() -> None:
    """Measured: 12 is slower than 16, 10 is faster. The model's 8 and 4 stay, its opinion of 12 and 10 does not count."""
    widths = told([WidthCost(16, 50.0), WidthCost(12, 51.0), WidthCost(10, 40.0)])
    assert widths.by_group() == {"g": (4, 8, 10, 16)}
    useful, kind = widths.next_useful("g", 16)  # type: ignore[misc]
    assert (useful.width, useful.saved, kind) == (10, 10.0, "measured")
    useful, kind = widths.next_useful("g", 8)  # type: ignore[misc]
    assert (useful.width, kind) == (4, "predicted")
    assert "16 → 10" in widths.sentence()
    assert "1 of them measured" in widths.sentence()


@given(st.lists(st.builds(WidthCost, st.integers(1, 16), st.floats(1.0, 2.0)), min_size=1, max_size=12, unique_by=lambda one: one.width))
def test_the_dense_width_is_always_legal_and_every_measured_legal_one_is_there(points: list[WidthCost]) -> None:
    widths = told(points)
    assert widths.measured is not None
    found = widths.by_group()["g"]
    assert found[-1] == 16
    assert list(found) == sorted(set(found))
    measured = {point.width for point in points}
    assert set(found) & measured - {16} == set(widths.measured.legal_widths("g")) - {16}


def test_a_group_in_which_nothing_pays_keeps_its_width_and_is_said_so() -> None:
    flat = LegalWidths(ONE_GROUP, Staircase.fit({"g": [WidthCost(width, 10.0) for width in (8, 16)]}))
    assert flat.by_group() == {"g": (16,)}
    assert flat.sentence().endswith("no group is faster when narrower")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rehearsal.write(tmp_path_factory.mktemp("legal") / "one")


@pytest.fixture(scope="module")
def stored(folder: Path) -> Stored:
    path = folder / "measurements.json"
    file = benchmark_json.read(path)
    return Stored(path, file, LatencyPredictor.fit(file.architectures[0], file.measurements))


def sweep(stored: Stored, **seconds: float) -> tuple[Measurement, ...]:
    """One group swept: the dense network and widths, as taken on the device of the stored measurements."""
    architecture = stored.predictor.architecture
    group = next(group for group in architecture.groups if group.channels >= 16)
    like = next(m for m in stored.file.measurements if m.config is not None)

    def taken(width: int, cost_s: float) -> Measurement:
        config = architecture.partial({group.name: width}) if width != group.channels else architecture.dense()
        return replace(like, config=config, role=ROLE, latency=Latency((cost_s,) * 8, (4, 4)), artefact_digest=f"{width}")

    return (taken(group.channels, seconds["dense"]), taken(group.channels - 1, seconds["below"]), taken(8, seconds["eight"]))


def test_swept_widths_of_the_same_device_decide_and_those_of_another_do_not(stored: Stored) -> None:
    swept = sweep(stored, dense=1e-3, below=1.2e-3, eight=0.5e-3)
    group = next(group for group in stored.predictor.architecture.groups if group.channels >= 16)
    told = legal_widths.of(stored.predictor, (*stored.file.measurements, *swept))
    found = told.by_group()
    assert group.channels - 1 not in found[group.name]  # measured to be slower
    assert 8 in found[group.name]
    useful, kind = told.next_useful(group.name, group.channels)  # type: ignore[misc]
    assert (useful.width, kind) == (8, "measured")
    elsewhere = [replace(m, conditions=replace(m.conditions, threads=7)) for m in swept]
    assert legal_widths.of(stored.predictor, elsewhere).measured is None
    assert legal_widths.of(stored.predictor, [replace(m, architecture_digest="other") for m in swept]).measured is None


def test_every_legal_width_can_be_predicted_and_fits_the_network(stored: Stored) -> None:
    architecture = stored.predictor.architecture
    found = legal_widths.of(stored.predictor, stored.file.measurements).by_group()
    assert found.keys() == {group.name for group in architecture.groups}
    for group in architecture.groups:
        assert found[group.name][-1] == group.channels
        assert group.removable or found[group.name][0] > 0
        for width in found[group.name]:
            assert stored.predictor.predict(architecture.partial({group.name: width})).seconds > 0


def test_stored_widths_travel_into_the_campaigns_folder_and_are_not_fitted_on(stored: Stored, tmp_path: Path) -> None:
    widths = tmp_path / "widths"
    widths.mkdir()
    said: list[str] = []
    assert measurements._with_widths(stored, widths, said.append) is stored
    (widths / "broken.json").write_text("{")
    swept = sweep(stored, dense=1e-3, below=1.2e-3, eight=0.5e-3)
    benchmark_json.write(widths / "swept.json", BenchmarkFile(swept, stored.file.architectures))
    joined = measurements._with_widths(stored, widths, said.append)
    assert joined.file.measurements == (*stored.file.measurements, *swept)
    assert any("3 measured networks" in one for one in said)
    kept = tmp_path / "measurements.json"
    shutil.copyfile(stored.path, kept)
    joined.keep_all(kept)
    again = measurements.read(kept, stored.predictor.architecture, stored.predictor.conditions.precision)
    assert again.predictor.fitted_on == stored.predictor.fitted_on
    first = legal_widths.of(joined.predictor, joined.file.measurements)
    assert legal_widths.of(again.predictor, again.file.measurements).by_group() == first.by_group()
