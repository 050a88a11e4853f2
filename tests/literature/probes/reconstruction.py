"""Probes of Distiller's channel pruning with reconstruction, and of its thresholds on structures."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from tests.literature.probes.experiment import SmallCNN, lowest, mask_of, parameter, probe, zero_channels
from tests.literature.probes.filters import absolute


class _Holder(nn.Module):
    """One layer called ``conv``, with the sample store that the reconstruction pruner reads."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.conv = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def _reconstruct(d: Any, holder: _Holder, batches: list[Tensor], share: float = 0.5) -> dict[str, Any]:
    """Sample feature maps, prune input channels by reconstruction, and compare outputs on the first batch."""
    d.assign_layer_fq_names(holder)
    store = {"output_fms": {"conv": []}, "input_fms": {"conv": []}}
    hook = d.pruning.FMReconstructionChannelPruner.cache_featuremaps_fwd_hook
    handle = holder.conv.register_forward_hook(lambda m, i, o: hook(m, i, o, store, 10))
    with torch.no_grad():
        outputs = [holder(batch) for batch in batches]
    handle.remove()
    holder.intermediate_fms = {kind: {"conv": torch.cat(found["conv"])} for kind, found in store.items()}
    pruner = d.pruning.FMReconstructionChannelPruner("p", "Channels", share, ["conv.weight"])
    mask = mask_of(d, pruner, holder.conv.weight, "conv.weight", holder)
    holder.conv.weight.data *= mask
    with torch.no_grad():
        error = float((holder(batches[0]) - outputs[0]).norm() / outputs[0].norm())
    return {"pruned": zero_channels(mask), "rel_err": error}


def _duplicated(count: int, size: int) -> list[Tensor]:
    batches = [torch.randn(size, 8, 12, 12) for _ in range(count)]
    for batch in batches:
        batch[:, 1::2] = batch[:, 0::2]
    return batches


def _fm(d: Any, bias: float = 0.0, count: int = 4, size: int = 8, **layer: Any) -> dict[str, Any]:
    holder = _Holder(nn.Conv2d(8, 6, bias=bool(bias), **layer))
    if bias:
        nn.init.constant_(holder.conv.bias, bias)
    batches = _duplicated(count, size)
    holder.conv.weight.data[:, 1::2] *= 0.01
    return _reconstruct(d, holder, batches)


@probe("e2.48", "fm-3x3")
def _(d: Any) -> Any:
    return _fm(d, kernel_size=3, padding=1)


@probe("e2.49", "fm-bias")
def _(d: Any) -> Any:
    return _fm(d, bias=3.0, kernel_size=3, padding=1)


@probe("e2.50", "fm-1x1")
def _(d: Any) -> Any:
    return _fm(d, kernel_size=1)


@probe("e2.51", "fm-1x1-stride2")
def _(d: Any) -> Any:
    return _fm(d, kernel_size=1, stride=2)


@probe("e2.52", "fm-3x3-stride2")
def _(d: Any) -> Any:
    return _fm(d, kernel_size=3, stride=2, padding=1)


@probe("e2.53", "fm-dilation")
def _(d: Any) -> Any:
    return _fm(d, kernel_size=3, padding=2, dilation=2)


@probe("e2.54", "fm-batch1")
def _(d: Any) -> Any:
    return _fm(d, count=40, size=1, kernel_size=3, padding=1)


@probe("e2.55", "fm-channel-choice")
def _(d: Any) -> Any:
    torch.manual_seed(3)
    holder = _Holder(nn.Conv2d(8, 6, 3, padding=1, bias=False))
    batches = [torch.randn(8, 8, 12, 12) for _ in range(4)]
    holder.conv.weight.data[:, 1::2] *= 0.01
    smallest = lowest(absolute(holder.conv.weight).sum((0, 2, 3)), 2)
    return {"l1": smallest, **_reconstruct(d, holder, batches, 0.25)}


@probe("e2.56", "fm-no-stats")
def _(d: Any) -> Any:
    model = SmallCNN()
    pruner = d.pruning.FMReconstructionChannelPruner("p", "Channels", 0.5, ["conv2.weight"])
    return mask_of(d, pruner, model.conv2.weight, "conv2.weight", model)


@probe("e2.57", "fm-linear")
def _(d: Any) -> Any:
    holder = _Holder(nn.Linear(8, 6, bias=False))
    batches = [torch.randn(40, 8) for _ in range(3)]
    for batch in batches:
        batch[:, 1::2] = batch[:, 0::2]
    holder.conv.weight.data[:, 1::2] *= 0.01
    return _reconstruct(d, holder, batches)["rel_err"]


def _largest(sizes: Tensor, dims: Any) -> Tensor:
    """The maximum over one or several dimensions, which stay with size 1; torch 1.3 takes one at a time."""
    for dim in dims if isinstance(dims, tuple) else (dims,):
        sizes = sizes.max(dim, keepdim=True)[0]
    return sizes


@probe("e2.58", "structure-threshold")
def _(d: Any) -> Any:
    four, two = parameter(6, 4, 3, 3), parameter(6, 4)
    groups: dict[str, tuple[nn.Parameter, Any]] = {
        "2D": (four, (2, 3)),
        "3D": (four, (1, 2, 3)),
        "Filters": (four, (1, 2, 3)),
        "Channels": (four, (0, 2, 3)),
        "Rows": (two, 1),
        "Cols": (two, 0),
    }
    found = {}
    for group, (weight, dims) in groups.items():
        for criterion in ("Max", "Mean_Abs"):
            size = weight.detach().abs()
            value = _largest(size, dims) if criterion == "Max" else size.mean(dims, keepdim=True)
            ordered = value.flatten().sort().values
            middle = len(ordered) // 2
            threshold = float((ordered[middle - 1] + ordered[middle]) / 2)
            mask = mask_of(d, d.pruning.StructureParameterPruner("p", None, {"w": [threshold, group]}, criterion), weight)
            found[group + criterion] = torch.equal(mask, (value > threshold).float().expand_as(mask))
    return OrderedDict(sorted(found.items()))
