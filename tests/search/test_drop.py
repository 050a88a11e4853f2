"""Accuracy lost, with an interval: over images alone, and over seeds too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records.accuracy import Accuracy
from search.drop import drop, drop_over_seeds, mean_accuracy

counts = st.lists(st.integers(800, 1000), min_size=1, max_size=4)


def of(*correct: int) -> list[Accuracy]:
    return [Accuracy(one, 1000) for one in correct]


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_one_seed_each_is_the_plain_difference(ours: int, dense: int) -> None:
    seeds, plain = drop_over_seeds(of(ours), of(dense)), drop(Accuracy(ours, 1000), Accuracy(dense, 1000))
    assert (seeds.points, seeds.low, seeds.high) == pytest.approx((plain.points, plain.low, plain.high))


@given(counts, counts)
def test_the_interval_holds_the_mean_difference_and_turns_with_the_order(ours: list[int], dense: list[int]) -> None:
    found, turned = drop_over_seeds(of(*ours), of(*dense)), drop_over_seeds(of(*dense), of(*ours))
    assert found.points == pytest.approx(sum(dense) / len(dense) / 10 - sum(ours) / len(ours) / 10)
    assert found.low <= found.points <= found.high
    assert turned.points == pytest.approx(-found.points)


def test_seeds_that_differ_widen_the_interval_and_more_of_them_narrow_it() -> None:
    def width(ours: list[Accuracy], dense: list[Accuracy]) -> float:
        found = drop_over_seeds(ours, dense)
        return found.high - found.low

    alike = width(of(950, 950), of(950, 950))
    assert width(of(930, 970), of(950, 950)) > alike
    assert width(of(*[940, 960] * 4), of(*[940, 960] * 4)) < width(of(940, 960), of(940, 960))
    assert alike == pytest.approx(width(of(950), of(950)))  # the same images again are no new images


def test_the_mean_of_several_seeds_counts_each_image_once() -> None:
    assert mean_accuracy(of(950, 960)) == Accuracy(955, 1000)
