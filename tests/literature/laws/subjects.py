"""The pruning libraries under test, each as the operations that it offers, in one vocabulary.

An operation takes plain tensors and answers plain tensors or sorted indices, so that one law of the literature can be put
to all of them. ``reference_subject`` is the positive control; the user's own Distiller speaks in ``distiller_subject``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

from harness.networks import groups
from harness.pruning import criteria, schedule, surgery
from harness.records.architecture import Architecture, ChannelGroup

Operation = Callable[..., Any]


@dataclass(frozen=True)
class Subject:
    """A library: its name and what it offers."""

    name: str
    offers: dict[str, Operation] = field(hash=False)


@dataclass(frozen=True)
class Block:
    """conv1 - norm - relu - conv2, the smallest network in which a filter has a batch norm and a reader."""

    model: nn.Sequential
    images: Tensor
    labels: Tensor

    @property
    def filters(self) -> nn.Conv2d:
        return self.model[0]

    @property
    def norm(self) -> nn.BatchNorm2d | None:
        return self.model[1] if isinstance(self.model[1], nn.BatchNorm2d) else None

    def folding(self) -> tuple[Tensor, nn.BatchNorm2d | None]:
        """What is folded: the filters' weights, and their norm."""
        return self.filters.weight, self.norm

    def activations(self) -> Tensor:
        with torch.no_grad():
            return self.model[:3](self.images)

    def architecture(self) -> Architecture:
        return groups.architecture_of(self.model, "block", tuple(self.images.shape[1:]), self.model[-1].out_features)


def zeros(mask: Tensor | None, dim: int = 0) -> list[int]:
    """Indices along ``dim`` whose slice of a mask is all zero."""
    if mask is None:
        return []
    flat = mask.float().transpose(0, dim).flatten(1).abs().sum(1)
    return torch.nonzero(flat == 0).flatten().tolist()


def gone(kept: Sequence[int], channels: int) -> list[int]:
    return sorted(set(range(channels)) - set(kept))


# ---- ours ------------------------------------------------------------------------------------------------------------


def _ours_filters(criterion: str) -> Operation:
    def prune(weight: Tensor, count: int, seed: int = 0) -> list[int]:
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=False)
        layer.weight.data = weight.detach().clone()
        return _ours_choice(criterion, nn.Sequential(layer), _alone("0", len(weight)), "0", count, None, None, seed)

    return prune


def _ours_statistic(criterion: str) -> Operation:
    def prune(block: Block, count: int) -> list[int]:
        channels = block.filters.out_channels
        return _ours_choice(criterion, block.model, _alone("0", channels), "0", count, block.images, block.labels, 0)

    return prune


def _ours_choice(
    criterion: str,
    model: nn.Module,
    architecture: Architecture,
    group: str,
    count: int,
    images: Tensor | None,
    labels: Tensor | None,
    seed: int,
) -> list[int]:
    scores = criteria.scores(criterion, model, architecture, images, labels, seed)
    channels = architecture.group(group).channels
    kept = surgery.chosen(architecture, architecture.partial({group: channels - count}), scores)
    return gone(kept[group], channels)


def _alone(layer: str, channels: int) -> Architecture:
    return Architecture("alone", (3, 8, 8), 4, (ChannelGroup(layer, channels, (layer,), True, ""),), ())


def _ours_removed(block: Block, pruned: Sequence[int]) -> nn.Module:
    architecture = block.architecture()
    scores = {group.name: torch.ones(group.channels) for group in architecture.groups}
    scores["0"][list(pruned)] = 0
    config = architecture.partial({"0": block.filters.out_channels - len(pruned)})
    return surgery.prune(block.model, architecture, config, scores)


OURS = Subject(
    "ours",
    {
        "prune filters by L1": _ours_filters("l1"),
        "prune filters by L2": _ours_filters("l2"),
        "prune filters near the median": _ours_filters("fpgm"),
        "prune filters at random": _ours_filters("random"),
        "prune by APoZ": _ours_statistic("apoz"),
        "prune by mean activation": _ours_statistic("mean-activation"),
        "prune by Taylor": _ours_statistic("taylor"),
        "prune by Taylor behind a norm": _ours_statistic("taylor"),
        "prune by scale": _ours_statistic("bn-scale"),
        "prune by L1 with the norm folded in": _ours_statistic("l1-folded"),
        "gradual sparsity": schedule.agp_sparsity,
        "remove filters": _ours_removed,
    },
)


# ---- torch.nn.utils.prune --------------------------------------------------------------------------------------------


def _torch_masked(method: Callable[..., Any], **arguments: Any) -> Operation:
    def prune(weight: Tensor, count: int, **_more: Any) -> Tensor:
        holder = nn.Module()
        holder.weight = nn.Parameter(weight.detach().clone())
        method(holder, "weight", amount=count, **arguments)
        return holder.weight_mask.bool()

    return prune


