"""Probes of Distiller's physical removal (thinning), sensitivity analysis, greedy pruner and checkpoints."""

from __future__ import annotations

import copy
import logging
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.literature.probes import (
    SmallCNN,
    images,
    probe,
    resnet20,
    sgd,
    sparsity,
    train,
    with_lively_norms,
    x_fixed,
)

ARCH, DATASET = "resnet20_cifar", "cifar10"


def _kill(d: Any, model: nn.Module, sets: dict[str, list[int]], dim: int = 0) -> dict[str, Any]:
    """Zero slices of named layers' weights by masks, as a pruner would; returns the maskers of all parameters."""
    maskers = {name: d.ParameterMasker(name) for name, _ in model.named_parameters()}
    modules = dict(model.named_modules())
    for layer, indices in sets.items():
        weight = modules[layer].weight
        mask = torch.ones_like(weight)
        mask[(slice(None),) * dim + (indices,)] = 0
        weight.data *= mask
        maskers[f"{layer}.weight"].mask = mask
    return maskers


def _params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _macs(d: Any, model: nn.Module) -> int:
    return sum(d.SummaryGraph(model, torch.randn(1, 3, 32, 32)).get_attr("MACs"))


def _checksum(model: nn.Module) -> float:
    with torch.no_grad():
        return round(float(model(x_fixed()).double().sum()), 4)


def _half_of_interiors(model: nn.Module) -> dict[str, list[int]]:
    modules = dict(model.named_modules())
    names = [name for name in modules if name.startswith("layer") and name.endswith("conv1")]
    return {name: list(range(modules[name].out_channels // 2)) for name in names}


@probe("e4.01", "filters-interior")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    before = [_params(model), _macs(d, model)]
    sets = _half_of_interiors(model)
    maskers = _kill(d, model, sets)
    masked = copy.deepcopy(model)
    silent = copy.deepcopy(model)
    for name, indices in sets.items():
        norm = dict(silent.named_modules())[name.replace("conv1", "bn1")]
        norm.bias.data[indices] = 0
        norm.running_mean[indices] = 0
    d.remove_filters(model, maskers, ARCH, DATASET, None)
    x = x_fixed()
    with torch.no_grad():
        difference = float((model(x) - masked(x)).abs().max())
        silent_difference = float((model(x) - silent(x)).abs().max())
    block = model.layer1[0]
    return {
        "bn": block.bn1.num_features,
        "checksum": _checksum(model),
        "macs": [before[1], _macs(d, model)],
        "mask_shapes": None,
        "maxdiff_vs_masked": difference,
        "maxdiff_vs_masked_bn_zeroed": silent_difference,
        "next": block.conv2.weight.shape,
        "params": [before[0], _params(model)],
        "shape": block.conv1.weight.shape,
    }


@probe("e4.02", "filters-residual-group")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    group = ["conv1", *(f"layer1.{block}.conv2" for block in range(3))]
    d.remove_filters(model, _kill(d, model, {name: [0, 3, 5] for name in group}), ARCH, DATASET, None)
    modules = dict(model.named_modules())
    watched = [*group, "layer2.0.conv1", "layer2.0.downsample.0"]
    return {"checksum": _checksum(model), "shapes": {name: modules[name].weight.shape for name in watched}}


@probe("e4.03", "filters-residual-one")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, _kill(d, model, {"layer1.1.conv2": [0, 3]}), ARCH, DATASET, None)
    return model(x_fixed())


@probe("e4.04", "channels-conv2")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    maskers = _kill(d, model, {name: [1, 2, 7] for name in ("layer1.0.conv2", "layer2.1.conv2")}, dim=1)
    masked = copy.deepcopy(model)
    d.remove_channels(model, maskers, ARCH, DATASET, None)
    x = x_fixed()
    with torch.no_grad():
        difference = float((model(x) - masked(x)).abs().max())
    block = model.layer1[0]
    return {"conv2": block.conv2.weight.shape, "maxdiff": difference, "prev": block.conv1.weight.shape}


@probe("e4.05", "contract-model")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.contract_model(model, _kill(d, model, {"layer1.0.conv1": [1, 2], "layer3.2.conv1": [5]}), ARCH, DATASET, None)
    return _checksum(model)


THINNING = """
pruners:
  p: {class: L1RankedStructureParameterPruner, group_type: Filters, desired_sparsity: 0.5,
      weights: [layer1.0.conv1.weight, layer2.1.conv1.weight]}
extensions:
  r: {class: FilterRemover, thinning_func_str: remove_filters, arch: resnet20_cifar, dataset: cifar10}
policies:
  - {pruner: {instance_name: p}, epochs: [1]}
  - {extension: {instance_name: r}, epochs: [1]}
"""


def _thinned_in_training(d: Any, keep_graph: bool) -> tuple[nn.Module, Any]:
    model = with_lively_norms(d, ARCH).train()
    optimiser = sgd(model, 0.01)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "schedule.yaml")
        path.write_text(THINNING)
        scheduler = d.file_config(model, optimiser, str(path))
    for _epoch in train(scheduler, model, optimiser, 4, size=2, keep_graph=keep_graph):
        pass
    return model, optimiser


@probe("e4.06", "thin-policy-training")
def _(d: Any) -> Any:
    model, optimiser = _thinned_in_training(d, False)
    block = model.layer1[0]
    buffer = optimiser.state[block.conv1.weight]["momentum_buffer"]
    return {
        "buf": buffer.shape,
        "next": block.conv2.weight.shape,
        "recipes": len(model.thinning_recipes),
        "w": block.conv1.weight.shape,
    }


@probe("e4.07", "thin-live-graph")
def _(d: Any) -> Any:
    _thinned_in_training(d, True)


@probe("e4.08", "thin-adam")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001)
    x, y = images(2)
    F.cross_entropy(model(x), y).backward()
    optimiser.step()
    d.remove_filters(model, _kill(d, model, {"layer1.0.conv1": [0, 1]}), ARCH, DATASET, optimiser)


