"""Probes of Distiller's structured pruners: L1/L2 ranking, Leader, random, Bernoulli, statistics, gradients, thresholds."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.literature.probes import (
    Nested,
    SmallCNN,
    images,
    lowest,
    mask_of,
    meta,
    parameter,
    probe,
    resnet20,
    scheduler_of,
    sgd,
    train,
    zero_channels,
    zero_filters,
)


def _l1(d: Any, group: str, share: float, weights: Any = ("w",), **more: Any) -> Any:
    return d.pruning.L1RankedStructureParameterPruner("p", group, share, list(weights) if isinstance(weights, tuple) else weights, **more)


def _l2(d: Any, group: str, share: float) -> Any:
    return d.pruning.L2RankedStructureParameterPruner("p", group, share, ["w"])


def _absolute(weight: Tensor) -> Tensor:
    return weight.detach().abs()


@probe("e2.01", "l1-filters")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    pruned = zero_filters(mask_of(d, _l1(d, "Filters", 0.3), weight))
    smallest = lowest(_absolute(weight).sum((1, 2, 3)), len(pruned))
    return {"floor": math.floor(0.3 * 16), "ok": pruned == smallest, "pruned": len(pruned), "round": round(0.3 * 16)}


@probe("e2.02", "l2-filters")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    return zero_filters(mask_of(d, _l2(d, "3D", 0.5), weight)) == lowest(weight.detach().flatten(1).norm(dim=1), 8)


@probe("e2.03", "l1-channels")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    return zero_channels(mask_of(d, _l1(d, "Channels", 0.5), weight)) == lowest(_absolute(weight).sum((0, 2, 3)), 4)


@probe("e2.04", "l2-channels")
def _(d: Any) -> Any:
    weight = parameter(16, 8, 3, 3)
    norms = weight.detach().transpose(0, 1).flatten(1).norm(dim=1)
    return zero_channels(mask_of(d, _l2(d, "Channels", 0.5), weight)) == lowest(norms, 4)


@probe("e2.05", "l1-channels-linear")
def _(d: Any) -> Any:
    weight = parameter(6, 8)
    return zero_channels(mask_of(d, _l1(d, "Channels", 0.5), weight)) == lowest(_absolute(weight).sum(0), 4)


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
    return len(set(pruned) & set(lowest(_absolute(weight).sum((1, 2, 3)), 50)))


def _blocks(d: Any, share: float, shape: list[int], weight: nn.Parameter) -> Any:
    return mask_of(d, _l1(d, "Blocks", share, kwargs={"block_shape": shape}), weight)


@probe("e2.17", "l1-blocks-1x1")
def _(d: Any) -> Any:
    weight = parameter(4, 16, 1, 1)
    mask = _blocks(d, 0.5, [1, 8, 1, 1], weight)
    runs = _absolute(weight).view(8, 8).sum(1)
    return zero_filters(mask.view(8, 8)) == lowest(runs, 4)


@probe("e2.18", "l1-blocks-3x3")
def _(d: Any) -> Any:
    weight = parameter(4, 16, 3, 3)
    mask = _blocks(d, 0.5, [1, 8, 1, 1], weight).view(4, 2, 8, 9)
    sums = _absolute(weight).view(4, 2, 8, 9).sum(2)
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
    own = lowest(_absolute(model.conv1.weight).sum((1, 2, 3)), 4)
    return {"follower": zero_filters(maskers["conv2.weight"].mask) == own, "leader": zero_filters(maskers["conv1.weight"].mask) == own}


@probe("e2.21", "leader-stale")
def _(d: Any) -> Any:
    model = SmallCNN()
    pruner = _l1(d, "Filters", 0.5, ["conv1.weight"], group_dependency="Leader")
    first = zero_filters(mask_of(d, pruner, model.conv1.weight, "conv1.weight", model))
    nn.init.normal_(model.conv1.weight)
    second = zero_filters(mask_of(d, pruner, model.conv1.weight, "conv1.weight", model))
    fresh = lowest(_absolute(model.conv1.weight).sum((1, 2, 3)), 4)
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


def _structured_agp(d: Any, model: nn.Module, class_name: str, weight: str) -> list[int]:
    """Zero filters after each of six epochs of a structured gradual pruner from .1 to .5."""
    pruner = getattr(d.pruning, class_name)("p", 0.1, 0.5, "Filters", [weight])
    scheduler = scheduler_of(d, model, (d.PruningPolicy(pruner, None), {"starting_epoch": 0, "ending_epoch": 5, "frequency": 1}))
    parameters = dict(model.named_parameters())
    optimiser = sgd(model, 0.01)
    return [len(zero_filters(parameters[weight].detach())) for _ in train(scheduler, model, optimiser, 6)]


@probe("e2.27", "agp-l1-l2-train")
def _(d: Any) -> Any:
    found: dict[str, Any] = {
        name: _structured_agp(d, SmallCNN(), name, "conv1.weight")
        for name in ("L1RankedStructureParameterPruner_AGP", "L2RankedStructureParameterPruner_AGP")
    }
    return {**found, "want": [int((0.5 - 0.4 * (1 - epoch / 4) ** 3) * 8) for epoch in range(5)]}


@probe("e2.28", "random-count")
def _(d: Any) -> Any:
    weight = parameter(10, 2, 3, 3)
    pruner = d.pruning.RandomRankedFilterPruner("p", "Filters", 0.35, ["w"])
    sets = [tuple(zero_filters(mask_of(d, pruner, weight))) for _ in range(20)]
    return {"counts": sorted({len(found) for found in sets}), "distinct": len(set(sets)), "floor": math.floor(3.5)}


@probe("e2.29", "random-ignores-group-type")
def _(d: Any) -> Any:
    mask = mask_of(d, d.pruning.RandomRankedFilterPruner("p", "Channels", 0.5, ["w"]), parameter(10, 4, 3, 3))
    return {"c": zero_channels(mask), "f": zero_filters(mask)}


@probe("e2.30", "random-level")
def _(d: Any) -> Any:
    weight = parameter(20, 2, 3, 3)
    pruner = d.pruning.RandomLevelStructureParameterPruner("p", "Filters", [0.2, 0.6], ["w"])
    counts = [len(zero_filters(mask_of(d, pruner, weight))) for _ in range(50)]
    return [min(counts), max(counts)]


@probe("e2.31", "bernoulli-mask-value")
def _(d: Any) -> Any:
    mask = mask_of(d, d.pruning.BernoulliFilterPruner("p", "Filters", 0.3, ["w"]), parameter(1000, 1, 1, 1))
    kept = int((mask > 0).sum())
    return {
        "inv_keep_frac": round(1000 / kept, 5),
        "kept": kept,
        "values": [round(value, 5) for value in sorted(set(mask.flatten().tolist()))],
    }


@probe("e2.32", "bernoulli-all-dropped")
def _(d: Any) -> Any:
    return mask_of(d, d.pruning.BernoulliFilterPruner("p", "Filters", 0.999999, ["w"]), parameter(2, 1, 1, 1)).flatten()


def bernoulli_weights(d: Any, arguments: dict[str, Any] | None) -> tuple[Tensor, Tensor]:
    """conv1's weights before and after nine steps at learning rate 0 under a Bernoulli pruner."""
    torch.manual_seed(0)
    model = SmallCNN()
    before = model.conv1.weight.detach().clone()
    policy = d.PruningPolicy(d.pruning.BernoulliFilterPruner("p", "Filters", 0.5, ["conv1.weight"]), arguments)
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0, 1, 2]}))
    for _epoch in train(scheduler, model, torch.optim.SGD(model.parameters(), lr=0.0), 3, steps=3):
        pass
    return before, model.conv1.weight.detach()


