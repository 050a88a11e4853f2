"""Exported networks of several outputs, which runtimes of ours answer one of: all of them in one, and apart again.

What is deployed, timed and named by its digest stays as it is. Where a device is asked for answers, the outputs are flattened and joined
behind the network, which changes no value.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from harness.networks import onnx_graph
from harness.networks.export import Artefact
from harness.networks.tasks.task import Outputs

_JOINED = "espalier_outputs"
_FLOAT = 1  # TensorProto.FLOAT

Shapes = tuple[tuple[int, ...], ...]
"""What the outputs are like for one picture, N left out."""


def shapes(artefact: Artefact) -> Shapes:
    """Of the outputs in order; a size that the file leaves open is 0."""
    told = onnx_graph.model_of(artefact).graph.output
    return tuple(tuple(int(side.dim_value) for side in one.type.tensor_type.shape.dim)[1:] for one in told)


def as_one(artefact: Artefact) -> Artefact:
    """The network with one output, ``N x all values``; the very same where it has no more than one."""
    each = shapes(artefact)
    if len(each) < 2:
        return artefact
    model = onnx_graph.model_of(artefact)
    outputs = [one.name for one in model.graph.output]
    for name in outputs:
        model.graph.node.add(op_type="Flatten", name=f"{_JOINED}_{name}", input=[name], output=[f"{_JOINED}_{name}"])
    joined = model.graph.node.add(op_type="Concat", name=_JOINED, input=[f"{_JOINED}_{name}" for name in outputs], output=[_JOINED])
    joined.attribute.add(name="axis", type=2, i=1)  # AttributeProto.INT
    del model.graph.output[:]
    told = model.graph.output.add(name=_JOINED).type.tensor_type
    told.elem_type = _FLOAT
    for side in (artefact.input_shape[0], sum(math.prod(one) for one in each)):
        told.shape.dim.add(dim_value=side)
    return onnx_graph.artefact_of(model, artefact)


def apart(answers: NDArray[np.float32], each: Shapes) -> Outputs:
    """The outputs out of what ``as_one`` answers (``N x all values``); of a single one as it is."""
    found = torch.from_numpy(answers)
    if len(each) < 2:
        return found
    parts = torch.split(found, [math.prod(one) for one in each], dim=1)
    return tuple(part.reshape(len(found), *one) for part, one in zip(parts, each, strict=True))
