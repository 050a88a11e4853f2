"""What records mean: medians and intervals, shapes of pruned networks, digests, and conditions that must agree."""

import json
import math
import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import PruningError, RecordError, UnknownName, UsageError
from harness.records.conditions import COMPARED
from harness.records.layer import ConvShape, LinearShape
from harness.records.measurement import Latency, LayerLatency, Occasion
from harness.records.pruning_config import PruningConfig

samples = st.lists(st.floats(1e-6, 1e2), min_size=1, max_size=60)


@given(samples)
def test_the_interval_surrounds_the_median_and_quantiles_rise(taken):
    latency = Latency(tuple(taken), (len(taken),))
    low, high = latency.interval_s
    assert low <= latency.median_s <= high
    assert latency.median_s == statistics.median(taken)
    assert min(taken) <= latency.quantile_s(0.1) <= latency.p90_s <= latency.quantile_s(1.0) == max(taken)


@given(samples, st.integers(1, 5))
def test_block_medians_are_those_of_the_blocks(taken, blocks):
    latency = Latency(tuple(taken) * blocks, (len(taken),) * blocks)
    assert latency.block_medians_s == (statistics.median(taken),) * blocks
    assert latency.block_spread_ratio == 0.0


def test_blocks_that_disagree_widen_the_interval():
    together = Latency((1.0, 1.01, 1.02, 1.03) * 5, (4,) * 5)
    apart = Latency(tuple(level + step for level in (1.0, 1.2, 1.4, 1.6, 1.8) for step in (0, 0.01, 0.02, 0.03)), (4,) * 5)
    widths = [high - low for low, high in (together.interval_s, apart.interval_s)]
    assert widths[1] > 10 * widths[0]


def test_a_99th_percentile_needs_a_thousand_samples():
    assert Latency((1.0,) * 999, (999,)).p99_s is None
    assert Latency((1.0,) * 980 + (2.0,) * 20, (1000,)).p99_s == 2.0


def test_noise_is_told_in_words():
    quiet = Latency((1.0,) * 40, (20, 20), cpu_samples_s=(1.0,) * 40)
    assert quiet.noise == ()
    assert "blocks differ by 9.5%" in Latency((1.0,) * 20 + (1.1,) * 20, (20, 20)).noise[0]
    assert "10.0% of the samples were preempted" in Latency((1.0,) * 40, (40,), preempted=(0, 1, 2, 3)).noise[0]
    assert "ran 1.25 times as long" in Latency((1.0,) * 40, (40,), cpu_samples_s=(0.8,) * 40).noise[0]
    assert quiet.wall_over_cpu == 1.0
    assert Latency((1.0,), (1,)).wall_over_cpu is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -1e-9])
def test_a_sample_that_is_no_duration_is_refused(wrong):
    with pytest.raises(RecordError, match=r"sample 1 is .*the clock cannot be trusted"):
        Latency((1.0, wrong), (2,))


def test_layers_need_times():
    assert LayerLatency("n", (), "Reorder", (1.0, 3.0, 2.0)).median_s == 2.0
    for wrong in ((), (math.nan,), (-1.0,)):
        with pytest.raises(RecordError, match="profile the network again"):
            LayerLatency("n", (), "Reorder", wrong)


@given(data=st.data())
def test_a_configuration_survives_its_canonical_text(data):
    names = data.draw(st.lists(st.text(max_size=6), max_size=5, unique=True))
    config = PruningConfig.of(data.draw(st.text(max_size=6)), {name: data.draw(st.integers(0, 99)) for name in names})
    assert PruningConfig.from_json(config.canonical) == config
    assert PruningConfig.from_json(json.dumps(json.loads(config.canonical), indent=3)).digest == config.digest


@given(order=st.permutations(["a", "b", "c"]))
def test_equal_configurations_have_equal_digests_however_they_were_made(order):
    made = PruningConfig.of("n", [(name, len(name)) for name in order])
    assert made.digest == PruningConfig.of("n", {"a": 1, "b": 1, "c": 1}).digest
    assert made.with_channels("b", 2).digest != made.digest
    assert made.with_channels("b", 2).kept("b") == 2


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '{"network": "n"}', '{"network": "n", "channels": {"a": 1.5}}', '{"network": "n", "channels": {"a": -1}}',
     '{"network": "n", "channels": {"a": true}}', '{"network": "n", "schema": 2, "channels": {}}'],
)  # fmt: skip
def test_a_text_that_is_no_configuration_is_refused(text):
    with pytest.raises(UsageError):
        PruningConfig.from_json(text)


def test_configurations_are_made_only_in_their_canonical_form():
    with pytest.raises(UsageError, match=r"use PruningConfig\.of"):
        PruningConfig("n", (("b", 1), ("a", 1)))
    with pytest.raises(UsageError, match="names no group 'z'; it names a"):
        PruningConfig.of("n", {"a": 1}).kept("z")


