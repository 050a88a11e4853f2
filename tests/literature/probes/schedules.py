"""Probes of Distiller's YAML reading and learning-rate schedules."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.literature.probes.experiment import SmallCNN, probe, resnet20, scheduler_of, sgd, sparsity, train
from tests.literature.probes.policy import CONV2


def _configure(d: Any, model: nn.Module, optimiser: Any, text: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "schedule.yaml")
        path.write_text(text)
        return d.file_config(model, optimiser, str(path))


MANY = """
version: 1
pruners:
  magnitude: {class: MagnitudeParameterPruner, thresholds: {layer1.0.conv1.weight: 0.05, '*': 0.0}}
  sensitivity: {class: SensitivityPruner, sensitivities: {layer1.0.conv2.weight: 0.5}}
  level: {class: SparsityLevelParameterPruner, levels: {layer1.1.conv1.weight: 0.5}}
  agp: {class: AutomatedGradualPruner, initial_sparsity: 0.05, final_sparsity: 0.5, weights: [layer1.1.conv2.weight]}
  l1: {class: L1RankedStructureParameterPruner, group_type: Filters, desired_sparsity: 0.25, weights: [layer1.2.conv1.weight]}
  l2: {class: L2RankedStructureParameterPruner, group_type: Channels, desired_sparsity: 0.25, weights: [layer1.2.conv2.weight]}
  l1agp: {class: L1RankedStructureParameterPruner_AGP, group_type: Filters, initial_sparsity: 0.1, final_sparsity: 0.5,
          weights: [layer2.0.conv1.weight]}
  gradient: {class: GradientRankedFilterPruner, group_type: Filters, desired_sparsity: 0.25, weights: [layer2.1.conv1.weight]}
  random: {class: RandomRankedFilterPruner, group_type: Filters, desired_sparsity: 0.25, weights: [layer2.2.conv1.weight]}
  randomlevel: {class: RandomLevelStructureParameterPruner, group_type: Filters, sparsity_range: [0.1, 0.5],
                weights: [layer2.2.conv2.weight]}
  splicing: {class: SplicingPruner, sensitivities: {layer3.0.conv1.weight: 0.25}, low_thresh_mult: 0.9, hi_thresh_mult: 1.1}
  baidu: {class: BaiduRNNPruner, q: 0.01, ramp_epoch_offset: 1, ramp_slope_mult: 2, weights: [fc.weight]}
  structure: {class: StructureParameterPruner, threshold_criteria: Mean_Abs, reg_regims: {layer3.0.conv2.weight: [0.03, 3D]}}
  fm: {class: FMReconstructionChannelPruner, group_type: Channels, desired_sparsity: 0.25, weights: [nowhere.weight]}
regularizers:
  rl1: {class: L1Regularizer, reg_regims: {layer3.1.conv1.weight: 0.0001}}
  rlasso: {class: GroupLassoRegularizer, reg_regims: {layer3.1.conv2.weight: [0.0001, 3D]}}
  rvariance: {class: GroupVarianceRegularizer, reg_regims: {layer3.2.conv1.weight: [0.0001, Channels]}}
lr_schedulers:
  steps: {class: StepLR, step_size: 2, gamma: 0.1}
  unused: {class: MultiStepMultiGammaLR, milestones: [1, 2], gammas: [0.5, 0.1]}
