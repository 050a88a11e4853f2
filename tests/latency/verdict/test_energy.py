"""Energy per inference is what a meter counted over the inferences, sure only of what was metered long and often enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.latency.verdict import energy
from harness.records.measurement import Latency, Occasion


def metered(joules_by_block: list[float | None], sample_s: float = 0.01, samples: int = 20) -> Latency:
    """Blocks of equal samples, each with what the meter counted."""
    count = len(joules_by_block)
    occasions = tuple(Occasion(float(at), energy_j=joules) for at, joules in enumerate(joules_by_block))
    return Latency((sample_s,) * (count * samples), (samples,) * count, occasions=occasions)


def test_no_meter_no_energy() -> None:
    assert energy.per_inference(metered([None, None])) is None
    assert energy.per_inference(Latency((0.01,), (1,))) is None, "files from before meters hold no occasions' energy"


@given(st.lists(st.floats(0.1, 10.0), min_size=3, max_size=12))
def test_the_figure_is_all_energy_over_all_inferences_and_lies_in_its_interval(blocks: list[float]) -> None:
    found = energy.per_inference(metered(list(blocks)))
    assert found is not None
    assert found.joules == pytest.approx(sum(blocks) / (20 * len(blocks)))
    assert found.low_j <= found.joules <= found.high_j
    assert (found.told, found.stretches) == (True, len(blocks))


@given(st.floats(0.5, 5.0), st.floats(0.01, 0.4), st.integers(3, 8))
def test_the_interval_widens_with_what_the_blocks_differ_by(joules: float, part: float, pairs: int) -> None:
    def width(spread: float) -> float:
        found = energy.per_inference(metered([joules * (1 - spread), joules * (1 + spread)] * pairs))
        assert found is not None
        return found.high_j - found.low_j

    assert width(0.0) == pytest.approx(0.0, abs=1e-9)
    assert width(part) > width(part / 2) > 1e-9


def test_short_blocks_are_added_up_and_too_few_stretches_tell_no_interval() -> None:
    short = energy.per_inference(metered([0.1] * 32, sample_s=0.001))  # 20 ms each: five make a stretch, two rest
    assert short is not None
    assert short.stretches == 6
    few = energy.per_inference(metered([0.1] * 2))
    assert few is not None
    assert (few.told, few.low_j, few.high_j) == (False, 0.0, math.inf)


def test_a_block_that_was_not_metered_counts_neither_energy_nor_inferences() -> None:
    whole, gaps = energy.per_inference(metered([1.0] * 3)), energy.per_inference(metered([1.0, None, 1.0, None, 1.0]))
    assert whole is not None
    assert gaps is not None
    assert gaps.joules == whole.joules


@pytest.mark.parametrize("joules", [-1.0, math.nan, math.inf])
def test_an_energy_that_is_none_is_refused(joules: float) -> None:
    with pytest.raises(RecordError, match="the meter cannot be trusted"):
        metered([joules])
