"""Probes of Distiller's physical removal (thinning): residual networks, training on, repeated removal."""

from __future__ import annotations

import copy
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.literature.probes.experiment import images, probe, resnet20, sgd, train, with_lively_norms, x_fixed

ARCH, DATASET = "resnet20_cifar", "cifar10"


def kill(d: Any, model: nn.Module, sets: dict[str, list[int]], dim: int = 0) -> dict[str, Any]:
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


def params(model: nn.Module) -> int:
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
    before = [params(model), _macs(d, model)]
    sets = _half_of_interiors(model)
    maskers = kill(d, model, sets)
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
        "params": [before[0], params(model)],
        "shape": block.conv1.weight.shape,
    }


@probe("e4.02", "filters-residual-group")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    group = ["conv1", *(f"layer1.{block}.conv2" for block in range(3))]
    d.remove_filters(model, kill(d, model, {name: [0, 3, 5] for name in group}), ARCH, DATASET, None)
    modules = dict(model.named_modules())
    watched = [*group, "layer2.0.conv1", "layer2.0.downsample.0"]
    return {"checksum": _checksum(model), "shapes": {name: modules[name].weight.shape for name in watched}}


@probe("e4.03", "filters-residual-one")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, kill(d, model, {"layer1.1.conv2": [0, 3]}), ARCH, DATASET, None)
    return model(x_fixed())


@probe("e4.04", "channels-conv2")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    maskers = kill(d, model, {name: [1, 2, 7] for name in ("layer1.0.conv2", "layer2.1.conv2")}, dim=1)
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
    d.contract_model(model, kill(d, model, {"layer1.0.conv1": [1, 2], "layer3.2.conv1": [5]}), ARCH, DATASET, None)
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
    d.remove_filters(model, kill(d, model, {"layer1.0.conv1": [0, 1]}), ARCH, DATASET, optimiser)


@probe("e4.09", "thin-one-left")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, kill(d, model, {"layer1.0.conv1": list(range(15))}), ARCH, DATASET, None)
    return model.layer1[0].conv1.weight.shape


@probe("e4.10", "thin-all-zero")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, kill(d, model, {"layer1.0.conv1": list(range(16))}), ARCH, DATASET, None)


@probe("e4.11", "thin-nothing")
def _(d: Any) -> Any:
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, kill(d, model, {}), ARCH, DATASET, None)
    return hasattr(model, "thinning_recipes")


@probe("e4.22", "resnet56")
def _(d: Any) -> Any:
    model = with_lively_norms(d, "resnet56_cifar")
    d.remove_filters(model, kill(d, model, _half_of_interiors(model)), "resnet56_cifar", DATASET, None)
    return {"checksum": _checksum(model), "params": params(model)}


@probe("e4.23", "mobilenet")
def _(d: Any) -> Any:
    torch.manual_seed(0)
    model = d.models.create_model(False, "imagenet", "mobilenet", parallel=False).eval()
    plain = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and module.groups == 1]
    d.remove_filters(model, kill(d, model, {name: [0, 1, 2, 3] for name in plain[1:4]}), "mobilenet", "imagenet", None)
    torch.manual_seed(5)
    with torch.no_grad():
        checksum = round(float(model(torch.randn(1, 3, 224, 224)).double().sum()), 4)
    return {"cs": checksum, "p": params(model)}


@probe("e4.24", "vgg11-bn")
def _(d: Any) -> Any:
    model = sys.modules["torchvision"].models.vgg11_bn(weights=None, init_weights=False).eval()
    d.remove_filters(model, kill(d, model, {"features.0": [0, 1], "features.25": [3, 4, 5]}), "vgg11_bn", "imagenet", None)
    fc = model.classifier[0]
    return {"c0": fc.weight.shape, "infeat": fc.in_features, "p": params(model)}


@probe("e4.25", "resnet18")
def _(d: Any) -> Any:
    model = d.models.create_model(False, "imagenet", "resnet18", parallel=False)
    d.remove_filters(model, kill(d, model, {"layer1.0.conv1": [0, 1]}), "resnet18", "imagenet", None)
    return {"c": model.layer1[0].conv2.weight.shape, "p": params(model)}


@probe("e4.32", "checkpoint-roundtrip")
def _(d: Any) -> Any:
    apputils = sys.modules["distiller.apputils"]
    model = with_lively_norms(d, ARCH)
    d.remove_filters(model, kill(d, model, {"layer1.0.conv1": [1, 2]}), ARCH, DATASET, None)
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
