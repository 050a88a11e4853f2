"""Which channels of a network can only be removed together, found by torch-pruning's dependency graph [Fang2023].

[Fang2023] G. Fang, X. Ma, M. Song, M. B. Mi, X. Wang: DepGraph: Towards Any Structural Pruning. CVPR 2023.

Channels whose removal would not be exact stay out of every group and keep their number: those that meet a layer or a
group normalisation, a free parameter, or an addition that covers only a part of them. The network's outputs never
form a group.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch_pruning
from torch import nn

from harness.errors import PruningError
from harness.networks.branches import removable_blocks
from harness.networks.layers import RunLayer, check_each_once, is_depthwise, recorded, site
from harness.records.architecture import Architecture, ChannelGroup, LayerSite

InputShape = tuple[int, int, int]
_PRUNABLE = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.PReLU)


@dataclass(frozen=True)
class Span:
    """Where a group's channels lie in one module.

    module: its path. side: "out" (what it produces; also normalisation and depthwise) or "in" (what it reads).
    positions: for each channel of the group its indices on that side; several behind a flatten.
    """

    module: str
    side: str
    positions: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class CoupledChannels:
    """One group with every place in the network where its channels lie, the first being the layer that names it."""

    name: str
    channels: int
    step: int
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Coupling:
    """The groups of one network, and the layers that one inference runs, both in network order."""

    groups: tuple[CoupledChannels, ...]
    layers: tuple[RunLayer, ...]


_known: weakref.WeakKeyDictionary[nn.Module, tuple[tuple[object, ...], Coupling]] = weakref.WeakKeyDictionary()


def architecture_of(model: nn.Module, network: str, input_shape: InputShape, classes: int) -> Architecture:
    """The layers and channel groups of ``model`` as data.

    input_shape: channels x height x width. Raises PruningError when the network cannot be traced, runs a layer twice,
    or has no channels that can be removed.
    """
    coupling = coupling_of(model, input_shape)
    if not coupling.groups:
        raise PruningError(f"network {network} has no channels that can be removed exactly; use another network")
    branches = _branches(model, coupling)
    groups = tuple(
        ChannelGroup(
            group.name, group.channels, _members(group, coupling), group.name in branches.values(), _stage(group.name, coupling), group.step
        )
        for group in coupling.groups
    )
    sites = tuple(_site(layer, coupling, branches.get(layer.name)) for layer in coupling.layers)
    return Architecture(network, input_shape, classes, groups, sites)


def coupling_of(model: nn.Module, input_shape: InputShape) -> Coupling:
    """The coupled channels of ``model``; remembered for as long as the module lives and keeps its shapes."""
    signature = (input_shape, *((name, tuple(tensor.shape)) for name, tensor in model.named_parameters()))
    if model in _known and _known[model][0] == signature:
        return _known[model][1]
    coupling = _trace(model, input_shape)
    _known[model] = (signature, coupling)
    return coupling


def _trace(model: nn.Module, input_shape: InputShape) -> Coupling:
    graph = torch_pruning.DependencyGraph()
    with _traceable(model), recorded(model) as ran:
        try:
            graph.build_dependency(model, (torch.zeros(1, *input_shape),), verbose=False)
        except Exception as error:  # torch-pruning meets unknown networks with many kinds of exception
            raise PruningError(f"the network cannot be traced ({_told(error)}); avoid data-dependent control flow") from error
        check_each_once(ran)
        return Coupling(tuple(_groups(graph, ran)), tuple(ran))


def _groups(graph: torch_pruning.DependencyGraph, ran: list[RunLayer]) -> Iterator[CoupledChannels]:
    names = {id(layer.module): layer.name for layer in ran}
    names |= {id(module): name for name, module in graph.model.named_modules() if id(module) not in names}
    claimed: set[str] = set()
    for layer in ran:
        if layer.name in claimed or layer.module not in graph.module2node:
            continue
        width = _width(layer.module)
        remove = graph.get_pruner_of_module(layer.module).prune_out_channels
        try:
            found = graph.get_pruning_group(layer.module, remove, list(range(width)))
        except Exception as error:  # for example a channel shuffle, which torch-pruning cannot follow
            raise PruningError(f"the channels of {layer.name} cannot be followed ({_told(error)}); use another network") from error
        spans = list(_spans(graph, found, names))
        claimed.update(span.module for span in spans if span.side == "out")
        if not _removable_exactly(graph.model, found, spans, width):
            continue
        step = _step(graph.model, spans, width)
        if step < width:
            yield CoupledChannels(layer.name, width, step, tuple(spans))


def _spans(graph: torch_pruning.DependencyGraph, found: torch_pruning.Group, names: dict[int, str]) -> Iterator[Span]:
    for item in found:
        module = item.dep.target.module
        if not isinstance(module, _PRUNABLE) or (isinstance(module, nn.PReLU) and module.num_parameters == 1):
            continue
        out = graph.is_out_channel_pruning_fn(item.dep.handler)
        positions: dict[int, list[int]] = {}
        for root, index in zip(item.root_idxs, item.idxs, strict=True):
            positions.setdefault(root, []).append(index)
        yield Span(names[id(module)], "out" if out else "in", tuple(tuple(positions[root]) for root in sorted(positions)))


def _removable_exactly(model: nn.Module, found: torch_pruning.Group, spans: list[Span], width: int) -> bool:
    """Whether every channel lies whole and in order in each layer, meets only modules we can slice, and is read by another layer."""
    kinds = {item.dep.target.type for item in found}
    if torch_pruning.ops.OPTYPE.OUTPUT in kinds or torch_pruning.ops.OPTYPE.PARAMETER in kinds:
        return False
    met = [item.dep.target.module for item in found]
    if any(isinstance(module, nn.Module) and list(module.parameters()) and not isinstance(module, _PRUNABLE) for module in met):
        return False
    readers = [span for span in spans if span.side == "in"]
    if not readers or any(len(span.positions) != width or len({len(p) for p in span.positions}) != 1 for span in spans):
        return False
    identity = tuple((channel,) for channel in range(width))
    produced = [(span, model.get_submodule(span.module)) for span in spans if span.side == "out"]
    return all(
        span.positions == identity and _width(module) == width for span, module in produced if isinstance(module, nn.Conv2d | nn.Linear)
    )


def _width(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _step(model: nn.Module, spans: list[Span], width: int) -> int:
    step = 1
    for span in spans:
        module = model.get_submodule(span.module)
        if isinstance(module, nn.Conv2d) and module.groups > 1 and not is_depthwise(module):
            if len(span.positions) != (module.in_channels if span.side == "in" else module.out_channels):
                return width  # only a part of a grouped convolution's input: cannot stay balanced
            step = math.lcm(step, module.groups)
    return step


def _branches(model: nn.Module, coupling: Coupling) -> dict[str, str]:
    """Layer name to the removable group with which it disappears."""
    branches: dict[str, str] = {}
    for _, gone in removable_blocks(model):
        interior = [group.name for group in coupling.groups if set(_members(group, coupling)) <= gone]
        if interior and not gone & branches.keys():
            branches.update((layer.name, interior[0]) for layer in coupling.layers if layer.name in gone)
    return branches


def _members(group: CoupledChannels, coupling: Coupling) -> tuple[str, ...]:
    produced = {span.module for span in group.spans if span.side == "out"}
    return tuple(layer.name for layer in coupling.layers if layer.name in produced)


def _site(layer: RunLayer, coupling: Coupling, branch: str | None) -> LayerSite:
    read: list[tuple[int, str, int]] = []  # first position, group, positions per channel
    out_group = None
    for group in coupling.groups:
        for span in group.spans:
            if span.module != layer.name:
                continue
            if span.side == "out":
                out_group = group.name
            if span.side == "in" or is_depthwise(layer.module):
                read.append((min(span.positions[0]), group.name, len(span.positions[0])))
    return site(layer, tuple(name for _, name, _ in sorted(read)), out_group, read[0][2] if read else 1, branch)


def _stage(name: str, coupling: Coupling) -> str:
    """The top-level module that holds the layer; with its map's height where one module holds nearly all of them."""
    top = name.split(".")[0]
    inside = sum(layer.name.startswith(top + ".") for layer in coupling.layers)
    if 2 * inside <= len(coupling.layers) or inside < 4:
        return top
    height = 1
    for layer in coupling.layers:
        height = layer.input_size[0] if layer.input_size != (1, 1) else height  # a gate's layers belong to the map they gate
        if layer.name == name:
            break
    return f"{top}/{height}"


@contextmanager
def _traceable(model: nn.Module) -> Iterator[None]:
    """Parameters require gradients and the network evaluates, as the graph's walk needs; afterwards all is as before."""
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in wanted:
            parameter.requires_grad_(True)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)
        for module, training in modes:
            module.training = training


def _told(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
