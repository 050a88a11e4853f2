"""Throughput is pictures a second over blocks, refuses what is none, and stays apart from latency in files."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.pages import tables, throughput
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.throughput import Throughput
from tests.compare.conftest import CONDITIONS

FOUND = Throughput("tiny", "a" * 16, "d" * 64, "dense", replace(CONDITIONS, streams=2, batch_size=4), (10, 10, 12), (1.0, 1.0, 1.0), 4)
COUNTS = st.lists(st.tuples(st.integers(1, 10**6), st.floats(1e-3, 1e3)), min_size=1, max_size=8)


@given(blocks=COUNTS, batch=st.integers(1, 64))
def test_a_batch_counts_as_its_pictures(blocks: list[tuple[int, float]], batch: int) -> None:
    ended, seconds = (tuple(column) for column in zip(*blocks, strict=True))
    one, many = (replace(FOUND, ended=ended, seconds=seconds, conditions=replace(CONDITIONS, batch_size=size)) for size in (1, batch))
    assert many.median_per_s == pytest.approx(batch * one.median_per_s)
    assert min(one.rates_per_s) <= one.median_per_s <= max(one.rates_per_s)
    assert one.interval_per_s[0] <= one.median_per_s <= one.interval_per_s[1]


@pytest.mark.parametrize(
    "wrong",
    [{"ended": ()}, {"ended": (1, 1)}, {"ended": (1, 0, 1)}, {"seconds": (1.0, 0.0, 1.0)}, {"seconds": (1.0, 1.0, float("inf"))}],
    ids=str,
)
def test_what_is_no_throughput_is_refused(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(RecordError, match="measure again"):
        replace(FOUND, **wrong)


def test_it_comes_back_from_a_file_and_is_no_measurement_there() -> None:
    document = benchmark_json.document(BenchmarkFile((), (), throughputs=(FOUND,)))
    back = benchmark_json.parse(document, "file")
    assert back.throughputs == (FOUND,)
    assert back.measurements == ()
    del document["espalier"]["throughputs"]  # as files were before there was any
    assert benchmark_json.parse(document, "file").throughputs == ()


def test_its_table_tells_streams_and_never_a_latency() -> None:
    single = replace(FOUND, conditions=replace(FOUND.conditions, streams=1), ended=(5, 5, 5))
    (table,) = throughput.told([single, FOUND])
    told = tables.text([table], tables.LEAST_COLUMNS)
    assert "40.0" in told
    assert "2.00×" in told
    assert "says nothing of one's latency" in " ".join(told.split())
    assert all(len(line) <= tables.LEAST_COLUMNS for line in told.splitlines())
