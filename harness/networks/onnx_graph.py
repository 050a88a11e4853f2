"""Operations on an exported network's graph: to the onnx package's model and back, and where its INT8 operations lie.

A quantised network is one with QuantizeLinear and DequantizeLinear around what runs in INT8 (QDQ): OpenVINO, ONNX Runtime and
TensorRT all read this form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.networks.export import Artefact

QUANTISING, DEQUANTISING = "QuantizeLinear", "DequantizeLinear"
RUNS_IN = "espalier.runs_in"  # key of the file's metadata that holds the precision it is for, where it is for one
LAYER_OPERATORS = ("Conv", "Gemm", "MatMul")
_RESHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Identity", "Relu")  # what may lie before an INT8 layer
_NAMED_ANEW = ("Relu", "Clip", "Identity", "Constant")  # nothing INT8 depends on where they are, and a removed branch changes their names
_MOST_INT8, _MOST_UINT8 = 127, 255


@dataclass(frozen=True, eq=False)
class Constant:
    """A float constant of a network: weights, a bias, a scale."""

    name: str
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Int8Input:
    """One input of a node that arrives as INT8. scale, zero_point: scalars, or one for each channel along ``axis``."""

    node: str
    place: int
    weight: bool
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int8] | NDArray[np.uint8]
    axis: int | None


@dataclass(frozen=True, eq=False)
class Template:
    """Where a quantised network has INT8: its inputs of nodes, and ``(name, operator)`` of all its nodes."""

    inputs: tuple[Int8Input, ...]
    nodes: frozenset[tuple[str, str]]


def model_of(artefact: Artefact) -> onnx.ModelProto:
    """The artefact as the onnx package's model, a copy."""
    return onnx.load_model_from_string(artefact.onnx)


def artefact_of(model: onnx.ModelProto, original: Artefact) -> Artefact:
    """A changed model as an artefact, of the same name, input and layers as ``original``."""
    content = model.SerializeToString(deterministic=True)
    return replace(original, onnx=content, digest=hashlib.sha256(content).hexdigest())


def is_quantised(artefact: Artefact) -> bool:
    """Whether the network holds operations that make INT8 of float, or float of INT8."""
    return any(node.op_type in (QUANTISING, DEQUANTISING) for node in model_of(artefact).graph.node)


def runs_in(artefact: Artefact) -> str:
    """The precision that the file itself asks for: INT8 where it is quantised, or what ``stamped`` left in it; empty for any."""
    if is_quantised(artefact):
        return "int8"
    return next((prop.value for prop in model_of(artefact).metadata_props if prop.key == RUNS_IN), "")


def stamped(artefact: Artefact, precision: str) -> Artefact:
    """The same network, which says of itself that it is to run in ``precision``; another file, so that both can be compared."""
    model = model_of(artefact)
    model.metadata_props.add(key=RUNS_IN, value=precision)
    return artefact_of(model, artefact)


def layers_of(artefact: Artefact) -> tuple[tuple[str, str], ...]:
    """``(node, layer)`` of every convolution and linear layer; of a foreign network the nodes' own names stand for the layers."""
    if artefact.node_layers:
        return artefact.node_layers
    graph = model_of(artefact).graph
    constants = {tensor.name for tensor in graph.initializer}
    return tuple((node.name, node.name) for node in graph.node if node.op_type in LAYER_OPERATORS and constants.intersection(node.input))


def quantised_nodes(artefact: Artefact) -> frozenset[str]:
    """Names of the convolutions and linear layers whose weights and input are both INT8."""
    graph = model_of(artefact).graph
    makers = {tensor: node for node in graph.node for tensor in node.output}

    def is_int8(tensor: str) -> bool:
        maker = makers.get(tensor)
        while maker is not None and maker.op_type in _RESHAPING:
            maker = makers.get(maker.input[0])
        return maker is not None and maker.op_type == DEQUANTISING

    layers = (node for node in graph.node if node.op_type in LAYER_OPERATORS and len(node.input) > 1)
    return frozenset(node.name for node in layers if all(map(is_int8, node.input[:2])))


