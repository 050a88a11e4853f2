"""The verdict: what it calls different, what it does not, and why the blocks must alternate."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.measure import Protocol, turn_orders
from harness.errors import ConditionsDiffer, UsageError
from harness.latency.verdict import simulated_clock
from harness.latency.verdict.calibration import calibrate, main, simulated
from harness.latency.verdict.judgement import FEWEST_PAIRS, Outcome, compare, holm, verdict, verdicts
from harness.records.measurement import Latency


def run(ratio, seed, weather=simulated_clock.SHARED, blocks=20, order=simulated_clock.a_b_b_a):
    """Two latencies of true ratio ``ratio`` on the simulated clock."""
    return simulated_clock.run([ratio * 1e-3, 1e-3], order(2, blocks), 30, weather, np.random.default_rng([seed, 5]))


def test_equal_networks_are_told_apart_at_most_once_in_a_hundred():
    found = calibrate(simulated(simulated_clock.SHARED, seed=2), trials=300)
    assert found.false <= 3
    assert found.reversed_ == 0


def test_a_slowdown_of_three_percent_is_found_ninety_five_times_in_a_hundred():
    found = calibrate(simulated(simulated_clock.SHARED, seed=3), trials=200)
    assert found.found >= 190


def test_a_stormy_machine_makes_verdicts_rarer_not_wrong():
    found = calibrate(simulated(simulated_clock.STORMY, seed=4), trials=200)
    assert found.false <= 2 + 2  # 1 in 100, and what 200 trials scatter around it
    assert found.reversed_ == 0
    assert found.undecided_equal > 40


def test_without_interleaving_drift_becomes_a_verdict():
    """The reason for A-B-B-A: measured one after the other, equal networks differ by the machine's drift."""
    drifting = replace(simulated_clock.QUIET, drift_ratio=0.05)
    apart = calibrate(simulated(drifting, seed=1, interleaved=False), trials=60)
    interleaved = calibrate(simulated(drifting, seed=1), trials=60)
    assert apart.false > 20
    assert interleaved.false == 0


def disturbed_in_step(seed):
    """Two equal networks in the order in which devices measure them, on a machine that is slow in two of every four turns."""
    orders = turn_orders(2, Protocol(blocks=24, seed=seed))
    blocks: tuple[list[float], list[float]] = ([], [])
    for turn, subject in enumerate(subject for order in orders for subject in order):
        blocks[subject].extend([1.05e-3 if turn % 4 in (0, 3) else 1e-3] * 5)
    return tuple(Latency(tuple(block), (5,) * 24) for block in blocks)


def test_a_disturbance_in_step_with_the_turns_does_not_become_a_verdict():
    """The reason for shuffling: A-B-B-A without it would meet such a machine with the same network every time."""
    found = [verdict(*disturbed_in_step(seed)) for seed in range(40)]
    assert sum(one.outcome in (Outcome.FASTER, Outcome.SLOWER) for one in found) <= 8
    assert {one.ratio > 1 for one in found} == {True, False}


@given(seed=st.integers(0, 200), ratio=st.sampled_from([0.9, 0.97, 1.0, 1.004, 1.03, 1.2]))
def test_exchanging_the_two_inverts_the_verdict(seed, ratio):
    ours, theirs = run(ratio, seed)
    there, back = verdict(ours, theirs), verdict(theirs, ours)
    mirrored = {Outcome.FASTER: Outcome.SLOWER, Outcome.SLOWER: Outcome.FASTER}
    assert there.ratio == pytest.approx(1 / back.ratio, rel=1e-9)
    assert there.interval == pytest.approx((1 / back.high, 1 / back.low), rel=1e-9)
    assert there.p_value == back.p_value
    if abs(there.ratio - 1) > 0.0102 or abs(there.ratio - 1) < 0.0098:  # 1 % more and 1 % less are not quite mirror images
        assert {there.outcome, mirrored.get(back.outcome, back.outcome)} in ({there.outcome}, {Outcome.SAME, Outcome.CANNOT_TELL})


@given(seed=st.integers(0, 200), scale=st.floats(1e-4, 1e4))
def test_a_verdict_does_not_depend_on_the_unit(seed, scale):
    ours, theirs = run(1.02, seed)
    slow = [Latency(tuple(scale * s for s in one.samples_s), one.block_sizes) for one in (ours, theirs)]
    assert verdict(*slow).ratio == pytest.approx(verdict(ours, theirs).ratio, rel=1e-9)


@given(seed=st.integers(0, 300), ratio=st.sampled_from([0.95, 1.0, 1.03]))
def test_the_ratio_lies_in_its_interval(seed, ratio):
    found = verdict(*run(ratio, seed))
    assert found.low <= found.ratio <= found.high


def test_the_interval_covers_the_true_ratio_nineteen_times_in_twenty():
    inside = [(found := verdict(*run(1.03, seed))).low <= 1.03 <= found.high for seed in range(200)]
    assert np.mean(inside) > 0.92


