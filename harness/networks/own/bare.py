"""A network without what other tools wrapped around it or hung on its layers, so that its layers' weights are plain parameters.

What is taken off changes no answer: wrappers for several GPUs, torch.compile's, weight and spectral normalisation as they stand,
masks of torch.nn.utils.prune as they stand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from harness.errors import UsageError, one_line

_WRAPPERS = {nn.DataParallel: "module", nn.parallel.DistributedDataParallel: "module"}
_COMPILED = "_orig_mod"  # torch.compile's name for what it holds
_QUANTISED = ("torch.ao.", "torch.nn.quantized", "torch.nn.intrinsic", "torch.nn.qat", "torchao.")
_FOREIGN_WEIGHTS = "give the network in float, as it is trained"


@dataclass(frozen=True)
class Bare:
    """notes: what was taken off, each a sentence."""

    model: nn.Module
    notes: tuple[str, ...]


def bare(model: nn.Module, name: str) -> Bare:
    """``model``, changed in place, by its own layers alone and in float32 on the CPU; UsageError where that cannot be."""
    taken: Counter[str] = Counter()
    model = _unwrapped(model, taken)
    for path, module in list(model.named_modules()):
        for child_name, child in list(module.named_children()):
            if (inner := _unwrapped(child, taken)) is not child:
                setattr(module, child_name, inner)
            if isinstance(inner, nn.SyncBatchNorm):
                setattr(module, child_name, _alone(inner))
                taken["synchronisation of batch norms"] += 1
        _refuse_foreign(path, module, name)
    for path, module in list(model.named_modules()):
        _refuse_foreign(path, module, name)
        _strip(module, taken)
    notes = [f"network: {what} taken off {_layers(count)}" for what, count in sorted(taken.items())]
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in tensors):
        model.float()
        notes.append(f"network: {name} computed in other numbers than float32, and does in these now")
    if any(tensor.device.type != "cpu" for tensor in tensors):
        model.cpu()
    return Bare(model, tuple(map(one_line, notes)))


def _layers(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"


def _unwrapped(model: nn.Module, taken: Counter[str]) -> nn.Module:
    while True:
        held = next((attribute for kind, attribute in _WRAPPERS.items() if isinstance(model, kind)), None)
        if held is None and isinstance(getattr(model, _COMPILED, None), nn.Module):
            held = _COMPILED
        if held is None:
            return model
        taken["torch.compile" if held == _COMPILED else type(model).__name__] += 1
        model = getattr(model, held)


def _alone(norm: nn.SyncBatchNorm) -> nn.Module:
    """The same normalisation without waiting for other GPUs."""
    plain = nn.BatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    plain.load_state_dict(norm.state_dict())
    return plain.train(norm.training)


def _refuse_foreign(path: str, module: nn.Module, name: str) -> None:
    where = f"{path} of network {name}" if path else f"network {name}"
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            f"{where} is a TorchScript program, whose channels nobody can remove; give the Python network that it was made from"
        )
    if type(module).__module__.startswith(_QUANTISED):
        raise UsageError(f"{where} is quantised ({type(module).__name__}); {_FOREIGN_WEIGHTS}: INT8 is made here, with --precision=int8")


def _strip(module: nn.Module, taken: Counter[str]) -> None:
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]
            taken["masks of torch.nn.utils.prune"] += 1
        elif isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
            taken["weight_norm"] += 1
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
            taken["spectral_norm"] += 1
    if not parametrize.is_parametrized(module):
        return
    for tensor_name in list(module.parametrizations):  # type: ignore[arg-type]
        kinds = {_called(kind) for kind in module.parametrizations[tensor_name]}  # type: ignore[index]
        parametrize.remove_parametrizations(module, tensor_name, leave_parametrized=True)
        taken[" and ".join(sorted(kinds))] += 1


def _called(parametrization: nn.Module) -> str:
    """Torch's own as its functions are called."""
    name = type(parametrization).__name__
    return {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}.get(name, name)
