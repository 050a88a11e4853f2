"""Latencies of a loud run can be laid beside each other: the blocks of the fast state, for all of them or for none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.latency.verdict.machine_state import comparable, fast_state_ratio, in_fast_state, loud, sentence
from harness.records.measurement import ENOUGH_QUIET, Latency, Occasion

states = st.lists(st.booleans(), min_size=1, max_size=20)


def latency(slow, fast_s=1e-3, canary=True):
    """A block of three samples for every state; slow ones take half as long again."""
    samples = [fast_s * (1.5 if state else 1.0) * (1 + 0.001 * at) for state in slow for at in range(3)]
    occasions = tuple(Occasion(float(at), at // 2, 1.5e-4 if state else 1e-4) for at, state in enumerate(slow)) if canary else ()
    return Latency(tuple(samples), (3,) * len(slow), (0,), tuple(samples), occasions, 1e-4 if canary else None)


@given(states)
def test_what_is_kept_is_what_ran_in_the_fast_state(slow):
    whole, found = latency(slow), in_fast_state(latency(slow))
    assert fast_state_ratio(whole) == slow.count(False) / len(slow)
    if slow.count(False) < ENOUGH_QUIET:
        assert found is None
    else:
        assert found is not None
        assert len(found.block_sizes) == slow.count(False)
        assert max(found.samples_s) < 1.1e-3
        assert found.samples_s == found.cpu_samples_s
        assert found.preempted == (() if slow[0] else (0,))
        assert all(found.quiet)


def test_two_measurements_of_one_network_in_a_loud_run_are_quoted_alike():
    """As one was once: 657.7 and 705.8 µs beside each other."""
    first, second = latency([True, False] * 10), latency([True] * 11 + [False] * 9)
    assert first.median_s != pytest.approx(second.median_s, rel=0.1)
    quoted = comparable([first, second])
    assert quoted is not None
    assert quoted[0].median_s == pytest.approx(quoted[1].median_s)
    assert sentence(first) == "fast state 50 % of the time"


def test_all_of_a_run_are_quoted_in_one_way():
    """What hardly met the fast state leaves none to be quoted by it; what was quiet is quoted as it always was."""
    often, seldom, quiet = latency([True, False] * 10), latency([True] * 18 + [False] * 2), latency([False] * 20)
    assert comparable([often, seldom]) is None
    assert comparable([quiet, quiet]) is None
    assert comparable([often, quiet]) is not None


@given(states)
def test_files_of_before_there_was_a_canary_say_nothing_of_it(slow):
    old = latency(slow, canary=False)
    assert fast_state_ratio(old) is None
    assert not loud(old)
    assert sentence(old) == ""
    assert comparable([old, old]) is None
