"""A small residual network as ONNX bytes with its reference answers, for trying a device without torch or the onnx package.

Field numbers: onnx.proto3 of ONNX 1.x. Names of nodes follow torch's exporter, so that attribution is tried as well.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
OPSET = 13  # the newest that every supported runtime reads
IR_VERSION = 7
FLOAT, INT = 1, 7  # TensorProto.FLOAT, AttributeProto.INTS

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Probe:
    """onnx: the model. node_layers: ONNX node to layer. input_shape: batch x channels x height x width. weights by name."""

    onnx: bytes
    node_layers: tuple[tuple[str, str], ...]
    input_shape: tuple[int, int, int, int]
    weights: tuple[tuple[str, Array], ...]

    def images(self, count: int, seed: int = 0) -> Array:
        """``count`` random images, count x channels x height x width."""
        return np.random.default_rng(seed).standard_normal((count, *self.input_shape[1:])).astype(np.float32)

    def reference(self, images: Array) -> Array:
        """What the network answers to ``images``, computed in double precision: count x ``CLASSES``."""
        weights = {name: weight.astype(np.float64) for name, weight in self.weights}
        first = np.maximum(_convolve(images.astype(np.float64), weights["conv1.weight"]), 0)
        inner = np.maximum(_convolve(first, weights["layer1.0.conv1.weight"]), 0)
        block = np.maximum(_convolve(inner, weights["layer1.0.conv2.weight"]) + first, 0)
        logits = block.mean((2, 3)) @ weights["fc.weight"].T + weights["fc.bias"]
        return np.asarray(logits, dtype=np.float32)


def probe(width: int = 8, side: int = 16, seed: int = 0) -> Probe:
    """A stem, one residual block, pooling and a classifier: ``width`` channels on images of 3 x ``side`` x ``side``."""
    generator = np.random.default_rng(seed)

    def weight(*shape: int) -> Array:
        fan_in = float(np.prod(shape[1:])) or 1.0
        return np.asarray(generator.standard_normal(shape) * np.sqrt(2.0 / fan_in), dtype=np.float32)

    weights = (
        ("conv1.weight", weight(width, 3, 3, 3)),
        ("layer1.0.conv1.weight", weight(width, width, 3, 3)),
        ("layer1.0.conv2.weight", weight(width, width, 3, 3)),
        ("fc.weight", weight(CLASSES, width)),
        ("fc.bias", weight(CLASSES)),
    )
    conv = (("kernel_shape", (3, 3)), ("pads", (1, 1, 1, 1)), ("strides", (1, 1)))
    block = "/layer1/layer1.0"
    nodes = (
        _node("Conv", "/conv1", ("input", "conv1.weight"), conv),
        _node("Relu", "/relu", ("/conv1/Conv_output_0",)),
        _node("Conv", f"{block}/conv1", ("/relu/Relu_output_0", "layer1.0.conv1.weight"), conv),
        _node("Relu", f"{block}/relu1", (f"{block}/conv1/Conv_output_0",)),
        _node("Conv", f"{block}/conv2", (f"{block}/relu1/Relu_output_0", "layer1.0.conv2.weight"), conv),
        _node("Add", block, (f"{block}/conv2/Conv_output_0", "/relu/Relu_output_0")),
        _node("Relu", f"{block}/relu2", (f"{block}/Add_output_0",)),
        _node("GlobalAveragePool", "/pool", (f"{block}/relu2/Relu_output_0",)),
        _node("Flatten", "/flatten", ("/pool/GlobalAveragePool_output_0",)),
        _node("Gemm", "/fc", ("/flatten/Flatten_output_0", "fc.weight", "fc.bias"), (("transB", 1),), output="logits"),
    )
    layers = ("conv1", "layer1.0.conv1", "layer1.0.conv2", "fc")
    convs = ("/conv1/Conv", f"{block}/conv1/Conv", f"{block}/conv2/Conv", "/fc/Gemm")
    shape = (1, 3, side, side)
    return Probe(_model(nodes, weights, shape), tuple(zip(convs, layers, strict=True)), shape, weights)


def _convolve(images: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """3 x 3 convolution with a border of zeros: count x in x h x w and out x in x 3 x 3 to count x out x h x w."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.asarray(np.einsum("ncyxij,ocij->noyx", windows, weight, optimize=True))


def _model(nodes: Sequence[bytes], weights: Sequence[tuple[str, Array]], shape: Sequence[int]) -> bytes:
    parts = [_block(1, node) for node in nodes] + [_block(2, b"probe")] + [_block(5, _tensor(name, weight)) for name, weight in weights]
    graph = b"".join([*parts, _value(11, "input", shape), _value(12, "logits", (1, CLASSES))])
    opset = _block(1, b"") + _number(2, OPSET)
    return _number(1, IR_VERSION) + _block(2, b"espalier") + _block(7, graph) + _block(8, opset)


def _node(op: str, path: str, inputs: Sequence[str], attributes: Sequence[tuple[str, object]] = (), output: str = "") -> bytes:
    parts = [_block(1, name.encode()) for name in inputs]
    parts += [_block(2, (output or f"{path}/{op}_output_0").encode()), _block(3, f"{path}/{op}".encode()), _block(4, op.encode())]
    return b"".join(parts + [_block(5, _attribute(name, setting)) for name, setting in attributes])


def _attribute(name: str, setting: object) -> bytes:
    if isinstance(setting, int):
        return _block(1, name.encode()) + _number(3, setting) + _number(20, 2)
    assert isinstance(setting, tuple)
    return _block(1, name.encode()) + b"".join(_number(8, one) for one in setting) + _number(20, INT)


def _tensor(name: str, weight: Array) -> bytes:
    dims = b"".join(_number(1, size) for size in weight.shape)
    return dims + _number(2, FLOAT) + _block(8, name.encode()) + _block(9, weight.astype("<f4").tobytes())


def _value(field: int, name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_block(1, _number(1, size)) for size in shape)
    return _block(field, _block(1, name.encode()) + _block(2, _block(1, _number(1, FLOAT) + _block(2, dims))))


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _varint(number: int) -> bytes:
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return struct.pack(f"{len(groups) + 1}B", *groups, number)
