"""Every picture's part in a metric: the mean is the metric, the spread is its sampling error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.networks.tasks.sampling import by_leaving_out, interval, of_mean_iou

counts = st.integers(0, 30)


@st.composite
def pixel_counts(draw):
    """Intersections and unions of a few pictures and classes, a union at least as large as its intersection, some class there."""
    pictures, classes = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    inner = np.array(draw(st.lists(st.lists(counts, min_size=classes, max_size=classes), min_size=pictures, max_size=pictures)), float)
    more = np.array(draw(st.lists(st.lists(counts, min_size=classes, max_size=classes), min_size=pictures, max_size=pictures)), float)
    inner[0, 0] += 1
    return inner, inner + more


def mean_iou(inner, outer):
    there = outer.sum(0) > 0
    return (inner.sum(0)[there] / outer.sum(0)[there]).mean()


@given(pixel_counts())
@settings(max_examples=60, deadline=None)
def test_the_mean_of_the_parts_is_the_mean_iou_of_all_pictures(found):
    inner, outer = found
    assert of_mean_iou(inner, outer).mean() == pytest.approx(mean_iou(inner, outer))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40))
@settings(max_examples=40, deadline=None)
def test_leaving_out_of_a_mean_gives_back_what_it_is_the_mean_of(figures):
    values = np.array(figures)
    assert by_leaving_out(lambda rows: float(values[rows].mean()), len(values)) == pytest.approx(values, abs=1e-9)


def test_both_ways_agree_on_a_metric_that_is_no_mean():
    draws = np.random.default_rng(1)
    outer = draws.integers(20, 60, (60, 3)).astype(float)
    inner = np.floor(outer * draws.uniform(0.5, 1, (60, 3)))
    exact, left_out = of_mean_iou(inner, outer), by_leaving_out(lambda rows: mean_iou(inner[rows], outer[rows]), 60)
    assert left_out.mean() == pytest.approx(exact.mean())
    assert np.abs(left_out - exact).max() < 0.03 * exact.std()


def test_the_interval_is_that_of_resampling_whole_pictures():
    draws = np.random.default_rng(2)
    outer = draws.integers(20, 60, (80, 3)).astype(float)
    inner = np.floor(outer * draws.uniform(0.4, 1, (80, 3)))
    low, high = interval(of_mean_iou(inner, outer))
    again = [mean_iou(inner[rows], outer[rows]) for rows in draws.integers(80, size=(2000, 80))]
    wanted = np.quantile(again, (0.025, 0.975))
    assert (low, high) == pytest.approx(tuple(wanted), abs=0.1 * (wanted[1] - wanted[0]))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    draws, held = np.random.default_rng(3), 0
    for trial in range(200):
        low, high = interval(draws.exponential(1.0, 60), seed=trial)
        held += low <= 1.0 <= high
    assert 0.88 <= held / 200 <= 0.99  # skewed, of which percentiles are known to fall short a little


def test_groups_of_pictures_share_their_part_where_they_are_many():
    values = np.random.default_rng(4).normal(size=900)
    asked = []

    def mean(rows):
        asked.append(len(rows))
        return float(values[rows].mean())

    found = by_leaving_out(mean, len(values))
    assert len(asked) == 401
    assert found.mean() == pytest.approx(values.mean())
    assert found.std() * 30 == pytest.approx(values.std() * 30, rel=0.4)  # as noisy a mean, told by fewer


def test_a_metric_that_is_no_number_is_refused():
    with pytest.raises(UsageError, match="metric of 3 pictures is nan; give a metric that is a number"):
        by_leaving_out(lambda rows: float("nan"), 3)
    with pytest.raises(UsageError, match="no pixel of any class"):
        of_mean_iou(np.zeros((2, 3)), np.zeros((2, 3)))
