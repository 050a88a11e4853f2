"""Blocks that share a load or a moment do not count as if they were independent; slow states do not count as the networks' own."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.latency.verdict.independence import FLIPPED_LOADS, judge, student_p
from harness.latency.verdict.judgement import Outcome, verdict
from harness.latency.verdict.pairs import Pairs, pairs_of
from harness.records.measurement import Latency, Occasion

DIFFERENT = (Outcome.FASTER, Outcome.SLOWER)
CANARY_S = 0.5e-3


def latency(levels, loads=None, canaries=None, seed=0):
    """One block of five samples for every level; loads and canaries, in seconds, of every block."""
    rng = np.random.default_rng(seed)
    samples = np.repeat(levels, 5) * np.exp(0.0005 * rng.standard_normal(5 * len(levels)))
    occasions = ()
    if loads is not None:
        beside = [CANARY_S] * len(levels) if canaries is None else canaries
        occasions = tuple(Occasion(0.1 * at, int(load), canary) for at, (load, canary) in enumerate(zip(loads, beside, strict=True)))
    return Latency(tuple(samples.tolist()), (5,) * len(levels), occasions=occasions, canary_quiet_s=CANARY_S if occasions else None)


def loaded(seed, loads, each, spread, ratio=1.0, noise=0.004):
    """Two networks of true ratio ``ratio``, each of whose loads is quicker or slower by ``spread``."""
    rng = np.random.default_rng([seed, loads, each])
    names = np.repeat(np.arange(loads), each)
    sides = []
    for true in (ratio, 1.0):
        levels = true * 1e-3 * np.exp(np.repeat(spread * rng.standard_normal(loads), each) + noise * rng.standard_normal(loads * each))
        sides.append(latency(levels, names, seed=seed))
    return tuple(sides)


def rebuilt(one, order=None, rename=None, copies=1, scale=1.0):
    """The same blocks in another order, with other names of loads, several times over, or in another unit."""
    blocks = np.array(one.samples_s).reshape(len(one.block_sizes), -1)
    chosen = np.repeat(np.arange(len(blocks)) if order is None else order, copies)
    occasions = tuple(
        Occasion(0.1 * at, one.occasions[old].load if rename is None else rename[one.occasions[old].load], one.occasions[old].canary_s)
        for at, old in enumerate(chosen)
        if one.occasions
    )
    samples = tuple((scale * blocks[chosen]).ravel().tolist())
    return Latency(samples, (blocks.shape[1],) * len(chosen), occasions=occasions, canary_quiet_s=one.canary_quiet_s)


@pytest.mark.parametrize(("loads", "each"), [(20, 2), (8, 5), (5, 8), (13, 3)])
def test_loads_of_one_network_that_differ_by_a_percent_are_no_difference_of_networks(loads, each):
    found = [verdict(*loaded(seed, loads, each, 0.01)).outcome for seed in range(300)]
    assert sum(outcome in DIFFERENT for outcome in found) <= 3 + 2  # 1 in 100, and what 300 scatter around it


@pytest.mark.parametrize("loads", [2, 3, 4])
def test_two_to_four_loads_that_differ_more_than_their_pairs_decide_nothing(loads):
    found = [verdict(*loaded(seed, loads, 12, 0.01, noise=0.001)).outcome for seed in range(150)]
    assert sum(outcome in DIFFERENT for outcome in found) <= 4


def test_a_slowdown_of_three_percent_is_found_through_loads_that_differ_by_a_percent():
    found = [verdict(*loaded(seed, 20, 2, 0.01, ratio=1.03)).outcome for seed in range(200)]
    assert found.count(Outcome.SLOWER) >= 190


@pytest.mark.parametrize(("lasting", "most"), [(4, 0.02), (8, 0.03)])
def test_differences_that_last_for_several_pairs_are_no_difference_of_networks(lasting, most):
    """Without any word about loads: by time alone."""
    false = 0
    for seed in range(300):
        rng = np.random.default_rng([seed, lasting])
        levels = np.exp(np.repeat(0.02 * rng.standard_normal(80 // lasting), lasting) + 0.003 * rng.standard_normal(80))
        false += verdict(latency(1e-3 * levels), latency(np.full(80, 1e-3))).outcome in DIFFERENT
    assert false <= most * 300


@given(seed=st.integers(0, 400), ratio=st.sampled_from([1.0, 1.02, 1.05]), copies=st.sampled_from([2, 4]))
@settings(deadline=None)
def test_copies_of_blocks_make_no_verdict_surer(seed, ratio, copies):
    ours, theirs = loaded(seed, 14, 2, 0.004, ratio)
    once, again = verdict(ours, theirs), verdict(rebuilt(ours, copies=copies), rebuilt(theirs, copies=copies))
    assert again.p_value == pytest.approx(once.p_value)
    assert again.outcome is once.outcome
    assert again.interval == pytest.approx(once.interval, rel=1e-3)


def test_copies_of_blocks_are_mostly_told_to_be_worth_no_more():
    """The two pairs of a load may by chance differ more than strangers do, and copies of them then look like news."""
    told = [verdict(*(rebuilt(one, copies=2) for one in loaded(seed, 14, 2, 0.004, 1.0))).effective_pairs for seed in range(100)]
    assert float(np.median(told)) <= 1.1 * 28
    assert float(np.mean([one > 1.6 * 28 for one in told])) <= 0.1


def test_copies_of_blocks_are_known_by_time_alone_where_loads_are_not_told():
    surer = 0
    for seed in range(200):
        ours, theirs = (Latency(one.samples_s, one.block_sizes) for one in loaded(seed, 40, 1, 0.0, 1.004))
        surer += verdict(rebuilt(ours, copies=2), rebuilt(theirs, copies=2)).p_value < 0.9 * verdict(ours, theirs).p_value
    assert surer <= 10


@given(seed=st.integers(0, 400), ratio=st.sampled_from([0.96, 1.0, 1.03]), loads=st.sampled_from([6, 14]))
def test_exchanging_the_two_mirrors_the_verdict_of_loads_too(seed, ratio, loads):
    ours, theirs = loaded(seed, loads, 3, 0.01, ratio)
    there, back = verdict(ours, theirs), verdict(theirs, ours)
    assert there.ratio == pytest.approx(1 / back.ratio, rel=1e-9)
    assert there.interval == pytest.approx((1 / back.high, 1 / back.low), rel=1e-9)
    assert (there.p_value, there.effective_pairs) == pytest.approx((back.p_value, back.effective_pairs))


@given(seed=st.integers(0, 400), scale=st.floats(1e-3, 1e3))
def test_both_in_another_unit_are_judged_alike(seed, scale):
    pair = loaded(seed, 14, 2, 0.01, 1.02)
    once, again = verdict(*pair), verdict(*(rebuilt(one, scale=scale) for one in pair))
    assert again.outcome is once.outcome
    assert (again.ratio, again.p_value, again.effective_pairs) == pytest.approx((once.ratio, once.p_value, once.effective_pairs), rel=1e-6)


@given(seed=st.integers(0, 400), loads=st.sampled_from([4, 8, 14]), data=st.data())
def test_what_loads_are_called_changes_nothing(seed, loads, data):
    names = data.draw(st.permutations(range(100, 100 + loads)))
    pair = loaded(seed, loads, 3, 0.01, 1.02)
    assert verdict(*(rebuilt(one, rename=names) for one in pair)) == verdict(*pair)


def test_independent_pairs_count_in_full_and_those_of_a_load_do_not():
    alone = np.mean([verdict(*loaded(seed, 20, 2, 0.0)).effective_pairs for seed in range(40)])
    shared = np.mean([verdict(*loaded(seed, 20, 2, 0.02, noise=0.002)).effective_pairs for seed in range(40)])
    assert alone > 33
    assert 19 < shared < 24
    assert "40 block pairs worth 2" in verdict(*loaded(3, 20, 2, 0.02, noise=0.002)).sentence()


def in_states(slow, slow_ratio, ours_there, pairs=40):
    """A network 3 % slower than the other in the fast state and ``ours_there`` times as slow in slow states; ``slow``: of every block."""
    states = np.array(slow)
    canaries = np.where(states, slow_ratio, 1.0) * CANARY_S
    loads = np.arange(pairs) // 2
    sides = []
    for fast, there in ((1.03, ours_there), (1.0, 1.0)):
        sides.append(latency(1e-3 * np.where(states, slow_ratio * there, fast), loads, canaries, seed=len(sides)))
    return tuple(sides)


def test_the_fast_state_decides_where_it_was_met():
    found = verdict(*in_states([at % 4 != 0 for at in range(40)], 1.5, 1.0))
    assert found.outcome is Outcome.SLOWER
    assert found.ratio == pytest.approx(1.03, abs=0.003)
    assert found.effective_pairs <= 10


def test_slow_states_alone_do_not_prove_two_networks_the_same():
    """Which one bears a neighbour better is not which one is faster."""
    found = verdict(*in_states([at > 3 for at in range(40)], 1.5, 1.0))
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.slow
    assert "hardly ever in its fast state" in found.sentence()


def test_pairs_that_a_change_of_state_parts_tell_nothing():
    """Of 40 pairs, four met the fast state and six were parted, always to the harm of the same network."""
    slow_ours = np.array([at < 36 for at in range(40)])
    slow_theirs = np.array([at < 30 for at in range(40)])
    loads, sides = np.arange(40) // 2, []
    for states in (slow_ours, slow_theirs):
        sides.append(latency(1e-3 * np.where(states, 1.5, 1.0), loads, np.where(states, 1.5, 1.0) * CANARY_S, seed=len(sides)))
    assert len(pairs_of(*sides).log_ratios) == 34
    assert verdict(*sides).outcome not in DIFFERENT


@given(t=st.floats(-60, 60), freedom=st.integers(1, 40))
def test_students_chance_is_the_tabled_one(t, freedom):
    assert student_p(t, freedom) == pytest.approx(2 * scipy.stats.t.sf(abs(t), freedom), abs=1e-9)


def test_with_few_loads_their_means_are_tested_and_with_many_their_signs_are_flipped():
    few = np.repeat([0.030, 0.031, 0.029, 0.030, 0.031, 0.030], 4) + np.tile([0.001, -0.001, 0.0, 0.0], 6)
    found = judge(Pairs(few, np.repeat(np.arange(6), 4), 24, False), 2.2)
    assert found.p_value < 1e-4  # six signs alone would be as rare as 2 in 64
    many = judge(Pairs(np.full(FLIPPED_LOADS, 0.02), np.arange(FLIPPED_LOADS), FLIPPED_LOADS, False), 2.2)
    assert many.p_value == 2 / 2**FLIPPED_LOADS