@probe("e2.33", "bernoulli-policy-args")
def _(d: Any) -> Any:
    cases = {
        "default": None,
        "documented drop_filter args": {
            "discard_masks_at_minibatch_end": True,
            "use_double_copies": True,
            "mini_batch_pruning_frequency": 1,
        },
    }
    return {name: [float(w.abs().max()) for w in bernoulli_weights(d, arguments)] for name, arguments in cases.items()}


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
    smallest = lowest(_absolute(holder.conv.weight).sum((0, 2, 3)), 2)
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


@probe("e7.01", "agp-all-seven")
def _(d: Any) -> Any:
    found = {}
    for name in [name for name in dir(d.pruning) if name.endswith("_AGP")]:
        torch.manual_seed(0)
        model = Nested()
        model.train()
        collectors = sys.modules["distiller.data_loggers"]
        x = torch.randn(4, 3, 32, 32)
        for statistic, function in (
            ("apoz_channels", d.utils.activation_channels_apoz),
            ("mean_channels", d.utils.activation_channels_means),
        ):
            with collectors.collector_context(collectors.SummaryActivationStatsCollector(model, statistic, function)), torch.no_grad():
                model(x)
        found[name] = _structured_agp(d, model, name, "net.conv1.weight")
    return found


@probe("e7.02", "agp-signature")
def _(d: Any) -> Any:
    code = d.pruning.L1RankedStructureParameterPruner_AGP.__init__.__code__
    return list(code.co_varnames[: code.co_argcount])


@probe("e7.04", "gradient-after-zero-grad")
def _(d: Any) -> Any:
    model = SmallCNN(bn=False)
    x, y = images(8)
    F.cross_entropy(model(x), y).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).zero_grad()
    gradient = model.conv1.weight.grad
    return {"grad": None if gradient is None else "zeros", "mask": zero_filters(_gradient_mask(d, model))}


@probe("e7.08", "lp-max-norm")
def _(d: Any) -> Any:
    ranked = sys.modules["distiller.pruning.ranked_structures_pruner"]
    weight = parameter(8, 4, 3, 3)
    pruner = ranked.LpRankedStructureParameterPruner("p", "Filters", 0.5, ["w"], magnitude_fn=d.norms.max_norm)
    return zero_filters(mask_of(d, pruner, weight)) == lowest(_absolute(weight).flatten(1).max(1)[0], 4)


@probe("e9.03", "structure-filters-conv1d")
def _(d: Any) -> Any:
    return mask_of(d, d.pruning.StructureParameterPruner("p", None, {"w": [0.1, "Filters"]}, "Mean_Abs"), parameter(4, 3, 3))


@probe("e9.05", "bernoulli-policy-args-2")
def _(d: Any) -> Any:
    discard, double = {"discard_masks_at_minibatch_end": True}, {"use_double_copies": True}
    forward, often = {"mask_on_forward_only": True}, {"mini_batch_pruning_frequency": 1}
    cases: dict[str, dict[str, Any] | None] = {
        "default": None,
        "discard+double_copies+forward_only": {**discard, **double, **forward},
        "discard+double_copies+forward_only+mb_freq_1": {**discard, **double, **forward, **often},
        "discard+double_copies+mb_freq_1": {**discard, **double, **often},
        "double_copies+forward_only+mb_freq_1": {**double, **forward, **often},
    }
    found = {}
    for name, arguments in cases.items():
        before, after = bernoulli_weights(d, arguments)
        found[name] = {
            "max_abs_after": float(after.abs().max()),
            "max_abs_before": float(before.abs().max()),
            "weights_bit_identical": torch.equal(before, after),
        }
    return found
