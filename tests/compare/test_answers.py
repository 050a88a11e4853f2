"""Accuracy on a device against limits: guessing fails, a drop fails, and few pictures cannot tell."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.compare import answers
from harness.compare.limits import Limits
from harness.latency.verdict.finding import Kept
from harness.records.accuracy import Accuracy, DeviceAccuracy

DENSE = DeviceAccuracy("d" * 64, "tiny", "cpu", "f32", "digits", "e" * 16, "test", Accuracy(351, 360), Accuracy(351, 360), 1.0, 1e-6)


def answered(correct, host=351, alike=None, total=360):
    agreement = 1 - abs(host - correct) / total if alike is None else alike
    return replace(DENSE, on_device=Accuracy(correct, total), on_host=Accuracy(host, total), agreement_ratio=agreement)


def kept(judged, **absolute):
    return [one.kept for one in answers.bounds(judged, 10, Limits(absolute=tuple(absolute.items())))]


def test_a_network_that_answers_as_a_guess_does_fails_unasked() -> None:
    assert kept(answered(35, host=35)) == [Kept.MISSED, Kept.MET]  # 9.72 %, as a masked one did
    assert kept(answered(40, host=40))[0] is Kept.MISSED  # 11.1 %, which a guess reaches
    assert kept(DENSE) == [Kept.MET, Kept.MET]


def test_a_device_that_loses_fourteen_points_fails_unasked() -> None:
    assert kept(answered(300)) == [Kept.MET, Kept.MISSED]
    assert kept(answered(300), top1_drop_points=20)[1] is Kept.MET


def test_few_pictures_cannot_tell_and_say_what_would_show() -> None:
    floor, drop = answers.bounds(answered(348, alike=0.98), 10, Limits(absolute=(("top1_percent", 97.0),)))
    assert (floor.kept, drop.kept) == (Kept.CANNOT_TELL, Kept.CANNOT_TELL)
    assert "points beyond it would show" in drop.sentence()


def test_without_the_hosts_answers_the_drop_is_unknown() -> None:
    alone = replace(DENSE, on_host=None, agreement_ratio=None, largest_difference=None)
    assert kept(alone) == [Kept.MET, Kept.CANNOT_TELL]
    assert len(answers.bounds(alone, None, Limits())) == 1  # of unknown classes chance is unknown, too


def test_an_earlier_answer_to_the_same_pictures_is_compared_with() -> None:
    (found,) = answers.since(answered(300, host=300), [replace(DENSE, device="ncs2"), DENSE], Limits())
    assert found.kept is Kept.MISSED
    assert answers.since(DENSE, [replace(DENSE, dataset_digest="f" * 16)], Limits()) == ()
    (same,) = answers.since(DENSE, [DENSE], Limits())
    assert same.kept is Kept.CANNOT_TELL  # 360 pictures do not show a point


@given(st.integers(-30, 30), st.integers(0, 100), st.integers(200, 2000))
def test_more_different_answers_widen_the_drop_and_swapping_turns_it_over(lost: int, more: int, total: int) -> None:
    figure, low, high = answers.matched_drop(lost, abs(lost), total)
    _, wider_low, wider_high = answers.matched_drop(lost, abs(lost) + more, total)
    assert wider_low <= low <= figure <= high <= wider_high
    back = answers.matched_drop(-lost, abs(lost), total)
    assert back == pytest.approx((-figure, -high, -low))


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_drop_between_runs_holds_its_figure_and_turns_over(before: int, now: int) -> None:
    figure, low, high = answers.unmatched_drop(Accuracy(before, 500), Accuracy(now, 500))
    assert low <= figure <= high
    assert answers.unmatched_drop(Accuracy(now, 500), Accuracy(before, 500)) == pytest.approx((-figure, -high, -low))
