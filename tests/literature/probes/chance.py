"""Probes of Distiller's pruners by chance: random, random level, Bernoulli (DropFilter), and all gradual ones."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch import Tensor, nn

from tests.literature.probes.experiment import (
    Nested,
    SmallCNN,
    mask_of,
    parameter,
    probe,
    scheduler_of,
    sgd,
    train,
    zero_channels,
    zero_filters,
)


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
