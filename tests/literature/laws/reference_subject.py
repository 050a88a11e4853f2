"""The papers themselves as a subject: the positive control of every law."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.literature import references
from tests.literature.laws.subjects import OURS, TORCH, TORCH_PRUNING, Block, Subject, gone


def _reference_random(weight: Tensor, count: int, seed: int = 0) -> list[int]:
    return sorted(torch.randperm(len(weight), generator=torch.Generator().manual_seed(seed))[:count].tolist())


def _reference_random_mask(weight: Tensor, count: int, seed: int = 0) -> Tensor:
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[_reference_random(weight.flatten(), count, seed)] = False
    return mask.view_as(weight)


def _reference_taylor(block: Block, count: int) -> list[int]:
    block.model.zero_grad()
    F.cross_entropy(block.model(block.images), block.labels).backward()
    norm = block.norm
    if norm is None:
        return references.lowest(references.taylor_of_filters(block.filters.weight, block.filters.weight.grad), count)
    gate = norm.weight.grad * norm.weight.detach() + norm.bias.grad * norm.bias.detach()
    return references.lowest(gate**2, count)


def _reference_removed(block: Block, pruned: Sequence[int]) -> nn.Module:
    kept = gone(pruned, block.filters.out_channels)
    first, norm, reader = block.filters, block.norm, block.model[3]
    first.weight.data = first.weight.data[kept]
    reader.weight.data = reader.weight.data[:, kept]
    if first.bias is not None:
        first.bias.data = first.bias.data[kept]
    if norm is not None:
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).data = getattr(norm, name).data[kept]
    return block.model


REFERENCE = Subject(
    "reference",
    {
        "mask below": references.magnitude_mask,
        "sensitivity mask": lambda weight, quality: references.magnitude_mask(weight, references.sensitivity_threshold(weight, quality)),
        "mask the smallest": references.level_mask,
        "mask the smallest of all tensors": references.global_level_masks,
        "mask at random": _reference_random_mask,
        "gradual sparsity": references.agp_sparsity,
        "surgery": references.surgery_mask,
        "threshold over time": references.rnn_threshold,
        "prune filters by L1": lambda weight, count, seed=0: references.lowest(references.filter_norms(weight, 1), count),
        "prune filters by L2": lambda weight, count, seed=0: references.lowest(references.filter_norms(weight, 2), count),
        "prune channels by L1": lambda weight, count, seed=0: references.lowest(references.channel_norms(weight, 1), count),
        "prune channels by L2": lambda weight, count, seed=0: references.lowest(references.channel_norms(weight, 2), count),
        "prune filters near the median": lambda weight, count, seed=0: references.lowest(references.median_distances(weight), count),
        "prune filters at random": _reference_random,
        "prune by APoZ": lambda block, count: references.lowest(-references.apoz(block.activations()), count),
        "prune by mean activation": lambda block, count: references.lowest(references.mean_activations(block.activations()), count),
        "prune by Taylor": _reference_taylor,
        "prune by Taylor behind a norm": _reference_taylor,
        "prune by scale": lambda block, count: references.lowest(references.scale_factors(block.norm), count),
        "prune by L1 with the norm folded in": lambda block, count: references.lowest(references.folded_norms(*block.folding()), count),
        "remove filters": _reference_removed,
        "group lasso": references.group_lasso,
        "shrink towards zero": references.soft_threshold,
        "reconstruct": references.reconstructed,
        "fold batch norm": references.folded,
        "drop filters": references.drop_filter_mask,
    },
)

COMPUTING = (OURS, TORCH, TORCH_PRUNING, REFERENCE)
