"""The page's table of precisions says what the records say: of unpruned networks, like with like, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.compilation import Compilation
from harness.records.conditions import Snapshot
from harness.records.measurement import Latency, Measurement
from harness.verification import page, precision_effect
from harness.verification.precision_effect import MEASURED, NOT_MEASURED, PRECISIONS, PrecisionEffect
from tests.records.conftest import file as file

BLOCKS = (4,) * 6


def taken(
    file: BenchmarkFile, precision: str, median_s: float, at: str = "2026-11-23T18:00:00+00:00", effective: str = "", **more: object
) -> Measurement:
    """The unpruned network in a precision, with samples within 1 % of ``median_s``."""
    (one,) = file.measurements
    samples = tuple(median_s * (0.99 + 0.02 * (index % 5) / 4) for index in range(sum(BLOCKS)))
    conditions = replace(
        one.conditions, precision=precision, effective_precision=effective or precision, before=Snapshot(at), after=Snapshot(at)
    )
    return replace(one, latency=Latency(samples, BLOCKS), layers=(), profiled=None, conditions=conditions, **more)  # type: ignore[arg-type]


def effects_of(file: BenchmarkFile, *measured: Measurement, devices: tuple[str, ...] = ()) -> dict[str, PrecisionEffect]:
    found = precision_effect.of_files([replace(file, measurements=measured)], devices)
    return {one.precision: one for one in found}


@given(st.floats(1e-5, 1e-1), st.floats(0.1, 10.0))
def test_the_ratio_is_that_of_the_medians_and_the_interval_holds_it(file: BenchmarkFile, median_s: float, ratio: float) -> None:
    found = effects_of(file, taken(file, "f32", median_s), taken(file, "int8", ratio * median_s))["int8"]
    assert found.known == MEASURED
    assert found.against_f32 is not None
    assert found.against_f32.ratio == pytest.approx(ratio)
    assert found.against_f32.low < found.against_f32.ratio < found.against_f32.high
    if abs(ratio - 1) > 0.05:
        assert found.verdict == ("yes" if ratio < 1 else "no: slower")


def test_every_precision_of_the_page_has_a_row_and_what_was_not_measured_says_so(file: BenchmarkFile) -> None:
    found = effects_of(file, taken(file, "f32", 1e-3), taken(file, "i4", 5e-4))
    assert tuple(found) == (*PRECISIONS, "i4")
    assert [one.known for one in found.values()] == [MEASURED, *[NOT_MEASURED] * 3, MEASURED]
    assert found["f32"].against_f32 is None
    assert found["f32"].verdict == found["int8"].verdict == ""


def test_what_was_computed_in_something_else_is_not_possible_there(file: BenchmarkFile) -> None:
    found = effects_of(file, taken(file, "f32", 1e-3), taken(file, "f16", 6e-4, effective="bf16"))
    assert found["f16"].known == "not possible there: computed in bf16"


def test_only_unpruned_whole_networks_under_the_same_conditions_are_compared(file: BenchmarkFile) -> None:
    thin = file.architectures[0].uniform(0.5)
    last = taken(file, "int8", 4e-4)
    for other in (
        taken(file, "f32", 1e-5, config=thin),
        taken(file, "f32", 1e-5, role="staircase"),
        taken(file, "f32", 1e-5, config=None, architecture_digest="f" * 16),
        taken(file, "f32", 1e-5, config=None, notes=(("contender", "optimised"),)),
    ):
        assert effects_of(file, other, last)["f32"].known == NOT_MEASURED
    reference = taken(file, "f32", 1e-3)
    more_threads = replace(reference, conditions=replace(reference.conditions, threads=4))
    found = effects_of(file, more_threads, last)
    assert found["f32"].known == MEASURED
    assert found["int8"].against_f32 is None, "nothing that it may be set beside"
    contender = effects_of(file, taken(file, "f32", 1e-3, config=None, notes=(("contender", "dense"),)), last)
    assert contender["int8"].against_f32 is not None


def test_a_precision_is_set_beside_the_f32_of_its_own_time(file: BenchmarkFile) -> None:
    days = [f"2026-11-2{day}T18:00:00+00:00" for day in range(1, 5)]
    measured = [taken(file, "f32", 1e-3, days[0]), taken(file, "f32", 2e-3, days[1]), taken(file, "f32", 4e-3, days[3])]
    found = effects_of(file, *measured, taken(file, "int8", 1e-3, days[2]), taken(file, "int8", 5e-3, days[0]))["int8"]
    assert found.against_f32 is not None
    assert found.against_f32.ratio == pytest.approx(0.5)


def test_processors_are_told_apart(file: BenchmarkFile) -> None:
    here = taken(file, "f32", 1e-3)
    other = taken(file, "int8", 1e-4)
    there = replace(other, conditions=replace(other.conditions, device=replace(other.conditions.device, model="another processor")))
    found = precision_effect.of_files([replace(file, measurements=(here, there))], ())
    assert len(found) == 2 * len(PRECISIONS)
    assert not [one for one in found if one.against_f32 is not None]


def test_devices_without_records_have_rows_and_compilations_are_no_measurements(file: BenchmarkFile) -> None:
    (one,) = file.measurements
    stick = replace(one.conditions.device, name="ncs2", model="Myriad X compiler")
    told = ("e" * 64, 100, stick, (), 9, "b" * 64, 1.0, (), "abc", "2026-11-23T18:00:00")
    made = Compilation("tiny", one.architecture_digest, one.config, *told)
    thin = replace(made, config=file.architectures[0].uniform(0.5), network="thin")
    found = precision_effect.of_files([replace(file, measurements=(one,), compilations=(made, thin))], ("cpu", "jetson", "ncs2"))
    by_device = {name: [one for one in found if one.device == name] for name in ("cpu", "jetson", "ncs2")}
    assert [one.known for one in by_device["jetson"]] == [NOT_MEASURED] * len(PRECISIONS)
    assert [one.known for one in by_device["ncs2"]] == [*[NOT_MEASURED] * len(PRECISIONS), "compiled: 0 stages"]
    assert [one.precision for one in by_device["cpu"]] == list(PRECISIONS)


def test_a_new_benchmark_file_shows_up_and_a_broken_one_is_named(file: BenchmarkFile, tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks" / "cpu"
    folder.mkdir(parents=True)
    benchmark_json.write(folder / "f32.json", replace(file, measurements=(taken(file, "f32", 1e-3),)))
    before = {one.precision: one for one in precision_effect.read(tmp_path, ("cpu",))}
    assert before["int8"].known == NOT_MEASURED
    benchmark_json.write(folder / "int8.json", replace(file, measurements=(taken(file, "int8", 4e-4, "2026-11-24T18:00:00+00:00"),)))
    after = {one.precision: one for one in precision_effect.read(tmp_path, ("cpu",))}
    assert after["int8"].verdict == "yes"
    (folder / "broken.json").write_text("{")
    with pytest.raises(RecordError, match=r"broken\.json"):
        precision_effect.read(tmp_path, ("cpu",))


def test_the_page_shows_all_of_it_and_says_where_there_is_less_time(file: BenchmarkFile) -> None:
    found = precision_effect.of_files(
        [replace(file, measurements=(taken(file, "f32", 1e-3), taken(file, "int8", 4e-4), taken(file, "bf16", 2e-3)))], ("jetson",)
    )
    table = page.precisions(found)
    assert "Less time: int8 on cpu (a processor). More time: bf16 on cpu (a processor)." in table.text
    assert len(table.rows) == 1 + len(found)
    row = next(row for row in table.rows if row[3] == "int8" and row[0] == "cpu")
    assert row[4:7] == (MEASURED, "400.0", "0.400")
    assert row[-1] == "yes"
    assert "No records" in page.precisions(()).text
    assert page.precisions(found) in page.page((), (), None, found)