policies:
"""


PRUNERS = (
    "magnitude", "sensitivity", "level", "agp", "l1", "l2", "l1agp", "gradient", "random", "randomlevel", "splicing", "baidu",
    "structure", "fm",
)  # fmt: skip


_WHEN = "starting_epoch: 0, ending_epoch: 4, frequency: 1}"


@probe("e3.25", "yaml-many")
def _(d: Any) -> Any:
    model = resnet20(d)
    optimiser = sgd(model, 0.01)
    text = MANY + "".join(f"  - {{pruner: {{instance_name: {name}}}, {_WHEN}\n" for name in PRUNERS)
    text += "".join(f"  - {{regularizer: {{instance_name: {name}}}, {_WHEN}\n" for name in ("rl1", "rlasso", "rvariance"))
    text += f"  - {{lr_scheduler: {{instance_name: steps}}, {_WHEN}\n"
    scheduler = _configure(d, model, optimiser, text)
    rates = [round(optimiser.param_groups[0]["lr"], 8) for _ in train(scheduler, model, optimiser, 4, steps=2, size=2)]
    watched = [
        "fc.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer1.1.conv1.weight", "layer1.1.conv2.weight",
        "layer1.2.conv1.weight", "layer1.2.conv2.weight", "layer2.0.conv1.weight", "layer2.1.conv1.weight",
        "layer2.2.conv1.weight", "layer2.2.conv2.weight", "layer3.0.conv1.weight",
    ]  # fmt: skip
    parameters = dict(model.named_parameters())
    return {"lr": rates, "sparsity": {name: sparsity(parameters[name].detach(), 3) for name in watched}}


def _rates(d: Any, build: Any) -> list[float]:
    model = SmallCNN()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    policy = d.LRPolicy(build(optimiser))
    scheduler = scheduler_of(d, model, (policy, {"starting_epoch": 0, "ending_epoch": 5, "frequency": 1}))
    return [round(optimiser.param_groups[0]["lr"], 5) for _ in train(scheduler, model, optimiser, 5, steps=1, size=1)]


_TORCH = torch.optim.lr_scheduler


@probe("e3.26", "lr-exponential")
def _(d: Any) -> Any:
    return _rates(d, lambda optimiser: _TORCH.ExponentialLR(optimiser, 0.9))


@probe("e3.27", "lr-multistep")
def _(d: Any) -> Any:
    return _rates(d, lambda optimiser: _TORCH.MultiStepLR(optimiser, [1, 2], 0.1))


@probe("e3.28", "lr-cosine")
def _(d: Any) -> Any:
    return _rates(d, lambda optimiser: _TORCH.CosineAnnealingLR(optimiser, 5))


def _own_rates() -> Any:
    return sys.modules["distiller.learning_rate"]


@probe("e3.29", "lr-polynomial")
def _(d: Any) -> Any:
    return _rates(d, lambda optimiser: _own_rates().PolynomialLR(optimiser, T_max=5, power=2))


@probe("e3.30", "lr-multigamma")
def _(d: Any) -> Any:
    return _rates(d, lambda optimiser: _own_rates().MultiStepMultiGammaLR(optimiser, milestones=[1, 2], gammas=[0.5, 0.1]))


@probe("e3.31", "lr-plateau")
def _(d: Any) -> Any:
    return _rates(d, lambda optimiser: _TORCH.ReduceLROnPlateau(optimiser, mode="min", factor=0.5, patience=0))


def _message(d: Any, class_name: str, more: str = "") -> str:
    model = SmallCNN()
    text = f"pruners:\n  p: {{class: {class_name}{more}}}\npolicies:\n  - {{pruner: {{instance_name: p}}, epochs: [0]}}\n"
    try:
        _configure(d, model, sgd(model, 0.1), text)
    except ValueError as error:
        return f"ValueError: {error}"
    return "none"


@probe("e3.32", "yaml-unknown")
def _(d: Any) -> Any:
    return [
        _message(d, "NoSuch"),
        _message(d, "SparsityLevelParameterPruner", f", levels: {{{CONV2}: 0.5}}, bogus: 1"),
        _message(d, "LpRankedStructureParameterPruner"),
        _message(d, "AutomatedGradualPruner_Accelerated"),
        _message(d, "StructuredAGP"),
        _message(d, "DropFilterRegularizer"),
    ]


@probe("e3.33", "yaml-weight-typo")
def _(d: Any) -> Any:
    model = SmallCNN()
    text = "pruners:\n  p: {class: SparsityLevelParameterPruner, levels: {conv9.weight: 0.5}}\n"
    scheduler = _configure(d, model, sgd(model, 0.1), text + "policies:\n  - {pruner: {instance_name: p}, epochs: [0]}\n")
    scheduler.on_epoch_begin(0)
    return all(masker.mask is None for masker in scheduler.zeros_mask_dict.values())
