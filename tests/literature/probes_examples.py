"""Probes of Distiller's own example schedules: the first and the last scheduled epoch of each, trained for two steps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.literature.probes import images, probe

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("native-examples.json").read_text())


def _examples(d: Any) -> Path:
    return Path(d.__file__).parents[1]


def _parallel(d: Any, arch: str) -> nn.DataParallel:
    torch.manual_seed(0)
    model = nn.DataParallel(d.models.create_model(False, "cifar10", arch, parallel=False))
    model.src_device_obj = torch.device("cpu")
    model.input_shape = (1, 3, 32, 32)
    return model


def _run_epoch(d: Any, scheduler: Any, model: nn.Module, optimiser: torch.optim.Optimizer, epoch: int) -> None:
    scheduler.on_epoch_begin(epoch, optimiser)
    for step in range(2):
        x, y = images(2)
        scheduler.on_minibatch_begin(epoch, step, 2, optimiser)
        loss = F.cross_entropy(model(x), y)
        loss = scheduler.before_backward_pass(epoch, step, 2, loss, optimiser)
        optimiser.zero_grad()
        loss.backward()
        scheduler.before_parameter_optimization(epoch, step, 2, optimiser)
        optimiser.step()
        scheduler.on_minibatch_end(epoch, step, 2, optimiser)
        del loss, x, y
    scheduler.on_epoch_end(epoch, optimiser, metrics={"min": 1.0, "max": 1.0})


def run_example(d: Any, yaml: str, arch: str) -> dict[str, Any]:
    """The trained model's sparsity, parameter count and sum of |p| after the schedule's first and last epoch."""
    model = _parallel(d, arch)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    collectors = sys.modules["distiller.data_loggers"]
    collector = collectors.SummaryActivationStatsCollector(model, "apoz_channels", d.utils.activation_channels_apoz)
    with collectors.collector_context(collector), torch.no_grad():
        model(torch.randn(2, 3, 32, 32))
    scheduler = d.file_config(model, optimiser, str(_examples(d) / yaml))
    epochs = sorted({min(scheduler.policies), max(scheduler.policies)})
    for epoch in epochs:
        _run_epoch(d, scheduler, model, optimiser, epoch)
    weights = [parameter.detach() for parameter in model.parameters()]
    return {
        "epochs_run": epochs,
        "model_sparsity_pct": round(float(d.model_sparsity(model)), 2),
        "params": sum(weight.numel() for weight in weights),
        "abs_sum": round(sum(float(weight.double().abs().sum()) for weight in weights), 2),
    }


def _register(entry: dict[str, Any]) -> None:
    probe(entry["id"], entry["yaml"])(lambda d: run_example(d, entry["yaml"], entry["arch"]))


for _entry in RECORDED["probes"]:
    _register(_entry)
