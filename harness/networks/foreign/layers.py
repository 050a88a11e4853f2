"""The convolutions and linear layers of an ONNX graph, with their shapes: the architecture of a network that nobody has the code of."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx

Sizes = Mapping[str, tuple[int, ...]]

OPERATORS = ("Conv", "Gemm", "MatMul")
WEIGHTED = (*OPERATORS, "ConvTranspose", "Einsum", "LSTM", "GRU", "RNN", "DeformConv", "ConvInteger", "MatMulInteger", "QLinearConv")
_ONNX = ("", "ai.onnx")  # domains; what others call by the same names may be anything
_CARRYING = ("Identity", "Transpose", "Cast", "Reshape", "QuantizeLinear", "DequantizeLinear", "Constant")  # of a constant: one too


@dataclass(frozen=True)
class GraphLayer:
    """A convolution or a linear layer. node: its own in the graph; name: as the file calls it, else the node's.

    Sizes are ``(height, width)``; a linear layer's input is 1 x the positions of one picture that it is applied at.
    """

    node: str
    name: str
    kind: str  # "conv" or "linear"
    in_channels: int
    out_channels: int
    input_size: tuple[int, int]
    kernel_size: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True)
class GraphLayers:
    """What a graph holds. layers: in graph order, each name once.

    left_out: operations with weights that have no row of their own, by operator. classes: values that the first output has for one
    picture; 0 where it is no vector.
    """

    layers: tuple[GraphLayer, ...]
    left_out: tuple[tuple[str, int], ...]
    classes: int


def found(data: bytes, batch: int, names: Mapping[str, str]) -> GraphLayers:
    """The layers in the ONNX file ``data``, every input of which is fixed, for batches of ``batch``.

    names: node to layer where the file knows them. A layer whose sizes cannot be inferred is left out, and counted so.
    """
    model = onnx.load_model_from_string(data)
    sizes = _sizes(model)
    constants = _constants(model.graph)
    made: dict[str, GraphLayer] = {}
    left = Counter[str]()
    for node in model.graph.node:
        weights = [tensor for tensor in node.input if tensor in constants]
        if node.op_type not in WEIGHTED or node.domain not in _ONNX or not weights:
            continue
        layer = _layer(node, sizes, constants, batch, names.get(node.name, node.name))
        if layer is None or layer.name in made:
            left[node.op_type] += 1
        else:
            made[layer.name] = layer
    answer = sizes.get(model.graph.output[0].name, ())
    return GraphLayers(tuple(made.values()), tuple(left.items()), answer[1] if len(answer) == 2 else 0)


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        graph = model.graph  # contradictory sizes: the runtime will say so in its own words
    told = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for one in (*graph.value_info, *graph.input, *graph.output):
        sides = tuple(side.dim_value for side in one.type.tensor_type.shape.dim)
        if sides and all(side > 0 for side in sides):
            told[one.name] = sides
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            told[node.output[0]] = tuple(node.attribute[0].t.dims)
    return told


def _constants(graph: onnx.GraphProto) -> frozenset[str]:
    """Tensors that are the same for every picture: initializers, and what is made of nothing else."""
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in _CARRYING and all(name in known for name in node.input if name):
            known.update(node.output)
    return frozenset(known)


def _layer(node: onnx.NodeProto, sizes: Sizes, constants: frozenset[str], batch: int, name: str) -> GraphLayer | None:
    needed = (*node.input[:2], node.output[0])
    if node.op_type not in OPERATORS or any(tensor not in sizes for tensor in needed):
        return None
    if node.op_type == "Conv":
        return _convolution(node, sizes, name)
    return _linear(node, sizes, constants, batch, name)


def _convolution(node: onnx.NodeProto, sizes: Sizes, name: str) -> GraphLayer | None:
    """Of one or two dimensions; one along a line is a map of height 1."""
    picture, weight, answer = (sizes[tensor] for tensor in (node.input[0], node.input[1], node.output[0]))
    if len(weight) not in (3, 4) or not len(picture) == len(weight) == len(answer):
        return None
    count = len(weight) - 2
    settings = {one.name: one for one in node.attribute}

    def numbers(key: str, usual: int, length: int) -> tuple[int, ...]:
        return tuple(settings[key].ints) if key in settings and settings[key].ints else (usual,) * length

    strides, dilations, pads = numbers("strides", 1, count), numbers("dilations", 1, count), numbers("pads", 0, 2 * count)
    groups = settings["group"].i if "group" in settings else 1
    if (len(strides), len(dilations), len(pads)) != (count, count, 2 * count) or min(*strides, *dilations, *weight, groups) < 1:
        return None  # no convolution: the runtime will say so in its own words
    padding = tuple(min(pads[i], pads[i + count]) for i in range(count))
    kernel = weight[2:]
    # padded on one side more than on the other (SAME): the map counts as large as what the convolution really walks over
    walked = tuple((answer[2 + i] - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - 2 * padding[i] for i in range(count))
    seen = tuple(
        picture[2 + i] if _steps(picture[2 + i], kernel[i], strides[i], dilations[i], padding[i]) == answer[2 + i] else walked[i]
        for i in range(count)
    )
    return GraphLayer(
        node=node.name,
        name=name,
        kind="conv",
        in_channels=picture[1],
        out_channels=weight[0],
        kernel_size=_pair(kernel),
        stride=_pair(strides),
        padding=_pair(padding, 0),
        dilation=_pair(dilations),
        groups=groups,
        input_size=_pair(seen),
    )


def _linear(node: onnx.NodeProto, sizes: Sizes, constants: frozenset[str], batch: int, name: str) -> GraphLayer | None:
    weight_first = node.input[1] not in constants
    weight, answer = sizes[node.input[0 if weight_first else 1]], sizes[node.output[0]]
    if len(weight) != 2 or min(weight) < 1:
        return None
    turned = weight_first
    for one in node.attribute:
        if one.name == ("transA" if weight_first else "transB") and one.i:
            turned = not turned
    inputs, outputs = weight[::-1] if turned else weight
    positions = math.prod(answer) // outputs // batch
    return GraphLayer(node.name, name, "linear", inputs, outputs, (1, max(1, positions)))


def _steps(side: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    return (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _pair(numbers: tuple[int, ...], line: int = 1) -> tuple[int, int]:
    return (line, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
