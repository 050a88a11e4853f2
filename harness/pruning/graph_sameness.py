"""Whether two exported graphs are the same network: the same operations on the same tensors, whatever they and their nodes are called.

They are walked together from what they answer back to their pictures, so that the order in which their nodes were written says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

_CLOSE_RATIO = 1e-5  # of the largest value of a constant: folding it before or after the cut may round it otherwise


@dataclass(frozen=True)
class Difference:
    """What differs, in words; of whole numbers where: in the constant ``name`` of the first graph the second has ``wanted`` at ``place``.

    name is empty where something else differs.
    """

    told: str
    name: str = ""
    place: int = 0
    wanted: int = 0


def differences(ours: onnx.GraphProto, theirs: onnx.GraphProto) -> list[Difference]:
    """Whole numbers in which two graphs differ, or the first other difference; nothing for two graphs of one network."""
    return _Walk(_Graph(ours), _Graph(theirs)).found


class _Graph:
    """One graph by its tensors. ``values`` of constants, ``makers`` of all others but what is given to it."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.given = [one.name for one in graph.input]
        self.answers = [one.name for one in graph.output]
        self.makers: dict[str, tuple[onnx.NodeProto, int]] = {}
        self.values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.values[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type == "Identity" and node.input[0] in self.values:  # one of several constants of equal values
                self.values[node.output[0]] = self.values[node.input[0]]
            else:
                self.makers |= {tensor: (node, place) for place, tensor in enumerate(node.output)}


class _Walk:
    def __init__(self, ours: _Graph, theirs: _Graph) -> None:
        self.ours, self.theirs = ours, theirs
        self.found: list[Difference] = []
        self._paired: dict[str, str] = {}
        self._waiting = list(zip(ours.answers, theirs.answers, strict=False))
        if len(ours.answers) != len(theirs.answers) or len(ours.given) != len(theirs.given):
            self.found.append(Difference("they take or answer another number of tensors"))
        while self._waiting and all(one.name for one in self.found):
            self.found += self._compared(*self._waiting.pop())

    def _compared(self, ours: str, theirs: str) -> Iterator[Difference]:
        if ours in self._paired:
            if self._paired[ours] != theirs and not (ours in self.ours.values and theirs in self.theirs.values):
                yield Difference(f"{ours} is {theirs} and {self._paired[ours]} there")
            elif self._paired[ours] == theirs:
                return
        self._paired[ours] = theirs
        if ours in self.ours.values and theirs in self.theirs.values:
            yield from _in_values(ours, self.ours.values[ours], self.theirs.values[theirs])
        elif ours in self.ours.given and theirs in self.theirs.given:
            if self.ours.given.index(ours) != self.theirs.given.index(theirs):
                yield Difference(f"{ours} is another input there")
        elif ours in self.ours.makers and theirs in self.theirs.makers:
            yield from self._in_nodes(*self.ours.makers[ours], *self.theirs.makers[theirs])
        elif ours or theirs:
            yield Difference(f"{ours or 'nothing'} is made otherwise than {theirs or 'nothing'} there")

    def _in_nodes(self, ours: onnx.NodeProto, place: int, theirs: onnx.NodeProto, other: int) -> Iterator[Difference]:
        if (ours.op_type, place, len(ours.input)) != (theirs.op_type, other, len(theirs.input)):
            yield Difference(f"{ours.name} is a {ours.op_type} and {theirs.name} there a {theirs.op_type}")
        elif _settings(ours) != _settings(theirs):
            yield Difference(f"{ours.name} has other settings")
        else:
            self._waiting += zip(ours.input, theirs.input, strict=True)


def _settings(node: onnx.NodeProto) -> dict[str, bytes]:
    return {one.name: one.SerializeToString(deterministic=True) for one in node.attribute}


def _in_values(name: str, ours: NDArray[np.generic], theirs: NDArray[np.generic]) -> Iterator[Difference]:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        yield Difference(f"{name} is {ours.dtype} {list(ours.shape)}, and {theirs.dtype} {list(theirs.shape)} there")
    elif ours.dtype.kind in "iu":
        for place in np.flatnonzero(ours.ravel() != theirs.ravel()).tolist():
            yield Difference(f"{name} has another number", name, place, int(theirs.ravel()[place]))
    elif ours.dtype.kind == "f":
        most = float(np.abs(theirs).max(initial=0.0))
        if not np.allclose(ours, theirs, rtol=_CLOSE_RATIO, atol=_CLOSE_RATIO * most, equal_nan=True):
            yield Difference(f"{name} has other values")
    elif not np.array_equal(ours, theirs):
        yield Difference(f"{name} has other values")