def constants(artefact: Artefact) -> Iterator[Constant]:
    """The network's float constants."""
    for tensor in model_of(artefact).graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            yield Constant(tensor.name, onnx.numpy_helper.to_array(tensor))


def input_name(artefact: Artefact) -> str:
    """Name of the tensor that takes the images."""
    return str(model_of(artefact).graph.input[0].name)


def template(quantised: Artefact) -> Template:
    """Where ``quantised`` has INT8."""
    graph = model_of(quantised).graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == DEQUANTISING}
    inputs = []
    for node in graph.node:
        for place, tensor in enumerate(node.input):
            if tensor not in makers:
                continue
            maker = makers[tensor]
            scale, zero_point = (onnx.numpy_helper.to_array(known[name]) for name in maker.input[1:3])
            axis = next((one.i for one in maker.attribute if one.name == "axis"), None)
            inputs.append(Int8Input(node.name, place, maker.input[0] in known, scale, zero_point, axis))
    return Template(tuple(inputs), frozenset((node.name, node.op_type) for node in graph.node))


def laid_over(placed: Template, artefact: Artefact) -> Artefact | None:
    """``artefact``, in float, with INT8 where ``placed`` has it; None for a network that has other nodes.

    The nodes are told by their names: other widths and removed branches fit. Weights are scaled by their largest values
    ([Nagel2021]_ sec. 2.2); activations have the template's scales, which say nothing of this network.

    .. [Nagel2021] M. Nagel, M. Fournarakis, R. Amjad, Y. Bondarenko, M. van Baalen, T. Blankevoort: A white paper on neural network
       quantization. arXiv 2106.08295.
    """
    model = model_of(artefact)
    nodes = [node for node in model.graph.node if node.op_type not in _NAMED_ANEW]
    if any((node.name, node.op_type) not in placed.nodes for node in nodes):
        return None
    laying = _Laying(model.graph)
    wanted = {(one.node, one.place): one for one in placed.inputs}
    for node in list(model.graph.node):
        for place in range(len(node.input)):
            if (node.name, place) in wanted:
                node.input[place] = laying.int8(node, place, wanted[node.name, place])
        laying.nodes.append(node)
    return artefact_of(laying.finished(model), artefact)


def with_float(quantised: Artefact, original: Artefact, nodes: Collection[str]) -> Artefact:
    """``quantised`` with the layers of these nodes computed in float again, as ``original`` computes them."""
    model, before = model_of(quantised), model_of(original).graph
    constants_before = {tensor.name: tensor for tensor in before.initializer}
    inputs = {node.name: node.input for node in before.node}
    for node in model.graph.node:
        if node.name not in nodes:
            continue
        for place, tensor in enumerate(inputs[node.name]):
            node.input[place] = tensor
            if tensor in constants_before:  # under a name of its own: the quantised network has corrected biases
                node.input[place] = f"{tensor}_in_float_{node.name}"
                copied = model.graph.initializer.add()
                copied.CopyFrom(constants_before[tensor])
                copied.name = node.input[place]
    _without_unread(model.graph)
    return artefact_of(model, quantised)


def signed(quantised: Artefact) -> Artefact:
    """``quantised`` with its unsigned activations as signed ones of the same range, in half as many steps; their zero points are 0."""
    model = model_of(quantised)
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = {(str(node.input[1]), str(node.input[2])) for node in model.graph.node if node.op_type in (QUANTISING, DEQUANTISING)}
    for scale, zero_point in sorted(pairs):
        if known[zero_point].data_type == onnx.TensorProto.UINT8:
            wider = onnx.numpy_helper.to_array(known[scale]) * np.float32(_MOST_UINT8 / _MOST_INT8)
            known[scale].CopyFrom(onnx.numpy_helper.from_array(wider.astype(np.float32), scale))
            zeros = np.zeros(tuple(known[zero_point].dims), np.int8)
            known[zero_point].CopyFrom(onnx.numpy_helper.from_array(zeros, zero_point))
    del model.graph.value_info[:]
    return artefact_of(model, quantised)


