"""What each law states of an operation's answers: functions that raise AssertionError at a counterexample."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import assume
from torch import Tensor, nn

from tests.literature import references
from tests.literature.laws.inputs import noise
from tests.literature.laws.subjects import Block, Operation, is_close

Check = Callable[..., None]


def masks_what_is_not_above(mask_below: Operation, weight: Tensor, threshold: float) -> None:
    assert torch.equal(mask_below(weight, threshold), references.magnitude_mask(weight, threshold))


def masks_within_deviations(sensitivity_mask: Operation, weight: Tensor, quality: float) -> None:
    threshold = references.sensitivity_threshold(weight, quality)
    sizes = weight.abs()
    assume(bool(((sizes - threshold).abs() > 1e-5).all()))
    assert torch.equal(sensitivity_mask(weight, quality), sizes > threshold)


def masks_exactly(mask_smallest: Operation, weight: Tensor, count: int) -> None:
    assert int((~mask_smallest(weight, count)).sum()) == count


def masks_the_smallest(mask_smallest: Operation, weight: Tensor, count: int) -> None:
    mask = mask_smallest(weight, count)
    sizes = weight.abs()
    if 0 < int(mask.sum()) < len(weight):
        assert float(sizes[~mask].max()) <= float(sizes[mask].min())
        assert count == 0 or float(sizes[~mask].max()) >= float(sizes.sort().values[: max(count - 1, 1)].min())


def masks_the_smallest_of_all(mask_all: Operation, weights: list[Tensor], count: int) -> None:
    found = mask_all(weights, count)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, references.global_level_masks(weights, count), strict=True))


def masks_by_chance(mask_random: Operation, weight: Tensor, count: int) -> None:
    count = min(count, weight.numel())
    drawn = [mask_random(weight, count, seed=seed) for seed in range(40)]
    assert {int((~mask).sum()) for mask in drawn} == {count}
    assert torch.equal(drawn[0], mask_random(weight * 0, count, seed=0))  # the weights have no say
    if 0 < count < weight.numel() == 4:
        assert bool((~torch.stack(drawn)).any(0).all())


def follows_the_cube(gradual: Operation, initial: float, final: float, step: int, steps: int) -> None:
    assert is_close(gradual(initial, final, step, steps), references.agp_sparsity(initial, final, step, steps))


def rises_to_the_final(gradual: Operation, initial: float, final: float, _step: int, steps: int) -> None:
    found = [gradual(initial, final, step, steps) for step in range(steps + 1)]
    assert is_close(found[0], initial)
    assert found[-1] == final
    assert all(after >= before - 1e-12 for before, after in itertools.pairwise(found))


def operates_in_three_branches(surgery: Operation, weight: Tensor, mask: Tensor, low: float, high: float) -> None:
    assert torch.equal(surgery(weight, mask.clone(), low, high), references.surgery_mask(weight, mask, low, high))


def grows_by_theta_then_phi(threshold: Operation, *schedule: Any) -> None:
    expected = references.rnn_threshold(*schedule)
    assume(expected < 1)
    assert is_close(threshold(*schedule), expected)


def lowest_norms(p: int, dim: int) -> Check:
    def check(prune: Operation, weight: Tensor, count: int) -> None:
        norms = references.filter_norms(weight, p) if dim == 0 else references.channel_norms(weight, p)
        pruned = prune(weight, count)
        kept = [index for index in range(len(norms)) if index not in pruned]
        if pruned and kept:
            assert float(norms[pruned].max()) <= float(norms[kept].min()) * (1 + 1e-5) + 1e-7
        if count and len(set(norms.tolist())) == len(norms):
            assert pruned == references.lowest(norms, len(pruned))

    return check


def exactly(dim: int) -> Check:
    def check(prune: Operation, weight: Tensor, count: int) -> None:
        pruned = prune(weight, count)
        assert len(set(pruned)) == len(pruned) == count
        assert all(0 <= index < weight.shape[dim] for index in pruned)

    return check


def moves_with_its_filters(prune: Operation, weight: Tensor, count: int) -> None:
    norms = references.filter_norms(weight, 2)
    distances = references.median_distances(weight)
    assume(all(_distinct(values) for values in (norms, references.filter_norms(weight, 1), distances)))
    order = torch.randperm(len(weight), generator=torch.Generator().manual_seed(count))
    before, after = prune(weight, count), prune(weight[order], count)
    assert sorted(int(order[index]) for index in after) == before


def ignores_scale(prune: Operation, weight: Tensor, count: int) -> None:
    assume(_distinct(references.filter_norms(weight, 1)) and _distinct(references.median_distances(weight)))
    assert prune(weight * 4, count) == prune(weight, count)


def _distinct(values: Tensor) -> bool:
    ordered = values.sort().values
    return bool(((ordered[1:] - ordered[:-1]) > 1e-4 * ordered[1:].abs()).all())


def nearest_the_median(prune: Operation, weight: Tensor, count: int) -> None:
    distances = references.median_distances(weight)
    assume(_distinct(distances))
    assert prune(weight, count) == references.lowest(distances, count)


def chance_alone(prune: Operation, weight: Tensor, count: int) -> None:
    assume(0 < count < len(weight))
    drawn = [tuple(prune(weight, count, seed=seed)) for seed in range(60)]
    assert {len(found) for found in drawn} == {count}
    assert drawn[:3] == [tuple(prune(weight * 0 + index, count, seed=index)) for index in range(3)]
    assert {index for found in drawn for index in found} == set(range(len(weight)))


def lowest_statistic(statistic: Callable[[Block], Tensor]) -> Check:
    def check(prune: Operation, block: Block, count: int) -> None:
        scores = statistic(block)
        assume(_separate(scores, count))
        assert prune(block, count) == references.lowest(scores, count)

    return check


def _separate(scores: Tensor, count: int) -> bool:
    """The count-th and the next score differ enough for float arithmetic not to decide."""
    ordered = scores.sort().values
    return float(ordered[count] - ordered[count - 1]) > 1e-4 * float(ordered.abs().max())


def filter_products(block: Block) -> Tensor:
    block.model.zero_grad()
    nn.functional.cross_entropy(block.model(block.images), block.labels).backward()
    return references.taylor_of_filters(block.filters.weight, block.filters.weight.grad)


def gate_products(block: Block) -> Tensor:
    """(dE/dz)^2 of a gate z = 1 behind the batch norm, by putting one there."""
    gate = torch.ones(block.filters.out_channels, requires_grad=True)
    hidden = block.model[:2](block.images) * gate.view(1, -1, 1, 1)
    nn.functional.cross_entropy(block.model[2:](hidden), block.labels).backward()
    return gate.grad**2


def equals_silence(remove: Operation, block: Block, count: int) -> None:
    pruned = references.lowest(noise(count, block.filters.out_channels), count)
    silent = copy.deepcopy(block)
    references.silenced(silent.filters.weight, silent.filters.bias, silent.norm, pruned)
    removed = remove(copy.deepcopy(block), pruned)
    with torch.no_grad():
        expected, found = silent.model(block.images), removed(block.images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def shrinks_every_tensor(remove: Operation, block: Block, count: int) -> None:
    removed = remove(copy.deepcopy(block), list(range(count)))
    left = block.filters.out_channels - count
    assert removed[0].weight.shape[0] == removed[3].weight.shape[1] == left
    assert isinstance(removed[1], nn.Identity) or removed[1].running_mean.shape[0] == removed[1].weight.shape[0] == left


def sums_group_norms(lasso: Operation, weight: Tensor) -> None:
    assume(bool((weight.transpose(0, 1).flatten(1).norm(dim=1) > 0.05).all()))  # all-zero groups have a law of their own
    for group in ("Filters", "Channels", "2D", "4D"):
        assert is_close(lasso(weight, group), references.group_lasso(weight, group))
    for group in ("Rows", "Cols"):
        assert is_close(lasso(weight.flatten(1), group), references.group_lasso(weight.flatten(1), group))


def zero_costs_nothing(lasso: Operation, weight: Tensor) -> None:
    for group in ("Filters", "Channels", "2D", "4D"):
        assert lasso(torch.zeros_like(weight), group) == 0


def shrinks_by_the_strength(shrink: Operation, weight: Tensor, strength: float) -> None:
    torch.testing.assert_close(shrink(weight, strength), references.soft_threshold(weight, strength), atol=1e-6, rtol=1e-5)


def same_function_without_norm(fold: Operation, weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d) -> None:
    images = noise(1, 2, weight.shape[1], 5, 5)
    found_weight, found_bias = fold(weight, bias, norm)
    expected = norm(nn.functional.conv2d(images, weight, bias)).detach()
    shift = references.folded(weight, bias, norm)[1] if found_bias is None else found_bias  # weights alone are ranked
    torch.testing.assert_close(nn.functional.conv2d(images, found_weight, shift), expected, atol=1e-4, rtol=1e-4)


def exact_on_duplicates(reconstruct: Operation, seed: int) -> None:
    half = noise(seed, 40, 3)
    inputs = torch.cat([half, half], 1)
    weight = noise(seed + 1, 2, 6)
    found = reconstruct(inputs, inputs @ weight.T, [0, 1, 2])
    torch.testing.assert_close((half.double() @ found.T).float(), inputs @ weight.T, atol=1e-4, rtol=1e-4)


def keeps_the_expectation(drop: Operation, kept: list[bool]) -> None:
    mask = drop(torch.tensor(kept))
    assert not torch.isnan(mask).any()
    assert is_close(float(mask.mean()), 1.0 if any(kept) else 0.0)
