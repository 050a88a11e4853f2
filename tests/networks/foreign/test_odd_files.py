"""Odd files: each is read and told about, or refused in one line that says what to do; never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from harness.errors import UsageError
from harness.exported import Exported
from harness.networks.foreign import fixing, idle_weights

Value = onnx.ValueInfoProto
FILTERS = numpy_helper.from_array(np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32), "w")


def value(name: str, *sizes: int | str, kind: int = TensorProto.FLOAT) -> Value:
    return helper.make_tensor_value_info(name, kind, sizes)


def conv(**settings: object) -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], ["y"], "conv", **{"pads": [1] * 4, **settings})


def network(
    nodes: list[onnx.NodeProto] | None = None,
    inputs: list[Value] | None = None,
    outputs: list[Value] | None = None,
    constants: tuple[onnx.TensorProto, ...] = (FILTERS,),
) -> onnx.ModelProto:
    """A convolution of a picture, where nothing else is said."""
    given_inputs = [value("x", 1, 3, 16, 16)] if inputs is None else inputs
    given_outputs = [value("y", 1, 8, 16, 16)] if outputs is None else outputs
    graph = helper.make_graph([conv()] if nodes is None else nodes, "net", given_inputs, given_outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def changed(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    model = network()
    change(model)
    return model


def of_type(name: str, kind: onnx.TypeProto) -> Value:
    found = Value()
    found.name = name
    found.type.CopyFrom(kind)
    return found


TENSOR = helper.make_tensor_type_proto(TensorProto.FLOAT, (1, 3, 16, 16))


def branching() -> onnx.ModelProto:
    graphs = [helper.make_graph([helper.make_node("Conv", ["x", "w"], [name], name)], name, [], [value(name)]) for name in ("a", "b")]
    for graph in graphs:
        graph.output[0].type.tensor_type.ClearField("shape")
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], "max", keepdims=0),
        helper.make_node("Cast", ["most"], ["is"], "cast", to=TensorProto.BOOL),
        helper.make_node("If", ["is"], ["y"], "if", then_branch=graphs[0], else_branch=graphs[1]),
    ]
    return network(nodes)


def with_function() -> onnx.ModelProto:
    model = network([helper.make_node("Filtered", ["x", "w"], ["y"], "inner", domain="mine")])
    inside = [helper.make_node("Conv", ["a", "b"], ["c"], pads=[1] * 4)]
    model.functions.append(helper.make_function("mine", "Filtered", ["a", "b"], ["c"], inside, [helper.make_opsetid("", 15)]))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    return model


def of_other_domain() -> onnx.ModelProto:
    model = network([helper.make_node("Conv", ["x", "w"], ["y"], "theirs", domain="com.theirs")])
    model.opset_import.append(helper.make_opsetid("com.theirs", 1))
    return model


@dataclass(frozen=True)
class Odd:
    """A file. layers: that it has, where it is read; told: a part of the refusal, where it is not."""

    name: str
    model: Callable[[], onnx.ModelProto]
    layers: int = 0
    told: str = ""


def shapeless(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")


FILES = (
    Odd("output without shape", lambda: changed(shapeless), 1),
    Odd("output without type", lambda: changed(lambda model: model.graph.output[0].ClearField("type")), 1),
    Odd("no outputs", lambda: network(outputs=[]), told="is no ONNX network with outputs"),
    Odd("no inputs", lambda: network([], [], [value("w", 8, 3, 3, 3)]), told="is no ONNX network with inputs"),
    Odd("constants as inputs", lambda: network(inputs=[value("w", 8, 3, 3, 3), value("x", 1, 3, 16, 16)]), 1),
    Odd("weights that are fed", lambda: network(inputs=[value("x", 1, 3, 16, 16), value("w", 8, 3, 3, 3)], constants=())),
    Odd("numbers alone", lambda: network([helper.make_node("Neg", ["x"], ["y"])], [value("x")], [value("y")]), told="takes numbers alone"),
    Odd("far too large", lambda: network(inputs=[value("x", 1, 3, 2**40, 2**40)]), told="is more than any device is fed"),
    Odd("sequence", lambda: network(inputs=[of_type("x", helper.make_sequence_type_proto(TENSOR))]), told="is of type sequence"),
    Odd("optional", lambda: network(inputs=[of_type("x", helper.make_optional_type_proto(TENSOR))]), told="is of type optional"),
    Odd("no type", lambda: changed(lambda model: model.graph.input[0].ClearField("type")), told="is of type nothing"),
    Odd("text", lambda: network(inputs=[value("x", 1, 4, kind=TensorProto.STRING)]), told="is of type string, which no device is fed"),
    Odd("no opset", lambda: changed(lambda model: model.ClearField("opset_import")), told="must specify opset_import"),
    Odd("unknown operator", lambda: network([helper.make_node("Convolve", ["x", "w"], ["y"])]), told="No Op registered for Convolve"),
    Odd("other domain", of_other_domain),
    Odd("function of its own", with_function, 1),
    Odd("branches", branching),
    Odd("stride of nothing", lambda: network([conv(strides=[0, 0])])),
    Odd("too few strides", lambda: network([conv(strides=[1])])),
    Odd("no groups", lambda: network([conv(group=0)])),
    Odd("unknown weights", lambda: changed(lambda model: setattr(model.graph.initializer[0], "data_type", 77)), 1),
    Odd("a name that breaks lines", lambda: changed(lambda model: setattr(model.graph.node[0], "name", "a\nb\x1b[31m")), 1),
    Odd(
        "an input that breaks lines",
        lambda: network([], [value("a\nb", 1, 3, "H", "W")], [value("a\nb", 1, 3, "H", "W")]),
        told="leaves H, W",
    ),
    Odd("nothing", onnx.ModelProto, told="is no ONNX network"),
)


@pytest.mark.parametrize("odd", FILES, ids=lambda odd: odd.name)
def test_odd_files_are_read_or_refused_in_one_line(tmp_path: Path, odd: Odd) -> None:
    path = tmp_path / "odd.onnx"
    path.write_bytes(odd.model().SerializeToString())
    if odd.told:
        with pytest.raises(UsageError) as refused:
            Exported.read(path)
        assert odd.told in str(refused.value)
        assert str(refused.value).isprintable()
        return
    found = Exported.read(path)
    assert len(found.architecture.layers) == odd.layers
    assert all(site.name.isprintable() for site in found.architecture.layers)
    sent = found.subject()
    assert idle_weights.found(sent.onnx, sent.node_layers).sentences("odd") == ()


@given(names=st.lists(st.sampled_from(["N", "H", "W", 3, 8]), min_size=8, max_size=8), sizes=st.tuples(*[st.sampled_from([8, 16])] * 2))
def test_a_name_of_several_open_sizes_is_one_number_in_all_inputs(names: list[str | int], sizes: tuple[int, int]) -> None:
    inputs = [value("x", *names[:4]), value("z", *names[4:])]
    model = network([helper.make_node("Identity", [one], [f"of {one}"]) for one in "xz"], inputs, [value("of x"), value("of z")], ())
    for one in model.graph.output:
        one.type.tensor_type.ClearField("shape")
    try:
        found = fixing.fixed(model.SerializeToString(), "m.onnx", None, 1, (None, *sizes))
    except UsageError:
        return
    given_sizes: dict[str | int, set[int]] = {}
    for asked, one in zip(names, (*found.inputs[0].sizes, *found.inputs[1].sizes), strict=True):
        given_sizes.setdefault(asked, set()).add(one)
    assert all(len(each) == 1 for each in given_sizes.values())
    assert all(each == {name} for name, each in given_sizes.items() if isinstance(name, int))


def test_a_function_of_the_files_own_answers_the_same_where_it_is_called() -> None:
    model, images = with_function(), np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype(np.float32)
    whole = onnx.load_model_from_string(fixing.fixed(model.SerializeToString(), "m.onnx").onnx)
    before, after = (ReferenceEvaluator(one).run(None, {"x": images})[0] for one in (model, whole))
    assert np.array_equal(before, after)
    assert not whole.functions
