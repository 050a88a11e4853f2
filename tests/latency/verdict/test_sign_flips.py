"""The test and the interval behind the verdict, against counting by hand and against known laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.latency.verdict.sign_flips import location, two_sided_p

differences = st.lists(st.floats(-1, 1).filter(lambda d: abs(d) > 1e-6), min_size=2, max_size=9).map(np.array)


@given(differences)
def test_the_chance_is_that_of_counting_all_signs(d):
    size = np.abs(d)
    unit = 1.5 * np.median(size)
    weighted = np.minimum(size, unit) * np.clip(2 - size / unit, 0, 1)
    observed = abs(np.sum(np.sign(d) * weighted))
    sums = [abs(np.dot(signs, weighted)) for signs in itertools.product((-1, 1), repeat=len(d))]
    assert two_sided_p(d) == pytest.approx(np.mean([s >= observed - 1e-9 * weighted.sum() for s in sums]))


@given(differences)
def test_the_chance_ignores_the_sign_and_the_unit(d):
    assert two_sided_p(-d) == two_sided_p(d)
    assert two_sided_p(1000 * d) == two_sided_p(d)


def test_equal_signs_are_as_rare_as_coins():
    assert two_sided_p(np.full(8, 0.02)) == 2 / 2**8
    assert two_sided_p(np.zeros(8)) == 1.0


@pytest.mark.parametrize("count", [8, 12, 20])
def test_under_the_null_small_chances_are_as_rare_as_they_say(count):
    rng = np.random.default_rng(count)
    drawn = np.array([two_sided_p(rng.standard_t(2, count)) for _ in range(1500)])
    assert np.mean(drawn <= 0.05) <= 0.05 + 0.015
    assert np.mean(drawn <= 0.01) <= 0.01 + 0.008


def test_more_differences_than_are_counted_exactly_agree_with_the_exact_count():
    rng = np.random.default_rng(1)
    d = rng.standard_normal(14) + 0.4
    exact = two_sided_p(d)
    sampled = two_sided_p(np.concatenate([d, [50.0]]))  # a fifteenth, far out, has no weight
    assert sampled == pytest.approx(exact, abs=0.02)


@given(differences, st.floats(-5, 5))
def test_the_location_moves_with_the_differences(d, shift):
    there, here = location(d + shift, 2.2), location(d, 2.2)
    grid = np.ptp(d) / 300 + 1e-9
    assert there.estimate == pytest.approx(here.estimate + shift, abs=grid)
    assert there.low <= there.estimate <= there.high


def test_a_block_hit_on_one_side_moves_the_location_hardly():
    rng = np.random.default_rng(0)
    clean = 0.03 + 0.002 * rng.standard_normal(20)
    hit = clean.copy()
    hit[:4] += 0.3
    assert location(hit, 2.2).estimate == pytest.approx(location(clean, 2.2).estimate, abs=0.002)
    assert two_sided_p(hit) < 0.001


def test_all_equal_differences_are_their_own_interval():
    found = location(np.full(9, 0.5), 2.2)
    assert (found.low, found.estimate, found.high) == (0.5, 0.5, 0.5)