def test_both_size_and_significance_are_needed():
    small = verdict(*run(1.004, 0, simulated_clock.QUIET))
    assert small.p_value < 0.01  # certainly slower
    assert small.outcome is Outcome.SAME  # by less than anybody cares
    assert verdict(*run(1.004, 0, simulated_clock.QUIET), same_within=0.001).outcome is Outcome.SLOWER
    noisy = verdict(*run(1.03, 1, simulated_clock.STORMY, blocks=8))
    assert noisy.outcome is Outcome.CANNOT_TELL  # 3 % would be large enough
    assert "measure more blocks" in noisy.sentence()


def test_too_few_blocks_decide_nothing_and_say_so():
    few = verdict(*run(1.5, 0, simulated_clock.QUIET, blocks=FEWEST_PAIRS - 1))
    assert few.outcome is Outcome.CANNOT_TELL
    assert math.isinf(few.smallest_detectable)
    assert f"measure at least {FEWEST_PAIRS} blocks" in few.sentence()
    assert verdict(*run(1.5, 0, simulated_clock.QUIET, blocks=FEWEST_PAIRS)).outcome is Outcome.SLOWER


@pytest.mark.parametrize("blocks", [1, 2, 3, 40])
def test_how_many_times_as_fast_is_told_with_an_interval_even_by_one_block(blocks):
    told = verdict(*run(0.5, 0, simulated_clock.QUIET, blocks=blocks))
    low, high = told.times_interval
    assert 0 <= low <= told.times <= high
    assert told.times == pytest.approx(1 / told.ratio)
    assert math.isinf(high) == (told.low == 0)


def test_one_block_pair_alone_gives_no_interval():
    found = verdict(Latency((1.0,), (1,)), Latency((2.0,), (1,)))
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.interval == (0.0, math.inf)


def test_identical_samples_are_the_same():
    ours, _ = run(1.0, 0)
    found = verdict(ours, ours)
    assert found.outcome is Outcome.SAME
    assert found.ratio == pytest.approx(1.0)
    assert found.p_value == 1.0


def test_the_smallest_detectable_effect_is_found_about_as_often_as_promised():
    weather = replace(simulated_clock.QUIET, jitter_ratio=0.05)
    told = float(np.median([verdict(*run(1.0, seed, weather)).smallest_detectable for seed in range(60)]))
    found = [verdict(*run(1 + told, seed, weather)).outcome is Outcome.SLOWER for seed in range(60)]
    assert np.mean(found) > 0.85


def test_blocks_that_do_not_pair_are_refused():
    ours, _ = run(1.0, 0, blocks=9)
    theirs, _ = run(1.0, 0, blocks=10)
    with pytest.raises(UsageError, match="9 blocks against 10 do not pair; measure both interleaved"):
        verdict(ours, theirs)


@pytest.mark.parametrize("wrong", [-0.01, 1.0, math.nan])
def test_a_tolerance_that_is_no_ratio_is_refused(wrong):
    with pytest.raises(UsageError, match=r"e\.g\. 0\.01"):
        verdict(*run(1.0, 0), same_within=wrong)


def test_measurements_under_different_conditions_are_not_compared(network, measured, conditions):
    ours = measured(network, network.dense(), 1e-3, blocks=8)
    theirs = measured(network, network.dense(), 1e-3, blocks=8, where=conditions(precision="bf16"))
    with pytest.raises(ConditionsDiffer, match="effective_precision"):
        compare(ours, theirs)
    assert compare(ours, ours).outcome is Outcome.SAME


def test_forty_equal_pairs_at_once_give_no_false_verdict():
    noisy = replace(simulated_clock.SHARED, jitter_ratio=0.2)
    pairs = [run(1.0, seed, noisy, blocks=24) for seed in range(400)]
    alone = sum(verdict(*pair).outcome in (Outcome.FASTER, Outcome.SLOWER) for pair in pairs)
    families = [verdicts(pairs[start : start + 40]) for start in range(0, 400, 40)]
    spoiled = sum(any(v.outcome in (Outcome.FASTER, Outcome.SLOWER) for v in family) for family in families)
    assert spoiled <= 1 <= max(alone, 1)


def test_a_real_slowdown_among_many_equal_pairs_is_still_found():
    pairs = [run(1.05 if seed == 7 else 1.0, seed, blocks=24) for seed in range(20)]
    found = verdicts(pairs)
    assert found[7].outcome is Outcome.SLOWER
    assert all(one.outcome is not Outcome.SLOWER for index, one in enumerate(found) if index != 7)


def test_holms_correction_is_the_published_one():
    """[Holm1979]_: smallest times m, next times m - 1, never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_the_calibration_prints_what_it_found_and_fails_when_a_limit_is_missed(capsys):
    assert main(["--trials", "100", "--blocks", "24", "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("SIMULATED clock")
    assert "100 of 100 slowdowns of 3.0% found" in printed
    assert "s a comparison" in printed
    assert main(["--trials", "10", "--blocks", "6"]) == 1
