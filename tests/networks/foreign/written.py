"""Small ONNX files, as exporters leave them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

Dims = Sequence[int | str]


def picture_network(sizes: Dims = ("N", 3, 16, 16), kind: int = TensorProto.FLOAT, named: bool = True) -> onnx.ModelProto:
    """One convolution, pooled, and a linear layer to ten values."""
    random = np.random.default_rng(0)
    weights = [("filters", random.normal(size=(8, 3, 3, 3))), ("matrix", random.normal(size=(8, 10)))]
    cast = [] if kind == TensorProto.FLOAT else [helper.make_node("Cast", ["images"], ["floats"], "cast" if named else "", to=1)]
    nodes = [
        *cast,
        helper.make_node(
            "Conv", ["floats" if cast else "images", "filters"], ["maps"], "conv" if named else "", pads=[1] * 4, strides=[2, 2]
        ),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"], "pool" if named else ""),
        helper.make_node("Flatten", ["means"], ["flat"], "flat" if named else ""),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"], "linear" if named else ""),
    ]
    return _model(nodes, [helper.make_tensor_value_info("images", kind, sizes)], (sizes[0], 10), weights)


def two_inputs(first: Dims, second: Dims, kind: int = TensorProto.INT64) -> onnx.ModelProto:
    """The sum of two inputs of whole numbers."""
    nodes = [helper.make_node("Add", ["ids", "mask"], ["sum"], "add"), helper.make_node("Cast", ["sum"], ["logits"], "cast", to=1)]
    inputs = [helper.make_tensor_value_info(name, kind, dims) for name, dims in (("ids", first), ("mask", second))]
    return _model(nodes, inputs, tuple(first), [])


def saved(model: onnx.ModelProto, path: Path, beside: str | None = None) -> Path:
    """``model`` in a file, its weights in the file ``beside`` where one is named."""
    if beside is None:
        onnx.save_model(model, path)
    else:
        onnx.save_model(model, path, save_as_external_data=True, location=beside, size_threshold=0)
    return path


def _model(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], answer: Dims, weights: list[tuple[str, np.ndarray]]
) -> onnx.ModelProto:
    constants = [onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, answer)]
    return helper.make_model(
        helper.make_graph(nodes, "net", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
