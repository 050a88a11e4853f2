"""Weights that cost time and do nothing: filters of zeros, which masks leave behind, and numbers too small to be normal.

A mask makes a network sparse and no faster: the zeros are multiplied like any other number. Subnormal numbers, which weight decay leaves
in filters that training gave up, make processors that treat them in microcode many times slower [Dooley2006]_; some runtimes flush them
at load.

.. [Dooley2006] I. Dooley, L. Kale. Quantifying the interference caused by subnormal floating-point values. OSIHPA, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

MASKED_SHARE = 0.1  # of the filters of a layer: fewer zeros are training's own
TOLD = 3  # layers that a sentence names
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
_OUTPUT_AXIS = {"Conv": 0, "Gemm": 0, "MatMul": -1}


@dataclass(frozen=True, slots=True)
class IdleWeights:
    """masked: ``(layer, filters of zeros, filters)``; subnormal: ``(layer, count)``; of layers where there are any, in network order."""

    masked: tuple[tuple[str, int, int], ...]
    subnormal: tuple[tuple[str, int], ...]

    def sentences(self, network: str) -> tuple[str, ...]:
        """What to know before the latency is believed, with what to do; nothing where all weights work."""
        told = []
        if self.masked:
            zeros, filters = sum(zero for _, zero, _ in self.masked), sum(count for _, _, count in self.masked)
            told.append(
                f"{network} is masked, not pruned: {zeros} of {filters} filters are zeros and are computed all the same "
                f"({_named([name for name, _, _ in self.masked])}); remove them: python -m search, or a library that cuts channels"
            )
        if self.subnormal:
            count = sum(count for _, count in self.subnormal)
            told.append(
                f"{network} has {count} subnormal weights ({_named([name for name, _ in self.subnormal])}), which can make a processor "
                "many times slower; set those below 1.2e-38 to zero, or have the runtime flush them"
            )
        return tuple(told)


def found(model: bytes, layers: tuple[tuple[str, str], ...] = ()) -> IdleWeights:
    """The idle weights of an ONNX file whose weights are inside; layers: ``(node, layer)`` names, a node's own where it has none."""
    graph = onnx.load_model_from_string(model).graph
    arrays = {one.name: one for one in graph.initializer if one.data_type in _FLOATS}
    names = dict(layers)
    masked, subnormal = [], []
    for node in graph.node:
        if node.op_type not in _OUTPUT_AXIS or len(node.input) < 2 or node.input[1] not in arrays:
            continue
        weights = numpy_helper.to_array(arrays[node.input[1]])
        if weights.ndim < 2 or not weights.size:
            continue
        name = names.get(node.name, node.name)
        axis = _output_axis(node)
        size = np.abs(weights)
        filters = size.max(axis=tuple(one for one in range(size.ndim) if one != axis % size.ndim))
        zeros = int(np.count_nonzero(filters == 0))
        if zeros > MASKED_SHARE * len(filters):
            masked.append((name, zeros, len(filters)))
        small = int(np.count_nonzero((size > 0) & (size < np.finfo(weights.dtype).tiny)))
        if small:
            subnormal.append((name, small))
    return IdleWeights(tuple(masked), tuple(subnormal))


def _output_axis(node: onnx.NodeProto) -> int:
    """Gemm's weights are stored the other way round unless it says otherwise."""
    transposed = any(one.name == "transB" and one.i for one in node.attribute)
    return 1 if node.op_type == "Gemm" and not transposed else _OUTPUT_AXIS[node.op_type]


def _named(layers: list[str]) -> str:
    return ", ".join(layers[:TOLD]) + (f" and {len(layers) - TOLD} more" if len(layers) > TOLD else "")
