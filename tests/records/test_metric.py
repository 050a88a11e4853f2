"""A metric inside is a ratio of which more is better, a hundredth of it a unit; outside it is what its people call it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.records.metric import TOP_1, Metric

figures, units = st.floats(-1e4, 1e4), st.floats(1e-3, 1e3)


@given(figures, units, st.booleans())
def test_a_figure_comes_back(figure, per_unit, higher):
    metric = Metric("error", "px", per_unit, higher)
    assert metric.figure(metric.ratio(figure)) == pytest.approx(figure, rel=1e-9, abs=1e-9)


@given(figures, figures, units, st.booleans())
def test_a_loss_in_units_is_what_got_worse(before, after, per_unit, higher):
    metric = Metric("error", "px", per_unit, higher)
    worse = (before - after if higher else after - before) / per_unit
    assert 100 * (metric.ratio(before) - metric.ratio(after)) == pytest.approx(worse, rel=1e-6, abs=1e-6)


@given(st.text())
def test_nothing_is_worded_anew_for_top_1(text):
    assert TOP_1.worded(text) == text


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (Metric("mIoU"), "a mIoU of 3 points, 1 point; pointers stay"),
        (Metric("error", "px", 1.0, False), "a error of 3 px, 1 px; pointers stay"),
        (Metric("depth", "metres", 1.0), "a depth of 3 metres, 1 metre; pointers stay"),
    ],
    ids=["share", "short", "plural"],
)
def test_words_follow_the_metric(metric, told):
    assert metric.worded("a top-1 of 3 points, 1 point; pointers stay") == told


def test_shares_are_told_in_per_cent_and_others_as_they_are():
    assert TOP_1.told(0.98765) == "98.77%"
    assert Metric("mIoU").between(0.5, 0.25) == "25.0–50.0 %"
    error = Metric("error", "px", 0.5, better_is_higher=False)
    assert error.told(error.ratio(3.25)) == "3.25"
    assert error.between(error.ratio(4.0), error.ratio(3.0)) == "3–4"


@pytest.mark.parametrize("bad", [{"per_unit": 0.0}, {"per_unit": float("nan")}, {"name": " "}, {"unit": ""}])
def test_what_cannot_be_counted_is_refused(bad):
    with pytest.raises(RecordError, match="give it a name and a unit above 0"):
        Metric(**bad)
