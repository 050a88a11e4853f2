"""Where the channels of a network lie in its exported graph: along axes of constants, in settings of nodes, behind an addition.

Layers are known by the pairs of node and layer that every export of ours carries, normalisations and biases by their names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from harness.networks.channels.running import CONV, RunLayer
from harness.networks.channels.tracing import IN, OUT
from harness.networks.channels.trial import Block
from harness.networks.export import Artefact
from harness.networks.groups import Coupling

Lost = NDArray[np.bool_]  # one for each channel of all groups, one group after the other
Part = slice | NDArray[np.int64]


class NotEditable(Exception):
    """A graph in which a cut cannot be made by slicing; says why."""


@dataclass(frozen=True, eq=False)
class Axis:
    """``size`` places, at some of which channels lie: ``channels`` (by their number among all groups') at ``places``."""

    size: int
    channels: NDArray[np.int64]
    places: NDArray[np.int64]

    def left(self, lost: Lost) -> Part:
        """The places that stay."""
        stays = np.ones(self.size, np.bool_)
        stays[self.places[lost[self.channels]]] = False
        count = int(stays.sum())
        return slice(0, count) if stays[:count].all() else np.flatnonzero(stays)

    def count(self, lost: Lost) -> int:
        """How many places stay."""
        return self.size - int(lost[self.channels].sum())

    def beginning(self, size: int) -> Axis:
        """Its first ``size`` places."""
        inside = self.places < size
        return Axis(size, self.channels[inside], self.places[inside])


@dataclass(frozen=True)
class Cut:
    """How a constant is cut: the axes along which channels lie, by their number."""

    axes: tuple[tuple[int, Axis], ...]

    @property
    def key(self) -> tuple[tuple[int, bytes, bytes], ...]:
        """Equal for equal cuts."""
        return tuple((number, axis.channels.tobytes(), axis.places.tobytes()) for number, axis in self.axes)


class Sides:
    """Every side of every module on which channels lie, as an axis."""

    def __init__(self, coupling: Coupling) -> None:
        self.offsets = np.cumsum([0, *(group.channels for group in coupling.groups)])
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for group, offset in zip(coupling.groups, self.offsets.tolist(), strict=False):
            for span in group.spans:
                pairs = ((offset + channel, place) for channel, places in enumerate(span.positions) for place in places)
                found.setdefault((span.module, span.side), []).extend(pairs)
        self._pairs = {key: np.array(pairs, np.int64).reshape(-1, 2) for key, pairs in found.items()}
        self.known: list[Axis] = []

    def axis(self, place: str, side: str, size: int) -> Axis | None:
        """One side of a module; None where no channels lie there that may go. NotEditable where it has no such places."""
        pairs = self._pairs.get((place, side))
        if pairs is None:
            return None
        if pairs[:, 1].max() >= size:
            raise NotEditable(f"{place} has {size} places in the graph, and more in the network")
        self.known.append(Axis(size, pairs[:, 0], pairs[:, 1]))
        return self.known[-1]

    def either(self, place: str, size: int) -> Axis | None:
        """The same for a module that changes no channels' number."""
        return self.axis(place, OUT, size) or self.axis(place, IN, size)


@dataclass(frozen=True)
class Bypass:
    """An addition, by the number of its node, and its operand that stays when the block's branch is removed."""

    node: int
    stays: str


@dataclass(frozen=True)
class Places:
    """cuts: of inputs of nodes, by the node's number and the input's place. filters: nodes whose ``group`` is a number of channels."""

    cuts: dict[tuple[int, int], Cut]
    filters: dict[int, Axis]


def places(artefact: Artefact, graph: onnx.GraphProto, model: nn.Module, coupling: Coupling, sides: Sides) -> Places:
    """Where channels lie in ``graph``, which is the artefact's, of ``model``."""
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    layers = {layer.name: layer for layer in coupling.layers}
    named = dict(artefact.node_layers)
    found = Places({}, {})
    slopes = [(place, module) for place, module in model.named_modules() if isinstance(module, nn.PReLU)]
    owners = _owners(model)
    for number, node in enumerate(graph.node):
        layer = layers.get(named.get(node.name, ""))
        if layer is not None:
            _layer(number, node, layer, sizes, sides, found)
        elif node.op_type == "PRelu" and node.input[1] in sizes:
            count = sizes[node.input[1]][0]
            place = next((place for place, module in slopes if module.num_parameters == count), None)
            if place is not None:
                slopes = [one for one in slopes if one[0] != place]
                _add(found.cuts, (number, 1), (0, sides.either(place, count)))
        else:
            for at, tensor in enumerate(node.input):
                if tensor in owners and len(sizes.get(tensor, ())) == 1:
                    place, is_norm = owners[tensor]
                    count = sizes[tensor][0]
                    _add(found.cuts, (number, at), (0, sides.either(place, count) if is_norm else sides.axis(place, OUT, count)))
    return found


def _owners(model: nn.Module) -> dict[str, tuple[str, bool]]:
    """Names of vectors, as they are called in the graph, to the modules that hold them, and whether these are normalisations."""
    norm = nn.modules.batchnorm._BatchNorm
    modules = ((place, module) for place, module in model.named_modules() if isinstance(module, norm | nn.Linear | nn.Conv2d))
    return {
        f"{place}.{name}".removeprefix("."): (place, isinstance(module, norm))
        for place, module in modules
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        if tensor.ndim == 1
    }


def _layer(number: int, node: onnx.NodeProto, layer: RunLayer, sizes: dict[str, tuple[int, ...]], sides: Sides, found: Places) -> None:
    shape = sizes[node.input[1]]
    if layer.kind == CONV:
        out = sides.either(layer.place, shape[0]) if layer.depthwise else sides.axis(layer.place, OUT, shape[0])
        read = None if layer.depthwise else sides.axis(layer.place, IN, shape[1] * layer.groups)
        if layer.depthwise and out is not None:
            found.filters[number] = out
        axes = ((0, out), (1, None if read is None else read.beginning(shape[1])))
    else:
        turned = node.op_type == "Gemm" and any(one.name == "transB" and one.i for one in node.attribute)
        place_out, place_in = (0, 1) if turned else (1, 0)
        out = sides.axis(layer.place, OUT, shape[place_out])
        axes = ((place_out, out), (place_in, sides.axis(layer.place, IN, shape[place_in])))
    _add(found.cuts, (number, 1), *axes)
    if len(node.input) > 2:
        _add(found.cuts, (number, 2), (0, out))


def _add(cuts: dict[tuple[int, int], Cut], at: tuple[int, int], *axes: tuple[int, Axis | None]) -> None:
    lying = tuple((number, axis) for number, axis in axes if axis is not None)
    if lying:
        cuts[at] = Cut(lying)


def bypass(artefact: Artefact, graph: onnx.GraphProto, block: Block, layers: dict[str, RunLayer]) -> Bypass:
    """Where the block's branch is added to its shortcut: the first operation on what the branch's layers made and something else.

    NotEditable where that is no addition.
    """
    named = dict(artefact.node_layers)
    seen, branch = {one.name for one in graph.input}, set[str]()  # tensors that follow from the pictures; and from the branch's layers
    for number, node in enumerate(graph.node):
        layer = layers.get(named.get(node.name, ""))
        own = layer is not None and layer.place in block.gone
        from_branch = [tensor for tensor in node.input if tensor in branch]
        other = [tensor for tensor in node.input if tensor in seen and tensor not in branch]
        if from_branch and other:
            if node.op_type == "Add" and len(other) == 1:
                return Bypass(number, other[0])
            raise NotEditable(f"the branch of {block.name} ends in {node.name}, which is no addition")
        if own or from_branch:
            branch.update(node.output)
        if own or from_branch or other:
            seen.update(node.output)
    raise NotEditable(f"the branch of {block.name} is added to nothing")