def test_shapes_follow_the_configuration(architecture):
    dense = architecture.shapes(architecture.dense())
    assert dense["b"].in_channels == 8
    narrow = architecture.shapes(architecture.partial({"a": 5, "b": 2}))
    assert (narrow["a"].in_channels, narrow["a"].out_channels) == (3, 5)
    assert (narrow["b"].in_channels, narrow["b"].out_channels) == (5, 2)
    assert (narrow["c"].in_channels, narrow["c"].out_channels) == (2, 5)
    assert narrow["fc"] == LinearShape(5, 4)
    assert set(architecture.shapes(architecture.partial({"b": 0}))) == {"a", "fc"}


@given(a=st.integers(1, 8), b=st.integers(0, 4))
def test_fewer_channels_are_less_work(architecture, a, b):
    config = architecture.partial({"a": a, "b": b})
    assume((a, b) != (8, 4))
    assert architecture.macs(config) < architecture.macs(architecture.dense())


def test_multiply_accumulates_and_bytes_of_a_known_layer():
    shape = ConvShape(16, 32, (3, 3), (2, 2), (1, 1), (1, 1), 1, (32, 32))
    assert shape.output_size == (16, 16)
    assert shape.weight_count == 4608
    assert shape.macs == 4608 * 256
    assert shape.traffic_bytes("bf16") == 2 * (4608 + 16 * 1024 + 32 * 256)
    assert shape.key == "conv3s2p1-16x32-32"
    depthwise = ConvShape(8, 8, (3, 3), (1, 1), (1, 1), (1, 1), 8, (4, 4))
    assert depthwise.macs == 8 * 9 * 16
    assert LinearShape(64, 10).key == "linear-64-10"


def test_configurations_that_do_not_fit_an_architecture_are_refused_by_group(architecture):
    with pytest.raises(UnknownName, match="unknown channel group 'A': choose one of a, b"):
        architecture.partial({"A": 1})
    with pytest.raises(PruningError, match="group a has 8 channels, 9 cannot be kept"):
        architecture.partial({"a": 9})
    with pytest.raises(PruningError, match="group a is no residual branch"):
        architecture.partial({"a": 0})
    with pytest.raises(PruningError, match="says nothing of group b"):
        architecture.check(PruningConfig.of("tiny", {"a": 1}))
    with pytest.raises(PruningError, match="is for other, the network is tiny"):
        architecture.check(PruningConfig.of("other", {"a": 1, "b": 1}))


@given(ratio=st.floats(0.01, 1.0))
def test_a_uniform_configuration_always_fits(architecture, ratio):
    config = architecture.uniform(ratio)
    architecture.check(config)
    assert all(1 <= kept <= architecture.group(name).channels for name, kept in config.channels)


@given(data=st.data())
def test_conditions_differ_by_exactly_the_keys_that_are_not_equal(measurements, data):
    ours, theirs = (data.draw(measurements).conditions for _ in range(2))
    differing = {key for key, _, _ in ours.differences(theirs)}
    expected = {key for (key, one), (_, other) in zip(ours.fingerprint(), theirs.fingerprint(), strict=True) if one != other}
    assert differing == expected <= set(COMPARED)
    assert not ours.differences(ours)


@given(st.data())
def test_two_measurements_of_one_network_join_to_one_of_all_blocks(latencies, data):
    first, second = data.draw(latencies), data.draw(latencies)
    both = first.joined(second)
    assert both.samples_s == first.samples_s + second.samples_s
    assert both.block_medians_s == first.block_medians_s + second.block_medians_s
    assert len(both.preempted) == len(first.preempted) + len(second.preempted)
    assert {both.samples_s[index] for index in both.preempted} <= set(both.samples_s)
    if first.occasions and second.occasions:
        assert [one.canary_s for one in both.occasions] == [one.canary_s for one in first.occasions + second.occasions]
        loads = [one.load for one in both.occasions]
        assert not {*loads[: len(first.occasions)]} & {*loads[len(first.occasions) :]}
    else:
        assert both.occasions == () == both.quiet


@pytest.mark.parametrize("wrong", [math.nan, 0.0, -1e-9])
def test_a_canary_that_took_no_time_is_refused(wrong):
    with pytest.raises(RecordError, match="canary"):
        Latency((1.0,), (1,), occasions=(Occasion(0.0, 0, wrong),))
    with pytest.raises(RecordError, match="canary"):
        Latency((1.0,), (1,), canary_quiet_s=wrong)
    with pytest.raises(RecordError, match="2 occasions for 1 blocks"):
        Latency((1.0,), (1,), occasions=(Occasion(0.0),) * 2)
