"""Accuracy lost, with an interval: over images alone, and over seeds too."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.records.accuracy import Accuracy
from search.records.losses.drop import Paired, drop, drop_over_seeds, mean_accuracy

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


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1), st.floats(0.5, 1.0))
def test_images_that_both_got_right_narrow_the_interval(our_seeds: int, dense_seeds: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    easy = rng.random(1000) < share
    ours, dense = (easy ^ (rng.random((count, 1000)) < 0.03) for count in (our_seeds, dense_seeds))
    paired = Paired.of(ours, dense)
    accuracies = [[Accuracy(int(one.sum()), 1000) for one in some] for some in (ours, dense)]
    found, apart = drop_over_seeds(*accuracies, paired), drop_over_seeds(*accuracies)
    assert found.points == pytest.approx(apart.points) == pytest.approx(100 * paired.total / 1000)
    assert found.low < found.points < found.high
    if 0.6 < share < 0.9:
        assert found.high - found.low < apart.high - apart.low
    turned = drop_over_seeds(accuracies[1], accuracies[0], Paired.of(dense, ours))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_paired_interval_covers_what_it_promises() -> None:
    """Of repeated draws of images, 95 in 100 intervals hold the true loss; 500 draws leave room for two deviations."""
    rng, held, true = np.random.default_rng(0), 0, 0.01
    for _ in range(500):
        kind = rng.choice(4, size=400, p=(0.9, 0.03, 0.02, 0.05))  # both right, dense alone, ours alone, both wrong
        dense, ours = (kind <= 1)[None], ((kind == 0) | (kind == 2))[None]
        margin = Paired.of(ours, dense).margin_points
        held += abs(100 * (float(dense.mean()) - float(ours.mean())) - 100 * true) <= margin
    assert 0.93 <= held / 500 <= 0.98


def parts(seed: int, pictures: int = 50, spread: float = 0.05) -> np.ndarray:
    """Pictures' parts in a metric that is no count."""
    return np.random.default_rng(seed).normal(0.7, spread, pictures)


def test_a_loss_of_parts_of_a_metric_has_students_interval():
    dense, ours = parts(0), parts(0) - 0.01 + parts(1, spread=0.02) - 0.7
    found = Paired.of(ours[None], dense[None])
    lost = dense - ours
    assert not found.counted
    assert found.drop.points == pytest.approx(100 * lost.mean())
    assert found.margin_points == pytest.approx(100 * stats.t.ppf(0.975, 49) * lost.std(ddof=1) / math.sqrt(50), rel=0.01)


def test_parts_of_a_metric_are_told_far_closer_than_answers_that_are_right_or_wrong():
    lost = parts(2, spread=0.02) - 0.7
    fine = Paired.of((0.7 - lost)[None], np.full((1, 50), 0.7))
    coarse = Paired(fine.total, fine.squares, fine.images)
    assert fine.margin_points < 0.5 * coarse.margin_points


def test_networks_that_never_differ_may_yet_on_other_pictures():
    same = parts(3)[None]
    assert 0 < Paired.of(same, same).margin_points < 0.1


def test_means_over_seeds_stay_means_over_pictures():
    seeds = [Accuracy(0, 40, mean, mean - 0.02, mean + 0.02) for mean in (0.5, 0.6)]
    found = mean_accuracy(seeds)
    assert (found.top1_ratio, found.total, found.is_counted) == (pytest.approx(0.55), 40, False)
    assert drop(seeds[0], seeds[1]).points == pytest.approx(10.0)
    assert drop(seeds[1], seeds[0]).points == pytest.approx(-10.0)
