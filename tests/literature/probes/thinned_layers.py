"""Probes of Distiller's physical removal around layers of every kind: grouped, concatenated, linear, flattened."""

from __future__ import annotations

import copy
import sys
from typing import Any

import torch
from torch import Tensor, nn

from tests.literature.probes.experiment import SmallCNN, probe
from tests.literature.probes.thinning import kill


def _thin(d: Any, model: nn.Module, sets: dict[str, list[int]], shape: tuple[int, ...], dim: int = 0) -> nn.Module:
    """Thin a network that Distiller has no dataset for, through its graph and recipes."""
    thinning = sys.modules["distiller.thinning"]
    maskers = kill(d, model, sets, dim)
    graph = d.SummaryGraph(model, torch.randn(*shape))
    make = thinning.create_thinning_recipe_channels if dim else thinning.create_thinning_recipe_filters
    thinning.apply_and_save_recipe(model, maskers, make(graph, model, maskers), None)
    return model


@probe("e4.12", "flatten-square")
def _(d: Any) -> Any:
    torch.manual_seed(0)
    model = SmallCNN().eval()
    masked = copy.deepcopy(model)
    kill(d, masked, {"conv2": [0, 4, 9]})
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
