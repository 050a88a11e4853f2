"""Operations on an exported network's graph: to the onnx package's model and back, and where its INT8 operations lie.

A quantised network is one with QuantizeLinear and DequantizeLinear around what runs in INT8 (QDQ): OpenVINO, ONNX Runtime and
TensorRT all read this form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from harness.networks.export import Artefact

QUANTISING, DEQUANTISING = "QuantizeLinear", "DequantizeLinear"
LAYER_OPERATORS = ("Conv", "Gemm", "MatMul")


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


def layers_of(artefact: Artefact) -> tuple[tuple[str, str], ...]:
    """``(node, layer)`` of every convolution and linear layer; of a foreign network the nodes' own names stand for the layers."""
    if artefact.node_layers:
        return artefact.node_layers
    graph = model_of(artefact).graph
    constants = _constants(graph)
    return tuple(
        (node.name, node.name)
        for node in graph.node
        if node.op_type in LAYER_OPERATORS and len(node.input) > 1 and _behind(node.input[1], graph) in constants
    )


def quantised_nodes(artefact: Artefact) -> frozenset[str]:
    """Names of the convolutions and linear layers whose weights and input are both INT8."""
    graph = model_of(artefact).graph
    made = {tensor for node in graph.node if node.op_type == DEQUANTISING for tensor in node.output}
    return frozenset(
        node.name for node in graph.node if node.op_type in LAYER_OPERATORS and len(node.input) > 1 and made.issuperset(node.input[:2])
    )


def floats(artefact: Artefact) -> Mapping[str, NDArray[np.float32]]:
    """The network's float constants by name: weights, biases, scales."""
    graph = model_of(artefact).graph
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}


def input_name(artefact: Artefact) -> str:
    """Name of the tensor that takes the images."""
    return str(model_of(artefact).graph.input[0].name)


def _constants(graph: onnx.GraphProto) -> frozenset[str]:
    return frozenset(tensor.name for tensor in graph.initializer)


def _behind(tensor: str, graph: onnx.GraphProto) -> str:
    """The tensor that a dequantised one was made of, or itself."""
    makers = {node.output[0]: node for node in graph.node if node.op_type == DEQUANTISING}
    return str(makers[tensor].input[0]) if tensor in makers else tensor
