"""Which channels of a network can only be removed together, and which of its residual branches can go, as data.

Channels whose removal would not be exact stay out of every group and keep their number, group by group: those that meet a layer or a
group normalisation, an attention, a free parameter or buffer, a sigmoid that is no gate, an addition that covers only a part of them, or
a size that is written into the code. The network's outputs never form a group.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass

import torch
from torch import nn

from harness.errors import PruningError
from harness.networks.branches import removable_blocks, remove_branch
from harness.networks.channels.additions import without_addition
from harness.networks.channels.coupling import CoupledChannels, LeftOut, Span, couple
from harness.networks.channels.running import CONV, RunLayer
from harness.networks.channels.tracing import IN, OUT, Traced, trace
from harness.networks.channels.trial import Block, guilty
from harness.networks.tasks.task import parts
from harness.records.architecture import Architecture, ChannelGroup, LayerSite

InputShape = tuple[int, int, int]
MOST_LEFT_OUT_TOLD = 3
TRIED_IMAGES = 3  # odd, so that a size that is written into a view fails there, in its own line


@dataclass(frozen=True)
class Coupling:
    """The groups of one network, what is left out of them, the layers that one inference runs, and the residual blocks that can go.

    answers: the shapes of what the network answers to one image.
    """

    groups: tuple[CoupledChannels, ...]
    left_out: tuple[LeftOut, ...]
    layers: tuple[RunLayer, ...]
    blocks: tuple[Block, ...]
    answers: tuple[tuple[int, ...], ...]


_known: weakref.WeakKeyDictionary[nn.Module, tuple[tuple[object, ...], Coupling]] = weakref.WeakKeyDictionary()


def architecture_of(model: nn.Module, network: str, input_shape: InputShape, classes: int) -> Architecture:
    """The layers and channel groups of ``model`` as data.

    input_shape: channels x height x width. Raises PruningError when the network cannot be traced, or has no channels that can be removed.
    """
    coupling = coupling_of(model, input_shape)
    if not coupling.groups:
        told = "; ".join(f"{one.name}: {one.reason}" for one in coupling.left_out[:MOST_LEFT_OUT_TOLD])
        raise PruningError(
            f"network {network} has no channels that can be removed exactly ({told or 'none are inside'}); use another network"
        )
    branches = _branches(coupling)
    groups = tuple(
        ChannelGroup(
            group.name, group.channels, _members(group, coupling), group.name in branches.values(), _stage(group.name, coupling), group.step
        )
        for group in coupling.groups
    )
    sites = tuple(_site(layer, coupling, branches.get(layer.place)) for layer in coupling.layers)
    return Architecture(network, input_shape, classes, groups, sites)


def prunable_ratio(architecture: Architecture) -> float:
    """The share of the dense network's multiply-accumulates that its narrowest configuration, branches and all, is without."""
    narrowest = {group.name: 0 if group.removable else group.step for group in architecture.groups}
    return 1.0 - architecture.macs(architecture.partial(narrowest)) / architecture.macs(architecture.dense())


def sentence(architecture: Architecture, coupling: Coupling) -> str:
    """What can be pruned and what is left alone, for a person."""
    count, branches = sum(group.channels for group in architecture.groups), sum(group.removable for group in architecture.groups)
    told = (
        f"channels: {len(architecture.groups)} groups of {count} channels can be pruned and {branches} branches can go, with them at most "
        f"{prunable_ratio(architecture):.1%} of {architecture.macs(architecture.dense()):,} multiply-accumulates"
    )
    left = coupling.left_out
    if not left:
        return told
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return f"{told}; left alone: the {left[0].channels} of {left[0].name}{more}, for {left[0].reason}"


def coupling_of(model: nn.Module, input_shape: InputShape) -> Coupling:
    """The coupled channels of ``model``; remembered for as long as the module lives and keeps its shapes."""
    signature = (input_shape, *((name, tuple(tensor.shape)) for name, tensor in model.named_parameters()))
    if model in _known and _known[model][0] == signature:
        return _known[model][1]
    coupling = _found(model, input_shape)
    _known[model] = (signature, coupling)
    return coupling


