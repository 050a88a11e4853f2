"""Published pruning configurations as data: what one gets without searching.

[Li2017]   H. Li, A. Kadav, I. Durdanovic, H. Samet, H. P. Graf: Pruning Filters for Efficient ConvNets. ICLR 2017.
[Zhu2017]  M. Zhu, S. Gupta: To prune, or not to prune. arXiv:1710.01878 (AGP, the gradual schedule).
[Howard2017] A. Howard et al.: MobileNets. arXiv:1704.04861 (width multipliers).
[Zmora2019] N. Zmora et al.: Neural Network Distiller. arXiv:1910.12232; its example schedules fix the layers below.

A schedule gives sparsities, the share of a layer's filters that goes; the number removed is floored. Steps that zero
single weights are left out: they shrink no tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig


@dataclass(frozen=True)
class NamedConfig:
    """A configuration somebody published. name: e.g. ``filter_rank``; source: the publication and the schedule."""

    name: str
    config: PruningConfig
    source: str


@dataclass(frozen=True)
class Schedule:
    """One published schedule: the network it is for, and the sparsity per group."""

    name: str
    network: str
    sparsity: Mapping[str, float]
    source: str


def _interiors(stage: int, blocks: Iterable[int], sparsity: float) -> dict[str, float]:
    return {f"layer{stage}.{block}.conv1": sparsity for block in blocks}


def _li2017(name: str, stage1: float, stage2: float, first3: float, stage3: float) -> Schedule:
    sparsity = (
        _interiors(1, range(9), stage1)
        | _interiors(2, (1, 2, 3, 4, 6, 7), stage2)
        | _interiors(3, (1,), first3)
        | _interiors(3, (2, 3, 5, 6, 7, 8), stage3)
    )
    return Schedule(name, "resnet56", sparsity, f"Li et al. 2017, Distiller's resnet56_cifar_{name}")


_AGP = _interiors(2, range(3), 0.5) | {"layer2.0.conv2": 0.5}  # layer2.0.conv2 leads layer2.{1,2}.conv2 and the shortcut

SCHEDULES = (
    _li2017("filter_rank", 0.6, 0.5, 0.1, 0.3),
    _li2017("filter_rank_v2", 0.7, 0.6, 0.2, 0.4),
    Schedule("agp", "resnet20", _AGP, "Zhu and Gupta 2017, Distiller's resnet20_filters.schedule_agp"),
    Schedule("agp_4", "resnet20", _AGP | {"layer3.0.conv2": 0.5}, "Zhu and Gupta 2017, Distiller's resnet20_filters.schedule_agp_4"),
)
WIDTH_MULTIPLIERS = (0.75, 0.5)  # [Howard2017]_ table 6, without the smallest


def named_configs(architecture: Architecture) -> tuple[NamedConfig, ...]:
    """The published configurations for this network; for one without any, MobileNet's uniform width multipliers."""
    found = tuple(
        NamedConfig(schedule.name, _applied(architecture, schedule.sparsity), schedule.source)
        for schedule in SCHEDULES
        if schedule.network == architecture.network
    )
    return found or tuple(
        NamedConfig(f"uniform_{ratio:g}", architecture.uniform(ratio), f"Howard et al. 2017, width multiplier {ratio:g}")
        for ratio in WIDTH_MULTIPLIERS
    )


def _applied(architecture: Architecture, sparsity: Mapping[str, float]) -> PruningConfig:
    kept = {}
    for name, share in sparsity.items():
        group = architecture.group(name)
        kept[name] = group.channels - int(share * group.channels)
    return architecture.partial(kept)
