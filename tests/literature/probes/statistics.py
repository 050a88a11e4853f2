"""Probes of Distiller's pruners by statistics: APoZ, mean activation, gradients."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.literature.probes.experiment import Nested, SmallCNN, images, lowest, mask_of, probe, resnet20, zero_filters


def _collect(d: Any, model: nn.Module, statistic: str, sizes: tuple[int, ...], lively: bool = True) -> Tensor:
    """Collect an activation statistic over batches; returns relu1's outputs over all of them."""
    batches = [torch.randn(size, 3, 32, 32) for size in sizes]
    if lively:
        nn.init.normal_(model.net.bn1.bias)
    function = {"apoz_channels": d.utils.activation_channels_apoz, "mean_channels": d.utils.activation_channels_means}[statistic]
    collectors = sys.modules["distiller.data_loggers"]
    collector = collectors.SummaryActivationStatsCollector(model, statistic, function)
    seen: list[Tensor] = []
    handle = model.net.relu1.register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    model.eval()
    with collectors.collector_context(collector), torch.no_grad():
        for batch in batches:
            model(batch)
    handle.remove()
    return torch.cat(seen)


def _statistic_pruner(d: Any, class_name: str, model: nn.Module, weight: str) -> Any:
    pruner = getattr(d.pruning, class_name)("p", "Filters", 0.5, [weight])
    return zero_filters(mask_of(d, pruner, dict(model.named_parameters())[weight], weight, model))


@probe("e2.34", "apoz-direction")
def _(d: Any) -> Any:
    model = Nested()
    seen = _collect(d, model, "apoz_channels", (4, 4, 4))
    apoz = 100 * (seen == 0).float().mean((0, 2, 3))
    value = torch.as_tensor(model.net.relu1.apoz_channels.value()[0])
    pruned = _statistic_pruner(d, "ActivationAPoZRankedFilterPruner", model, "net.conv1.weight")
    return {
        "pruned_highest_apoz": pruned == lowest(-apoz, 4),
        "pruned_lowest": pruned == lowest(apoz, 4),
        "val_ok": torch.allclose(value.float(), apoz, rtol=1e-4),
    }


@probe("e2.35", "apoz-unequal-batches")
def _(d: Any) -> Any:
    model = Nested()
    seen = _collect(d, model, "apoz_channels", (4, 1))
    value = torch.as_tensor(model.net.relu1.apoz_channels.value()[0]).float()
    return round(float((value - 100 * (seen == 0).float().mean((0, 2, 3))).abs().max()), 3)


@probe("e2.36", "mean-direction")
def _(d: Any) -> Any:
    model = Nested()
    means = _collect(d, model, "mean_channels", (4, 4, 4)).mean((0, 2, 3))
    value = torch.as_tensor(model.net.relu1.mean_channels.value()[0])
    pruned = _statistic_pruner(d, "ActivationMeanRankedFilterPruner", model, "net.conv1.weight")
    return {
        "pruned_HIGHEST_mean": pruned == lowest(-means, 4),
        "pruned_lowest_mean": pruned == lowest(means, 4),
        "val_ok": torch.allclose(value.float(), means, rtol=1e-4),
    }


@probe("e2.37", "mean-signed")
def _(d: Any) -> Any:
    return d.utils.activation_channels_means(torch.tensor([[[[1.0, -1.0]], [[0.2, 0.2]]]]))


@probe("e2.38", "activation-no-stats")
def _(d: Any) -> Any:
    model = SmallCNN()
    return _statistic_pruner(d, "ActivationAPoZRankedFilterPruner", model, "conv1.weight")


def _resnet_statistics(d: Any) -> tuple[nn.Module, Tensor]:
    model = resnet20(d)
    collectors = sys.modules["distiller.data_loggers"]
    collector = collectors.SummaryActivationStatsCollector(model, "apoz_channels", d.utils.activation_channels_apoz)
    model.eval()
    with collectors.collector_context(collector), torch.no_grad():
        model(torch.randn(2, 3, 32, 32))
    return model, torch.as_tensor(model.layer1[0].relu1.apoz_channels.value()[0])


@probe("e2.40", "activation-nested")
def _(d: Any) -> Any:
    model, apoz = _resnet_statistics(d)
    pruned = _statistic_pruner(d, "ActivationAPoZRankedFilterPruner", model, "layer1.0.conv1.weight")
    return sorted(apoz[pruned].tolist()) == sorted(apoz.tolist())[8:]


@probe("e2.41", "activation-stem")
def _(d: Any) -> Any:
    model, _ = _resnet_statistics(d)
    return _statistic_pruner(d, "ActivationAPoZRankedFilterPruner", model, "conv1.weight")


@probe("e2.42", "rows-cols-mean-abs")
def _(d: Any) -> Any:
    weight = torch.ones(6, 4)
    rows, cols = d.norms.rows_lp_norm(weight, 1, 1, True), d.norms.cols_lp_norm(weight, 1, 1, True)
    return {"cols": float(cols[0]), "correct": 1.0, "rows": float(rows[0])}


@probe("e2.43", "random-leader")
def _(d: Any) -> Any:
    model = SmallCNN()
    pruner = d.pruning.RandomRankedFilterPruner("p", "Filters", 0.5, ["conv1.weight"], group_dependency="Leader")
    return mask_of(d, pruner, model.conv1.weight, "conv1.weight", model)


@probe("e2.44", "apoz-linear-scalar")
def _(d: Any) -> Any:
    return float(d.utils.activation_channels_apoz(torch.tensor([[0.0, 1.0, 0.0, 2.0], [0.0, 0.0, 0.0, 2.0]])))


def _filter_products(model: SmallCNN) -> Tensor:
    x, y = images(8)
    F.cross_entropy(model(x), y).backward()
    return (model.conv1.weight.grad * model.conv1.weight.detach()).sum((1, 2, 3))


def _gradient_mask(d: Any, model: SmallCNN) -> Any:
    pruner = d.pruning.GradientRankedFilterPruner("p", "Filters", 0.5, ["conv1.weight"])
    return mask_of(d, pruner, model.conv1.weight, "conv1.weight", model)


@probe("e2.45", "gradient-signed")
def _(d: Any) -> Any:
    model = SmallCNN(bn=False)
    products = _filter_products(model)
    pruned = zero_filters(_gradient_mask(d, model))
    return {
        "pruned": pruned,
        "scores": [round(value, 5) for value in products.tolist()],
        "signed_smallest": pruned == lowest(products, 4),
        "taylor_abs": pruned == lowest(products.abs(), 4),
        "want_taylor": lowest(products.abs(), 4),
    }


@probe("e2.46", "gradient-with-bn")
def _(d: Any) -> Any:
    model = SmallCNN(bias=False)
    products = _filter_products(model)
    return {"max_abs_score": float(products.abs().max()), "max_grad": float(model.conv1.weight.grad.abs().max())}


@probe("e2.47", "gradient-none")
def _(d: Any) -> Any:
    return _gradient_mask(d, SmallCNN()) is None


@probe("e7.04", "gradient-after-zero-grad")
def _(d: Any) -> Any:
    model = SmallCNN(bn=False)
    x, y = images(8)
    F.cross_entropy(model(x), y).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).zero_grad()
    gradient = model.conv1.weight.grad
    return {"grad": None if gradient is None else "zeros", "mask": zero_filters(_gradient_mask(d, model))}
