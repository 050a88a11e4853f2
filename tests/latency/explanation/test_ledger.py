"""The ledger: it balances exactly, credits fused kernels, names the remainder, and notices a layer that vanished."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.latency.explanation.ledger import MOVED, OTHER, balance
from harness.records.measurement import Latency, LayerLatency


@pytest.fixture
def profiled(network, measured):
    """A measurement of the dense network whose layers take ``each`` seconds, with an input reorder and a pooling node."""

    def build(each=10e-6, whole=None, profiling=1.0, runs=3):
        nodes = [LayerLatency("reorder_in", (), "Reorder", (1e-6,) * runs)]
        nodes += [LayerLatency(f"/{site.name}/Conv", (site.name,), "Convolution", (each,) * runs) for site in network.layers]
        nodes += [LayerLatency("/pool", (), "ReduceMean", (2e-6,) * runs)]
        total = sum(node.median_s for node in nodes)
        seconds = total * 1.03 if whole is None else whole
        base = measured(network, network.dense(), seconds)
        blocks = tuple(seconds * profiling for _ in range(runs * 20))
        return replace(base, layers=tuple(nodes), profiled=Latency(blocks, (20,) * runs))

    return build


def parts(ledger):
    return math.fsum([*(row.seconds for row in ledger.rows), *(line.seconds for line in ledger.lines)])


@given(each=st.floats(1e-7, 1e-3), whole=st.floats(1e-5, 1e-1), profiling=st.floats(0.5, 2))
def test_rows_and_lines_add_up_to_the_whole(profiled_cases, each, whole, profiling):
    measurement, network = profiled_cases(each, whole, profiling)
    ledger = balance(measurement, network)
    assert parts(ledger) == pytest.approx(measurement.latency.median_s, rel=1e-9)
    assert math.fsum(line.seconds for line in ledger.lines) == pytest.approx(ledger.remainder_s, rel=1e-6, abs=1e-12)
    assert math.fsum(stage.seconds for stage in ledger.stages) == pytest.approx(ledger.layers_s)


@pytest.fixture(scope="module")
def profiled_cases(network, measured):
    """As ``profiled``, for many examples: answers the measurement and its architecture."""

    def build(each, whole, profiling):
        nodes = tuple(LayerLatency(site.name, (site.name,), "Convolution", (each, each * 1.1)) for site in network.layers)
        base = measured(network, network.dense(), whole)
        return replace(base, layers=nodes, profiled=Latency((whole * profiling,) * 20, (10, 10))), network

    return build


def test_a_dropped_layer_is_noticed(network, profiled):
    measurement = profiled()
    without = tuple(node for node in measurement.layers if "layer1.1.conv2" not in node.source_layers and node.kind == "Convolution")
    with pytest.raises(RecordError, match=r"no profiled node runs layer1\.1\.conv2, and none is unattributed"):
        balance(replace(measurement, layers=without), network)


def test_a_layer_inside_an_opaque_node_cannot_be_attributed_and_is_said(network, profiled):
    measurement = profiled()
    hidden = tuple(replace(n, source_layers=()) if n.source_layers == ("layer1.1.conv2",) else n for n in measurement.layers)
    ledger = balance(replace(measurement, layers=hidden), network)
    assert ledger.unattributed == ("layer1.1.conv2",)
    assert parts(ledger) == pytest.approx(ledger.whole_s)


def test_a_dropped_layer_beside_an_opaque_node_moves_its_time_into_the_remainder(network, profiled):
    measurement = profiled(each=50e-6)
    whole = balance(measurement, network)
    without = tuple(node for node in measurement.layers if node.source_layers != ("layer2.0.conv1",))
    ledger = balance(replace(measurement, layers=without), network)
    assert ledger.remainder_s - whole.remainder_s == pytest.approx(50e-6)
    assert whole.balanced
    assert not ledger.balanced


def test_a_fused_kernel_is_credited_to_all_its_layers_and_not_divided(network, profiled):
    measurement = profiled()
    fused = LayerLatency("myelin", ("layer1.0.conv2", "layer1.0.conv1"), "ForeignNode", (30e-6,) * 3)
    kept = tuple(n for n in measurement.layers if not set(n.source_layers) & set(fused.source_layers))
    row = balance(replace(measurement, layers=(*kept, fused)), network).rows[1]
    assert row.layers == ("layer1.0.conv1", "layer1.0.conv2")  # in network order
    assert row.kind == "fused"
    assert row.seconds == 30e-6


def test_two_nodes_of_one_layer_are_one_row(network, profiled):
    measurement = profiled()
    extra = LayerLatency("/fc/Bias", ("fc",), "Eltwise", (1e-6, 2e-6, 3e-6))
    row = balance(replace(measurement, layers=(*measurement.layers, extra)), network).rows[-1]
    assert row.nodes == ("/fc/Conv", "/fc/Bias")
    assert (row.low_s, row.seconds, row.high_s) == pytest.approx((11e-6, 12e-6, 13e-6))


def test_the_remainder_has_names(network, profiled):
    count = len(network.layers) + 2
    measurement = profiled(profiling=1.10)
    lines = {line.name: line.seconds for line in balance(measurement, network).lines}
    nodes = sum(node.median_s for node in measurement.layers)
    whole = measurement.latency.median_s
    assert lines[MOVED] == pytest.approx(1e-6)
    assert lines[OTHER] == pytest.approx(2e-6)
    assert lines["cut off"] == pytest.approx(count * 0.5e-6)  # all node times are whole microseconds
    assert lines["host"] + lines["cut off"] == pytest.approx(1.03 * 1.10 * nodes - nodes, rel=1e-3)
    assert lines["profiler and drift"] == pytest.approx(whole - 1.03 * 1.10 * nodes, rel=1e-3)
    assert lines["profiler and drift"] < 0


def test_nothing_was_cut_off_where_times_are_finer_than_microseconds(network, profiled):
    lines = {line.name: line.seconds for line in balance(profiled(each=10.3e-6), network).lines}
    assert lines["cut off"] == 0.0


def test_bursts_that_raise_the_means_are_a_line_of_their_own(network, profiled):
    measurement = profiled()
    quiet = measurement.profiled.samples_s
    burst = tuple(s * (6 if i % 10 == 0 else 1) for i, s in enumerate(quiet))
    lines = {line.name: line.seconds for line in balance(replace(measurement, profiled=Latency(burst, (20, 20, 20))), network).lines}
    assert lines["bursts"] == pytest.approx(-0.5 * quiet[0], rel=1e-6)


def test_bursts_are_no_work_of_the_host_where_several_runs_of_a_compilation_are_told(network, profiled):
    """Ten runs of each of three compilations, which tell what nodes usually took: in a loud moment, and in a quiet one."""
    measurement = profiled(runs=3)
    told = replace(measurement, layers=tuple(replace(node, runs_s=node.runs_s * 10) for node in measurement.layers))
    quiet = measurement.profiled.samples_s
    loud = tuple(s * (6 if i % 10 == 0 else 1) for i, s in enumerate(quiet))
    lines, expected = (
        {line.name: line.seconds for line in balance(replace(told, profiled=Latency(samples, (20, 20, 20))), network).lines}
        for samples in (loud, quiet)
    )
    assert lines == pytest.approx(expected)
    assert lines["bursts"] == 0.0


def test_layers_belong_to_the_stage_of_their_branch(network, profiled):
    ledger = balance(profiled(), network)
    stages = {row.name: row.stage for row in ledger.rows}
    assert stages["layer1.0.conv2"] == "layer1"  # though its channels belong to the stem's group
    assert stages["layer2.0.down"] == "layer2"
    assert stages["fc"] == "fc"
    assert sum(ledger.share(row) for row in ledger.rows) == pytest.approx(1 - ledger.remainder_ratio)


def test_a_removed_branch_is_not_missed(network, measured, profiled):
    config = network.partial({"layer1.0.conv1": 0})
    measurement = profiled()
    kept = tuple(n for n in measurement.layers if not any(name.startswith("layer1.0") for name in n.source_layers))
    assert balance(replace(measurement, config=config, layers=kept), network).unattributed == ()


def test_an_unprofiled_measurement_and_a_foreign_architecture_are_refused(network, residual_network, measured, profiled):
    with pytest.raises(RecordError, match="was not profiled; run: pytest bench/"):
        balance(measured(network, network.dense(), 1e-3), network)
    with pytest.raises(RecordError, match="give the one it was taken of"):
        balance(profiled(), residual_network(blocks=1))
