"""The undisturbed latency is that of the machine's fast state, whatever the slow states did beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.latency.verdict.undisturbed import doubt_ratio, quiet_blocks, undisturbed_s, usual_disturbance
from harness.records.measurement import Latency, Occasion

QUIET_S = 5e-4  # of the canary
blocks = st.lists(st.floats(1e-4, 1e-3), min_size=1, max_size=8)
slowness = st.lists(st.floats(1.2, 3.0), max_size=8)


def latency(quick_s: list[float], ratios: list[float], canary_s: float | None = QUIET_S) -> Latency:
    """One block of equal samples each, beside a canary that was slowed down by these ratios."""
    occasions = tuple(Occasion(float(at), 0, None if canary_s is None else canary_s * ratio) for at, ratio in enumerate(ratios))
    return Latency(tuple(one for one in quick_s for _ in range(5)), (5,) * len(quick_s), (), (), occasions, canary_s)


@given(blocks, slowness)
def test_slow_blocks_change_nothing_where_there_are_quick_ones(quick_s: list[float], slow: list[float]) -> None:
    alone = latency(quick_s, [1.0] * len(quick_s))
    beside = latency([*quick_s, *(ratio * 1e-3 for ratio in slow)], [1.0] * len(quick_s) + slow)
    assert undisturbed_s(beside) == undisturbed_s(alone)
    assert quiet_blocks(beside) == quiet_blocks(alone) == len(quick_s)
    assert doubt_ratio(beside) == doubt_ratio(alone)
    assert usual_disturbance([beside]) == usual_disturbance([alone])


@given(blocks, st.floats(0.1, 10.0))
def test_a_faster_clock_scales_it(quick_s: list[float], scale: float) -> None:
    ratios = [1.0 if at % 2 else 1.5 for at in range(len(quick_s))]
    ours, scaled = latency(quick_s, ratios), latency([scale * one for one in quick_s], ratios, scale * QUIET_S)
    assert undisturbed_s(scaled) == pytest.approx(scale * undisturbed_s(ours))


@given(st.floats(1e-4, 1e-3), st.lists(st.floats(1.2, 3.0), min_size=1, max_size=8))
def test_a_network_never_seen_in_the_fast_state_is_told_by_its_ratio_to_the_canary(quick_s: float, slow: list[float]) -> None:
    never = latency([quick_s * ratio for ratio in slow], slow)
    assert undisturbed_s(never) == pytest.approx(quick_s)
    assert quiet_blocks(never) == 0
    assert doubt_ratio(never) > doubt_ratio(latency([quick_s], [1.0])) > doubt_ratio(latency([quick_s] * 3, [1.0] * 3)) == 1.0


@given(blocks)
def test_without_a_canary_the_quieter_half_stands_for_it(quick_s: list[float]) -> None:
    plain = Latency(tuple(one for one in quick_s for _ in range(5)), (5,) * len(quick_s))
    assert quiet_blocks(plain) is None
    assert doubt_ratio(plain) == 1.0
    assert min(quick_s) * 0.999 <= undisturbed_s(plain) <= sorted(quick_s)[(len(quick_s) - 1) // 2] * 1.001
