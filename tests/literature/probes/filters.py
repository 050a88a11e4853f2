"""Probes of Distiller's ranking of filters, channels, rows and blocks by norms, and of groups that follow a leader."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch import Tensor, nn

from tests.literature.probes.experiment import SmallCNN, lowest, mask_of, meta, parameter, probe, resnet20, zero_channels, zero_filters


def _l1(d: Any, group: str, share: float, weights: Any = ("w",), **more: Any) -> Any:
    return d.pruning.L1RankedStructureParameterPruner("p", group, share, list(weights) if isinstance(weights, tuple) else weights, **more)


def _l2(d: Any, group: str, share: float) -> Any:
    return d.pruning.L2RankedStructureParameterPruner("p", group, share, ["w"])


def absolute(weight: Tensor) -> Tensor:
    return weight.detach().abs()


@probe("e2.01", "l1-filters")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    pruned = zero_filters(mask_of(d, _l1(d, "Filters", 0.3), weight))
    smallest = lowest(absolute(weight).sum((1, 2, 3)), len(pruned))
    return {"floor": math.floor(0.3 * 16), "ok": pruned == smallest, "pruned": len(pruned), "round": round(0.3 * 16)}


@probe("e2.02", "l2-filters")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    return zero_filters(mask_of(d, _l2(d, "3D", 0.5), weight)) == lowest(weight.detach().flatten(1).norm(dim=1), 8)


@probe("e2.03", "l1-channels")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    return zero_channels(mask_of(d, _l1(d, "Channels", 0.5), weight)) == lowest(absolute(weight).sum((0, 2, 3)), 4)


@probe("e2.04", "l2-channels")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    norms = weight.detach().transpose(0, 1).flatten(1).norm(dim=1)
    return zero_channels(mask_of(d, _l2(d, "Channels", 0.5), weight)) == lowest(norms, 4)


@probe("e2.05", "l1-channels-linear")
def _(d: Any) -> Any:
    weight = parameter(6, 8)
    return zero_channels(mask_of(d, _l1(d, "Channels", 0.5), weight)) == lowest(absolute(weight).sum(0), 4)


@probe("e2.06", "l1-rows-linear")
def _(d: Any) -> Any:
    mask = mask_of(d, _l1(d, "Rows", 0.5), parameter(6, 8))
    return {"zero_cols": zero_channels(mask), "zero_rows": zero_filters(mask)}


@probe("e2.07", "l1-filters-linear")
def _(d: Any) -> Any:
    return mask_of(d, _l1(d, "Filters", 0.5), parameter(6, 8))


@probe("e2.08", "l1-filters-conv1d")
def _(d: Any) -> Any:
    return mask_of(d, _l1(d, "Filters", 0.5), parameter(6, 8, 3))


@probe("e2.09", "l1-cols-refused")
def _(d: Any) -> Any:
    return _l1(d, "Cols", 0.5)


@probe("e2.10", "l1-count-100")
def _(d: Any) -> Any:
    found: dict[str, Any] = {}
    for share in (0.29, 0.57, 0.999, 0.994, 1.0, 0.005):
        pruned = zero_filters(mask_of(d, _l1(d, "Filters", share), parameter(100, 2, 1, 1)))
        found[str(share)] = None if pruned is None else len(pruned)
    return found


@probe("e2.11", "l1-never-all")
def _(d: Any) -> Any:
    return [len(zero_filters(mask_of(d, _l1(d, "Filters", 0.999, rounding_fn=math.ceil), parameter(8, 2, 1, 1))))]


@probe("e2.12", "l1-rounding-ceil")
def _(d: Any) -> Any:
    pruned = zero_filters(mask_of(d, _l1(d, "Filters", 0.25, rounding_fn=math.ceil), parameter(10, 2, 1, 1)))
    return {"ceil": math.ceil(2.5), "floor": math.floor(2.5), "pruned": len(pruned)}


@probe("e2.13", "l1-ties")
def _(d: Any) -> Any:
    weight = nn.Parameter(torch.randn(8, 2, 3, 3).abs() + 1)
    weight.data[:4] = 0.1
    return {"asked": 2, "pruned": zero_filters(mask_of(d, _l1(d, "Filters", 0.25), weight))}


@probe("e2.14", "l1-group-size-filters")
def _(d: Any) -> Any:
    return mask_of(d, _l1(d, "Filters", 0.5, group_size=2), parameter(8, 2, 3, 3))


@probe("e2.15", "l1-group-size-channels")
def _(d: Any) -> Any:
    return mask_of(d, _l1(d, "Channels", 0.25, group_size=2), parameter(8, 8, 3, 3))


@probe("e2.16", "l1-noise")
def _(d: Any) -> Any:
    weight = parameter(100, 2, 3, 3)
    pruned = zero_filters(mask_of(d, _l1(d, "Filters", 0.5, noise=1.0), weight))
    return len(set(pruned) & set(lowest(absolute(weight).sum((1, 2, 3)), 50)))


def _blocks(d: Any, share: float, shape: list[int], weight: nn.Parameter) -> Any:
    return mask_of(d, _l1(d, "Blocks", share, kwargs={"block_shape": shape}), weight)


@probe("e2.17", "l1-blocks-1x1")
def _(d: Any) -> Any:
    weight = parameter(4, 16, 1, 1)
    mask = _blocks(d, 0.5, [1, 8, 1, 1], weight)
    runs = absolute(weight).view(8, 8).sum(1)
    return zero_filters(mask.view(8, 8)) == lowest(runs, 4)


@probe("e2.18", "l1-blocks-3x3")
def _(d: Any) -> Any:
    weight = parameter(4, 16, 3, 3)
    mask = _blocks(d, 0.5, [1, 8, 1, 1], weight).view(4, 2, 8, 9)
    sums = absolute(weight).view(4, 2, 8, 9).sum(2)
    threshold = sums.flatten().sort().values[int(0.5 * 72) - 1]
    uniform = all(torch.equal(mask[:, :, 0], mask[:, :, i]) for i in range(8))
    return {"ok": torch.equal(mask[:, :, 0], (sums > threshold).float()), "uniform": uniform}


@probe("e2.19", "l1-blocks-repetition")
def _(d: Any) -> Any:
    mask = _blocks(d, 0.5, [2, 8, 1, 1], parameter(4, 16, 1, 1))
    return [[int(mask[f, c, 0, 0]) for c in (0, 8)] for f in range(4)]


def _coupled() -> SmallCNN:
    model = SmallCNN()
    model.conv2, model.bn2, model.fc = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(512, 10)
    return model


@probe("e2.20", "leader-follows")
def _(d: Any) -> Any:
    model = _coupled()
    pruner = _l1(d, "Filters", 0.5, ["conv1.weight", "conv2.weight"], group_dependency="Leader")
    maskers = {name: d.ParameterMasker(name) for name, _ in model.named_parameters()}
    for name, weight in model.named_parameters():
        pruner.set_param_mask(weight, name, maskers, meta(model))
    own = lowest(absolute(model.conv1.weight).sum((1, 2, 3)), 4)
    return {"follower": zero_filters(maskers["conv2.weight"].mask) == own, "leader": zero_filters(maskers["conv1.weight"].mask) == own}


@probe("e2.21", "leader-stale")
def _(d: Any) -> Any:
    model = SmallCNN()
    pruner = _l1(d, "Filters", 0.5, ["conv1.weight"], group_dependency="Leader")
    first = zero_filters(mask_of(d, pruner, model.conv1.weight, "conv1.weight", model))
    nn.init.normal_(model.conv1.weight)
    second = zero_filters(mask_of(d, pruner, model.conv1.weight, "conv1.weight", model))
    fresh = lowest(absolute(model.conv1.weight).sum((1, 2, 3)), 4)
    return {"fresh": second == fresh, "stale": second == first}


@probe("e2.22", "leader-rounds-to-zero")
def _(d: Any) -> Any:
    model = SmallCNN()
    return mask_of(d, _l1(d, "Filters", 0.05, ["conv1.weight"], group_dependency="Leader"), model.conv1.weight, "conv1.weight", model)


def _leader_agp(d: Any, initial: float) -> Any:
    model = SmallCNN()
    pruner = d.pruning.L1RankedStructureParameterPruner_AGP("p", initial, 0.5, "Filters", ["conv1.weight"], group_dependency="Leader")
    return mask_of(d, pruner, model.conv1.weight, "conv1.weight", model)


@probe("e2.23", "leader-agp-small")
def _(d: Any) -> Any:
    return _leader_agp(d, 0.05)


@probe("e2.24", "leader-agp-zero")
def _(d: Any) -> Any:
    return _leader_agp(d, 0.0)


@probe("e2.25", "no-leader-rounds-to-zero")
def _(d: Any) -> Any:
    model = SmallCNN()
    return mask_of(d, _l1(d, "Filters", 0.05, ["conv1.weight"]), model.conv1.weight, "conv1.weight", model) is None


@probe("e2.26", "weights-as-string")
def _(d: Any) -> Any:
    model = resnet20(d)
    pruner = _l1(d, "Filters", 0.5, "layer1.0.conv1.weight")
    maskers = {name: d.ParameterMasker(name) for name, _ in model.named_parameters()}
    for name, weight in model.named_parameters():
        pruner.set_param_mask(weight, name, maskers, meta(model))
    return [name for name, masker in maskers.items() if masker.mask is not None]


@probe("e7.08", "lp-max-norm")
def _(d: Any) -> Any:
    ranked = sys.modules["distiller.pruning.ranked_structures_pruner"]
    weight = parameter(8, 4, 3, 3)
    pruner = ranked.LpRankedStructureParameterPruner("p", "Filters", 0.5, ["w"], magnitude_fn=d.norms.max_norm)
    return zero_filters(mask_of(d, pruner, weight)) == lowest(absolute(weight).flatten(1).max(1)[0], 4)
