"""Probes of Distiller's methods that prune weights over time: AGP, dynamic network surgery, RNN pruning."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tests.literature.probes.experiment import SmallCNN, mask_of, meta, parameter, probe, scheduler_of, sgd, sparsity, train


@probe("e1.15", "agp-formula")
def _(d: Any) -> Any:
    rate = d.pruning.AutomatedGradualPruner("p", 0.05, 0.8, ["w"]).agp_pr
    found = [rate.step(epoch, 0, 10, 1) for epoch in range(10)]
    paper = [0.8 + (0.05 - 0.8) * (1 - epoch / 9) ** 3 for epoch in range(10)]
    exact = all(abs(ours - paper[step]) < 1e-12 for step, ours in enumerate(found))
    return {
        "eq_paper_with_n_is_end_minus_start_minus_1": exact,
        "first": found[0],
        "last": found[-1],
        "s": [round(value, 4) for value in found],
    }


@probe("e1.16", "agp-last-epoch")
def _(d: Any) -> Any:
    found = {}
    for start, end, frequency in ((0, 10, 2), (0, 10, 3), (0, 10, 9), (0, 11, 2), (0, 11, 5), (5, 26, 4)):
        last = list(range(start, end, frequency))[-1]
        rate = d.pruning.AutomatedGradualPruner("p", 0.0, 0.8, ["w"]).agp_pr
        found[str((start, end, frequency))] = [last, rate.step(last, start, end, frequency), ((end - start - 1) // frequency) * frequency]
    return found


@probe("e1.17", "agp-one-epoch")
def _(d: Any) -> Any:
    return d.pruning.AutomatedGradualPruner("p", 0.0, 0.8, ["w"]).agp_pr.step(0, 0, 1, 1)


@probe("e1.18", "agp-epochs-list")
def _(d: Any) -> Any:
    policy = d.PruningPolicy(d.pruning.AutomatedGradualPruner("p", 0.05, 0.8, ["conv2.weight"]), None)
    scheduler_of(d, SmallCNN(), (policy, {"epochs": [0, 1, 2]})).on_epoch_begin(0)


@probe("e1.19", "agp-final-le-initial")
def _(d: Any) -> Any:
    d.pruning.AutomatedGradualPruner("p", 0.8, 0.8, ["w"])


@probe("e1.20", "agp-initial-zero")
def _(d: Any) -> Any:
    return mask_of(d, d.pruning.AutomatedGradualPruner("p", 0.0, 0.8, ["w"]), parameter(100))


@probe("e1.21", "agp-small-tensor")
def _(d: Any) -> Any:
    return mask_of(d, d.pruning.AutomatedGradualPruner("p", 0.05, 0.8, ["w"]), parameter(16))


def _agp(d: Any, model: nn.Module, arguments: dict[str, Any] | None, end: int, final: float = 0.8) -> Any:
    pruner = d.pruning.AutomatedGradualPruner("p", 0.05, final, ["conv2.weight"])
    return scheduler_of(d, model, (d.PruningPolicy(pruner, arguments), {"starting_epoch": 0, "ending_epoch": end, "frequency": 1}))


@probe("e1.22", "agp-train-loop")
def _(d: Any) -> Any:
    model = SmallCNN()
    scheduler = _agp(d, model, None, 6)
    optimiser = sgd(model, 0.1)
    found = [sparsity(model.conv2.weight, 4) for _ in train(scheduler, model, optimiser, 8)]
    want = [round(int((0.8 - 0.75 * (1 - epoch / 5) ** 3) * 720) / 720, 4) for epoch in range(6)]
    return {"seq": found, "want": want}


@probe("e1.23", "agp-minibatch-frequency")
def _(d: Any) -> Any:
    model = SmallCNN()
    pruner = d.pruning.AutomatedGradualPruner("p", 0.05, 0.8, ["conv2.weight"])
    targets: list[float] = []
    original = pruner._set_param_mask_by_sparsity_target

    def spying(param: Any, name: str, maskers: Any, target: float, model: Any = None) -> None:
        targets.append(round(target, 4))
        original(param, name, maskers, target, model)

    pruner._set_param_mask_by_sparsity_target = spying
    policy = d.PruningPolicy(pruner, {"mini_batch_pruning_frequency": 1})
    scheduler = scheduler_of(d, model, (policy, {"starting_epoch": 0, "ending_epoch": 6, "frequency": 1}))
    for _epoch in train(scheduler, model, torch.optim.SGD(model.parameters(), lr=0.1), 2, steps=4):
        pass
    return targets


@probe("e1.24", "splicing-three-branches")
def _(d: Any) -> Any:
    weight = parameter(2000)
    pruner = d.pruning.SplicingPruner("p", {"w": 0.5}, 0.9, 1.1)
    maskers = {"w": d.ParameterMasker("w")}
    std, mean = weight.abs().std().item(), weight.abs().mean().item()
    low, high = (mean + std * 0.5) * 0.9, (mean + std * 0.5) * 1.1

    def surgery(before: torch.Tensor) -> torch.Tensor:
        size = weight.detach().abs()
        return torch.where(size < low, torch.zeros(2000), torch.where(size >= high, torch.ones(2000), before))

    pruner.set_param_mask(weight, "w", maskers, meta())
    first = maskers["w"].mask
    exact_first = torch.equal(first, surgery(torch.ones(2000)))
    weight.data += 0.3 * torch.randn(2000)
    pruner.set_param_mask(weight, "w", maskers, meta(epoch=1))
    second = maskers["w"].mask
    spliced = int(((first == 0) & (second == 1)).sum())
    return {"first": exact_first, "second": torch.equal(second, surgery(first)), "spliced": spliced, "std_cached": hasattr(weight, "_std")}


SPLICING_ARGUMENTS = {
    "default": None,
    "forward_only": {"mask_on_forward_only": True},
    "double_copies": {"use_double_copies": True},
    "double+fwd_only": {"use_double_copies": True, "mask_on_forward_only": True},
}


@probe("e1.25", "splicing-policy-args-lr05")
def _(d: Any) -> Any:
    found = {}
    for name, arguments in SPLICING_ARGUMENTS.items():
        torch.manual_seed(0)
        model = SmallCNN()
        policy = d.PruningPolicy(d.pruning.SplicingPruner("p", {"conv2.weight": 0.3}, 0.9, 1.1), arguments)
        scheduler = scheduler_of(d, model, (policy, {"starting_epoch": 0, "ending_epoch": 6, "frequency": 1}))
        before, back = None, 0
        for _epoch in train(scheduler, model, sgd(model, 0.5), 6, steps=3):
            mask = scheduler.zeros_mask_dict["conv2.weight"].mask.clone()
            back += 0 if before is None else int(((before == 0) & (mask == 1)).sum())
            before = mask
        found[name] = {
            "sparsity": sparsity(mask, 3),
            "spliced_back": back,
            "w_sparsity": sparsity(model.conv2.weight, 3),
        }
    return found


@probe("e1.26", "splicing-multiplier")
def _(d: Any) -> Any:
    weight = parameter(2000)
    pruner = d.pruning.SplicingPruner("p", {"w": 0.1}, 0.9, 1.1, sensitivity_multiplier=0.5)
    maskers = {"w": d.ParameterMasker("w")}
    found = []
    for epoch in range(3):
        pruner.set_param_mask(weight, "w", maskers, meta(epoch=epoch))
        found.append(sparsity(maskers["w"].mask))
    return found


@probe("e1.27", "baidu-thresholds")
def _(d: Any) -> Any:
    weight = nn.Parameter(torch.rand(200000))
    pruner = d.pruning.BaiduRNNPruner("p", 0.1, 4, 1.5, ["w"])
    start = 2 * 0.1 / (2 * 4 + 3 * 16)
    found, paper = [], []
    for epoch in range(20):
        found.append(sparsity(mask_of(d, pruner, weight, epoch=epoch, ending_epoch=20)))
        paper.append(start * (epoch + 1) if epoch < 4 else start * 5 + 1.5 * start * (epoch - 4 + 1))
    largest = max(abs(ours - round(paper[step], 4)) for step, ours in enumerate(found))
    jump = [round(value, 4) for value in paper[3:5]]
    return {"final": round(paper[-1], 4), "jump_at_ramp": jump, "maxdiff": largest, "q": 0.1}


@probe("e1.28", "baidu-freq2")
def _(d: Any) -> Any:
    pruner = d.pruning.BaiduRNNPruner("p", 0.1, 4, 1.5, ["w"])
    mask_of(d, pruner, nn.Parameter(torch.rand(100)), ending_epoch=20, frequency=2)
    return [pruner.start_slope, pruner.ramp_slope]


@probe("e3.34", "splicing-policy-args-lr001")
def _(d: Any) -> Any:
    cases = {
        "double_copies + fwd_only + mb freq 1": {"use_double_copies": True},
        "example yaml: mask_on_forward_only, mb freq 1": {},
    }
    found = {}
    for name, more in cases.items():
        torch.manual_seed(0)
        model = SmallCNN()
        pruner = d.pruning.SplicingPruner("p", {"conv2.weight": 0.3}, 0.9, 1.1)
        count = [0]
        original = pruner.set_param_mask

        def counting(param: Any, name: str, maskers: Any, meta: Any, original: Any = original, count: list[int] = count) -> None:
            before = maskers[name].mask
            original(param, name, maskers, meta)
            after = maskers[name].mask
            if before is not None and after is not None:
                count[0] += int(((before == 0) & (after == 1)).sum())

        pruner.set_param_mask = counting
        arguments = {"mask_on_forward_only": True, "mini_batch_pruning_frequency": 1, "keep_mask": True, **more}
        policy = d.PruningPolicy(pruner, arguments)
        scheduler = scheduler_of(d, model, (policy, {"starting_epoch": 0, "ending_epoch": 3, "frequency": 1}))
        for _epoch in train(scheduler, model, sgd(model, 0.01), 3, steps=40):
            pass
        found[name] = {"final_w_sparsity": sparsity(model.conv2.weight, 3), "spliced": count[0]}
    return found


def _regrowth(d: Any, arguments: dict[str, Any] | None) -> tuple[int, float]:
    model = SmallCNN()
    scheduler = _agp(d, model, arguments, 6)
    before, regrown = None, 0
    for _epoch in train(scheduler, model, sgd(model, 0.5), 6):
        mask = scheduler.zeros_mask_dict["conv2.weight"].mask.clone()
        regrown += 0 if before is None else int(((before == 0) & (mask == 1)).sum())
        before = mask
    return regrown, sparsity(model.conv2.weight)


@probe("e7.06", "agp-monotone")
def _(d: Any) -> Any:
    return _regrowth(d, None)[0]


@probe("e7.07", "agp-forward-only")
def _(d: Any) -> Any:
    regrown, final = _regrowth(d, {"mask_on_forward_only": True})
    return {"final_weight_sparsity": final, "regrown": regrown}
