"""Which part costs what: shares, bounds, effects, and the order in which to prune."""

from dataclasses import dataclass

import pytest

from harness.errors import RecordError
from harness.latency import design
from harness.latency.effects import effects, kinds
from harness.latency.explain import LEAST_POINTS, prune_next, shares
from harness.latency.predictor import LatencyPredictor
from harness.latency.roof import Bound, LayerCost, Roof, predicted_layers
from harness.latency.staircase import Staircase, WidthCost, predicted_series


@dataclass(frozen=True)
class Loss:
    group: str
    channels: int
    points_lost: float


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
    losses = [Loss("stem", 8, 0.5), Loss("layer1.0.conv1", 8, 4.0)]
    advice = prune_next(network, stairs, losses)
    assert [one.group for one in advice] == ["stem", "layer1.0.conv1", "layer1.1.conv1", "layer2.1.conv1"]
    assert advice[0].seconds_per_point == pytest.approx(20.0)
    assert advice[1].seconds_per_point == pytest.approx(5.0)
    assert advice[1].idle_widths == 1
    assert advice[1].reason == "staircase: 1 widths down to 8 cost the same"
    assert advice[2].seconds_per_point is None  # nobody analysed its accuracy
    assert advice[3].in_vain
    assert advice[3].reason == "no narrower width is measurably faster"


@pytest.mark.parametrize(
    ("width", "expected"), [(12, 1.0), (10, 2.5), (8, 4.0), (14, 0.5), (4, None)], ids=["known", "between", "last", "above", "beyond"]
)
def test_points_lost_are_read_between_analysed_widths_and_never_beyond(network, width, expected):
    stairs = Staircase.fit({"stem": falling((16, 100.0), (width, 50.0))})
    (advice,) = prune_next(network, stairs, [Loss("stem", 12, 1.0), Loss("stem", 8, 4.0)])
    assert advice.points_lost == expected


def test_a_loss_within_the_noise_counts_as_the_least_one(network):
    stairs = Staircase.fit({"stem": falling((16, 100.0), (8, 50.0))})
    (advice,) = prune_next(network, stairs, [Loss("stem", 8, -1.0)])
    assert advice.points_lost == -1.0
    assert advice.seconds_per_point == pytest.approx(50 / LEAST_POINTS)


def layer(name, seconds, macs, moved):
    return LayerCost(name, "s", seconds, 0.0, macs, moved)


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
        (900, 10, "too small"),
    ],
    ids=["overhead", "memory", "compute"],
)
def test_why_a_cut_saves_nothing(network, macs, moved, word):
    layers = [layer("stem", 1.0, macs, moved), layer("fast", 1.0, 1000, 1), layer("wide", 1.0, 1, 100)]
    stairs = Staircase.fit({"stem": falling((16, 100.0), (8, 100.0), (1, 100.0))})
    (advice,) = prune_next(network, stairs, (), layers)
    assert advice.in_vain
    assert word in advice.reason


def test_shares_add_up_and_stages_hold_their_layers(network, predictor):
    layers = predicted_layers(predictor, network.dense(), "f32")
    whole = predictor.predict(network.dense()).seconds
    each, stages = shares(layers, whole), shares(layers, whole, by_stage=True)
    assert [share.name for share in each] == [site.name for site in network.layers]
    assert sum(share.ratio for share in each) == pytest.approx(sum(share.ratio for share in stages))
    assert sum(share.ratio for share in each) == pytest.approx(1 - predictor.table.constant_s / whole)
    assert {share.name for share in stages} == {"stem", "layer1", "layer2", "fc"}
    assert all(share.low_ratio <= share.ratio <= share.high_ratio for share in each)


def test_a_removed_branch_has_no_share(network, predictor):
    layers = predicted_layers(predictor, network.partial({"layer2.1.conv1": 0}), "bf16")
    assert not any(one.layer.startswith("layer2.1") for one in layers)


def test_effects_carry_intervals_that_hold_the_truth(network, machine, predictor):
    found = effects(predictor)
    dense = machine(network, network.dense())
    truth = {f"branch {g.name} removed": dense - machine(network, network.partial({g.name: 0})) for g in network.groups if g.removable}
    truth |= {f"{ratio:.0%} of all channels kept": dense - machine(network, network.uniform(ratio)) for ratio in (0.75, 0.5, 0.25)}
    assert {effect.change for effect in found} == set(truth)
    assert sum(effect.low_s - 1e-6 <= truth[effect.change] <= effect.high_s + 1e-6 for effect in found) >= len(found) - 1
    half = next(effect for effect in found if effect.change.startswith("50%"))
    assert 0.7 < half.saved_macs_ratio < 0.8


def test_kinds_of_layers_add_up_to_all_layers(network, predictor):
    found = kinds(predictor)
    rows = predictor.table.site_map.widths([network.dense()])
    assert sum(kind.seconds for kind in found) == pytest.approx(float(predictor.table.layer_seconds(rows).sum()))
    assert sum(kind.layers for kind in found) == len(network.layers)
    assert sum(kind.macs for kind in found) == network.macs(network.dense())
    assert all(kind.low_s <= kind.seconds <= kind.high_s for kind in found)
    assert found[0].kind.startswith("conv g1 k3x3")


def test_advice_from_the_latency_model_alone(network, predictor):
    stairs = Staircase.fit({g.name: predicted_series(predictor, g.name) for g in network.groups})
    advice = prune_next(network, stairs, (), predicted_layers(predictor, network.dense(), "f32"))
    assert {one.group for one in advice} == {g.name for g in network.groups}
    assert advice[0].saved_s > 0
