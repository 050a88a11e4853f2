"""Probes of Distiller's scheduler and pruning policies: when masks hold, and for whom."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from tests.literature.probes.experiment import SmallCNN, images, lowest, probe, resnet20, scheduler_of, sgd, sparsity, train, zero_filters

CONV2 = "conv2.weight"


def _level(d: Any, model: nn.Module, share: float = 0.5, arguments: dict[str, Any] | None = None, **when: Any) -> Any:
    policy = d.PruningPolicy(d.pruning.SparsityLevelParameterPruner("p", {CONV2: share}), arguments)
    return scheduler_of(d, model, (policy, when or {"epochs": [0]}))


def run(epochs: Any) -> None:
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
    run(train(scheduler, model, sgd(model, 0.1), 1, steps=1))
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
        run(train(scheduler, model, sgd(model, 0.1), 5))
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
    run(train(scheduler, model, sgd(model, 0.5), 4))
    return len(zero_filters(model.conv1.weight.detach()))


@probe("e7.15", "oneshot-repeated")
def _(d: Any) -> Any:
    model, scheduler = _filters(d, starting_epoch=0, ending_epoch=4, frequency=1)
    return [zero_filters(model.conv1.weight.detach()) for _ in train(scheduler, model, sgd(model, 0.5), 4)]


@probe("e7.17", "bias-left")
def _(d: Any) -> Any:
    model, scheduler = _filters(d, epochs=[0])
    run(train(scheduler, model, sgd(model, 0.01), 1))
    return bool((model.conv1.bias[zero_filters(model.conv1.weight.detach())] != 0).all())