@probe("e4.09", "thin-one-left")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, _kill(d, model, {"layer1.0.conv1": list(range(15))}), ARCH, DATASET, None)
    return model.layer1[0].conv1.weight.shape


@probe("e4.10", "thin-all-zero")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, _kill(d, model, {"layer1.0.conv1": list(range(16))}), ARCH, DATASET, None)


@probe("e4.11", "thin-nothing")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, _kill(d, model, {}), ARCH, DATASET, None)
    return hasattr(model, "thinning_recipes")


def _thin(d: Any, model: nn.Module, sets: dict[str, list[int]], shape: tuple[int, ...], dim: int = 0) -> nn.Module:
    """Thin a network that Distiller has no dataset for, through its graph and recipes."""
    thinning = sys.modules["distiller.thinning"]
    maskers = _kill(d, model, sets, dim)
    graph = d.SummaryGraph(model, torch.randn(*shape))
    make = thinning.create_thinning_recipe_channels if dim else thinning.create_thinning_recipe_filters
    thinning.apply_and_save_recipe(model, maskers, make(graph, model, maskers), None)
    return model


@probe("e4.12", "flatten-square")
def _(d: Any) -> Any:
    torch.manual_seed(0)
    model = SmallCNN().eval()
    masked = copy.deepcopy(model)
    _kill(d, masked, {"conv2": [0, 4, 9]})
    masked.conv2.bias.data[[0, 4, 9]] = 0
    masked.bn2.bias.data[[0, 4, 9]] = 0
    _thin(d, model, {"conv2": [0, 4, 9]}, (1, 3, 32, 32))
    torch.manual_seed(1)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        difference = float((model(x) - masked(x)).abs().max())
    return {"conv_bias": model.conv2.bias.shape, "diff": difference, "fc": model.fc.weight.shape, "in_features": model.fc.in_features}


class _Chain(nn.Module):
    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x)
        return x


@probe("e4.13", "flatten-nonsquare")
def _(d: Any) -> Any:
    _thin(d, _Chain(conv=nn.Conv2d(3, 8, 3, padding=1), fc=nn.Linear(256, 10)), {"conv": [0, 1]}, (1, 3, 8, 4))


def _separable(groups: int) -> _Chain:
    return _Chain(
        c1=nn.Conv2d(3, 8, 1),
        b1=nn.BatchNorm2d(8),
        dw=nn.Conv2d(8, 8, 3, padding=1, groups=groups),
        b2=nn.BatchNorm2d(8),
        c2=nn.Conv2d(8, 4, 1),
    ).eval()


