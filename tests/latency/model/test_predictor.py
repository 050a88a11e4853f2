"""The latency model: what it learns from whole networks, what it refuses, and whether its interval tells the truth."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConditionsDiffer, LatencyUnknown, PruningError
from harness.latency.model import design
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.measurement import Latency, Occasion


@pytest.fixture(scope="session")
def campaign(network, machine, measured):
    """Measurements of a design and of held-out networks on the synthetic machine."""

    def build(designed=80, held=60, noise=0.01, architecture=network, **given):
        chosen = [("design", c) for c in design.design(architecture, designed, 0)]
        chosen += [("held-out", c) for c in design.held_out(architecture, held, 0)] if held else []
        return [measured(architecture, c, machine(architecture, c), role, noise, **given) for role, c in chosen]

    return build


@pytest.fixture(scope="session")
def predictor(network, campaign):
    """Fitted on the synthetic machine at 1 % noise."""
    return LatencyPredictor.fit(network, campaign())


def test_unseen_networks_on_a_staircase_are_predicted_within_the_noise(network, campaign, machine, predictor):
    judged = predictor.held_out
    assert judged is not None
    assert judged.mape_ratio < 0.02
    assert judged.rho > 0.99
    assert judged.within_ratio(0.05) > 0.95
    truth = np.array([machine(network, one.config) for one in judged.judged])
    predicted = np.array([one.predicted.seconds for one in judged.judged])
    assert np.mean(np.abs(predicted / truth - 1)) < 0.01  # nearer to the truth than one measurement is


def test_without_noise_the_staircase_is_learned_almost_exactly(network, campaign):
    judged = LatencyPredictor.fit(network, campaign(designed=120, noise=0.0)).held_out
    assert judged is not None
    assert judged.mape_ratio < 0.004


def test_the_interval_covers_nine_networks_of_ten(network, campaign):
    judged = LatencyPredictor.fit(network, campaign(held=200)).held_out
    assert judged is not None
    assert 0.85 <= judged.coverage_ratio <= 0.95


def test_the_interval_stays_honest_where_nothing_is_held_out(network, campaign, machine, measured):
    model = LatencyPredictor.fit(network, campaign(held=0))
    assert model.held_out is None
    fresh = design.held_out(network, 150, 9)
    latencies = [measured(network, c, machine(network, c), noise=0.01, seed=9).latency.median_s for c in fresh]
    inside = [p.low_s <= s <= p.high_s for p, s in zip(model.predict_all(fresh), latencies, strict=True)]
    assert np.mean(inside) > 0.8


def test_held_out_networks_are_never_fitted_on(network, campaign):
    clean = campaign()
    spoiled = [
        replace(m, latency=Latency(tuple(7 * s for s in m.latency.samples_s), m.latency.block_sizes)) if m.role == "held-out" else m
        for m in clean
    ]
    ours, theirs = LatencyPredictor.fit(network, clean), LatencyPredictor.fit(network, spoiled)
    assert ours.predict(network.dense()).seconds == theirs.predict(network.dense()).seconds
    assert theirs.held_out is not None
    assert theirs.held_out.mape_ratio > 0.5


def test_a_network_both_designed_and_held_out_counts_as_held_out(network, campaign):
    both = campaign(held=0)
    twins = [replace(m, role="held-out") for m in both[:30]]
    model = LatencyPredictor.fit(network, both + twins)
    assert model.fitted_on == len(both) - 30


def test_one_measurement_hit_by_a_burst_spoils_nothing(network, campaign, machine):
    clean = campaign(noise=0.003)
    hit = clean[20]
    slow = replace(hit, latency=Latency(tuple(2.5 * s for s in hit.latency.samples_s), hit.latency.block_sizes))
    model = LatencyPredictor.fit(network, [*clean[:20], slow, *clean[21:]])
    assert model.held_out is not None
    assert model.held_out.mape_ratio < 0.01
    assert model.predict(hit.config).seconds == pytest.approx(machine(network, hit.config), rel=0.05)


def test_a_shift_of_level_between_two_runs_belongs_to_no_layer(network, campaign, machine, conditions):
    first = campaign(held=0, noise=0.003)
    evening = conditions(taken_at="2026-11-24T18:00:00+00:00")
    shifted = [
        replace(m, conditions=evening, latency=Latency(tuple(1.06 * s for s in m.latency.samples_s), m.latency.block_sizes))
        for m in first[1::2]
    ]
    model = LatencyPredictor.fit(network, first[::2] + shifted)
    configs = design.held_out(network, 60, 3)
    ratio = np.array([p.seconds / machine(network, c) for p, c in zip(model.predict_all(configs), configs, strict=True)])
    assert np.std(ratio) < 0.012  # one common factor, not a scatter over networks
    assert 1.0 < np.median(ratio) < 1.06


@given(scale=st.sampled_from([1e-3, 1e3]))
def test_predictions_scale_with_the_unit_of_time(network, campaign, predictor, scale):
    faster = [replace(m, latency=Latency(tuple(scale * s for s in m.latency.samples_s), m.latency.block_sizes)) for m in campaign()]
    config = network.uniform(0.6)
    ours, theirs = predictor.predict(config), LatencyPredictor.fit(network, faster).predict(config)
    assert theirs.seconds == pytest.approx(scale * ours.seconds, rel=1e-6)
    assert theirs.high_s == pytest.approx(scale * ours.high_s, rel=1e-5)


def test_the_order_of_the_measurements_does_not_matter(network, campaign, predictor):
    backwards = LatencyPredictor.fit(network, campaign()[::-1])
    config = network.uniform(0.5)
    assert backwards.predict(config).seconds == pytest.approx(predictor.predict(config).seconds, rel=1e-3)


@given(data=st.data())
def test_a_batch_and_single_predictions_agree(network, predictor, data):
    rows = data.draw(
        st.lists(st.tuples(*(st.integers(0 if g.removable else 1, g.channels) for g in network.groups)), min_size=1, max_size=6)
    )
    widths = np.array(rows)
    table = predictor.table
    together = predictor.seconds(widths)
    alone = np.concatenate([predictor.seconds(widths[i : i + 1]) for i in range(len(widths))])
    by_layer = table.constant_s + table.layer_seconds(widths).sum(axis=1)
    assert np.array_equal(together, alone)
    assert together == pytest.approx(by_layer, rel=1e-9)
    assert [predictor.predict(table.site_map.config(row)).seconds for row in widths] == pytest.approx(together, rel=1e-12)


@given(data=st.data())
def test_an_interval_surrounds_its_estimate(network, predictor, data):
    kept = {g.name: data.draw(st.integers(1, g.channels)) for g in network.groups}
    found = predictor.predict(network.partial(kept))
    assert 0 <= found.low_s < found.seconds < found.high_s


def test_narrower_than_ever_measured_is_refused_with_the_command(network, machine, measured):
    configs = design.design(network, 60, 0, widths={g.name: range(g.channels // 2, g.channels + 1) for g in network.groups})
    model = LatencyPredictor.fit(network, [measured(network, c, machine(network, c)) for c in configs])
    config = network.partial({"layer2.0.conv1": 3})
    with pytest.raises(
        LatencyUnknown, match=r"layer2\.0\.conv1 at \d+ x 3 .*run: pytest bench/test_predictor\.py --device=cpu --network=residual$"
    ):
        model.predict(config)
    rows = model.table.site_map.widths([network.dense(), config])
    assert model.known(rows).tolist() == [True, False]


def test_a_removal_that_was_never_measured_is_refused(network, machine, measured):
    whole = [c for c in design.design(network, 200, 0) if all(kept for _, kept in c.channels)]
    model = LatencyPredictor.fit(network, [measured(network, c, machine(network, c)) for c in whole])
    with pytest.raises(LatencyUnknown, match=r"the removal of the branch that ends with layer1\.0\.conv2"):
        model.predict(network.partial({"layer1.0.conv1": 0}))


def test_too_few_networks_are_refused_with_the_command(network, campaign):
    with pytest.raises(LatencyUnknown, match=r"5 measured networks are too few .*run: pytest bench/test_predictor\.py"):
        LatencyPredictor.fit(network, campaign(held=0)[:5])


def test_measurements_of_another_network_do_not_count(network, residual_network, campaign):
    with pytest.raises(LatencyUnknown, match="0 measured networks"):
        LatencyPredictor.fit(residual_network(blocks=1), campaign())


@dataclass(frozen=True)
class Mixed:
    """Conditions that must not be mixed, and the key that the message names."""

    id: str
    given: dict
    key: str


MIXED = [
    Mixed("precision", {"precision": "bf16"}, "effective_precision"),
    Mixed("device", {"name": "jetson"}, "device"),
    Mixed("simulated", {"simulated": True}, "simulated"),
]


@pytest.mark.parametrize("mixed", MIXED, ids=lambda mixed: mixed.id)
def test_measurements_under_different_conditions_are_not_mixed(network, campaign, conditions, mixed):
    ours = campaign(held=0)
    ours[-1] = replace(ours[-1], conditions=conditions(**mixed.given))
    with pytest.raises(ConditionsDiffer) as refused:
        LatencyPredictor.fit(network, ours)
    assert mixed.key in refused.value.keys
    model = LatencyPredictor.fit(network, ours[:-1])
    model.require(conditions())
    with pytest.raises(LatencyUnknown, match=mixed.key):
        model.require(conditions(**mixed.given))


def test_widths_that_the_network_does_not_have_are_refused(network, predictor):
    dense = np.array([[g.channels for g in network.groups]])
    too_wide, not_removable = dense.copy(), dense.copy()
    too_wide[0, 0] += 1
    not_removable[0, -1] = 0
    for wrong in (too_wide, not_removable, dense[:, :-1], dense.astype(float), dense[0]):
        with pytest.raises(PruningError):
            predictor.seconds(wrong)
    assert predictor.seconds(dense[:0]).shape == (0,)


def test_layers_that_read_several_groups_and_branches_of_three_layers_are_summed_too(measured):
    """A concatenation, a bottleneck and a depthwise layer: none of them folds into a table of two groups."""
    groups = (
        ChannelGroup("a", 8, ("a",), False, "s"),
        ChannelGroup("b", 8, ("b", "b.dw"), True, "s"),
        ChannelGroup("c", 8, ("c",), False, "s"),
        ChannelGroup("d", 16, ("d",), False, "s"),
    )
    layers = (
        LayerSite("a", "conv", (), "a", 3, 8, input_size=(8, 8)),
        LayerSite("b", "conv", ("a",), "b", 8, 8, input_size=(8, 8), branch="b"),
        LayerSite("b.dw", "conv", ("b",), "b", 8, 8, (3, 3), padding=(1, 1), depthwise=True, conv_groups=8, input_size=(8, 8), branch="b"),
        LayerSite("c", "conv", ("a",), "c", 8, 8, input_size=(8, 8), branch="b"),
        LayerSite("d", "conv", ("a", "c"), "d", 16, 16, input_size=(8, 8)),
        LayerSite("fc", "linear", ("d",), None, 64, 10, spatial_factor=4),
    )
    architecture = Architecture("odd", (3, 8, 8), 10, groups, layers)

    def seconds(config):
        return 5e-6 + sum(1e-6 + 2e-10 * shape.macs for shape in architecture.shapes(config).values())

    configs = design.design(architecture, 120, 0)
    model = LatencyPredictor.fit(architecture, [measured(architecture, c, seconds(c)) for c in configs])
    fresh = design.held_out(architecture, 40, 1)
    predicted = [p.seconds for p in model.predict_all(fresh)]
    assert predicted == pytest.approx([seconds(c) for c in fresh], rel=0.03)


@pytest.fixture(scope="module")
def skipping(residual_network, machine):
    """A network whose strided blocks can lose their branch, and a machine that then computes a quarter before them."""
    architecture = residual_network(all_removable=True)

    def seconds(config):
        kept = dict(config.channels)
        total = machine(architecture, config)
        if kept["layer2.0.conv1"] == 0:
            last = next((b for b in ("layer1.1", "layer1.0") if kept[f"{b}.conv1"]), None)
            name = f"{last}.conv2" if last else "stem"
            shape = architecture.shapes(config)[name]
            rounded = -(-shape.out_channels // 8) * 8 * (-(-shape.in_channels // 4) * 4)
            total -= 0.75 * 256 * 9 * rounded / 60e9
        return total

    return architecture, seconds


def test_a_layer_made_cheaper_by_a_lone_strided_reader_is_learned(skipping, measured):
    architecture, seconds = skipping
    configs = [("design", c) for c in design.design(architecture, 140, 0)] + [("held-out", c) for c in design.held_out(architecture, 80, 0)]
    model = LatencyPredictor.fit(architecture, [measured(architecture, c, seconds(c), role, 0.003) for role, c in configs])
    judged = model.held_out
    assert judged is not None
    assert judged.mape_ratio < 0.01
    assert judged.max_ratio < 0.05
    assert judged.refused == 0


def test_a_lone_strided_reader_that_was_never_measured_is_refused(skipping, measured):
    architecture, seconds = skipping
    configs = [c for c in design.design(architecture, 200, 0) if c.kept("layer2.0.conv1")]
    model = LatencyPredictor.fit(architecture, [measured(architecture, c, seconds(c)) for c in configs])
    with pytest.raises(LatencyUnknown, match=r"layer1\.1\.conv2 before a shortcut that alone reads it; run: "):
        model.predict(architecture.partial({"layer2.0.conv1": 0}))


def test_what_was_measured_alone_in_a_loud_moment_does_not_spoil_what_a_canary_stood_beside(network, machine, measured):
    """The dense network's own measurements have no canary: nobody knows in what state the machine was."""

    def beside(found):
        occasions = tuple(Occasion(float(at), 0, 1e-3) for at in range(len(found.latency.block_sizes)))
        return replace(found, latency=replace(found.latency, occasions=occasions, canary_quiet_s=1e-3))

    designs = [beside(measured(network, config, machine(network, config))) for config in design.design(network, 60, 0)]
    held = [beside(measured(network, config, machine(network, config), "held-out")) for config in design.held_out(network, 20, 0)]
    loud = measured(network, network.dense(), 1.5 * machine(network, network.dense()), "network")
    alone = LatencyPredictor.fit(network, (*designs, *held))
    spoilt = LatencyPredictor.fit(network, (loud, loud, *designs, *held))
    assert spoilt.predict(network.dense()) == alone.predict(network.dense())
    assert spoilt.held_out.mape_ratio == alone.held_out.mape_ratio
