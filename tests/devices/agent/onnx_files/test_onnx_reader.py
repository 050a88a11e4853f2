"""The agents' own reading of ONNX agrees with the onnx package, and refuses everything else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import onnx
import onnx.helper as build
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.probe import Probe, probe

WHOLE = probe(width=4, side=8).onnx


@pytest.fixture(scope="module")
def agent() -> Iterator[ModuleType]:
    sys.path.insert(0, str(AGENT_DIRECTORY))
    yield importlib.import_module("onnx_reader")
    sys.path.remove(str(AGENT_DIRECTORY))
    for name in ("onnx_reader", "onnx_shapes"):
        sys.modules.pop(name, None)


def test_the_probe_is_valid_onnx_and_reads_the_same_both_ways(agent: ModuleType, network: Probe) -> None:
    model = onnx.load_from_string(network.onnx)
    onnx.checker.check_model(model, full_check=True)
    graph = agent.read(network.onnx)
    assert [(node.name, node.op, node.inputs, node.outputs) for node in graph.nodes] == [
        (node.name, node.op_type, list(node.input), list(node.output)) for node in model.graph.node
    ]
    assert {name: dims for name, (dims, _) in graph.initializers.items()} == {one.name: list(one.dims) for one in model.graph.initializer}
    assert graph.inputs == [("input", list(network.input_shape))]
    for mine, theirs in zip(graph.nodes, model.graph.node, strict=True):
        told = {one.name: onnx.helper.get_attribute_value(one) for one in theirs.attribute}
        assert mine.attributes == told


def mixed() -> onnx.ModelProto:
    """Operations that image classifiers contain beside convolutions."""
    weight = build.make_tensor("w", 1, [6, 1, 3, 3], np.zeros(54, np.float32).tobytes(), raw=True)
    shape = build.make_tensor("shape", 7, [2], [0, -1])
    axes = build.make_tensor("axes", 7, [2], np.array([2, 3]).tobytes(), raw=True)
    nodes = [
        build.make_node("Conv", ["x", "w"], ["a"], "/dw/Conv", group=6, strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        build.make_node("HardSwish", ["a"], ["b"], "/act"),
        build.make_node("MaxPool", ["b"], ["c"], "/pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        build.make_node("Concat", ["c", "c"], ["d"], "/cat", axis=1),
        build.make_node("Constant", [], ["half"], "/const", value=build.make_tensor("v", 1, [1, 1, 1, 1], [0.5])),
        build.make_node("Mul", ["d", "half"], ["e"], "/scale"),
        build.make_node("ReduceMean", ["e"], ["f"], "/mean", axes=[2, 3], keepdims=0),
        build.make_node("Reshape", ["f", "shape"], ["y"], "/view"),
    ]
    inputs = [build.make_tensor_value_info("x", 1, [1, 6, 15, 15])]
    outputs = [build.make_tensor_value_info("y", 1, [1, 12])]
    graph = build.make_graph(nodes, "mixed", inputs, outputs, [weight, shape, axes])
    return build.make_model(graph, opset_imports=[build.make_opsetid("", 14)])


@pytest.mark.parametrize("batch_size", [1, 5])
def test_shapes_agree_with_onnx(agent: ModuleType, batch_size: int) -> None:
    shapes = importlib.import_module("onnx_shapes")
    model = mixed()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch_size
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = batch_size
    told = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    expected = {one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in [*told.graph.value_info, *told.graph.output]}
    found = shapes.infer(agent.read(mixed().SerializeToString()), batch_size)
    assert {name: found[name] for name in expected} == expected


@given(st.integers(0, len(WHOLE) - 1))
def test_a_model_cut_anywhere_is_refused(agent: ModuleType, length: int) -> None:
    with pytest.raises(agent.NotOnnx, match="not an ONNX model"):
        agent.read(WHOLE[:length])


@given(st.binary(max_size=200))
def test_noise_is_refused(agent: ModuleType, noise: bytes) -> None:
    with pytest.raises(agent.NotOnnx):
        agent.read(noise)


def test_output_tensors_lead_to_their_nodes(agent: ModuleType, network: Probe) -> None:
    graph = agent.read(network.onnx)
    assert agent.node_names(["/conv1/Conv_output_0", "/conv1/Conv", "Convolution_45", "logits"], graph) == ["/conv1/Conv", "/fc/Gemm"]
