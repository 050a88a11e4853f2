"""Modules without some of their channels, in place: weights, biases, running statistics and the numbers that describe them."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from harness.networks.channels.tracing import OUT

Places = Mapping[tuple[str, str], list[int]]  # (module, side "in" or "out") to places on that side, in the dense numbering


@torch.no_grad()
def cut(model: nn.Module, dropped: Places) -> None:
    """Remove these places from the modules of ``model``; modules that it no longer has are passed over."""
    modules = dict(model.named_modules())
    for (place, side), indices in dropped.items():
        if place in modules:
            _cut(modules[place], side, indices)


@torch.no_grad()
def zero(model: nn.Module, dropped: Places) -> None:
    """Make these places zero wherever they are produced."""
    for (place, side), indices in dropped.items():
        if side == OUT:
            _zero(model.get_submodule(place), indices)


@torch.no_grad()
def zero_whole(model: nn.Module, places: Iterable[str]) -> None:
    """Make everything that these modules hold themselves zero."""
    for place in places:
        _zero(model.get_submodule(place), slice(None))


def duplicate(model: nn.Module) -> nn.Module:
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


def _cut(module: nn.Module, side: str, indices: list[int]) -> None:
    if isinstance(module, nn.Conv2d):
        depthwise = module.groups == module.in_channels == module.out_channels > 1
        if side == OUT or depthwise:
            stays = _others(module.out_channels, indices)
            _keep(module, ("weight", "bias"), stays, 0)
            module.out_channels = len(stays)
            if depthwise:
                module.in_channels = module.groups = len(stays)
        else:
            stays = _others(module.in_channels, indices)
            # a grouped convolution loses the same places in each of its groups
            _keep(module, ("weight",), stays[: len(stays) // module.groups], 1)
            module.in_channels = len(stays)
    elif isinstance(module, nn.Linear):
        stays = _others(module.out_features if side == OUT else module.in_features, indices)
        _keep(module, ("weight", "bias") if side == OUT else ("weight",), stays, 0 if side == OUT else 1)
        setattr(module, "out_features" if side == OUT else "in_features", len(stays))
    elif isinstance(module, nn.PReLU):
        stays = _others(module.num_parameters, indices)
        _keep(module, ("weight",), stays, 0)
        module.num_parameters = len(stays)
    elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        stays = _others(module.num_features, indices)
        _keep(module, ("weight", "bias", "running_mean", "running_var"), stays, 0)
        module.num_features = len(stays)


def _keep(module: nn.Module, names: Iterable[str], stays: list[int], dim: int) -> None:
    for name in names:
        tensor = getattr(module, name)
        if tensor is None:
            continue
        kept = tensor.detach().index_select(dim, torch.tensor(stays, dtype=torch.int64))
        setattr(module, name, nn.Parameter(kept, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else kept)


def _others(count: int, indices: list[int]) -> list[int]:
    return sorted(set(range(count)) - set(indices))


def _zero(module: nn.Module, indices: slice | list[int]) -> None:
    for tensor in (*module.parameters(recurse=False), getattr(module, "running_mean", None)):
        if tensor is not None:
            tensor[indices] = 0
