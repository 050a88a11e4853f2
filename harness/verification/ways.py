"""One network pruned by every published method, as a runtime would get it: what each leaves of its tensors.

Methods that choose single weights leave zeros where they were; only those that remove channels or branches leave less.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.pruning import criteria, surgery
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

ZEROED_RATIO = 0.8  # of all weights: more than most papers reach without loss
ZEROED_DEVIATIONS = 1.2816  # a normal distribution has that share within so many standard deviations
BLOCK_CHANNELS = 8  # Distiller's example schedules prune blocks of 1 x 8 x 1 x 1
CALIBRATION_IMAGES = 32
ZEROS, MASKED, SMALLER, SHALLOWER = "zeros among the weights", "filters that are zero", "smaller tensors", "fewer layers"

Make = Callable[[nn.Module, Architecture], nn.Module]


@dataclass(frozen=True, slots=True)
class Way:
    """A way of pruning. name: how. leaves: one of the constants above. methods: the page's methods that come to this."""

    name: str
    leaves: str
    methods: tuple[str, ...]
    make: Make


def half_of_interiors(architecture: Architecture) -> PruningConfig:
    """Every removable group at half of its channels."""
    return architecture.partial({group.name: group.channels // 2 for group in architecture.groups if group.removable})


def _zeroed(choose: Callable[[Tensor], Tensor]) -> Make:
    """Weights become zero where ``choose(weight)``, a mask of the layer's shape, says so."""

    def make(model: nn.Module, _architecture: Architecture) -> nn.Module:
        zeroed = copy.deepcopy(model)
        for layer in _weight_layers(zeroed):
            layer.weight.data[choose(layer.weight.data)] = 0
        return zeroed

    return make


def _below_one_threshold(model: nn.Module, architecture: Architecture) -> nn.Module:
    """One threshold for the whole network."""
    sizes = torch.cat([layer.weight.data.abs().flatten() for layer in _weight_layers(model)])
    threshold = sizes.kthvalue(int(ZEROED_RATIO * len(sizes))).values
    return _zeroed(lambda weight: weight.abs() <= threshold)(model, architecture)


def _below_deviations(weight: Tensor) -> Tensor:
    return weight.abs() <= ZEROED_DEVIATIONS * weight.std()


def _smallest_share(weight: Tensor) -> Tensor:
    sizes = weight.abs()
    return sizes <= sizes.flatten().kthvalue(int(ZEROED_RATIO * sizes.numel())).values


def _smallest_blocks(weight: Tensor) -> Tensor:
    """Blocks of consecutive input channels, by their absolute sums; layers that cannot be divided so lose single weights."""
    if weight.shape[1] % BLOCK_CHANNELS:
        return _smallest_share(weight)
    blocks = weight.abs().reshape(len(weight), -1, BLOCK_CHANNELS, *weight.shape[2:]).sum(2, keepdim=True)
    return _smallest_share(blocks).expand(-1, -1, BLOCK_CHANNELS, *weight.shape[2:]).flatten(1, 2)


def _zero_filters(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Half of every block's interior filters become zero and stay in the network, as a mask leaves them."""
    return surgery.masked(model, architecture, half_of_interiors(architecture), criteria.scores("l1", model, architecture))


def _removed_by(criterion: str) -> Make:
    """Half of every block's interior filters are removed, those that the criterion scores lowest."""

    def make(model: nn.Module, architecture: Architecture) -> nn.Module:
        random = torch.Generator().manual_seed(0)
        images = torch.randn(CALIBRATION_IMAGES, *architecture.input_shape, generator=random)
        labels = torch.arange(CALIBRATION_IMAGES) % architecture.classes
        scores = criteria.scores(criterion, model, architecture, images, labels)
        return surgery.prune(model, architecture, half_of_interiors(architecture), scores)

    return make


def _removed_by_readers(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Half of the input channels of every block's second convolution, those that it weighs least."""
    scores = {}
    for group in architecture.groups:
        readers = [site.name for site in architecture.layers if group.name in site.in_groups and site.kind == "conv" and not site.depthwise]
        if group.removable:
            scores[group.name] = sum((_input_norms(model.get_submodule(name)) for name in readers), torch.zeros(group.channels))
    return surgery.prune(model, architecture, half_of_interiors(architecture), scores)


def _removed_below_a_norm(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Interior filters whose norm is below the layer's mean: the count is the weights' own, as after training with a group lasso."""
    scores = criteria.scores("l2", model, architecture)
    kept = {group.name: int((scores[group.name] >= scores[group.name].mean()).sum()) for group in architecture.groups if group.removable}
    return surgery.prune(model, architecture, architecture.partial({name: max(count, 1) for name, count in kept.items()}), scores)


def _removed_in_steps(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Half of the interior filters, a quarter at a time, ranked again in between."""
    scores = criteria.scores("l1", model, architecture)
    counts = {group.name: math.ceil(group.channels * 0.75) for group in architecture.groups if group.removable}
    silent = surgery.masked(model, architecture, architecture.partial(counts), scores)
    return surgery.prune(model, architecture, half_of_interiors(architecture), criteria.scores("l1", silent, architecture))


def _removed_stream(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Half of the channels of every group, the residual stream included."""
    return surgery.prune(model, architecture, architecture.uniform(0.5), criteria.scores("l1", model, architecture))


def _removed_branches(model: nn.Module, architecture: Architecture) -> nn.Module:
    """Every second removable branch, whole."""
    removable = [group.name for group in architecture.groups if group.removable]
    return surgery.shrink(model, architecture, architecture.partial(dict.fromkeys(removable[1::2], 0)))


def _weight_layers(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def _input_norms(layer: nn.Module) -> Tensor:
    assert isinstance(layer.weight, Tensor)
    return layer.weight.detach().abs().transpose(0, 1).flatten(1).sum(1)


_ZEROED = f"{ZEROED_RATIO:.0%} of the weights"

WAYS = (
    Way(f"{_ZEROED}, below one threshold", ZEROS, ("magnitude", "surgery", "rnn", "l1-regularisation"), _below_one_threshold),
    Way(f"{_ZEROED}, within deviations", ZEROS, ("sensitivity",), _zeroed(_below_deviations)),
    Way(f"{_ZEROED} of each layer", ZEROS, ("level", "agp (of weights)"), _zeroed(_smallest_share)),
    Way(f"{_ZEROED}, in blocks", ZEROS, ("blocks",), _zeroed(_smallest_blocks)),
    Way("half of the interior filters, masked", MASKED, ("masks", "dropfilter"), _zero_filters),
    Way("half of the interior filters by L1", SMALLER, ("l1-filters", "greedy"), _removed_by("l1")),
    Way("the same, behind their norms", SMALLER, ("l1-filters-folded", "bn-folding"), _removed_by("l1-folded")),
    Way("the same by L2", SMALLER, ("l2-filters",), _removed_by("l2")),
    Way("the same by geometric median", SMALLER, ("fpgm",), _removed_by("fpgm")),
    Way("the same by APoZ", SMALLER, ("apoz",), _removed_by("apoz")),
    Way("the same by mean activation", SMALLER, ("mean-activation",), _removed_by("mean-activation")),
    Way("the same by Taylor expansion", SMALLER, ("taylor",), _removed_by("taylor")),
    Way("the same by batch-norm scale", SMALLER, ("bn-scale",), _removed_by("bn-scale")),
    Way("the same at random", SMALLER, ("random",), _removed_by("random")),
    Way("the same in steps", SMALLER, ("agp (of filters)",), _removed_in_steps),
    Way("half of the second convolutions' inputs", SMALLER, ("l1-channels", "reconstruction"), _removed_by_readers),
    Way("interior filters below a norm", SMALLER, ("group-lasso", "group thresholds"), _removed_below_a_norm),
    Way("half of every group by L1", SMALLER, ("coupled groups",), _removed_stream),
    Way("every second branch", SHALLOWER, ("removal",), _removed_branches),
)
