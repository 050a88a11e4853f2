"""Physical removal of channels and residual branches from a network, with torch-pruning's slicing functions.

Guards around torch-pruning 1.6, each because its absence gives a wrong network without a message:

1. channels that feed a grouped convolution are removed at the same places in each of its groups (torch-pruning slices
   every group's weights by the first group's places);
2. the network must still run after the removal, and give finite logits of the same shape;
3. the output layer belongs to no group, so its classes cannot be removed;
4. parameters require gradients while the dependency graph is built (``harness.networks.groups``).

The first removal from each network is also compared with zeroing the same channels, so that an operation which mixes
channels without torch-pruning's knowledge is refused instead of giving wrong accuracies.
"""

from __future__ import annotations

import copy
import weakref
from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch_pruning
from torch import Tensor, nn

from harness.errors import PruningError
from harness.networks.branches import removable_blocks, remove_branch
from harness.networks.groups import CoupledChannels, coupling_of
from harness.networks.layers import is_depthwise
from harness.networks.own import source
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

Kept = Mapping[str, tuple[int, ...]]  # group -> indices of the channels that stay, ascending
EXACT_RATIO = 1e-3  # largest difference of logits, relative to the largest logit, that float rounding explains

_proven: weakref.WeakKeyDictionary[nn.Module, Architecture] = weakref.WeakKeyDictionary()  # by dense network


def prune(model: nn.Module, architecture: Architecture, config: PruningConfig, scores: Mapping[str, Tensor]) -> nn.Module:
    """A new network that keeps the best-scored channels of each group; ``model`` stays as it is.

    scores: group name to a vector of one score per channel; ties keep the lower index. A group that keeps all or none
    of its channels needs no scores. Raises PruningError.
    """
    return remove(model, architecture, chosen(architecture, config, scores))


def shrink(model: nn.Module, architecture: Architecture, config: PruningConfig) -> nn.Module:
    """A new network of the configuration's shapes that keeps the first channels of each group: for latency and loading."""
    return remove(model, architecture, first(architecture, config))


def masked(model: nn.Module, architecture: Architecture, config: PruningConfig, scores: Mapping[str, Tensor]) -> nn.Module:
    """The function that ``prune`` computes, in the dense shapes: dropped channels are zeroed, batch norm shifts included."""
    return zero(model, architecture, chosen(architecture, config, scores))


