"""Probes of Distiller's regularisers: L1, group lasso, variance, DropFilter."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch
from torch import Tensor

from tests.literature.probes.experiment import SmallCNN, parameter, probe, scheduler_of, train, zero_filters
from tests.literature.probes.policy import CONV2, run


def _regulariser(d: Any) -> Any:
    return sys.modules["distiller.regularization"]


@probe("e3.14", "l1-regularizer")
def _(d: Any) -> Any:
    weight = parameter(8, 3, 3, 3)
    loss = torch.zeros(())
    _regulariser(d).L1Regularizer("r", None, {"w": 0.01}).loss(weight, "w", loss, None)
    loss.backward()
    right = torch.allclose(loss.detach(), 0.01 * weight.detach().abs().sum())
    return [right, torch.allclose(weight.grad, 0.01 * weight.detach().sign())]


@probe("e3.15", "l1-threshold")
def _(d: Any) -> Any:
    model = SmallCNN()
    before = model.conv1.weight.detach().clone()
    policy = d.RegularizationPolicy(_regulariser(d).L1Regularizer("r", model, {"conv1.weight": 0.05}, "Max"))
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0]}))
    scheduler.on_epoch_begin(0)
    policy.on_minibatch_end(model, 0, 0, 1, scheduler.zeros_mask_dict, None)
    after = model.conv1.weight.detach()
    hard = before * (before.abs() > 0.05)
    soft = before.sign() * (before.abs() - 0.05).clamp(min=0)
    dropped = scheduler.zeros_mask_dict["conv1.weight"].mask is None
    return {"hard": torch.equal(after, hard), "mask_after": dropped, "soft": torch.allclose(after, soft)}


def _lasso(d: Any, weight: Any, strength: float, group: str) -> Tensor:
    loss = torch.zeros(())
    _regulariser(d).GroupLassoRegularizer("r", None, {"w": [strength, group]}).loss(weight, "w", loss, None)
    return loss


@probe("e3.16", "group-lasso-loss")
def _(d: Any) -> Any:
    model = SmallCNN()
    four, two = model.conv2.weight, model.fc.weight
    norms = {
        "2D": four.flatten(2).norm(dim=2).sum(),
        "3D": four.flatten(1).norm(dim=1).sum(),
        "4D": four.norm(),
        "Channels": four.transpose(0, 1).flatten(1).norm(dim=1).sum(),
        "Cols": two.norm(dim=0).sum(),
        "Filters": four.flatten(1).norm(dim=1).sum(),
        "Rows": two.norm(dim=1).sum(),
        "Rows+Cols": two.norm(dim=0).sum() + two.norm(dim=1).sum(),
    }
    weights = {group: two if group in ("Cols", "Rows", "Rows+Cols") else four for group in norms}
    return {group: round(float(_lasso(d, weights[group], 0.01, group) / (0.01 * norm)), 6) for group, norm in norms.items()}


@probe("e3.17", "group-lasso-channels-4d")
def _(d: Any) -> Any:
    return _lasso(d, SmallCNN().conv2.weight, 0.01, "Channels+4D")


@probe("e3.18", "group-lasso-zero-group-grad")
def _(d: Any) -> Any:
    found = {}
    for group in ("2D", "3D", "4D", "Channels"):
        weight = SmallCNN().conv2.weight
        if group == "4D":
            weight.data.zero_()
        weight.data[:3] = 0
        weight.data[:, :2] = 0
        _lasso(d, weight, 0.01, group).backward()
        found[group] = bool(torch.isnan(weight.grad).any())
    return found


def _thresholding(d: Any, strength: float | None, keep: bool | None = None, epochs: int = 1) -> tuple[Any, Any]:
    model = SmallCNN()
    if strength is None:
        ordered = model.conv2.weight.detach().abs().mean((1, 2, 3)).sort().values
        strength = float((ordered[4] + ordered[5]) / 2)
    regulariser = _regulariser(d).GroupLassoRegularizer("r", model, {CONV2: [strength, "3D"]}, "Mean_Abs")
    policy = d.RegularizationPolicy(regulariser) if keep is None else d.RegularizationPolicy(regulariser, keep_mask=keep)
    scheduler = scheduler_of(d, model, (policy, {"starting_epoch": 0, "ending_epoch": max(epochs, 1), "frequency": 1}))
    return model, scheduler


@probe("e3.19", "group-lasso-threshold")
def _(d: Any) -> Any:
    model, scheduler = _thresholding(d, None)
    scheduler.on_epoch_begin(0)
    scheduler.on_minibatch_end(0, 0, 1, None)
    return {"mask_dropped": scheduler.zeros_mask_dict[CONV2].mask is None, "zero_filters": len(zero_filters(model.conv2.weight.detach()))}


@probe("e3.20", "regularization-keep-mask")
def _(d: Any) -> Any:
    model, scheduler = _thresholding(d, 0.055, keep=True, epochs=2)
    run(train(scheduler, model, torch.optim.SGD(model.parameters(), lr=0.001), 2))
    return scheduler.zeros_mask_dict[CONV2].mask is not None


@probe("e3.21", "group-variance")
def _(d: Any) -> Any:
    weight = SmallCNN().conv2.weight
    loss = torch.zeros(())
    _regulariser(d).GroupVarianceRegularizer("r", None, {"w": [0.01, "Channels"]}).loss(weight, "w", loss, None)
    norms = weight.detach().transpose(0, 1).flatten(1).norm(dim=1)
    return torch.allclose(loss.detach(), 0.01 / norms.var(), rtol=1e-4)


@probe("e3.22", "drop-filter-exported")
def _(d: Any) -> Any:
    return hasattr(_regulariser(d), "DropFilterRegularizer")


def _drop_filter() -> Any:
    return importlib.import_module("distiller.regularization.drop_filter").DropFilterRegularizer


@probe("e3.23", "drop-filter-bias")
def _(d: Any) -> Any:
    model = SmallCNN()
    return _drop_filter()("r", model, {"conv1.weight": 0.5})


@probe("e3.24", "drop-filter-nobias")
def _(d: Any) -> Any:
    model = SmallCNN(bias=False)
    before = model.conv1.weight.detach().clone()
    regulariser = _drop_filter()("r", model, {"conv1.weight": 0.5})
    holder = model.conv1
    model.train()
    drops = False
    for _ in range(40):
        with torch.no_grad():
            out = holder(torch.randn(2, 3, 32, 32))
        drops = drops or bool((out.abs().sum((0, 2, 3)) == 0).any())
    try:
        regulariser.loss(None, "w", None, None)
        loss = "none"
    except NotImplementedError:
        loss = "NotImplementedError"
    weights = [parameter for parameter in holder.parameters() if parameter.dim() == 4]
    kept = bool(weights) and any(torch.equal(before, parameter.detach()) for parameter in weights)
    return {
        "ever_drops": drops,
        "loss": loss,
        "p_mask": float(next(m.p_mask for m in model.modules() if hasattr(m, "p_mask"))),
        "weights_kept": kept,
    }


@probe("e7.03", "group-lasso-epsilon")
def _(d: Any) -> Any:
    weight = SmallCNN().conv2.weight
    weight.data.zero_()
    return float(_lasso(d, weight, 1.0, "Channels"))


def _threshold_step(d: Any, name: str, group: str) -> None:
    model = SmallCNN()
    regulariser = _regulariser(d).GroupLassoRegularizer("r", model, {name: [0.01, group]}, "Mean_Abs")
    policy = d.RegularizationPolicy(regulariser)
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0]}))
    scheduler.on_epoch_begin(0)
    policy.on_minibatch_end(model, 0, 0, 1, scheduler.zeros_mask_dict, None)


@probe("e9.01", "group-lasso-4d-threshold")
def _(d: Any) -> Any:
    _threshold_step(d, CONV2, "4D")


@probe("e9.02", "group-lasso-rowscols-threshold")
def _(d: Any) -> Any:
    _threshold_step(d, "fc.weight", "Rows+Cols")
