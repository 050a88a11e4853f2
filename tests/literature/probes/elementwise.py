"""Probes of Distiller's pruners of single weights: magnitude, sensitivity, level."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from tests.literature.probes.experiment import SmallCNN, mask_of, parameter, probe, resnet20, scheduler_of, sparsity, train


@probe("e1.01", "magnitude-tie")
def _(d: Any) -> Any:
    first = mask_of(
        d, d.pruning.MagnitudeParameterPruner("p", {"*": 0.2}), nn.Parameter(torch.tensor([-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]))
    )
    second = mask_of(d, d.pruning.MagnitudeParameterPruner("p", {"*": 0.25}), nn.Parameter(torch.tensor([-0.25, 0.25, 0.5])))
    return {"mask": first, "tie_exact_binary_fraction": second}


@probe("e1.02", "magnitude-no-star")
def _(d: Any) -> Any:
    d.pruning.MagnitudeParameterPruner("p", {"a": 0.2})


@probe("e1.03", "magnitude-star-all-params")
def _(d: Any) -> Any:
    model = SmallCNN()
    policy = d.PruningPolicy(d.pruning.MagnitudeParameterPruner("p", {"*": 0.05, "conv1.weight": 0.1}), None)
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0]}))
    scheduler.on_epoch_begin(0)
    return {name: sparsity(masker.mask, 3) for name, masker in scheduler.zeros_mask_dict.items()}


@probe("e1.04", "sensitivity-threshold")
def _(d: Any) -> Any:
    weight = nn.Parameter(torch.randn(1000) + 0.5)
    mask = mask_of(d, d.pruning.SensitivityPruner("p", {"w": 0.5}), weight)
    threshold = 0.5 * weight.std().item()
    around_zero = (weight.abs() > threshold).float()
    around_mean = ((weight - weight.mean()).abs() > threshold).float()
    return {"eq_around0": torch.equal(mask, around_zero), "eq_around_mean": torch.equal(mask, around_mean), "thr": threshold}


@probe("e1.05", "sensitivity-std-cached")
def _(d: Any) -> Any:
    weight = parameter(1000)
    pruner = d.pruning.SensitivityPruner("p", {"w": 0.5})
    mask_of(d, pruner, weight)
    weight.data *= 10
    second = mask_of(d, pruner, weight)
    return {
        "cached": hasattr(weight, "stddev"),
        "frac_expected_if_recomputed": round(math.erf(0.5 / math.sqrt(2)), 3),
        "sparsity_after_x10": sparsity(second, 9),
    }


@probe("e1.07", "sensitivity-gaussian")
def _(d: Any) -> Any:
    mask = mask_of(d, d.pruning.SensitivityPruner("p", {"*": 0.5}), parameter(10000))
    return {"gaussian_expect": math.erf(0.5 / math.sqrt(2)), "sparsity": sparsity(mask)}


@probe("e1.08", "level-count")
def _(d: Any) -> Any:
    found = {}
    for count, share in ((10, 0.5), (10, 0.55), (7, 0.5), (100, 0.29), (100, 0.57), (1000, 0.999), (3, 0.34)):
        mask = mask_of(d, d.pruning.SparsityLevelParameterPruner("p", {"w": share}), parameter(count))
        found[f"{count}@{share}"] = [int((mask == 0).sum()), int(share * count), round(share * count)]
    return found


def _pruned(d: Any, levels: dict[str, float], weight: nn.Parameter) -> Any:
    return int((mask_of(d, d.pruning.SparsityLevelParameterPruner("p", levels), weight) == 0).sum())


@probe("e1.09", "level-ties")
def _(d: Any) -> Any:
    return {"asked": 30, "pruned": _pruned(d, {"w": 0.3}, nn.Parameter(torch.ones(100)))}


@probe("e1.10", "level-k0")
def _(d: Any) -> Any:
    return _pruned(d, {"w": 0.05}, parameter(10))


@probe("e1.11", "level-s0")
def _(d: Any) -> Any:
    return mask_of(d, d.pruning.SparsityLevelParameterPruner("p", {"w": 0}), parameter(10)) is None


@probe("e1.12", "level-s1")
def _(d: Any) -> Any:
    return _pruned(d, {"w": 1.0}, parameter(10))


@probe("e1.13", "level-star")
def _(d: Any) -> Any:
    return _pruned(d, {"*": 0.5}, parameter(10))


@probe("e1.14", "level-already-sparse")
def _(d: Any) -> Any:
    weight = parameter(100)
    weight.data[:60] = 0
    return _pruned(d, {"w": 0.3}, weight)


@probe("e7.05", "sensitivity-fold-bn")
def _(d: Any) -> Any:
    model = resnet20(d)
    model.input_shape = (1, 3, 32, 32)
    policy = d.PruningPolicy(d.pruning.SensitivityPruner("p", {"layer1.0.conv1.weight": 0.5}), {"fold_batchnorm": True})
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0, 1]}))
    scheduler.on_epoch_begin(0)
    weight = model.layer1[0].conv1.weight
    first = sparsity(scheduler.zeros_mask_dict["layer1.0.conv1.weight"].mask, 3)
    cached = hasattr(weight, "stddev")
    weight.data *= 10
    scheduler.on_epoch_begin(1)
    return {"after_x10": sparsity(scheduler.zeros_mask_dict["layer1.0.conv1.weight"].mask, 3), "cached_on_param": cached, "first": first}


@probe("e7.09", "splicing-negative")
def _(d: Any) -> Any:
    return sparsity(mask_of(d, d.pruning.SplicingPruner("p", {"w": -5}, 0.9, 1.1), parameter(1000)))


@probe("e7.16", "adam-weight-decay")
def _(d: Any) -> Any:
    model = SmallCNN()
    policy = d.PruningPolicy(d.pruning.SparsityLevelParameterPruner("p", {"conv2.weight": 0.5}), None)
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0]}))
    for _epoch in train(scheduler, model, torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.1), 3):
        pass
    return sparsity(model.conv2.weight)