def chosen(architecture: Architecture, config: PruningConfig, scores: Mapping[str, Tensor]) -> Kept:
    """Indices of the channels that stay when each group keeps its best-scored ones.

    A group of step s keeps the same places in each of s equal parts: the places' scores are summed over the parts.
    """
    architecture.check(config)
    kept: dict[str, tuple[int, ...]] = {}
    for group in architecture.groups:
        count = config.kept(group.name)
        if count in (0, group.channels):
            kept[group.name] = tuple(range(count))
            continue
        if group.name not in scores:
            raise PruningError(f"no scores for group {group.name}; score every group that loses channels")
        ranked = scores[group.name].detach().flatten()
        if len(ranked) != group.channels or not bool(torch.isfinite(ranked).all()):
            raise PruningError(f"group {group.name} needs {group.channels} finite scores; score it again on a trained network")
        part = ranked.reshape(group.step, -1).sum(0)
        places = torch.sort(part, descending=True, stable=True).indices[: count // group.step].tolist()
        kept[group.name] = _repeated(sorted(places), group.channels, group.step)
    return kept


def first(architecture: Architecture, config: PruningConfig) -> Kept:
    """Indices of the channels that stay when each group keeps its first ones (of each of ``step`` equal parts)."""
    architecture.check(config)
    return {
        group.name: _repeated(list(range(config.kept(group.name) // group.step)), group.channels, group.step)
        for group in architecture.groups
    }


def remove(model: nn.Module, architecture: Architecture, kept: Kept) -> nn.Module:
    """A new network with only the channels in ``kept``, which names every group; an empty tuple removes the branch.

    Raises PruningError for sets that do not fit the groups, and when the result would not be exact.
    """
    _check(architecture, kept)
    groups = coupling_of(model, architecture.input_shape).groups
    _prove(model, architecture, groups)
    return _removed(model, architecture, groups, kept)


def zero(model: nn.Module, architecture: Architecture, kept: Kept) -> nn.Module:
    """A copy of ``model`` in which every channel that is not in ``kept`` is zero wherever it is produced."""
    _check(architecture, kept)
    return _zeroed(model, architecture, coupling_of(model, architecture.input_shape).groups, kept)


def _zeroed(model: nn.Module, architecture: Architecture, groups: tuple[CoupledChannels, ...], kept: Kept) -> nn.Module:
    copied = _copy(model)
    for _, gone in _removed_blocks(model, architecture, kept):
        for name in gone:
            _zero(copied.get_submodule(name), slice(None))
    for group in groups:
        dropped = sorted(set(range(group.channels)) - set(kept[group.name]))
        for span in group.spans:
            if span.side == "out" and dropped:
                _zero(copied.get_submodule(span.module), [index for channel in dropped for index in span.positions[channel]])
    return copied


@torch.inference_mode(False)
def _removed(model: nn.Module, architecture: Architecture, groups: tuple[CoupledChannels, ...], kept: Kept) -> nn.Module:
    thinned = _copy(model)
    for block, _ in _removed_blocks(thinned, architecture, kept):
        remove_branch(thinned, block)
    modules = dict(thinned.named_modules())
    for (name, side), indices in _dropped(groups, kept).items():
        if name in modules:
            _slice(modules[name], side, indices)
    _check_runs(thinned, architecture)
    return thinned


def lost(model: nn.Module, architecture: Architecture, kept: Kept) -> dict[tuple[str, str], list[int]]:
    """What every module loses on its sides "in" and "out" when ``kept`` stays, in the dense numbering."""
    return _dropped(coupling_of(model, architecture.input_shape).groups, kept)


def _dropped(groups: tuple[CoupledChannels, ...], kept: Kept) -> dict[tuple[str, str], list[int]]:
    """Indices to remove per module and side, of all groups together, in the dense numbering."""
    dropped: dict[tuple[str, str], list[int]] = {}
    for group in groups:
        stays = set(kept[group.name])
        for span in group.spans:
            indices = [index for channel, places in enumerate(span.positions) if channel not in stays for index in places]
            if indices:
                dropped.setdefault((span.module, span.side), []).extend(indices)
    return dropped


def _slice(module: nn.Module, side: str, indices: list[int]) -> None:
    if isinstance(module, nn.Conv2d) and is_depthwise(module):
        torch_pruning.prune_depthwise_conv_out_channels(module, indices)
    elif isinstance(module, nn.Conv2d):
        (torch_pruning.prune_conv_out_channels if side == "out" else torch_pruning.prune_conv_in_channels)(module, indices)
    elif isinstance(module, nn.Linear):
        (torch_pruning.prune_linear_out_channels if side == "out" else torch_pruning.prune_linear_in_channels)(module, indices)
    elif isinstance(module, nn.PReLU):
        torch_pruning.prune_prelu_out_channels(module, indices)
    else:
        torch_pruning.prune_batchnorm_out_channels(module, indices)


def _check(architecture: Architecture, kept: Kept) -> None:
    architecture.check(PruningConfig.of(architecture.network, {name: len(indices) for name, indices in kept.items()}))
    for group in architecture.groups:
        indices = kept[group.name]
        if list(indices) != sorted(set(indices)) or (indices and not 0 <= indices[0] <= indices[-1] < group.channels):
            raise PruningError(f"group {group.name} keeps {list(indices)}; give ascending indices from 0 to {group.channels - 1}")
        if group.step > 1:
            part = group.channels // group.step
            places = [index for index in indices if index < part]
            if indices != _repeated(places, group.channels, group.step):
                raise PruningError(
                    f"group {group.name} feeds a grouped convolution; keep the same places in each of its {group.step} parts of {part}"
                )


def _prove(model: nn.Module, architecture: Architecture, groups: tuple[CoupledChannels, ...]) -> None:
    """Compare removal with zeroing once per dense network: half of each group, and each branch removed in one of two turns."""
    if tuple(group.name for group in groups) != tuple(group.name for group in architecture.groups):
        raise PruningError(f"the network is not the {architecture.network} that its architecture describes; describe it again")
    if _proven.get(model) == architecture:
        return
    random = torch.Generator().manual_seed(0)
    images = torch.randn(2, *architecture.input_shape, generator=random)
    removable = [group.name for group in architecture.groups if group.removable]
    for turn in range(2):
        gone = set(removable[turn::2])
        kept = {group.name: () if group.name in gone else _half(group.channels, group.step, random) for group in architecture.groups}
        ours, theirs = (_logits(make(model, architecture, groups, kept), images) for make in (_removed, _zeroed))
        if float((ours - theirs).abs().max()) > EXACT_RATIO * float(theirs.abs().max()):
            raise PruningError(
                f"removing channels from {architecture.network} is not exact: an operation mixes channels or does not keep zero; "
                "write it with convolutions, additions and concatenations"
            )
    _proven[model] = architecture


def _half(channels: int, step: int, random: torch.Generator) -> tuple[int, ...]:
    part = channels // step
    places = torch.randperm(part, generator=random)[: max(1, part // 2)].tolist()
    return _repeated(sorted(places), channels, step)


def _repeated(places: list[int], channels: int, step: int) -> tuple[int, ...]:
    part = channels // step
    return tuple(start + place for start in range(0, channels, part) for place in places)


def _check_runs(thinned: nn.Module, architecture: Architecture) -> None:
    try:
        logits = _logits(thinned, torch.zeros(1, *architecture.input_shape))
    except Exception as error:  # torch raises by shape, the user's forward as it likes
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        told = f"{architecture.network} does not run after the removal ({first_line}{source.place(error)})"
        remedy = "a number of channels is written into its code: take it from the tensor, as x.flatten(1) in place of x.view(-1, 400)"
        raise PruningError(f"{told}; {remedy}") from error
    if tuple(logits.shape) != (1, architecture.classes):
        raise PruningError(f"{architecture.network} answers {tuple(logits.shape)} after the removal; leave its output layer alone")
    if not bool(torch.isfinite(logits).all()):
        raise PruningError(f"{architecture.network} answers no finite numbers after the removal; check the weights it was given")


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    training = model.training
    model.eval()
    with torch.inference_mode():
        logits: Tensor = model(images)
    model.train(training)
    return logits


def _copy(model: nn.Module) -> nn.Module:
    """A deep copy; parameters, whose gradients stay behind, and the many empty dictionaries are copied by the shortest way."""
    memo: dict[int, object] = {}
    for module in model.modules():
        for held in vars(module).values():
            if type(held) in (dict, OrderedDict, set) and not held:
                memo[id(held)] = type(held)()
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if type(tensor) in (nn.Parameter, Tensor):
                copied = tensor.detach().clone()
                memo[id(tensor)] = nn.Parameter(copied, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied
    return copy.deepcopy(model, memo)


def _removed_blocks(model: nn.Module, architecture: Architecture, kept: Kept) -> list[tuple[str, frozenset[str]]]:
    """The residual blocks that lose their branch, and the names of the modules that go with it."""
    gone = {site.name for site in architecture.layers if site.branch and not kept[site.branch]}
    return [(block, inside) for block, inside in removable_blocks(model) if gone & inside] if gone else []


@torch.no_grad()
def _zero(module: nn.Module, indices: slice | list[int]) -> None:
    for tensor in (*module.parameters(recurse=False), getattr(module, "running_mean", None)):
        if tensor is not None:
            tensor[indices] = 0
