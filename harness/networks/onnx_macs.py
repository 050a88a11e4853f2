"""Multiply-accumulates counted in an exported graph: what is stated of an architecture is held to it."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from harness.networks.export import Artefact

Sizes = dict[str, tuple[int, ...]]
_COUNTED = ("Conv", "Gemm", "MatMul")


def macs(artefact: Artefact) -> int:
    """Multiply-accumulates for one image of the two-dimensional convolutions and of the products with constant weights."""
    model = onnx.load_model_from_string(artefact.onnx)
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    constant: Sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    constant |= {node.output[0]: tuple(node.attribute[0].t.dims) for node in graph.node if node.op_type == "Constant" and node.attribute}
    told = (*graph.value_info, *graph.input, *graph.output)
    sizes = {one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim) for one in told} | constant
    counted = [node for node in graph.node if node.op_type in _COUNTED]
    unknown = [node.output[0] for node in counted if not all(sizes.get(node.output[0], ()) or (0,))]
    sizes |= _seen(model, artefact.input_shape, unknown) if unknown else {}
    total = 0
    for node in counted:
        answer = sizes[node.output[0]]
        weights = next((constant[name] for name in node.input[:2] if name in constant), ())
        if node.op_type == "Conv" and len(answer) == 4:
            total += math.prod(sizes[node.input[1]][1:]) * math.prod(answer)
        elif node.op_type != "Conv" and len(weights) == 2:
            total += math.prod(weights) * math.prod(answer[:-1])
    return total // artefact.input_shape[0]


def _seen(model: onnx.ModelProto, input_shape: tuple[int, ...], tensors: list[str]) -> Sizes:
    """Sizes that the graph computes as it goes, by one inference in numpy."""
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in tensors)
    images = {model.graph.input[0].name: np.zeros(input_shape, np.float32)}
    answers = ReferenceEvaluator(model).run(None, images)
    return {name: tuple(np.shape(answer)) for name, answer in zip(tensors, answers, strict=True)}
