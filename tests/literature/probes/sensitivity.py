"""Probes of Distiller's sensitivity analysis and greedy pruner."""

from __future__ import annotations

import logging
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.literature.probes.experiment import probe, resnet20, sparsity, with_lively_norms
from tests.literature.probes.thinning import ARCH, DATASET, params


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
        _greedy(d, model, 0.9, folder, lambda model, **_loggers: (-params(model) / 1000, 1.0, 1.0))