def _without_unread(graph: onnx.GraphProto) -> None:
    """Drop nodes and constants that nothing reads."""
    outputs = {one.name for one in graph.output}
    while True:
        read = outputs.union(*(node.input for node in graph.node))
        unread = [node for node in graph.node if read.isdisjoint(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)


class _Laying:
    """The nodes and constants of a network that is being given INT8, named as NNCF names them."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.known = {tensor.name: tensor for tensor in graph.initializer}
        self.added: dict[str, onnx.TensorProto] = {}
        self.made: dict[tuple[str, str], str] = {}  # tensor and type to its INT8 form

    def int8(self, node: onnx.NodeProto, place: int, wanted: Int8Input) -> str:
        """The name of the tensor that input ``place`` of ``node`` becomes; the nodes that make it are there then."""
        tensor = str(node.input[place])
        key = (tensor, f"{wanted.zero_point.dtype}{wanted.scale.shape != ()}")
        if key not in self.made:
            name = f"{tensor}_{1 + sum(other == tensor for other, _ in self.made)}"
            weights = self.known.get(tensor)
            if weights is not None:
                values = onnx.numpy_helper.to_array(weights)
                scale = _weight_scale(values, wanted)
                shaped = scale if wanted.axis is None else np.expand_dims(scale, _others(values.ndim, wanted.axis))
                self._constant(f"q_output_{name}", np.clip(np.rint(values / shaped), -_MOST_INT8, _MOST_INT8).astype(np.int8))
            else:
                channels = (
                    self.known[node.input[1]].dims[0] if node.op_type == "Conv" and node.input[1] in self.known else wanted.scale.size
                )
                scale = np.resize(wanted.scale, channels).astype(np.float32) if wanted.scale.shape else wanted.scale
            self._constant(f"scale_{name}", scale)
            self._constant(f"zero_point_{name}", np.resize(wanted.zero_point, scale.shape).astype(wanted.zero_point.dtype))
            if weights is None:
                self._node(QUANTISING, name, tensor, f"q_output_{name}", wanted.axis)
            self._node(DEQUANTISING, name, f"q_output_{name}", f"dq_output_{name}", wanted.axis)
            self.made[key] = f"dq_output_{name}"
        return self.made[key]

    def finished(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """``model`` with these nodes, without the constants that nothing reads any more."""
        read = {tensor for node in self.nodes for tensor in node.input}
        kept = [tensor for tensor in self.known.values() if tensor.name in read]
        for field, filled in ((model.graph.node, self.nodes), (model.graph.initializer, [*kept, *self.added.values()])):
            copies = [type(one).FromString(one.SerializeToString()) for one in filled]
            del field[:]
            field.extend(copies)
        return model

    def _constant(self, name: str, values: NDArray[np.generic]) -> None:
        self.added[name] = onnx.numpy_helper.from_array(values, name)

    def _node(self, operator: str, name: str, source: str, target: str, axis: int | None) -> None:
        settings = {} if axis is None else {"axis": axis}
        inputs = [source, f"scale_{name}", f"zero_point_{name}"]
        self.nodes.append(onnx.helper.make_node(operator, inputs, [target], name=f"{operator}_{name}", **settings))


def _weight_scale(values: NDArray[np.float32], wanted: Int8Input) -> NDArray[np.float32]:
    most = np.abs(values).max() if wanted.axis is None else np.abs(values).max(axis=_others(values.ndim, wanted.axis))
    return np.asarray(np.maximum(most, np.finfo(np.float32).eps) / _MOST_INT8, dtype=np.float32)


def _others(dimensions: int, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(dimensions) if other != axis % dimensions)