@probe("e4.14", "depthwise")
def _(d: Any) -> Any:
    model = _thin(d, _separable(8), {"c1": [1, 2]}, (1, 3, 8, 8))
    return {
        "b2": model.b2.num_features,
        "c2": model.c2.weight.shape,
        "dw": model.dw.weight.shape,
        "dw_in": model.dw.in_channels,
        "groups": model.dw.groups,
    }


@probe("e4.15", "grouped-producer")
def _(d: Any) -> Any:
    _thin(d, _separable(2), {"c1": [1, 2]}, (1, 3, 8, 8))


@probe("e4.16", "grouped-own-shape")
def _(d: Any) -> Any:
    return _thin(d, _separable(2), {"dw": [1, 2]}, (1, 3, 8, 8)).dw.weight.shape


@probe("e4.17", "grouped-own-exactness")
def _(d: Any) -> Any:
    found = {}
    for name, indices in (("1 of each", [1, 5]), ("2 of group 0", [1, 2])):
        torch.manual_seed(0)
        model = _separable(2)
        masked = copy.deepcopy(model)
        masked.dw.weight.data[indices] = 0
        masked.dw.bias.data[indices] = 0
        masked.b2.weight.data[indices] = 0
        _thin(d, model, {"dw": indices}, (1, 3, 8, 8))
        x = torch.randn(1, 3, 8, 8)
        with torch.no_grad():
            found[name] = float((model(x) - masked(x)).abs().max())
    return found


class _Concatenating(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1), nn.Conv2d(10, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.cat([self.a(x), self.b(x)], 1))


@probe("e4.18", "concat")
def _(d: Any) -> Any:
    model = _thin(d, _Concatenating(), {"b": [0, 1]}, (1, 3, 32, 32))
    return model(torch.randn(1, 3, 32, 32))


@probe("e4.19", "channels-linear")
def _(d: Any) -> Any:
    model = _Chain(conv=nn.Conv2d(3, 8, 3), pool=nn.AdaptiveAvgPool2d(1), fc=nn.Linear(8, 5))
    _thin(d, model, {"fc": [0, 1]}, (1, 3, 8, 8), dim=1)
    return {
        "conv": model.conv.weight.shape,
        "fc": model.fc.weight.shape,
        "has_in_channels": getattr(model.fc, "in_channels", None),
        "in_features": model.fc.in_features,
    }


@probe("e4.20", "channels-linear-4x4")
def _(d: Any) -> Any:
    model = _Chain(conv=nn.Conv2d(3, 8, 3, padding=1), pool=nn.AdaptiveAvgPool2d(4), fc=nn.Linear(128, 5))
    _thin(d, model, {"fc": [0, 1]}, (1, 3, 8, 8), dim=1)


@probe("e4.21", "linear-neurons")
def _(d: Any) -> Any:
    model = _Chain(first=nn.Linear(8, 6), relu=nn.ReLU(), second=nn.Linear(6, 3))
    _thin(d, model, {"first": [0, 1]}, (1, 8))
    return model.first.weight.shape


@probe("e4.22", "resnet56")
def _(d: Any) -> Any:
    model = with_lively_norms(d, "resnet56_cifar")
    d.remove_filters(model, _kill(d, model, _half_of_interiors(model)), "resnet56_cifar", DATASET, None)
    return {"checksum": _checksum(model), "params": _params(model)}


@probe("e4.23", "mobilenet")
def _(d: Any) -> Any:
    torch.manual_seed(0)
    model = d.models.create_model(False, "imagenet", "mobilenet", parallel=False).eval()
    plain = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and module.groups == 1]
    d.remove_filters(model, _kill(d, model, {name: [0, 1, 2, 3] for name in plain[1:4]}), "mobilenet", "imagenet", None)
    torch.manual_seed(5)
    with torch.no_grad():
        checksum = round(float(model(torch.randn(1, 3, 224, 224)).double().sum()), 4)
    return {"cs": checksum, "p": _params(model)}


@probe("e4.24", "vgg11-bn")
def _(d: Any) -> Any:
    model = sys.modules["torchvision"].models.vgg11_bn(weights=None, init_weights=False).eval()
    d.remove_filters(model, _kill(d, model, {"features.0": [0, 1], "features.25": [3, 4, 5]}), "vgg11_bn", "imagenet", None)
    fc = model.classifier[0]
    return {"c0": fc.weight.shape, "infeat": fc.in_features, "p": _params(model)}


