"""Figures against limits: met, missed or cannot tell, with the smallest effect that would show, or with what is lacking."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.compare import figures
from harness.compare.limits import ABSOLUTE, RELATIVE, Limits
from harness.latency.verdict.finding import Bound, Kept
from harness.latency.verdict.judgement import Outcome
from harness.records.measurement import Measurement, Occasion
from tests.compare.conftest import counterpart, measured


def one(measurement, **absolute):
    (found,) = figures.bounds(measurement, Limits(absolute=tuple(absolute.items())))
    return found


def test_every_absolute_limit_of_a_measurement_has_a_row() -> None:
    answered = {"top1_percent", "top1_drop_points"}  # of an accuracy
    limits = Limits(absolute=tuple((key, 1.0) for key in ABSOLUTE if key not in answered))
    assert len(figures.bounds(measured(), limits)) == len(ABSOLUTE) - len(answered) - 1  # the deadline is of its misses


@given(st.floats(0.5, 2.0), st.floats(0.002, 0.2))
def test_a_limit_is_met_or_missed_only_where_the_whole_interval_says_so(limit_ms: float, spread: float) -> None:
    measurement = measured(1e-3, spread)
    found = one(measurement, median_ms=limit_ms)
    low, high = (1e3 * end for end in measurement.latency.interval_s)
    assert found.kept is (Kept.MET if high <= limit_ms else Kept.MISSED if low > limit_ms else Kept.CANNOT_TELL)
    assert found.beyond == (found.kept is Kept.MISSED)


def test_a_percentile_without_the_samples_that_it_needs_cannot_be_told() -> None:
    few = one(measured(samples=900), p99_ms=5.0)
    assert few.kept is Kept.CANNOT_TELL
    assert "900 samples, p99 needs 1000: --rounds=1000" in few.sentence()
    assert one(measured(samples=2000), p99_ms=5.0).kept is Kept.MET
    assert one(measured(samples=2000), p99_ms=0.5).kept is Kept.MISSED


def test_deadlines_are_of_the_pace_or_told() -> None:
    assert one(measured(), deadline_miss_ratio=0.0).how.startswith("no deadline is known; measure at a camera's pace")
    paced = measured(2e-3, samples=1000, notes=(("pace", "1000 Hz"),))
    missed = one(paced, deadline_miss_ratio=0.1)
    assert (missed.kept, missed.figure) == (Kept.MISSED, 100.0)
    met = one(measured(5e-4, samples=1000, notes=(("pace", "1000 Hz"),)), deadline_miss_ratio=0.1)
    assert (met.kept, met.figure) == (Kept.MET, 0.0)
    tight = one(measured(5e-4, samples=1000, notes=(("pace", "1000 Hz"),)), deadline_miss_ratio=0.001)
    assert tight.kept is Kept.CANNOT_TELL  # none of a thousand missed it: that is no proof of fewer than one
    own = figures.bounds(paced, Limits(absolute=(("deadline_ms", 5.0), ("deadline_miss_ratio", 0.1))))
    assert [found.kept for found in own] == [Kept.MET]


def test_one_load_does_not_tell_a_limit_close_to_it_and_a_size_is_exact() -> None:
    loaded = replace(measured(), load_s=1.0)
    assert [one(loaded, load_s=limit).kept for limit in (2.0, 1.1, 0.5)] == [Kept.MET, Kept.CANNOT_TELL, Kept.MISSED]
    assert one(measured(), file_mb=0.001).kept is Kept.MET  # 1000 bytes
    assert one(measured(), file_mb=0.0009).kept is Kept.MISSED


def test_what_the_device_does_not_tell_is_said() -> None:
    assert "does not tell its peak memory" in one(measured(), peak_memory_mb=5).sentence()
    assert one(replace(measured(), peak_memory_bytes=10**7), peak_memory_mb=5).kept is Kept.MISSED
    energy = one(measured(), energy_mj=1)
    assert (energy.kept, math.isnan(energy.figure)) == (Kept.CANNOT_TELL, True)
    assert "no meter" in energy.sentence()


def metered(joules: float, sample_s: float = 1e-2) -> Measurement:
    """A hundred inferences in five blocks, the meter at ``joules`` for each inference."""
    found = measured(sample_s)
    occasions = tuple(Occasion(float(at), energy_j=20 * joules * (1 + 0.01 * (at - 2))) for at in range(5))
    return replace(found, latency=replace(found.latency, occasions=occasions))


def test_a_limit_of_energy_is_judged_by_what_a_meter_told() -> None:
    assert [one(metered(2e-3), energy_mj=limit).kept for limit in (2.1, 2.0, 1.9)] == [Kept.MET, Kept.CANNOT_TELL, Kept.MISSED]
    short = one(metered(2e-3, sample_s=1e-4), energy_mj=2.1)
    assert (short.kept, "--min-time=" in short.sentence()) == (Kept.CANNOT_TELL, True)
    rises = Limits(relative=(("energy", 0.1),))
    for joules, kept in ((2e-3, Kept.MET), (2.02e-3, Kept.MET), (3e-3, Kept.MISSED)):
        (found,) = figures.relative(metered(joules), counterpart(metered(2e-3)), rises, 0.01)
        assert found.kept is kept
    (lacking,) = figures.relative(metered(2e-3), counterpart(measured()), rises, 0.01)
    assert (lacking.kept, lacking.how) == (Kept.CANNOT_TELL, figures.NO_METER)


def test_relative_limits_compare_the_same_figure_of_both_runs() -> None:
    before = replace(measured(samples=2000), peak_memory_bytes=100)
    ours = replace(measured(samples=2000), peak_memory_bytes=120, artefact_bytes=1001)
    limits = Limits(relative=tuple((key, 0.1) for key in RELATIVE[2:]))
    found = {one.subject: one for one in figures.relative(ours, counterpart(before), limits, 0.01)}
    assert len(found) == len(RELATIVE) - 2
    assert found["peak memory"].kept is Kept.MISSED
    assert found["file"].outcome is Outcome.SAME
    assert found["p99"].kept is Kept.MET
    assert (found["energy"].kept, found["load"].kept) == (Kept.CANNOT_TELL, Kept.CANNOT_TELL)


@given(st.floats(1.0, 10.0), st.floats(0.1, 3.0), st.booleans())
def test_a_figure_beyond_the_limit_by_the_smallest_effect_shows(limit: float, half: float, floor: bool) -> None:
    def bound(figure: float) -> Bound:
        return Bound("x", figure, figure - half, figure + half, limit, "ms", "", floor=floor)

    sign = -1 if floor else 1
    shows = bound(limit).smallest
    assert bound(limit + sign * 1.01 * shows).kept is Kept.MISSED
    assert bound(limit + sign * 0.99 * shows).kept is Kept.CANNOT_TELL
    assert bound(limit - sign * 1.01 * shows).kept is Kept.MET


def test_a_row_with_a_unit_reads_as_one() -> None:
    row = one(measured(spread=0.02), median_ms=2.0).row()
    assert (row.what, row.figure, row.limit, row.kept, row.how) == ("median", "1.000 ms", "≤ 2 ms", Kept.MET, "100 samples")
    low, high = map(float, row.interval.split("–"))
    assert low <= 1.0 < high
    assert row.smallest.endswith(" ms")