def _found(model: nn.Module, input_shape: InputShape) -> Coupling:
    images = torch.randn(TRIED_IMAGES, *input_shape, generator=torch.Generator().manual_seed(0))
    try:
        traced = trace(model, images[:1])
    except PruningError:
        raise
    except Exception as error:  # the user's forward may raise anything
        raise PruningError(f"the network cannot be traced ({_told(error)}); avoid data-dependent control flow") from error
    coupled, blocks = couple(traced), _blocks(model, traced)
    wrong = {found.candidate: found.reason for found in guilty(model, coupled.groups, images, remove_branch)}
    held = [group for group in coupled.groups if group not in wrong]  # a branch that goes would hide what of it cannot be narrowed
    if blocks:
        wrong |= {found.candidate: found.reason for found in guilty(model, (*held, *blocks), images, remove_branch)}
    also_out = [LeftOut(group.name, group.channels, wrong[group]) for group in coupled.groups if group in wrong]
    return Coupling(
        tuple(group for group in coupled.groups if group not in wrong),
        (*coupled.left_out, *also_out),
        traced.ran,
        tuple(block for block in blocks if block not in wrong),
        answered(model, images[:1])[0],
    )


def answered(model: nn.Module, images: torch.Tensor) -> tuple[tuple[tuple[int, ...], ...], bool]:
    """The shapes of all outputs for ``images``, and whether they are finite; the network's mode is left as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.inference_mode():
        found = parts(model(images))
    for module, training in modes:
        module.training = training
    each = (found,) if isinstance(found, torch.Tensor) else found
    return tuple(tuple(one.shape) for one in each), all(bool(torch.isfinite(one).all()) for one in each)


def _blocks(model: nn.Module, traced: Traced) -> tuple[Block, ...]:
    """Blocks that are known by their class, or say it themselves, and those in whose forward an addition has a path around it."""
    known = [Block(name, gone) for name, gone in removable_blocks(model)]
    names = {block.name for block in known}
    found = []
    for place in traced.additions:
        branched = without_addition(model.get_submodule(place)) if place and place not in names else None
        if branched is not None:
            found.append(Block(place, frozenset(f"{place}.{inner}" for inner in branched.gone)))
    return (*known, *found)


def _branches(coupling: Coupling) -> dict[str, str]:
    """Layer name to the removable group with which it disappears."""
    branches: dict[str, str] = {}
    for block in coupling.blocks:
        interior = [group.name for group in coupling.groups if set(_members(group, coupling)) <= block.gone]
        if interior and not block.gone & branches.keys():
            branches.update((layer.place, interior[0]) for layer in coupling.layers if layer.place in block.gone)
    return branches


def _members(group: CoupledChannels, coupling: Coupling) -> tuple[str, ...]:
    produced = {span.module for span in group.spans if span.side == OUT}
    return tuple(layer.name for layer in coupling.layers if layer.place in produced)


def _site(layer: RunLayer, coupling: Coupling, branch: str | None) -> LayerSite:
    read: list[tuple[Span, str]] = []
    out_group = None
    for group in coupling.groups:
        for span in group.spans:
            if span.module != layer.place:
                continue
            if span.side == OUT:
                out_group = group.name
            if span.side == IN or layer.depthwise:
                read.append((span, group.name))
    factor, in_groups = _read_in_order(layer, read)
    return LayerSite(
        layer.name,
        layer.kind,
        in_groups,
        out_group,
        layer.in_channels,
        layer.out_channels,
        kernel_size=(layer.weight_shape[2], layer.weight_shape[3]) if layer.kind == CONV else (1, 1),
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        depthwise=layer.depthwise,
        conv_groups=1 if layer.depthwise else layer.groups,
        input_size=layer.input_size,
        spatial_factor=factor,
        branch=branch,
    )


def _read_in_order(layer: RunLayer, read: list[tuple[Span, str]]) -> tuple[int, tuple[str, ...]]:
    """Features per channel of a linear layer, and the groups that it reads, in order, one as often as it is read."""
    fixed = layer.in_channels - sum(len(span.positions) * len(span.positions[0]) for span, _ in read)
    factor = math.gcd(fixed, *(len(span.positions[0]) for span, _ in read)) if layer.kind != CONV and read else 1
    places = [(place, name) for span, name in read for place in sorted(span.positions[0])[::factor]]
    return factor, tuple(name for _, name in sorted(places))


def _stage(name: str, coupling: Coupling) -> str:
    """The top-level module that holds the layer; with its map's height where one module holds nearly all of them."""
    top = name.split(".")[0]
    inside = sum(layer.name.startswith(top + ".") for layer in coupling.layers)
    if 2 * inside <= len(coupling.layers) or inside < 4:
        return top
    height = 1
    for layer in coupling.layers:
        is_map = layer.kind == CONV and layer.input_size != (1, 1)  # a gate's layers belong to the map they gate
        height = layer.input_size[0] if is_map else height
        if layer.name == name:
            break
    return f"{top}/{height}"


def _told(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
