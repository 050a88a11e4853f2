"""The exported graph of a pruned network, cut out of the dense network's own: constants sliced, branches bypassed, nothing traced anew.

What is only timed needs no network that can be trained: tracing one takes torch a second or more where it is large, slicing what was
traced once a few hundredths.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from harness.networks.export import NODE_LAYERS, Artefact
from harness.networks.groups import Coupling, coupling_of
from harness.pruning import surgery
from harness.pruning.graph_places import Axis, Bypass, Cut, Lost, NotEditable, Places, Sides, bypass, places
from harness.pruning.graph_sameness import Difference
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

Values = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class _Constant:
    """An initializer and how it is cut."""

    values: Values
    axes: tuple[tuple[int, Axis], ...] = ()

    def left(self, lost: Lost) -> Values:
        values = self.values
        for number, axis in self.axes:
            values = values[(*(slice(None),) * number, axis.left(lost))]
        return values


@dataclass(frozen=True, eq=False)
class _Number:
    """The whole number at ``place`` of a constant, which follows how many places stay on an axis."""

    place: int
    dense: int
    axis: Axis

    def left(self, lost: Lost) -> int:
        return self.dense * self.axis.count(lost) // self.axis.size


class GraphSurgery:
    """Cuts the graphs of a network's pruned ones out of ``dense``, its exported graph. NotEditable where that cannot be done."""

    def __init__(self, dense: Artefact, model: nn.Module, architecture: Architecture) -> None:
        coupling = coupling_of(model, architecture.input_shape)
        self._dense, self._architecture, self._sides = dense, architecture, Sides(coupling)
        frame = onnx.load_model_from_string(dense.onnx)
        graph = frame.graph
        del graph.value_info[:]  # sizes of the dense network's maps
        _resolve_copies(graph)
        found = places(dense, graph, model, coupling, self._sides)
        self._constants = _parted(graph, found)
        self._filters = found.filters
        self._bypasses = _bypasses(dense, graph, architecture, coupling)
        self._numbers: defaultdict[str, list[_Number]] = defaultdict(list)
        self._nodes = list(type(graph)(node=graph.node).node)  # copies: those in the frame go with it
        del graph.initializer[:], graph.node[:], frame.metadata_props[:]
        self._frame = frame

    def cut(self, config: PruningConfig) -> Artefact:
        """The network of the configuration's shape, with the first channels of each group; PruningError for one that does not fit."""
        lost = self._lost(config)
        model = onnx.ModelProto()
        model.CopyFrom(self._frame)
        self._add_nodes(model.graph, config, lost)
        self._add_constants(model.graph, lost)
        there = {node.name for node in model.graph.node}
        pairs = tuple(pair for pair in self._dense.node_layers if pair[0] in there)
        model.metadata_props.add(key=NODE_LAYERS, value=json.dumps(pairs))
        data = model.SerializeToString(deterministic=True)
        return replace(self._dense, onnx=data, digest=hashlib.sha256(data).hexdigest(), node_layers=pairs)

    def learn(self, seen: Mapping[PruningConfig, Sequence[Difference]]) -> None:
        """From now on whole numbers that differ follow the side of a layer of which as large a share stays in every network seen.

        NotEditable where there is no such side.
        """
        lost = {config: self._lost(config) for config in seen}
        wanted = {config: {(one.name, one.place): one.wanted for one in wrong} for config, wrong in seen.items()}
        for name, place in dict.fromkeys(at for numbers in wanted.values() for at in numbers):
            dense = int(self._whole_numbers(name)[place])
            shares = [(lost[config], numbers.get((name, place), dense)) for config, numbers in wanted.items()]
            fitting = (axis for axis in self._sides.known if all(dense * axis.count(gone) == left * axis.size for gone, left in shares))
            if (follows := next(fitting, None)) is None:
                raise NotEditable(f"{name} holds {dense}, which is another number in a smaller network, as no layer's channels explain")
            self._numbers[name].append(_Number(place, dense, follows))

    def _lost(self, config: PruningConfig) -> Lost:
        kept, offsets = surgery.first(self._architecture, config), self._sides.offsets
        lost = np.ones(offsets[-1], np.bool_)
        for offset, group in zip(offsets, self._architecture.groups, strict=False):
            lost[offset + np.array(kept[group.name], np.int64)] = False
        return lost

    def _whole_numbers(self, name: str) -> Values:
        if name in self._constants:
            return self._constants[name].values.ravel()
        node = next(node for node in self._nodes if name in node.output)
        values: Values = onnx.numpy_helper.to_array(node.attribute[0].t).ravel()
        return values

    def _add_nodes(self, graph: onnx.GraphProto, config: PruningConfig, lost: Lost) -> None:
        """All nodes that are needed when the branches that go are bypassed, each reading what is there."""
        bypassed = {one.node: one.stays for group, one in self._bypasses if config.kept(group) == 0}
        stands_for: dict[str, str] = {}
        for number in sorted(bypassed):
            stays = bypassed[number]
            stands_for[self._nodes[number].output[0]] = stands_for.get(stays, stays)
        for number in self._needed(graph, bypassed, stands_for):
            node = graph.node.add()
            node.CopyFrom(self._nodes[number])
            for at, tensor in enumerate(node.input):
                if tensor in stands_for:
                    node.input[at] = stands_for[tensor]
            if number in self._filters:
                next(one for one in node.attribute if one.name == "group").i = self._filters[number].count(lost)
            if node.op_type == "Constant" and node.output[0] in self._numbers:
                tensor = node.attribute[0].t
                changed = self._followed(node.output[0], onnx.numpy_helper.to_array(tensor), lost)
                tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))

    def _needed(self, graph: onnx.GraphProto, bypassed: Mapping[int, str], stands_for: Mapping[str, str]) -> list[int]:
        if not bypassed:
            return list(range(len(self._nodes)))
        read = {one.name for one in graph.output}
        found = []
        for number in range(len(self._nodes) - 1, -1, -1):
            node = self._nodes[number]
            if number not in bypassed and not read.isdisjoint(node.output):
                found.append(number)
                read.update(stands_for.get(tensor, tensor) for tensor in node.input)
        return found[::-1]

    def _add_constants(self, graph: onnx.GraphProto, lost: Lost) -> None:
        read = {tensor for node in graph.node for tensor in node.input}
        for name, constant in self._constants.items():
            if name not in read:
                continue
            values = constant.left(lost)
            if name in self._numbers:
                values = self._followed(name, values, lost)
            graph.initializer.add(
                name=name,
                dims=values.shape,
                data_type=onnx.helper.np_dtype_to_tensor_dtype(values.dtype),
                raw_data=values.tobytes(),
            )

    def _followed(self, name: str, values: Values, lost: Lost) -> Values:
        changed = values.copy()
        for number in self._numbers[name]:
            changed.reshape(-1)[number.place] = number.left(lost)
        return changed


