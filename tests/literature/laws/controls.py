"""Implementations that are wrong on purpose, one error each: every one must break a law, or the laws are too weak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.literature import references
from tests.literature.laws.subjects import Block, Operation


@dataclass(frozen=True)
class Broken:
    """operation: what it claims to be. name: the error in it."""

    operation: str
    name: str
    run: Operation = field(hash=False, repr=False)


def _filters(score: Callable[[Tensor], Tensor], more: int = 0) -> Operation:
    def prune(weight: Tensor, count: int, seed: int = 0) -> list[int]:
        return references.lowest(score(weight), max(count + more, 0))

    return prune


def _blocks(score: Callable[[Block], Tensor]) -> Operation:
    def prune(block: Block, count: int) -> list[int]:
        return references.lowest(score(block), count)

    return prune


def _ties_together(weight: Tensor, count: int, seed: int = 0) -> list[int]:
    norms = references.filter_norms(weight, 1)
    return [] if not count else [index for index, norm in enumerate(norms.tolist()) if norm <= float(norms.sort().values[count - 1])]


def _gradients(block: Block) -> Tensor:
    block.model.zero_grad()
    nn.functional.cross_entropy(block.model(block.images), block.labels).backward()
    return block.filters.weight.grad


def _products(block: Block) -> Tensor:
    return (block.filters.weight.detach() * _gradients(block)).flatten(1)


def _before_relu(block: Block) -> Tensor:
    with torch.no_grad():
        return block.model[:2](block.images)


def _removes_others(block: Block, pruned: Sequence[int]) -> nn.Module:
    others = [index for index in range(block.filters.out_channels) if index not in pruned]
    references.silenced(block.filters.weight, block.filters.bias, block.norm, others)
    return block.model


def _leaves_shift(block: Block, pruned: Sequence[int]) -> nn.Module:
    block.filters.weight.data[list(pruned)] = 0
    return block.model


def _unfolded_shift(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    return references.folded(weight, bias, norm)[0], norm.bias.detach()


def _variance_for_deviation(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Any]:
    return weight * (norm.weight.detach() / (norm.running_var + norm.eps)).view(-1, 1, 1, 1), None


def _without_epsilon(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> tuple[Tensor, Any]:
    return weight * (norm.weight.detach() / norm.running_var.sqrt()).view(-1, 1, 1, 1), None


def _band_is_open(weight: Tensor, mask: Tensor, low: float, high: float) -> Tensor:
    size = weight.abs()
    return torch.where(size <= low, torch.zeros_like(mask), torch.where(size >= high, torch.ones_like(mask), mask))


def _never_splices(weight: Tensor, mask: Tensor, low: float, high: float) -> Tensor:
    return torch.where(weight.abs() < low, torch.zeros_like(mask), mask)


def _forgets_the_mask(weight: Tensor, mask: Tensor, low: float, high: float) -> Tensor:
    return (weight.abs() >= low).to(mask.dtype)


def _sensitivity(threshold: Callable[[Tensor, float], float], centred: bool = False) -> Operation:
    def mask(weight: Tensor, quality: float) -> Tensor:
        shift = weight.mean() if centred else 0.0
        return (weight - shift).abs() > threshold(weight, quality)

    return mask


def _largest(weight: Tensor, count: int) -> Tensor:
    return references.level_mask(-1 / (weight.abs() + 0.01), count)


def _level_ties(weight: Tensor, count: int) -> Tensor:
    return weight.abs() > (float(weight.abs().sort().values[count - 1]) if count else -1)


def _each_layer_alone(weights: Sequence[Tensor], count: int) -> list[Tensor]:
    total = sum(weight.numel() for weight in weights)
    return [references.level_mask(weight, count * weight.numel() // total) for weight in weights]


def _about_as_many(weight: Tensor, count: int, seed: int = 0) -> Tensor:
    return torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)) >= count / weight.numel()


def _agp(power: int = 3, shift: int = 0, swapped: bool = False) -> Operation:
    def gradual(initial: float, final: float, step: int, steps: int) -> float:
        begin, end = (final, initial) if swapped else (initial, final)
        return end + (begin - end) * (1 - step / (steps + shift)) ** power

    return gradual


def _rnn(**changed: Any) -> Operation:
    def threshold(step: int, start: int, ramp: int, end: int, quality: float, frequency: int, ramp_factor: float) -> float:
        given = {"frequency": frequency, "ramp_factor": ramp_factor, "start": start, "ramp": ramp} | {
            key: value(step, ramp) if callable(value) else value for key, value in changed.items()
        }
        return references.rnn_threshold(step, given["start"], given["ramp"], end, quality, given["frequency"], given["ramp_factor"])

    return threshold


_L1, _L2, _MEDIAN = "prune filters by L1", "prune filters by L2", "prune filters near the median"
_FOLDED = "prune by L1 with the norm folded in"
_TAYLOR, _GATES, _SCALE = "prune by Taylor", "prune by Taylor behind a norm", "prune by scale"

BROKEN = (
    Broken("mask below", "keeps what equals the threshold", lambda w, t: w.abs() >= t),
    Broken("mask below", "forgets the sign", lambda w, t: w > t),
    Broken("sensitivity mask", "divides by n", _sensitivity(lambda w, q: q * float(w.std(correction=0)))),
    Broken("sensitivity mask", "a band around the mean", _sensitivity(references.sensitivity_threshold, centred=True)),
    Broken("sensitivity mask", "variance", _sensitivity(lambda w, q: q * float(w.var()))),
    Broken("mask the smallest", "the largest go", _largest),
    Broken("mask the smallest", "ties go together", _level_ties),
    Broken("mask the smallest", "one too few", lambda w, n: references.level_mask(w, max(n - 1, 0))),
    Broken("mask the smallest of all tensors", "each layer by itself", _each_layer_alone),
    Broken("mask the smallest of all tensors", "the largest go", lambda ws, n: references.global_level_masks([1 / w for w in ws], n)),
    Broken("mask at random", "always the first", lambda w, n, seed=0: (torch.arange(w.numel()) >= n).view_as(w)),
    Broken("mask at random", "by magnitude", lambda w, n, seed=0: references.level_mask(w, n)),
    Broken("mask at random", "about as many as asked", _about_as_many),
    Broken("gradual sparsity", "square", _agp(power=2)),
    Broken("gradual sparsity", "one step too long", _agp(shift=1)),
    Broken("gradual sparsity", "from final to initial", _agp(swapped=True)),
    Broken("surgery", "prunes at the lower threshold", _band_is_open),
    Broken("surgery", "never splices back", _never_splices),
    Broken("surgery", "forgets the mask between the thresholds", _forgets_the_mask),
    Broken("threshold over time", "no ramp", _rnn(ramp_factor=1.0)),
    Broken("threshold over time", "half the quality", lambda *schedule: references.rnn_threshold(*schedule) / 2),
    Broken("threshold over time", "ignores the start", _rnn(start=0)),
    Broken(_L1, "the largest go", _filters(lambda w: -references.filter_norms(w, 1))),
    Broken(_L1, "sums with sign", _filters(lambda w: w.flatten(1).sum(1))),
    Broken(_L1, "Euclidean", _filters(lambda w: references.filter_norms(w, 2))),
    Broken(_L1, "one more", _filters(lambda w: references.filter_norms(w, 1), 1)),
    Broken(_L1, "ties go together", _ties_together),
    Broken(_L2, "the largest go", _filters(lambda w: -references.filter_norms(w, 2))),
    Broken(_L2, "absolute sums", _filters(lambda w: references.filter_norms(w, 1))),
    Broken(_L2, "one fewer", _filters(lambda w: references.filter_norms(w, 2), -1)),
    Broken("prune channels by L1", "filters for channels", _filters(lambda w: references.filter_norms(w, 1))),
    Broken("prune channels by L1", "the largest go", _filters(lambda w: -references.channel_norms(w, 1))),
    Broken("prune channels by L2", "the largest go", _filters(lambda w: -references.channel_norms(w, 2))),
    Broken(_MEDIAN, "the farthest go", _filters(lambda w: -references.median_distances(w))),
    Broken(_MEDIAN, "absolute weights", _filters(lambda w: references.median_distances(w.abs()))),
    Broken(_MEDIAN, "nearest the mean", _filters(lambda w: ((w - w.mean(0)) ** 2).flatten(1).sum(1))),
    Broken(_MEDIAN, "norms", _filters(lambda w: references.filter_norms(w, 2))),
    Broken("prune filters at random", "always the first", lambda w, n, seed=0: list(range(n))),
    Broken("prune filters at random", "by norm", _filters(lambda w: references.filter_norms(w, 1))),
    Broken("prune by APoZ", "the liveliest go", _blocks(lambda block: references.apoz(block.activations()))),
    Broken("prune by APoZ", "in front of the ReLU", _blocks(lambda block: -references.apoz(_before_relu(block)))),
    Broken("prune by mean activation", "the highest go", _blocks(lambda block: -references.mean_activations(block.activations()))),
    Broken("prune by mean activation", "in front of the ReLU", _blocks(lambda block: references.mean_activations(_before_relu(block)))),
    Broken(_TAYLOR, "keeps the sign", _blocks(lambda block: _products(block).sum(1))),
    Broken(_TAYLOR, "squares before it sums", _blocks(lambda block: _products(block).pow(2).sum(1))),
    Broken(_TAYLOR, "gradients alone", _blocks(lambda block: _gradients(block).flatten(1).norm(dim=1))),
    Broken(_GATES, "in front of the norm", _blocks(lambda block: _products(block).sum(1) ** 2)),
    Broken(_SCALE, "keeps the sign", _blocks(lambda block: block.norm.weight.detach())),
    Broken(_SCALE, "the largest go", _blocks(lambda block: -references.scale_factors(block.norm))),
    Broken(_FOLDED, "without the norm", _blocks(lambda block: references.filter_norms(block.filters.weight, 1))),
    Broken(_FOLDED, "by the norm alone", _blocks(lambda block: references.scale_factors(block.norm))),
    Broken("remove filters", "removes the others", _removes_others),
    Broken("remove filters", "leaves the shift", _leaves_shift),
    Broken("group lasso", "squared norms", lambda w, group: float((w**2).sum())),
    Broken("group lasso", "times the root of the size", lambda w, group: references.group_lasso(w, group) * w.numel() ** 0.5),
    Broken("shrink towards zero", "hard", lambda w, s: w * (w.abs() > s)),
    Broken("reconstruct", "keeps the old weights", lambda x, y, kept: references.reconstructed(x, y, range(x.shape[1]))[:, list(kept)]),
    Broken("fold batch norm", "leaves the mean", _unfolded_shift),
    Broken("fold batch norm", "variance for deviation", _variance_for_deviation),
    Broken("fold batch norm", "without epsilon", _without_epsilon),
    Broken("drop filters", "not rescaled", lambda kept: kept.float()),
    Broken("drop filters", "divides by nothing", lambda kept: kept.float() / kept.float().mean()),
)  # fmt: skip
