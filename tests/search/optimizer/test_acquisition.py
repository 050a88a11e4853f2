"""The acquisition against its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from search.optimizer.acquisition import (
    LEAP,
    LEAST_LEAP,
    feasibility,
    incumbent_drop,
    incumbent_latency,
    known_cost_improvement,
    known_improvement,
    leap_after,
)

MEAN, DEVIATION = np.array([0.4, 1.2, 0.9]), np.array([0.2, 0.5, 0.1])
LATENCY = np.array([0.5, 0.4, 0.8])


def test_improvement_is_latency_saved_times_probability() -> None:
    found = known_improvement(MEAN, DEVIATION, LATENCY, 1.0, 0.7)
    for place in (0, 1):
        chance = norm.cdf((1.0 - MEAN[place]) / DEVIATION[place])
        assert math.exp(found[place]) == pytest.approx((0.7 - LATENCY[place]) * chance, rel=1e-6)


def test_caution_prefers_what_is_sure() -> None:
    """A large saving at a chance of 0.34 against a small one at 0.999."""
    latency = np.array([0.6, 0.2, 0.9])
    plain, cautious = (known_improvement(MEAN, DEVIATION, latency, 1.0, 0.7, caution) for caution in (1.0, 4.0))
    assert plain.argmax() == 1
    assert cautious.argmax() == 0


def test_without_an_incumbent_only_feasibility_counts() -> None:
    assert (known_improvement(MEAN, DEVIATION, LATENCY, 1.0, None) == feasibility(MEAN, DEVIATION, 1.0)).all()


@given(st.floats(-20, 20), st.floats(1e-6, 10), st.floats(0.0, 2.0), st.floats(0.71, 2.0))
def test_what_saves_nothing_stays_below_what_saves(mean: float, deviation: float, saving: float, worse: float) -> None:
    values = known_improvement(np.array([0.9, mean]), np.array([0.3, deviation]), np.array([0.69, worse]), 1.0, 0.7)
    assert values[1] < values[0]


def test_a_slim_chance_to_save_beats_the_certainty_of_saving_nothing() -> None:
    values = known_improvement(np.array([4.5, 0.0]), np.array([0.5, 0.1]), np.array([0.6, 0.7]), 1.0, 0.7)
    assert values[0] > values[1]


def test_a_hopeless_drop_keeps_its_order() -> None:
    """Probabilities far below the smallest float still rank, so that the search has a slope to follow."""
    values = known_improvement(np.array([30.0, 40.0, 50.0]), np.full(3, 0.5), np.full(3, 0.3), 1.0, 0.7)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


def test_the_incumbent_is_feasible_with_some_certainty() -> None:
    """Chances at a limit of 1 point: 0.999, 0.34 and 0.84."""
    assert incumbent_latency(MEAN, DEVIATION, LATENCY, 1.0, 0.8) == 0.5
    assert incumbent_latency(MEAN, DEVIATION, LATENCY, 1.0, 0.3) == 0.4
    assert incumbent_latency(MEAN, DEVIATION, LATENCY, 0.1, 0.8) is None
    assert incumbent_drop(MEAN, LATENCY, 0.6) == 0.4
    assert incumbent_drop(MEAN, LATENCY, 0.1) is None


def test_within_a_latency_the_drop_improves_as_expected() -> None:
    """Expected improvement of a normal variable below ``best``, [Jones1998] eq. 15, by simulation."""
    draws = np.random.default_rng(0).normal(MEAN[0], DEVIATION[0], 400_000)
    expected = np.maximum(0.5 - draws, 0).mean()
    found = known_cost_improvement(MEAN, DEVIATION, LATENCY, 0.6, 0.5)
    assert math.exp(found[0]) == pytest.approx(expected, rel=0.01)
    assert found[2] < -900  # slower than the limit


def test_hopeless_improvements_of_the_drop_keep_their_order() -> None:
    values = known_cost_improvement(np.array([1.0, 2.0, 4.0, 8.0, 30.0]), np.full(5, 0.2), np.full(5, 0.5), 0.6, 0.5)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()


def test_without_a_fast_enough_configuration_faster_is_better() -> None:
    values = known_cost_improvement(MEAN, DEVIATION, np.array([0.9, 0.8, 0.7]), 0.5, None)
    assert (np.diff(values) > 0).all()


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 1.0)), max_size=30))
def test_a_leap_is_halved_by_every_attempt_that_fails_and_doubled_by_every_other(tried: list[tuple[bool, float]]) -> None:
    within, latency = np.array([kept for kept, _ in tried], dtype=bool), np.array([ratio for _, ratio in tried])
    leap, best = leap_after(within, latency), latency[within].min(initial=np.inf)
    assert LEAST_LEAP <= leap <= LEAP
    further = (0.5 * best if np.isfinite(best) else 1.0) * np.ones(1)
    failed, kept = (leap_after(np.append(within, [now]), np.append(latency, further)) for now in (False, True))
    assert kept == min(LEAP, 2 * leap)
    assert failed == (max(leap / 2, LEAST_LEAP) if np.isfinite(best) else leap), "without anything that holds there is no failure"
    slower = leap_after(np.append(within, [False]), np.append(latency, [2.0]))
    assert slower == leap, "what is slower than the best is no attempt"


def test_beyond_the_leap_nothing_is_worth_as_much_as_at_its_end() -> None:
    latency = np.linspace(0.05, 0.6, 56)
    certain = known_improvement(np.zeros(56), np.full(56, 0.1), latency, 1.0, 0.6, leap=0.5)
    assert latency[certain.argmax()] == pytest.approx(0.3)
    assert latency[known_improvement(np.zeros(56), np.full(56, 0.1), latency, 1.0, 0.6).argmax()] == pytest.approx(0.05)
