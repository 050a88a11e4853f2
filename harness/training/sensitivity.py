"""How much accuracy each group of channels costs by itself: accuracy against width, one group at a time.

[Li2017] H. Li et al.: Pruning Filters for Efficient ConvNets. ICLR 2017, sec. 3.2; here the batch norm statistics are
recalibrated before each evaluation, because without it the figures show broken statistics rather than lost filters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.errors import UsageError
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import draw
from harness.networks.tasks.task import on_host, parts
from harness.pruning import surgery
from harness.records.accuracy import Accuracy
from harness.records.architecture import Architecture, ChannelGroup
from harness.training import processor
from harness.training.accuracy import evaluate
from harness.training.finetune import recalibrate

KEEP_RATIOS = (0.75, 0.5, 0.25, 0.0)
CALIBRATION_IMAGES = 512  # half a million positions even of an 8 x 8 map; more move no statistic by a hundredth of its spread


@dataclass(frozen=True, slots=True)
class WidthLoss:
    """Accuracy with one group at ``channels`` and every other group whole.

    points_lost: percentage points below the dense network that was recalibrated alike; negative when above it.
    """

    group: str
    channels: int
    accuracy: Accuracy
    points_lost: float


def sensitivity(
    model: nn.Module,
    architecture: Architecture,
    dataset: Dataset,
    scores: Mapping[str, Tensor],
    keep_ratios: tuple[float, ...] = KEEP_RATIOS,
    groups: tuple[str, ...] = (),
    also: Mapping[str, int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[WidthLoss, ...]:
    """Points of validation accuracy lost per group and width, in network order, widths falling.

    scores: per group, one per channel; the best stay. keep_ratios: 0 stands for the removed branch where a group is
    one, and for the narrowest width elsewhere. groups: only these (default: all). also: one more width of a group.
    """
    if any(not 0 <= ratio < 1 for ratio in keep_ratios) or not keep_ratios:
        raise UsageError(f"keep ratios {list(keep_ratios)} must lie from 0 up to but not including 1")
    chosen = [architecture.group(name) for name in groups] or list(architecture.groups)
    for name, width in (also or {}).items():
        architecture.partial({name: width})
    cases = [(group, width) for group in chosen for width in widths(group, keep_ratios, (also or {}).get(group.name))]
    dense = _recalibrated(surgery.prune(model, architecture, architecture.dense(), scores), dataset)
    found = []
    for done, (group, width) in enumerate(cases, start=1):
        pruned = surgery.prune(model, architecture, architecture.partial({group.name: width}), scores)
        accuracy = _recalibrated(pruned, dataset)
        found.append(WidthLoss(group.name, width, accuracy, 100 * (dense.top1_ratio - accuracy.top1_ratio)))
        if progress is not None:
            progress(done, len(cases))
    return tuple(found)


def quick_losses(
    model: nn.Module,
    architecture: Architecture,
    pictures: Split,
    scores: Mapping[str, Tensor],
    cases: Sequence[tuple[str, int]],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[float, ...]:
    """Points of the right answer's mean probability lost in each case, one group at a width: what a few pictures can tell.

    Of another task, what it grades its outputs by.

    Probabilities tell more than right answers where pictures are few, and batch norm takes its statistics from the very pictures, so that
    each network sees them once. pictures: a few hundred, by class.
    """
    dense = _mean_probability(surgery.prune(model, architecture, architecture.dense(), scores), pictures)
    found = []
    for done, (group, width) in enumerate(cases, start=1):
        pruned = surgery.prune(model, architecture, architecture.partial({group: width}), scores)
        found.append(100 * (dense - _mean_probability(pruned, pictures)))
        if progress is not None:
            progress(done, len(cases))
    return tuple(found)


@torch.inference_mode()
def _mean_probability(model: nn.Module, pictures: Split) -> float:
    place = processor.device()
    model.eval().to(place)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.train()
    return pictures.task.graded(on_host(parts(model(processor.laid(pictures.images).to(place)))), pictures.labels)


def widths(group: ChannelGroup, keep_ratios: tuple[float, ...], also: int | None = None) -> tuple[int, ...]:
    """The group's widths below its full one at these keep ratios: multiples of its step, falling, each once; and ``also``."""
    least = 0 if group.removable else group.step
    found = {max(least, int(ratio * group.channels) // group.step * group.step) for ratio in keep_ratios}
    return tuple(sorted((found | ({also} if also is not None else set())) - {group.channels}, reverse=True))


def _recalibrated(pruned: nn.Module, dataset: Dataset) -> Accuracy:
    recalibrate(pruned, draw(dataset.train, CALIBRATION_IMAGES).split.images)
    return evaluate(pruned, dataset.validation)
