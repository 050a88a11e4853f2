"""Change points are those of the published statistic: found where one was planted, seldom where none was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.latency.verdict.change_points import LEAST_STRETCH, changes, divergence


@given(st.lists(st.floats(0.1, 10), min_size=6, max_size=12))
def test_the_divergence_is_the_papers(values: list[float]) -> None:
    """[Matteson2014] eq. 5, written out: 2/(mn) sum |x - y| - mean |x - x'| - mean |y - y'|, scaled by mn/(m + n)."""
    series = np.array(values)
    found = divergence(np.abs(series[:, None] - series[None, :]))
    for number, place in enumerate(range(LEAST_STRETCH, len(series) - LEAST_STRETCH + 1)):
        left, right = series[:place], series[place:]
        across = np.mean([abs(one - other) for one in left for other in right])
        within = [np.mean([abs(one - part[j]) for i, one in enumerate(part) for j in range(len(part)) if i != j]) for part in (left, right)]
        assert found[number] == pytest.approx(len(left) * len(right) / len(series) * (2 * across - sum(within)), abs=1e-9)


@pytest.mark.parametrize("place", [5, 20, 35])
def test_a_planted_change_is_found_where_it_is(place: int) -> None:
    noise = np.random.default_rng(place).normal(0, 0.01, 40)
    assert changes(list(np.exp(noise + 0.05 * (np.arange(40) >= place)))) == (place,)


def test_two_changes_are_both_found() -> None:
    levels = np.repeat([1.0, 1.2, 1.0], 15)
    assert changes(list(levels * np.exp(np.random.default_rng(1).normal(0, 0.01, 45)))) == (15, 30)


@pytest.mark.parametrize("place", [20, 290, 440, 455, 690])
def test_a_series_of_years_is_looked_at_whole(place: int) -> None:
    noise = np.random.default_rng(place).normal(0, 0.01, 700)
    assert changes(list(np.exp(noise + 0.1 * (np.arange(700) >= place)))) == (place,)


def test_noise_alone_seldom_looks_like_a_change() -> None:
    """The test is at 1 in 100; of 60 series of 30 runs, more than four by chance come once in some 2,000 times."""
    false = sum(bool(changes(list(np.exp(np.random.default_rng(seed).normal(0, 0.02, 30))))) for seed in range(60))
    assert false <= 4


@given(st.floats(0.1, 10), st.integers(0, 30))
def test_a_series_that_never_moves_has_no_change(value: float, count: int) -> None:
    assert changes([value] * count) == ()


def test_too_few_runs_decide_nothing() -> None:
    assert changes([1.0, 1.0, 2.0, 2.0, 2.0]) == ()