@probe("e4.25", "resnet18")
def _(d: Any) -> Any:
    model = d.models.create_model(False, "imagenet", "resnet18", parallel=False)
    d.remove_filters(model, _kill(d, model, {"layer1.0.conv1": [0, 1]}), "resnet18", "imagenet", None)
    return {"c": model.layer1[0].conv2.weight.shape, "p": _params(model)}


def _analyse(d: Any, parameter: str, levels: list[float], group: str) -> tuple[list[dict[str, float]], Any]:
    model = with_lively_norms(d, ARCH)
    seen: list[dict[str, float]] = []

    def test(model: nn.Module) -> tuple[float, float, float]:
        sparse = {name: sparsity(p.detach(), 3) for name, p in model.named_parameters() if p.dim() == 4}
        seen.append({name: share for name, share in sparse.items() if share > 0})
        return 1.0, 2.0, 3.0

    return seen, d.perform_sensitivity_analysis(model, [parameter], levels, test, group)


@probe("e4.26", "sensitivity-groups")
def _(d: Any) -> Any:
    groups = ("channel", "element", "filter")
    return {group: _analyse(d, "layer1.0.conv1.weight", [0, 0.25, 0.5], group)[0] for group in groups}


@probe("e4.27", "sensitivity-descending")
def _(d: Any) -> Any:
    seen, _ = _analyse(d, "layer1.0.conv2.weight", [0.75, 0.25], "element")
    return [found["layer1.0.conv2.weight"] for found in seen]


@probe("e4.28", "sensitivity-csv")
def _(d: Any) -> Any:
    _, found = _analyse(d, "layer1.0.conv2.weight", [0.25, 0.5], "element")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sensitivity.csv")
        d.sensitivities_to_csv(found, str(path))
        return path.read_text().splitlines()


def _greedy(d: Any, model: nn.Module, target: float, folder: str, test: Any) -> None:
    arguments = Namespace(
        dataset=DATASET,
        arch=ARCH,
        greedy_finetuning_policy="constant",
        effective_train_size=1,
        lr=0.01,
        momentum=0.9,
        weight_decay=0,
    )
    logger = logging.getLogger()
    before = getattr(logger, "logdir", None)
    logger.logdir = folder
    try:
        sys.modules["distiller.pruning.greedy_filter_pruning"].greedy_pruner(model, arguments, target, 0.5, test, None)
    finally:
        logger.logdir = before


@probe("e4.29", "greedy-plain-names")
def _(d: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        _greedy(d, with_lively_norms(d, ARCH), 0.98, folder, lambda model: (1.0, 1.0, 1.0))


def _parallel(d: Any) -> nn.DataParallel:
    torch.manual_seed(0)
    return nn.DataParallel(resnet20(d))


@probe("e4.30", "greedy-dataparallel")
def _(d: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        _greedy(d, _parallel(d), 0.9, folder, lambda model: (1.0, 1.0, 1.0))


@probe("e4.31", "greedy-target-09")
def _(d: Any) -> Any:
    model = _parallel(d)
    model.src_device_obj = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        _greedy(d, model, 0.9, folder, lambda model, **_loggers: (-_params(model) / 1000, 1.0, 1.0))


@probe("e4.32", "checkpoint-roundtrip")
def _(d: Any) -> Any:
    apputils = sys.modules["distiller.apputils"]
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, _kill(d, model, {"layer1.0.conv1": [1, 2]}), ARCH, DATASET, None)
    with tempfile.TemporaryDirectory() as folder:
        apputils.save_checkpoint(0, ARCH, model, dir=folder)
        fresh = resnet20(d)
        loaded = apputils.load_checkpoint(fresh, str(Path(folder, "checkpoint.pth.tar")))[0].eval()
    x = x_fixed()
    with torch.no_grad():
        difference = float((loaded(x) - model(x)).abs().max())
    return {"same": difference, "shape": loaded.layer1[0].conv1.weight.shape}


@probe("e9.04", "macs-resnet20")
def _(d: Any) -> Any:
    return _macs(d, resnet20(d))
