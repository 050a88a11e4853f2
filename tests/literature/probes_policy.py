"""Probes of Distiller's scheduler, policies, regularisers, YAML reading and learning-rate schedules."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.literature.probes import SmallCNN, images, lowest, parameter, probe, resnet20, scheduler_of, sgd, sparsity, train, zero_filters

CONV2 = "conv2.weight"


def _level(d: Any, model: nn.Module, share: float = 0.5, arguments: dict[str, Any] | None = None, **when: Any) -> Any:
    policy = d.PruningPolicy(d.pruning.SparsityLevelParameterPruner("p", {CONV2: share}), arguments)
    return scheduler_of(d, model, (policy, when or {"epochs": [0]}))


def _run(epochs: Any) -> None:
    for _epoch in epochs:
        pass


@probe("e3.01", "mask-every-step")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _level(d, model, epochs=[2])
    optimiser = sgd(model, 0.1)
    shares = [sparsity(model.conv2.weight) for _ in train(scheduler, model, optimiser, 5, steps=3)]
    masked = scheduler.zeros_mask_dict[CONV2].mask == 0
    moving = int((optimiser.state[model.conv2.weight]["momentum_buffer"][masked] != 0).sum())
    return {"masked": int(masked.sum()), "momentum_nonzero_on_masked": moving, "sparsity": shares}


@probe("e3.02", "mask-inside-minibatch")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _level(d, model)
    optimiser = sgd(model, 0.1)
    scheduler.on_epoch_begin(0, optimiser)
    x, y = images(4)
    scheduler.on_minibatch_begin(0, 0, 1, optimiser)
    forward = sparsity(model.conv2.weight)
    loss = scheduler.before_backward_pass(0, 0, 1, F.cross_entropy(model(x), y), optimiser)
    optimiser.zero_grad()
    loss.backward()
    scheduler.before_parameter_optimization(0, 0, 1, optimiser)
    masked = scheduler.zeros_mask_dict[CONV2].mask == 0
    nonzero = int((model.conv2.weight.grad[masked] != 0).sum())
    optimiser.step()
    stepped = sparsity(model.conv2.weight)
    scheduler.on_minibatch_end(0, 0, 1, optimiser)
    ended = sparsity(model.conv2.weight)
    return {"after_forward_mask": forward, "after_mb_end": ended, "after_step": stepped, "grads_nonzero_on_masked": nonzero}


@probe("e3.03", "mask-first-minibatch")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _level(d, model)
    scheduler.on_epoch_begin(0)
    before = sparsity(model.conv2.weight)
    scheduler.on_minibatch_begin(0, 0, 1)
    return [before, sparsity(model.conv2.weight)]


@probe("e3.04", "mask-gradients-alone")
def _(d: Any) -> Any:
    return _level(d, SmallCNN(), arguments={"mask_gradients": True})


@probe("e3.05", "mask-gradients")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _level(d, model, arguments={"mask_gradients": True, "mask_on_forward_only": True})
    _run(train(scheduler, model, sgd(model, 0.1), 1, steps=1))
    masked = scheduler.zeros_mask_dict[CONV2].mask == 0
    return int((model.conv2.weight.grad[masked] != 0).sum())


@probe("e3.06", "keep-mask-frequency")
def _(d: Any) -> Any:
    found = {}
    for frequency in (1, 2):
        torch.manual_seed(0)
        model = SmallCNN()
        arguments = {"keep_mask": True, "mask_on_forward_only": True}
        scheduler = _level(d, model, 0.5, arguments, starting_epoch=0, ending_epoch=4, frequency=frequency)
        _run(train(scheduler, model, sgd(model, 0.1), 5))
        found[f"freq{frequency}"] = sparsity(model.conv2.weight)
    return found


@probe("e3.07", "skip-first-minibatch")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _level(d, model, 0.5, {"skip_first_minibatch": True}, starting_epoch=0, ending_epoch=2, frequency=1)
    scheduler.on_epoch_begin(0)
    found = []
    for step in range(3):
        scheduler.on_minibatch_begin(0, step, 3)
        found.append(sparsity(model.conv2.weight))
    return found


class _Spy:
    """A pruner that only notes when it is asked."""

    def __init__(self) -> None:
        self.name = "spy"
        self.calls: list[Any] = []
        self.now: Any = None

    def set_param_mask(self, _param: Any, name: str, _maskers: Any, _meta: Any) -> None:
        if name == CONV2:
            self.calls.append(self.now)


@probe("e3.08", "skip-first-calls")
def _(d: Any) -> Any:
    spy = _Spy()
    policy = d.PruningPolicy(spy, {"skip_first_minibatch": True})
    scheduler_of(d, SmallCNN(), (policy, {"starting_epoch": 0, "ending_epoch": 2, "frequency": 1})).on_epoch_begin(0)
    return [] if not spy.calls else [CONV2]


@probe("e3.09", "minibatch-frequency-ids")
def _(d: Any) -> Any:
    spy = _Spy()
    policy = d.PruningPolicy(spy, {"mini_batch_pruning_frequency": 3})
    scheduler = scheduler_of(d, SmallCNN(), (policy, {"starting_epoch": 0, "ending_epoch": 2, "frequency": 1}))
    for epoch in range(2):
        spy.now = f"epoch{epoch}"
        scheduler.on_epoch_begin(epoch)
        for step in range(5):
            spy.now = [epoch, step]
            scheduler.on_minibatch_begin(epoch, step, 5)
    return spy.calls


@probe("e3.10", "two-policies-flags")
def _(d: Any) -> Any:
    pruner = d.pruning.SparsityLevelParameterPruner
    first = d.PruningPolicy(pruner("a", {"conv1.weight": 0.5}), {"mask_on_forward_only": True})
    second = d.PruningPolicy(pruner("b", {CONV2: 0.5}), None)
    scheduler = scheduler_of(d, SmallCNN(), (first, {"epochs": [0]}), (second, {"epochs": [0]}))
    scheduler.on_epoch_begin(0)
    return scheduler.zeros_mask_dict["conv1.weight"].mask_on_forward_only


@probe("e3.11", "levels-override")
def _(d: Any) -> Any:
    policy = d.PruningPolicy(d.pruning.SparsityLevelParameterPruner("p", {"conv1.weight": 0.5}), {"levels": {CONV2: 0.25}})
    scheduler = scheduler_of(d, SmallCNN(), (policy, {"epochs": [0]}))
    scheduler.on_epoch_begin(0)
    return {name: sparsity(masker.mask) for name, masker in scheduler.zeros_mask_dict.items() if masker.mask is not None}


@probe("e3.12", "fold-batchnorm")
def _(d: Any) -> Any:
    model = resnet20(d)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.1, 2)
    for norm in norms:
        nn.init.uniform_(norm.running_var, 0.1, 3)
    model.input_shape = (1, 3, 32, 32)
    name = "layer1.0.conv1.weight"
    policy = d.PruningPolicy(d.pruning.L1RankedStructureParameterPruner("p", "Filters", 0.5, [name]), {"fold_batchnorm": True})
    scheduler = scheduler_of(d, model, (policy, {"epochs": [0]}))
    scheduler.on_epoch_begin(0)
    pruned = zero_filters(scheduler.zeros_mask_dict[name].mask)
    block = model.layer1[0]
    raw = block.conv1.weight.detach().abs().sum((1, 2, 3))
    folded = raw * block.bn1.weight.detach() / torch.sqrt(block.bn1.running_var + block.bn1.eps)
    return {"folded": pruned == lowest(folded, 8), "raw": pruned == lowest(raw, 8)}


@probe("e3.13", "scheduler-state-dict")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _level(d, model)
    scheduler.on_epoch_begin(0)
    other = d.CompressionScheduler(SmallCNN())
    other.load_state_dict(scheduler.state_dict())
    return sparsity(other.zeros_mask_dict[CONV2].mask)


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
    _run(train(scheduler, model, torch.optim.SGD(model.parameters(), lr=0.001), 2))
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


@probe("e7.03", "group-lasso-epsilon")
def _(d: Any) -> Any:
    weight = SmallCNN().conv2.weight
    weight.data.zero_()
    return float(_lasso(d, weight, 1.0, "Channels"))


@probe("e7.10", "sparsity-functions")
def _(d: Any) -> Any:
    weight = torch.ones(4, 3, 2, 2)
    weight[0] = 0
    weight[:, 1] = 0
    return {"ch": d.sparsity_ch(weight), "s": d.sparsity(weight), "s2": d.sparsity_2D(weight), "s3": d.sparsity_3D(weight)}


@probe("e7.11", "sparsity-rows-cols")
def _(d: Any) -> Any:
    weight = torch.ones(4, 6)
    weight[0] = 0
    return {"cols": d.sparsity_cols(weight), "rows": d.sparsity_rows(weight)}


def _filters(d: Any, **when: Any) -> tuple[SmallCNN, Any]:
    model = SmallCNN()
    policy = d.PruningPolicy(d.pruning.L1RankedStructureParameterPruner("p", "Filters", 0.5, ["conv1.weight"]), None)
    return model, scheduler_of(d, model, (policy, when))


@probe("e7.14", "masks-after-policy")
def _(d: Any) -> Any:
    model, scheduler = _filters(d, starting_epoch=0, ending_epoch=1, frequency=1)
    _run(train(scheduler, model, sgd(model, 0.5), 4))
    return len(zero_filters(model.conv1.weight.detach()))


@probe("e7.15", "oneshot-repeated")
def _(d: Any) -> Any:
    model, scheduler = _filters(d, starting_epoch=0, ending_epoch=4, frequency=1)
    return [zero_filters(model.conv1.weight.detach()) for _ in train(scheduler, model, sgd(model, 0.5), 4)]


@probe("e7.17", "bias-left")
def _(d: Any) -> Any:
    model, scheduler = _filters(d, epochs=[0])
    _run(train(scheduler, model, sgd(model, 0.01), 1))
    return bool((model.conv1.bias[zero_filters(model.conv1.weight.detach())] != 0).all())


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
