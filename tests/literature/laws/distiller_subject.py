"""A live Distiller as a subject: its pruners, regularisers and policies as the operations that laws are put to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.verification import distiller as door
from tests.literature.laws.subjects import Block, Operation, Subject, zeros
from tests.literature.probes.experiment import mask_of

OFFERED = frozenset(
    {
        "mask below", "sensitivity mask", "mask the smallest", "gradual sparsity", "surgery", "threshold over time",
        "prune filters by L1", "prune filters by L2", "prune channels by L1", "prune channels by L2", "prune filters at random",
        "group lasso", "shrink towards zero", "fold batch norm", "prune by L1 with the norm folded in", "reconstruct", "drop filters",
    }
)  # fmt: skip


def if_live(config: pytest.Config, parameters: Sequence[Any]) -> list[Any]:
    """``parameters`` where a Distiller is given or installed; otherwise one that skips with the line that says how to get it."""
    if door.is_offered(config.getoption("--distiller", None)):
        return list(parameters)
    return [pytest.param(None, id="no-live-distiller", marks=pytest.mark.skip(reason=f"no live Distiller: {door.HOW_TO_GET}"))]


def distiller_subject(d: ModuleType) -> Subject:
    """The same vocabulary spoken by a live Distiller."""
    pruning, regularization = d.pruning, sys.modules["distiller.regularization"]

    def ranked(class_name: str, group: str, dim: int) -> Operation:
        def prune(weight: Tensor, count: int, seed: int = 0) -> list[int]:
            np.random.seed(seed)
            pruner = getattr(pruning, class_name)("p", group, count / weight.shape[dim], ["w"])
            return zeros(mask_of(d, pruner, nn.Parameter(weight.detach().clone())), dim)

        return prune

    def smallest(weight: Tensor, count: int) -> Tensor:
        pruner = pruning.SparsityLevelParameterPruner("p", {"w": count / weight.numel()})
        mask = mask_of(d, pruner, nn.Parameter(weight.detach().clone()))
        return torch.ones_like(weight, dtype=torch.bool) if mask is None else mask.bool()

    def gradual(initial: float, final: float, step: int, steps: int) -> float:
        return pruning.AutomatedGradualPruner("p", initial, final, ["w"]).agp_pr.step(step, 0, steps + 1, 1)

    def rnn(step: int, start: int, ramp: int, end: int, quality: float, frequency: int, ramp_factor: float) -> float:
        pruner = pruning.BaiduRNNPruner("p", quality, ramp - start, ramp_factor, ["w"])
        fine = torch.linspace(0, 1, 100_001)
        mask = mask_of(d, pruner, nn.Parameter(fine), epoch=step, starting_epoch=start, ending_epoch=end, frequency=frequency)
        return float(fine[mask == 0].max())

    def lasso(weight: Tensor, group: str) -> float:
        loss = torch.zeros((), dtype=weight.dtype)
        regularization.GroupLassoRegularizer("r", None, {"w": [1.0, group]}).loss(weight, "w", loss, None)
        return float(loss)

    def shrink(weight: Tensor, strength: float) -> Tensor:
        maskers = {"w": d.ParameterMasker("w")}
        parameter = nn.Parameter(weight.detach().clone())
        regularization.L1Regularizer("r", None, {"w": strength}, "Max").threshold(parameter, "w", maskers)
        maskers["w"].apply_mask(parameter)
        return parameter.detach()

    def fold(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, None]:
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=bias is not None)
        layer.weight.data = weight.detach().clone()
        graph = type("Graph", (), {"successors_f": lambda *_: ["norm"]})()
        found = d.PruningPolicy._fold_batchnorm(None, "conv.weight", layer.weight, {"conv": layer, "norm": norm}, graph)
        return found.detach(), None

    def surgery_step(weight: Tensor, mask: Tensor, low: float, high: float) -> Tensor:
        parameter = nn.Parameter(weight.detach().clone())
        parameter._std, parameter._mean = 0.0, 1.0  # thresholds are (mean + std * sensitivity) times the two factors
        return pruning.SplicingPruner.create_mask(parameter, mask, 0.0, low, high)

    def reconstruct(inputs: Tensor, outputs: Tensor, kept: Sequence[int]) -> Tensor:
        solve = sys.modules["distiller.pruning.ranked_structures_pruner"]._least_square_sklearn
        return torch.as_tensor(solve(inputs[:, list(kept)], outputs)).double()

    def drop(kept: Tensor) -> Tensor:
        pruner = pruning.BernoulliFilterPruner("p", "Filters", 0.5, ["w"])
        with mock.patch("torch.bernoulli", return_value=kept.float()):
            return mask_of(d, pruner, nn.Parameter(torch.ones(len(kept), 1, 1, 1))).flatten()

    def by_folded_norms(block: Block, count: int) -> list[int]:
        weight, _ = fold(block.filters.weight, block.filters.bias, block.norm)
        return ranked("L1RankedStructureParameterPruner", "Filters", 0)(weight, count)

    return Subject(
        "distiller",
        {
            "mask below": lambda weight, threshold: mask_of(
                d, pruning.MagnitudeParameterPruner("p", {"*": threshold}), nn.Parameter(weight.detach().clone())
            ).bool(),
            "sensitivity mask": lambda weight, quality: mask_of(
                d, pruning.SensitivityPruner("p", {"w": quality}), nn.Parameter(weight.detach().clone())
            ).bool(),
            "mask the smallest": smallest,
            "gradual sparsity": gradual,
            "surgery": surgery_step,
            "threshold over time": rnn,
            "prune filters by L1": ranked("L1RankedStructureParameterPruner", "Filters", 0),
            "prune filters by L2": ranked("L2RankedStructureParameterPruner", "Filters", 0),
            "prune channels by L1": ranked("L1RankedStructureParameterPruner", "Channels", 1),
            "prune channels by L2": ranked("L2RankedStructureParameterPruner", "Channels", 1),
            "prune filters at random": ranked("RandomRankedFilterPruner", "Filters", 0),
            "group lasso": lasso,
            "shrink towards zero": shrink,
            "fold batch norm": fold,
            "prune by L1 with the norm folded in": by_folded_norms,
            "reconstruct": reconstruct,
            "drop filters": drop,
        },
    )
