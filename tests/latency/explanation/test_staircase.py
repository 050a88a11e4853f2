"""Legal widths and useful cuts: known answers of a published machine, invariants, and series of three kinds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LatencyUnknown, RecordError, UnknownName, UsageError
from harness.latency.explanation.predicted_widths import predicted, predicted_series
from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.latency.explanation.width_series import points_in_turns
from harness.latency.model import design
from harness.latency.model.predictor import LatencyPredictor
from harness.records.measurement import Latency


def ncs2_microseconds(inputs, filters, side):
    """3 x 3 convolution on the refined roofline of [Wess2021]_ (ANNETTE's NCS2 constants, 2 bytes a value)."""

    def busy(units):
        return 1.0 if units < 32 else units / (32 * math.ceil(units / 32))

    operations = 2 * 9 * inputs * filters * side**2
    moved = 2 * (inputs * side**2 + filters * side**2 + 9 * inputs * filters)
    compute, memory = operations / 319_543_476_297, moved / 5_679_437_699
    slow_in = 1 - 0.14579841511696096 + 0.14579841511696096 / busy(inputs)
    slow_out = 1 - 0.7046765447791339 + 0.7046765447791339 / busy(filters)
    return 1e6 * (compute * slow_in * slow_out if compute > memory else memory)


def test_the_ncs2_says_that_one_filter_more_saves_three_times_as_much():
    """256 channels on a 14 x 14 map: 225 filters save 3.6 %, 224 save 12.5 %."""
    series = {"conv": [WidthCost(n, ncs2_microseconds(256, n, 14)) for n in range(129, 257)]}
    stairs = Staircase.fit(series, tolerance=0.04 * 723.6)
    assert stairs.points("conv")[0].cost == pytest.approx(723.6, abs=0.1)
    useful = stairs.next_useful("conv", 256)
    assert useful is not None
    assert useful.width == 224
    assert useful.saved / 723.6 == pytest.approx(0.125, abs=0.001)
    assert stairs.legal_widths("conv") == (256, 224, 192, 160)
    steps = stairs.steps("conv")
    assert [step[0].width for step in steps] == [256, 224, 192, 160]
    assert sum(len(step) for step in steps) == 128


series_of_points = st.lists(
    st.builds(WidthCost, st.integers(1, 64), st.floats(1e-3, 1.0), st.floats(0, 0.05)), min_size=1, max_size=25, unique_by=lambda p: p.width
)


@given(series_of_points)
def test_no_width_is_both_cheaper_and_undecided_and_an_exact_series_leaves_none_open(points):
    stairs, widest = Staircase.fit({"g": points}), max(point.width for point in points)
    open_widths = stairs.undecided("g", widest)
    useful = stairs.next_useful("g", widest)
    assert useful is None or useful.width not in open_widths
    exact = Staircase.fit({"g": [WidthCost(point.width, point.cost) for point in points]})
    assert exact.undecided("g", widest) == ()


@given(series_of_points)
def test_a_legal_width_is_cheaper_than_every_larger_legal_one(points):
    stairs = Staircase.fit({"g": points})
    cost = {point.width: point.cost for point in points}
    legal = stairs.legal_widths("g")
    assert legal[0] == max(cost)
    assert all(cost[narrow] < cost[wide] for wide, narrow in itertools.pairwise(legal))
    assert list(legal) == sorted(legal, reverse=True)


@given(series_of_points)
def test_every_illegal_width_has_a_larger_legal_one_that_is_as_fast(points):
    stairs = Staircase.fit({"g": points}, tolerance=0.0)
    by_width = {point.width: point for point in points}
    legal = stairs.legal_widths("g")
    for width, point in by_width.items():
        if width not in legal:
            larger = [by_width[wide] for wide in legal if wide > width]
            assert any(one.cost - point.cost <= 2 * math.hypot(one.sd, point.sd) for one in larger)


@given(series_of_points)
def test_useful_widths_save_and_are_the_largest_that_do(points):
    stairs = Staircase.fit({"g": points})
    widest = max(points, key=lambda p: p.width)
    useful = stairs.next_useful("g", widest.width)
    if useful is None:
        assert len(stairs.legal_widths("g")) == 1
    else:
        assert useful.saved > stairs.tolerance
        assert useful.width == stairs.legal_widths("g")[1]


@given(series_of_points, st.randoms())
def test_the_order_of_the_points_does_not_matter(points, random):
    shuffled = list(points)
    random.shuffle(shuffled)
    assert Staircase.fit({"g": shuffled}) == Staircase.fit({"g": points})


def test_fewer_channels_that_are_slower_are_named_and_never_legal():
    points = [WidthCost(64, 10.0, 0.01), WidthCost(63, 12.0, 0.01), WidthCost(48, 8.0, 0.01), WidthCost(47, 9.0, 0.01)]
    stairs = Staircase.fit({"g": points})
    slower = stairs.slower_when_narrower("g")
    assert [(one.width, one.than) for one in slower] == [(63, 64), (47, 48)]
    assert slower[0].lost == pytest.approx(2.0)
    assert stairs.legal_widths("g") == (64, 48)


def test_a_saving_within_the_noise_is_no_step():
    noisy = [WidthCost(16, 1.00, 0.02), WidthCost(15, 0.97, 0.02), WidthCost(8, 0.80, 0.02)]
    assert Staircase.fit({"g": noisy}).legal_widths("g") == (16, 8)
    certain = [WidthCost(p.width, p.cost, 0.001) for p in noisy]
    assert Staircase.fit({"g": certain}).legal_widths("g") == (16, 15, 8)


def test_a_compilers_whole_numbers_make_a_staircase_too():
    """Cost of the real NCS2 compiler: 15 of 16 channels cost exactly as much."""
    stairs = Staircase.fit({"conv1": [WidthCost(16, 1508), WidthCost(15, 1508), WidthCost(13, 1470), WidthCost(12, 1224)]})
    assert stairs.legal_widths("conv1") == (16, 13, 12)
    assert stairs.next_useful("conv1", 12) is None


def test_measured_points_do_not_see_a_burst_over_a_round_nor_a_short_one():
    """Rounds 2 and 4 are slow for all; the narrower network meets a burst of its own in round 3."""
    anchor = Latency((1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 3.0, 3.0), (2, 2, 2, 2))
    ours = Latency((0.9, 0.9, 1.8, 1.8, 1.5, 1.5, 2.7, 2.7), (2, 2, 2, 2))
    least = Latency((0.8, 0.8, 1.6, 1.6, 0.8, 0.8, 2.4, 2.4), (2, 2, 2, 2))
    points = points_in_turns({8: ours, 16: anchor, 4: least}, 1e-3)
    assert [(p.width, p.cost) for p in points] == [(16, pytest.approx(1e-3)), (8, pytest.approx(0.9e-3)), (4, pytest.approx(0.8e-3))]
    assert all(point.sd < 1e-9 for point in points)
    wild = Latency((0.8, 0.8, 1.7, 1.7, 0.75, 0.75, 2.5, 2.5), (2, 2, 2, 2))
    assert points_in_turns({8: ours, 16: anchor, 4: wild}, 1e-3)[-1].sd > 5e-6
    assert points_in_turns({8: Latency((1.0,), (1,)), 16: Latency((2.0,), (1,))}, 1.0)[1].sd == 0.0
    with pytest.raises(UsageError, match=r"networks in turns have \[1, 4\] blocks"):
        points_in_turns({16: anchor, 8: Latency((1.0,), (1,))}, 1e-3)


@pytest.fixture(scope="module")
def predictor(network, machine, measured):
    configs = design.design(network, 150, 0)
    return LatencyPredictor.fit(network, [measured(network, c, machine(network, c), noise=0.001) for c in configs])


def test_the_latency_models_table_shows_the_machines_vector_width(network, predictor):
    points = predicted_series(predictor, "layer2.0.conv1")
    cost = np.array([point.cost for point in sorted(points, key=lambda p: p.width)])
    drops = {width for width in range(1, 32) if cost[width] - cost[width - 1] > 1.2e-6}  # going from width + 1 to width
    assert drops == {8, 16, 24}
    assert points[-1].sd == 0.0 or points[0].sd == 0.0  # the widest is compared with itself


def test_the_latency_models_staircase_holds_every_group_and_the_removed_branch_where_one_can_go(network, predictor):
    stairs = predicted(predictor, tolerance_ratio=0.001, certain_sd=0.0)
    assert stairs.groups == tuple(group.name for group in network.groups)
    dense_s = predictor.predict(network.dense()).seconds
    assert stairs.tolerance == pytest.approx(0.001 * dense_s)
    for group in network.groups:
        widths = [point.width for point in stairs.points(group.name)]
        assert widths[0] == group.channels
        assert stairs.points(group.name)[0].cost == pytest.approx(dense_s)
        assert (widths[-1] == 0) == group.removable
    assert 0 in stairs.legal_widths("layer1.0.conv1")
    assert predicted(predictor, groups=["stem"]).groups == ("stem",)
    strict, lenient = (predicted(predictor, certain_sd=sd).legal_widths("layer2.0.conv1") for sd in (3.0, 0.0))
    assert len(strict) <= len(lenient)


def test_a_predicted_series_can_stand_around_another_configuration(network, predictor):
    narrow = network.uniform(0.5)
    points = predicted_series(predictor, "stem", around=narrow, widths=(4, 8, 16))
    assert [p.width for p in points] == [4, 8, 16]
    assert points[1].cost == pytest.approx(predictor.predict(narrow).seconds)
    with pytest.raises(UsageError, match="knows 1 of the widths"):
        predicted_series(predictor, "stem", widths=(4,))


def test_broken_series_are_refused():
    with pytest.raises(RecordError, match="give each width once"):
        Staircase.fit({"g": [WidthCost(4, 1.0), WidthCost(4, 2.0)]})
    with pytest.raises(RecordError, match="0 points"):
        Staircase.fit({"g": []})
    with pytest.raises(RecordError, match="no group"):
        Staircase.fit({})
    for cost, sd in ((math.nan, 0.0), (0.0, 0.0), (-1.0, 0.0), (1.0, -0.1), (1.0, math.inf)):
        with pytest.raises(RecordError, match="positive and finite"):
            WidthCost(4, cost, sd)


def test_what_was_not_measured_is_unknown():
    stairs = Staircase.fit({"g": [WidthCost(4, 1.0), WidthCost(2, 0.5)]})
    with pytest.raises(LatencyUnknown, match=r"no width 3 \(it has 4, 2\); run: pytest bench/test_width_staircase\.py"):
        stairs.next_useful("g", 3)
    with pytest.raises(UnknownName, match="test_width_staircase"):
        stairs.legal_widths("h")
