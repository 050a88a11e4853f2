"""How sure a drop is: relations between pictures, losses, limits and luck."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binom

from harness.records.accuracy import Accuracy
from search.records.losses.certainty import USUAL_GAIN_POINTS, Evidence, between, largest_total, normal_chance, with_folds
from search.records.losses.drop import Paired

few = st.integers(0, 12)


def paired(lost: int, won: int, pictures: int = 280) -> Paired:
    return Paired(float(lost - won), float(lost + won), pictures)


def chance(lost: int, won: int, pictures: int = 280, limit: float = 1.0) -> float:
    return Evidence(paired(lost, won, pictures)).chance_within(limit)


def test_it_is_the_posterior_of_the_shares_where_gains_are_unlikely() -> None:
    shares = np.random.default_rng(0).dirichlet([4.0, 3.0, 276.0], 400_000)
    drops = 100 * (shares[:, 0] - shares[:, 1])
    weights = np.exp(-0.5 * (np.minimum(drops, 0.0) / USUAL_GAIN_POINTS) ** 2)
    assert chance(3, 2) == pytest.approx(weights[drops <= 1.0].sum() / weights.sum(), abs=0.005)
    assert Evidence(paired(3, 2)).drop.points == pytest.approx((weights * drops).sum() / weights.sum(), abs=0.02)


@given(few, few, st.floats(-2, 3), st.floats(0, 2))
def test_more_lost_is_less_sure_and_a_looser_limit_surer(lost: int, won: int, limit: float, looser: float) -> None:
    assert chance(lost + 1, won, limit=limit) <= chance(lost, won, limit=limit) + 1e-5
    assert chance(lost, won + 1, limit=limit) >= chance(lost, won, limit=limit) - 1e-5
    assert chance(lost, won, limit=limit + looser) >= chance(lost, won, limit=limit) - 1e-5


@given(st.integers(1, 60), st.integers(100, 2000))
@example(won=53, pictures=100)
def test_luck_that_all_share_is_not_believed(won: int, pictures: int) -> None:
    """No pruned network is expected to beat the dense one by as much as it was seen to, and more pictures make it more likely."""
    known, more = Evidence(paired(0, won, pictures)), Evidence(paired(0, 4 * won, 4 * pictures))
    assert known.seen_points <= more.drop.points + 0.02
    assert more.drop.points <= known.drop.points + 0.05
    assert known.chance_within(1.0) > 0.5


@given(few, few, st.floats(0, 1.5), st.floats(0, 2))
def test_no_pictures_that_differ_are_no_certainty(lost: int, won: int, curse: float, limit: float) -> None:
    known = Evidence(paired(lost, won), curse_points=curse)
    assert known.drop.low < known.drop.points < known.drop.high
    assert 0.0 < known.chance_within(limit) < 1.0
    assert known.chance_within(limit) <= Evidence(paired(lost, won)).chance_within(limit) + 1e-9, "luck makes nothing surer"


def test_more_pictures_without_a_difference_are_surer() -> None:
    chances = [chance(0, 0, pictures, 0.3) for pictures in (50, 280, 1000, 5000)]
    assert chances == sorted(chances)
    assert chances[0] < 0.9 < chances[-1]


@pytest.mark.parametrize("share", [0.001, 0.003, 0.01, 0.03])
def test_what_is_called_certain_holds_as_often_at_the_limit_itself(share: float) -> None:
    """Of networks that lose exactly the limit, at most one in ten is called within it with 0.9: counted over all outcomes."""
    pictures, limit = 280, 1.0
    lost, won = np.arange(31), np.arange(21)
    likely = binom.pmf(lost, pictures, share + limit / 100)[:, None] * binom.pmf(won, pictures, share)[None]
    called = np.array([[chance(int(one), int(other), pictures, limit) >= 0.9 for other in won] for one in lost])
    assert (likely * called).sum() < 0.101


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_seeds_that_lose_fractions_of_pictures_are_no_less_sure_of_their_mean(seeds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense, ours = rng.random((1, 280)) < 0.97, rng.random((seeds, 280)) < 0.96
    known = Evidence(Paired.of(ours, dense))
    assert known.chance_within(known.quantile(0.5)) == pytest.approx(0.5, abs=0.01)
    assert known.drop.low < known.drop.points < known.drop.high
    assert seeds == 1 or known.judged.squares < Evidence(Paired.of(ours[:1], dense)).judged.squares + 5, "what only one seed lost is luck"


def test_seeds_that_disagree_are_less_sure_than_their_mean_alone() -> None:
    alike = Evidence.of([Accuracy(270, 280)] * 2, [Accuracy(270, 280)] * 2, paired(2, 2))
    apart = Evidence.of([Accuracy(266, 280), Accuracy(274, 280)], [Accuracy(270, 280)] * 2, paired(2, 2))
    assert alike.spread_points == 0 < apart.spread_points
    assert apart.chance_within(1.0) < alike.chance_within(1.0)


def test_folds_add_pictures_and_share_the_searchs_luck() -> None:
    alone = Evidence(paired(3, 3), curse_points=0.5)
    both = with_folds(alone, [paired(3, 3), paired(3, 3)])
    assert (alone.pictures, both.pictures) == (280, 840)
    assert both.moved_points == pytest.approx(0.5 / 3)
    assert both.chance_within(1.0) > alone.chance_within(1.0)
    split = with_folds(Evidence(paired(0, 6)), [paired(6, 0), paired(6, 0)])
    assert between([paired(0, 9), paired(9, 0), paired(9, 0)]) > between([paired(3, 3)] * 3) > 0, "few folds that agree prove no unity"
    assert split.between_points > both.between_points


@given(st.integers(20, 2000), st.floats(0, 40), st.floats(0.1, 3), st.floats(0.5, 0.99))
def test_the_largest_loss_that_keeps_the_limit_is_the_largest(pictures: int, differing: float, limit: float, certainty: float) -> None:
    found = largest_total(pictures, differing, limit, certainty)
    differing = min(differing, pictures)
    if np.isfinite(found):
        assert Evidence(Paired(found, max(differing, abs(found)), pictures)).chance_within(limit) >= certainty
    if np.isfinite(found) and found + 1 <= differing:
        assert Evidence(Paired(found + 1, max(differing, abs(found + 1)), pictures)).chance_within(limit) < certainty


@given(st.floats(-3, 3), st.floats(0.05, 1), st.floats(0, 2))
def test_the_searchs_own_chance_is_the_same_posterior_in_normal_form(mean: float, deviation: float, pictures: float) -> None:
    drops = np.linspace(-25, 25, 200_001)
    density = np.exp(-0.5 * (drops - mean) ** 2 / (deviation**2 + pictures**2) - 0.5 * (np.minimum(drops, 0) / USUAL_GAIN_POINTS) ** 2)
    expected = density[drops <= 1.0].sum() / density.sum()
    assert float(normal_chance(1.0, np.array(mean), np.array(deviation), np.array(pictures))) == pytest.approx(expected, abs=0.001)


def test_parts_of_a_metric_are_as_sure_as_student_says():
    lost = np.random.default_rng(0).normal(0.01, 0.02, 60)
    known = Evidence(Paired.of((0.7 - lost)[None], np.full((1, 60), 0.7)))
    assert known.chance_within(0.5) < 0.1
    assert known.chance_within(2.0) > 0.99
    assert known.quantile(0.9) == pytest.approx(100 * (lost.mean() + stats.t.ppf(0.9, 59) * lost.std(ddof=1) / math.sqrt(60)), abs=0.03)


def test_folds_of_such_parts_are_pooled_as_such():
    lost = Paired.of(np.full((1, 20), 0.6), np.linspace(0.6, 0.62, 20)[None])
    assert not Evidence(lost, (lost, lost)).pooled.counted