def _torch_random(weight: Tensor, count: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return _torch_masked(torch_prune.random_unstructured)(weight, count)


def _torch_global(weights: Sequence[Tensor], count: int) -> list[Tensor]:
    holders = [nn.Module() for _ in weights]
    for holder, weight in zip(holders, weights, strict=True):
        holder.weight = nn.Parameter(weight.detach().clone())
    places = [(holder, "weight") for holder in holders]
    torch_prune.global_unstructured(places, pruning_method=torch_prune.L1Unstructured, amount=count)
    return [holder.weight_mask.bool() for holder in holders]


def _torch_structured(norm: int | None, dim: int) -> Operation:
    method = torch_prune.random_structured if norm is None else torch_prune.ln_structured
    masked = _torch_masked(method, dim=dim, **({} if norm is None else {"n": norm}))

    def prune(weight: Tensor, count: int, seed: int = 0) -> list[int]:
        torch.manual_seed(seed)
        return zeros(masked(weight, count), dim)

    return prune


def _torch_folded(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    fused_weight, fused_bias = nn.utils.fusion.fuse_conv_bn_weights(
        weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return fused_weight.detach(), fused_bias.detach()


TORCH = Subject(
    "torch",
    {
        "mask the smallest": _torch_masked(torch_prune.l1_unstructured),
        "mask the smallest of all tensors": _torch_global,
        "mask at random": _torch_random,
        "prune filters by L1": _torch_structured(1, 0),
        "prune filters by L2": _torch_structured(2, 0),
        "prune channels by L1": _torch_structured(1, 1),
        "prune channels by L2": _torch_structured(2, 1),
        "prune filters at random": _torch_structured(None, 0),
        "fold batch norm": _torch_folded,
    },
)


# ---- torch-pruning ---------------------------------------------------------------------------------------------------


def _tp_ranked(importance: Callable[[], Any], inputs: bool = False) -> Operation:
    def prune(weight: Tensor, count: int, seed: int = 0) -> list[int]:
        torch.manual_seed(seed)
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=False)
        layer.weight.data = weight.detach().clone()
        model = nn.Sequential(layer)
        size = max(weight.shape[2:])
        return _tp_lowest(importance(), model, layer, torch.randn(1, weight.shape[1], size, size), count, inputs)

    return prune


def _tp_lowest(importance: Any, model: nn.Module, layer: nn.Conv2d, example: Tensor, count: int, inputs: bool = False) -> list[int]:
    graph = torch_pruning.DependencyGraph().build_dependency(model, example)
    side, channels = (
        (torch_pruning.prune_conv_in_channels, layer.in_channels) if inputs else (torch_pruning.prune_conv_out_channels, layer.out_channels)
    )
    group = graph.get_pruning_group(layer, side, idxs=list(range(channels)))
    return sorted(torch.argsort(importance(group))[:count].tolist())


def _tp_taylor(block: Block, count: int) -> list[int]:
    block.model.zero_grad()
    F.cross_entropy(block.model(block.images), block.labels).backward()
    importance = torch_pruning.importance.TaylorImportance(multivariable=True, target_types=[nn.Conv2d], group_reduction="first")
    return _tp_lowest(importance, block.model, block.filters, block.images[:1], count)


def _tp_scale(block: Block, count: int) -> list[int]:
    return _tp_lowest(torch_pruning.importance.BNScaleImportance(), block.model, block.filters, block.images[:1], count)


def _tp_removed(block: Block, pruned: Sequence[int]) -> nn.Module:
    graph = torch_pruning.DependencyGraph().build_dependency(block.model, block.images[:1])
    graph.get_pruning_group(block.filters, torch_pruning.prune_conv_out_channels, idxs=list(pruned)).prune()
    return block.model


TORCH_PRUNING = Subject(
    "torch-pruning",
    {
        "prune filters by L1": _tp_ranked(lambda: torch_pruning.importance.MagnitudeImportance(p=1)),
        "prune filters by L2": _tp_ranked(lambda: torch_pruning.importance.MagnitudeImportance(p=2)),
        "prune channels by L1": _tp_ranked(lambda: torch_pruning.importance.MagnitudeImportance(p=1), inputs=True),
        "prune channels by L2": _tp_ranked(lambda: torch_pruning.importance.MagnitudeImportance(p=2), inputs=True),
        "prune filters near the median": _tp_ranked(torch_pruning.importance.FPGMImportance),
        "prune filters at random": _tp_ranked(torch_pruning.importance.RandomImportance),
        "prune by Taylor": _tp_taylor,
        "prune by scale": _tp_scale,
        "remove filters": _tp_removed,
    },
)


def is_close(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=1e-4, abs_tol=2e-5)
