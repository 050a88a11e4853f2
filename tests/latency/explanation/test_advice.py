"""Which part costs what: shares, bounds, effects, and the order in which to prune."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.latency.explanation import ledger, shares
from harness.latency.explanation.advice import LEAST_POINTS, WidthLoss, prune_next
from harness.latency.explanation.effects import effects, kinds
from harness.latency.explanation.predicted_widths import predicted_series
from harness.latency.explanation.roof import Bound, LayerCost, Roof, likeliest_not_negative, predicted_layers
from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.latency.model import design
from harness.latency.model.predictor import LatencyPredictor
from harness.records.measurement import Latency, LayerLatency


def loss(group, channels, points, margin=0.5):
    return WidthLoss(group, channels, points, points - margin, points + margin)


@pytest.fixture(scope="module")
def predictor(network, machine, measured):
    configs = design.design(network, 150, 0)
    return LatencyPredictor.fit(network, [measured(network, c, machine(network, c), noise=0.002) for c in configs])


def falling(*costs):
    return [WidthCost(width, cost, 0.0) for width, cost in costs]


def test_the_cut_that_saves_most_per_point_comes_first_and_vain_ones_last(network):
    stairs = Staircase.fit(
        {
            "layer1.0.conv1": falling((16, 100.0), (15, 100.0), (8, 80.0)),
            "stem": falling((16, 100.0), (8, 90.0)),
            "layer1.1.conv1": falling((16, 100.0), (8, 70.0)),
            "layer2.1.conv1": falling((32, 100.0), (16, 99.9)),
        }
    )
    losses = [loss("stem", 8, 0.5), loss("layer1.0.conv1", 8, 4.0)]
    advice = prune_next(network, stairs, losses)
    assert [one.group for one in advice] == ["stem", "layer1.0.conv1", "layer1.1.conv1", "layer2.1.conv1"]
    assert advice[0].per_point_s == pytest.approx(20.0)
    assert advice[1].per_point_s == pytest.approx(5.0)
    assert advice[1].idle == (15,)
    assert advice[2].per_point_s is None  # nobody analysed its accuracy
    assert advice[3].in_vain
    assert advice[3].reason == "no narrower width is measurably faster"


@pytest.mark.parametrize(
    ("width", "expected"), [(12, 1.0), (10, 2.5), (8, 4.0), (14, 0.5), (4, None)], ids=["known", "between", "last", "above", "beyond"]
)
def test_points_lost_are_read_between_analysed_widths_and_never_beyond(network, width, expected):
    stairs = Staircase.fit({"stem": falling((16, 100.0), (width, 50.0))})
    (advice,) = prune_next(network, stairs, [loss("stem", 12, 1.0), loss("stem", 8, 4.0)])
    assert (None if advice.lost is None else advice.lost.points) == expected
    assert advice.lost is None or advice.lost.low <= advice.lost.points <= advice.lost.high
    assert advice.lost is None or advice.lost.between == (width in (10, 14))


def test_a_loss_within_the_noise_counts_as_the_least_one(network):
    stairs = Staircase.fit({"stem": falling((16, 100.0), (8, 50.0))})
    (advice,) = prune_next(network, stairs, [loss("stem", 8, -1.0)])
    assert advice.lost.points == -1.0
    assert advice.per_point_s == pytest.approx(50 / LEAST_POINTS)
    (coarse,) = prune_next(network, stairs, [loss("stem", 8, 0.1)], least_points=0.5)
    assert coarse.per_point_s == pytest.approx(50 / 0.5)


def test_of_two_cuts_that_only_rounding_tells_apart_the_one_that_loses_less_comes_first(network):
    stairs = Staircase.fit({name: falling((16, 100.0), (8, 90.0)) for name in ("layer1.0.conv1", "layer1.1.conv1")})
    losses = [loss("layer1.0.conv1", 8, 0.5 - 1e-15), loss("layer1.1.conv1", 8, 0.0)]
    assert [one.group for one in prune_next(network, stairs, losses, least_points=0.5)] == ["layer1.1.conv1", "layer1.0.conv1"]


def test_free_is_as_far_as_no_loss_can_be_told_and_never_beyond_one_that_can(network):
    stairs = Staircase.fit({"layer1.0.conv1": falling((16, 100.0), (12, 90.0), (8, 80.0), (4, 70.0), (0, 40.0))})
    losses = [
        loss("layer1.0.conv1", 12, 0.3),
        loss("layer1.0.conv1", 8, 0.0),
        loss("layer1.0.conv1", 4, 2.0),
        loss("layer1.0.conv1", 0, 0.0),
    ]
    (advice,) = prune_next(network, stairs, losses, least_points=0.3)
    assert (advice.free_width, advice.free_s) == (8, 20.0)
    (none,) = prune_next(network, stairs, losses, least_points=0.2)
    assert (none.free_width, none.free_s) == (None, 0.0)


def test_a_width_that_makes_the_network_slower_is_named(network):
    stairs = Staircase.fit({"stem": falling((16, 100.0), (15, 102.0), (12, 101.0), (8, 90.0))})
    (advice,) = prune_next(network, stairs)
    assert advice.next_width == 8
    assert advice.slower == (15, 12)
    assert advice.idle == (15, 12)


def test_a_saving_within_the_noise_is_called_that_and_not_a_step(network):
    stairs = Staircase.fit({"stem": [WidthCost(16, 100.0, 2.0), WidthCost(8, 97.0, 2.0)]})
    (advice,) = prune_next(network, stairs)
    assert advice.in_vain
    assert advice.reason.startswith("within noise: 8 channels look faster")


def test_a_width_that_the_measurements_cannot_judge_is_not_said_to_save_nothing(network):
    stairs = Staircase.fit({"stem": [WidthCost(16, 100.0, 0.1), WidthCost(15, 99.0, 2.0), WidthCost(12, 100.1, 0.01), WidthCost(8, 90.0)]})
    (advice,) = prune_next(network, stairs)
    assert advice.next_width == 8
    assert advice.idle == (15, 12)
    assert advice.undecided == (15,)


def test_a_saving_too_small_to_matter_is_in_vain_though_it_is_certain(network):
    stairs = Staircase.fit({"stem": falling((16, 100.0), (8, 99.7))})
    (advice,) = prune_next(network, stairs, [loss("stem", 8, 0.0)])
    assert advice.next_width == 8
    assert advice.reason == "saves less than 0.5% of the network at any width"


@given(
    savings=st.lists(st.floats(1, 60), min_size=1, max_size=6),
    points=st.lists(st.one_of(st.none(), st.floats(-3, 30)), min_size=6, max_size=6),
    least=st.floats(0.01, 2),
)
def test_the_order_is_that_of_time_per_point(network, savings, points, least):
    names = [group.name for group in network.groups][: len(savings)]
    series = {name: falling((network.group(name).channels, 100.0), (4, 100.0 - saved)) for name, saved in zip(names, savings, strict=True)}
    losses = [loss(name, 4, lost) for name, lost in zip(names, points, strict=False) if lost is not None]
    advice = prune_next(network, Staircase.fit(series), losses, least_points=least)
    assert {one.group for one in advice} == set(names)
    analysed = [one for one in advice if one.lost is not None]
    assert list(advice[: len(analysed)]) == analysed, "groups of unknown accuracy come later"
    rates = [one.saved_s / max(one.lost.points, least) for one in analysed]
    assert all(first >= second * (1 - 1e-8) for first, second in itertools.pairwise(rates))
    others = [one.saved_s for one in advice[len(analysed) :]]
    assert others == sorted(others, reverse=True)


def layer(name, seconds, macs, moved):
    return LayerCost(name, "s", seconds, seconds, seconds, macs, moved, (name,))


def test_each_bound_is_named_for_what_it_is():
    roof = Roof.of([layer("a", 1.0, 1000, 10), layer("b", 1.0, 10, 100)])
    assert (roof.macs_per_s, roof.bytes_per_s, roof.ridge) == (1000, 100, 10)
    assert roof.bound(layer("compute", 1.0, 900, 10)) is Bound.COMPUTE
    assert roof.bound(layer("memory", 1.0, 100, 90)) is Bound.MEMORY
    assert roof.bound(layer("waits", 1.0, 100, 10)) is Bound.OVERHEAD
    assert roof.explained_ratio(layer("waits", 1.0, 100, 10)) == pytest.approx(0.1)
    with pytest.raises(RecordError, match="profile the network again"):
        Roof.of([layer("none", 0.0, 1, 1)])


@pytest.mark.parametrize(
    ("macs", "moved", "word"),
    [
        (10, 1, "overhead-bound: work and traffic explain 1%"),
        (600, 90, "memory-bound: 6.7 multiply-accumulates per byte"),
        (900, 10, "staircase: its layers compute as long"),
    ],
    ids=["overhead", "memory", "compute"],
)
def test_why_a_cut_saves_nothing(network, macs, moved, word):
    layers = [layer("stem", 1.0, macs, moved), layer("fast", 1.0, 1000, 1), layer("wide", 1.0, 1, 100)]
    stairs = Staircase.fit({"stem": falling((16, 100.0), (8, 100.0), (1, 100.0))})
    (advice,) = prune_next(network, stairs, (), layers)
    assert advice.in_vain
    assert word in advice.reason


def test_a_roof_is_what_was_certainly_reached():
    vague = LayerCost("vague", "s", 1e-9, 0.0, 2.0, 1000, 10, ("vague",))
    roof = Roof.of([vague, layer("sure", 1.0, 900, 100)])
    assert (roof.macs_per_s, roof.fastest, roof.busiest) == (900, "sure", "sure")


def account_of(network, predictor):
    return shares.predicted(predictor, network.dense(), "f32")


def adds_up(account):
    rest = [one.seconds for one in account.rest]
    for parts in (account.layers, account.stages):
        assert math.fsum([*(one.seconds for one in parts), *rest]) == pytest.approx(account.whole_s, rel=1e-9)
        assert all(0 <= one.low_s <= one.seconds <= one.high_s for one in parts)
    for stage in account.stages:
        members = [one.seconds for one in account.costs if one.stage == stage.name]
        assert math.fsum(members) == pytest.approx(stage.seconds)


def test_predicted_shares_add_up_to_the_whole_and_none_is_negative(network, predictor):
    account = account_of(network, predictor)
    adds_up(account)
    assert account.kind == "predicted"
    assert [share.name for share in account.layers] == [site.name for site in network.layers]
    assert {share.name for share in account.stages} == {"stem", "layer1", "layer2", "fc"}
    assert sum(share.ratio for share in (*account.layers, *account.rest)) == pytest.approx(1)
    assert account.rest_s == pytest.approx(predictor.table.constant_s)


@given(
    times=st.lists(st.lists(st.floats(1e-7, 1e-3), min_size=3, max_size=3), min_size=11, max_size=11),
    whole=st.floats(1e-5, 1e-1),
    fused=st.booleans(),
)
def test_measured_shares_add_up_to_the_whole_whatever_was_measured(network, measured, times, whole, fused):
    names = [site.name for site in network.layers]
    nodes = [LayerLatency(name, (name,), "Convolution", tuple(runs)) for name, runs in zip(names, times, strict=True)]
    nodes += [LayerLatency("in", (), "Reorder", tuple(times[0])), LayerLatency("pool", (), "Pooling", tuple(times[1]))]
    if fused:
        nodes[1:3] = [LayerLatency("fused", (names[1], names[2]), "Foreign", nodes[1].runs_s)]
    run = replace(measured(network, network.dense(), whole), layers=tuple(nodes), profiled=Latency((whole,) * 20, (10, 10)))
    account = shares.measured(ledger.balance(run, network), run.latency.interval_s, network, network.dense(), "f32")
    adds_up(account)
    assert sum(cost.macs for cost in account.costs) == network.macs(network.dense())
    assert {name for cost in account.costs for name in cost.members} == set(names)


@given(st.lists(st.tuples(st.floats(-1e-5, 1e-4), st.floats(0, 1e-5)), min_size=1, max_size=30))
def test_the_likeliest_times_keep_the_sum_and_move_the_vague_ones(figures):
    means, sds = [mean for mean, _ in figures], [sd for _, sd in figures]
    found = likeliest_not_negative(means, sds)
    assert min(found) >= 0
    assert math.fsum(found) == pytest.approx(max(0.0, sum(means)), abs=1e-10)
    if min(means) >= 0:
        assert found == pytest.approx(means)


def test_a_negative_time_is_paid_by_the_least_known_layer():
    assert likeliest_not_negative([10.0, 10.0, -2.0], [0.0, 1.0, 1.0]) == pytest.approx((10.0, 8.0, 0.0), abs=1e-5)


def test_a_removed_branch_has_no_share(network, predictor):
    layers = predicted_layers(predictor, network.partial({"layer2.1.conv1": 0}), "bf16")
    assert not any(one.layer.startswith("layer2.1") for one in layers)


def test_effects_carry_intervals_that_hold_the_truth(network, machine, predictor):
    found = effects(predictor)
    dense = machine(network, network.dense())
    truth = {f"branch {g.name} removed": dense - machine(network, network.partial({g.name: 0})) for g in network.groups if g.removable}
    truth |= {f"{ratio} % of all channels kept": dense - machine(network, network.uniform(ratio / 100)) for ratio in (75, 50, 25)}
    for stage in ("stem", "layer1", "layer2"):
        members = [group for group in network.groups if group.stage == stage]
        halved = network.partial({group.name: group.channels // 2 for group in members})
        truth[f"50 % of the channels of {stage} kept"] = dense - machine(network, halved)
        gone = {group.name: 0 for group in members if group.removable}
        if len(gone) > 1:
            truth[f"all {len(gone)} branches of {stage} removed"] = dense - machine(network, network.partial(gone))
    assert {effect.change for effect in found} == set(truth)
    assert sum(effect.low_s - 1e-6 <= truth[effect.change] <= effect.high_s + 1e-6 for effect in found) >= len(found) - 1
    half = next(effect for effect in found if effect.change.startswith("50 % of all"))
    assert 0.7 < half.saved_macs_ratio < 0.8


@pytest.mark.parametrize("factor", ["kernel", "resolution", "stride"])
def test_every_factor_counts_every_layer_once(network, predictor, factor):
    account = account_of(network, predictor)
    found = [one for one in kinds(predictor, account) if one.factor == factor]
    assert math.fsum(one.seconds for one in found) == pytest.approx(math.fsum(one.seconds for one in account.layers))
    assert sum(one.layers for one in found) == len(network.layers)
    assert sum(one.macs for one in found) == network.macs(network.dense())
    assert all(0 <= one.low_s <= one.seconds <= one.high_s for one in found)
    assert all(np.diff([one.seconds for one in found]) <= 0)


def test_kinds_are_named_in_words(network, predictor):
    levels = {one.level for one in kinds(predictor, account_of(network, predictor))}
    assert {"3×3", "1×1", "fully connected", "16×16 input", "8×8 input", "stride 2"} <= levels


def test_advice_from_the_latency_model_alone(network, predictor):
    stairs = Staircase.fit({g.name: predicted_series(predictor, g.name) for g in network.groups})
    advice = prune_next(network, stairs, (), predicted_layers(predictor, network.dense(), "f32"))
    assert {one.group for one in advice} == {g.name for g in network.groups}
    assert advice[0].saved_s > 0