def _resolve_copies(graph: onnx.GraphProto) -> None:
    """The exporter keeps constants of equal values once, and hands on copies of them: read the constant itself instead."""
    constants = {tensor.name: tensor.name for tensor in graph.initializer}
    copies = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
            copies.append(node)
            continue
        for at, tensor in enumerate(node.input):
            if constants.get(tensor, tensor) != tensor:
                node.input[at] = constants[tensor]
    for node in copies:
        graph.node.remove(node)


def _parted(graph: onnx.GraphProto, found: Places) -> dict[str, _Constant]:
    """All initializers by their names; one that is cut in several ways becomes several, each under a name of its own."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    parted: dict[str, _Constant] = {}
    names: dict[tuple[str, object], str] = {}
    for number, node in enumerate(graph.node):
        for at, tensor in enumerate(node.input):
            if tensor not in values:
                continue
            cut = found.cuts.get((number, at), Cut(()))
            key = (tensor, cut.key)
            if key not in names:
                times = sum(other == tensor for other, _ in names)
                names[key] = f"{tensor}_cut{times}" if times else tensor
                parted[names[key]] = _Constant(values[tensor], cut.axes)
            if names[key] != tensor:
                node.input[at] = names[key]
    return parted


def _bypasses(dense: Artefact, graph: onnx.GraphProto, architecture: Architecture, coupling: Coupling) -> tuple[tuple[str, Bypass], ...]:
    """Every block's addition, by the group with which its branch goes."""
    layers = {layer.name: layer for layer in coupling.layers}
    answers = {one.name for one in graph.output}
    found = []
    for block in coupling.blocks:
        for group in {site.branch for site in architecture.layers if site.branch and site.name in block.gone}:
            one = bypass(dense, graph, block, layers)
            if not answers.isdisjoint(graph.node[one.node].output):
                raise NotEditable(f"{block.name} is the network's answer")
            found.append((group, one))
    return tuple(found)
