"""HardSigmoid is written in other operations: the same answers, valid ONNX, and nodes that are still known by the old one's name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from harness.devices.bundle import AGENT_DIRECTORY


@pytest.fixture(scope="module")
def rewriting() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(AGENT_DIRECTORY))
        yield importlib.import_module("onnx_hard_sigmoid")
    for name in ("onnx_hard_sigmoid", "onnx_reader"):
        sys.modules.pop(name)


def model(*nodes: onnx.NodeProto, opset: int = 13) -> bytes:
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "graph", places[:1], places[1:])
    made: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7).SerializeToString()
    return made


def answer(content: bytes, values: list[float]) -> np.ndarray:
    given = {"x": np.array([values], dtype=np.float32)}
    return np.asarray(ReferenceEvaluator(onnx.load_model_from_string(content)).run(None, given)[0])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    attributes=st.fixed_dictionaries({}, optional={"alpha": st.floats(0.05, 2.0), "beta": st.floats(-1.0, 1.0)}),
    values=st.lists(st.floats(-8, 8, width=32), min_size=8, max_size=8),
    fused=st.booleans(),
)
def test_the_answers_stay(rewriting: ModuleType, attributes: dict[str, float], values: list[float], fused: bool) -> None:
    """As a part of HSwish, which is x times it; and as the gate of something else, of which OpenVINO must find no HSigmoid."""
    users = ["x", "h"] if fused else ["h", "h"]
    before = model(helper.make_node("HardSigmoid", ["x"], ["h"], "gate", **attributes), helper.make_node("Mul", users, ["y"], "product"))
    after = rewriting.rewritten(before)
    onnx.checker.check_model(onnx.load_model_from_string(after), full_check=True)
    nodes = onnx.load_model_from_string(after).graph.node
    assert [node.op_type for node in nodes] == (["Add", "Clip", "Mul", "Mul"] if fused else ["Mul", "Add", "Clip", "Mul"])
    assert {node.name.split("@")[0] for node in nodes} == {"gate", "product"}
    np.testing.assert_allclose(answer(after, values), answer(before, values), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("opset", [10, 13])
def test_what_has_none_or_is_older_stays_as_it_is(rewriting: ModuleType, opset: int) -> None:
    plain = model(helper.make_node("Relu", ["x"], ["y"], "relu"), opset=opset)
    assert rewriting.rewritten(plain) == plain
    old = model(helper.make_node("HardSigmoid", ["x"], ["y"], "gate"), opset=10)
    assert rewriting.rewritten(old) == old
