"""What the latency of a network depends on: width, depth, kernel, stride and resolution, each with an interval, by the latency model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.latency.explanation.roof import LayerCost
from harness.latency.explanation.shares import PREDICTED, Account
from harness.latency.model.predictor import LatencyPredictor
from harness.latency.model.sites import IntArray
from harness.records.architecture import Architecture, LayerSite
from harness.records.pruning_config import PruningConfig

_Z_975 = 1.96
KEEP_RATIOS = (0.75, 0.5, 0.25)
STAGE_KEEP_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Effect:
    """What one change of the dense network does to its latency.

    kind: "width" or "depth". change: in words. saved_s: less latency, negative where it got slower; low_s, high_s: its 95 %
    interval. saved_macs_ratio: share of multiply-accumulates that the change removes, for comparison.
    """

    kind: str
    change: str
    saved_s: float
    low_s: float
    high_s: float
    saved_macs_ratio: float


@dataclass(frozen=True, slots=True)
class KindCost:
    """What all layers of one kernel, stride or input size cost in the dense network.

    factor: "kernel", "stride" or "resolution". level: which one, in words. low_s, high_s: interval of the seconds.
    """

    factor: str
    level: str
    layers: int
    seconds: float
    low_s: float
    high_s: float
    macs: int

    @property
    def per_mmac_s(self) -> tuple[float, float, float]:
        """Seconds per million multiply-accumulates, and the ends of their interval."""
        return self.seconds / self.macs * 1e6, self.low_s / self.macs * 1e6, self.high_s / self.macs * 1e6


def effects(predictor: LatencyPredictor, keep_ratios: tuple[float, ...] = KEEP_RATIOS) -> tuple[Effect, ...]:
    """Every group narrowed alike, then by stage; then each stage's removable branches, one and all; where the model knows them."""
    architecture = predictor.architecture
    changed = [*_widths(architecture, keep_ratios), *_depths(architecture)]
    site_map = predictor.table.site_map
    dense = site_map.widths([architecture.dense()])
    rows = site_map.widths([config for _, _, config in changed])
    known = predictor.known(rows)
    saved, sd = np.zeros(len(rows)), np.zeros(len(rows))
    saved[known] = predictor.seconds(dense)[0] - predictor.seconds(rows[known])
    sd[known] = predictor.difference_sd_s(rows[known], dense[0])
    whole = architecture.macs(architecture.dense())
    return tuple(
        Effect(kind, change, float(less), float(less - _Z_975 * error), float(less + _Z_975 * error), 1 - architecture.macs(config) / whole)
        for (kind, change, config), less, error, inside in zip(changed, saved, sd, known, strict=True)
        if inside
    )


def kinds(predictor: LatencyPredictor, account: Account) -> tuple[KindCost, ...]:
    """Cost of the dense network's layers by kernel, by stride and by resolution; every factor counts every layer once.

    From the layers of ``account``, the costliest first. Intervals of predicted layers are the model's own for their sum, for it knows
    sums better than single layers; those of measured ones are sums of ranges.
    """
    sites = {site.name: (place, site) for place, site in enumerate(predictor.architecture.layers)}
    dense: IntArray = predictor.table.site_map.widths([predictor.architecture.dense()])
    found = []
    for factor, level_of in _FACTORS:
        levels: dict[str, list[LayerCost]] = {}
        for cost in account.costs:
            told = dict.fromkeys(level_of(sites[name][1]) for name in cost.members)
            levels.setdefault(" and ".join(told), []).append(cost)
        costs = []
        for level, members in levels.items():
            seconds = math.fsum(one.seconds for one in members)
            ends = math.fsum(one.low_s for one in members), math.fsum(one.high_s for one in members)
            if account.kind == PREDICTED:
                margin = _Z_975 * predictor.layers_sd_s(dense[0], tuple(sites[one.layer][0] for one in members))
                ends = max(0.0, seconds - margin), seconds + margin
            layers = sum(len(one.members) for one in members)
            costs.append(KindCost(factor, level, layers, seconds, *ends, sum(one.macs for one in members)))
        found += sorted(costs, key=lambda one: -one.seconds)
    return tuple(found)


def _widths(architecture: Architecture, keep_ratios: tuple[float, ...]) -> list[tuple[str, str, PruningConfig]]:
    changed = [("width", f"{ratio:.0%} of all channels kept".replace("%", " %"), architecture.uniform(ratio)) for ratio in keep_ratios]
    for stage in _stages(architecture):
        half = dict(architecture.uniform(STAGE_KEEP_RATIO).channels)
        config = architecture.partial({group.name: half[group.name] for group in architecture.groups if group.stage == stage})
        changed.append(("width", f"{STAGE_KEEP_RATIO:.0%} of the channels of {stage} kept".replace("%", " %"), config))
    return changed


def _depths(architecture: Architecture) -> list[tuple[str, str, PruningConfig]]:
    removable = [group for group in architecture.groups if group.removable]
    changed = [("depth", f"branch {group.name} removed", architecture.partial({group.name: 0})) for group in removable]
    for stage in _stages(architecture):
        members = [group.name for group in removable if group.stage == stage]
        if len(members) > 1:
            config = architecture.partial(dict.fromkeys(members, 0))
            changed.append(("depth", f"all {len(members)} branches of {stage} removed", config))
    return changed


def _stages(architecture: Architecture) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group.stage for group in architecture.groups))


def _kernel(site: LayerSite) -> str:
    if site.kind == "linear":
        return "fully connected"
    grouped = "depthwise " if site.depthwise else "grouped " if site.conv_groups > 1 else ""
    return grouped + "×".join(map(str, site.kernel_size))


def _stride(site: LayerSite) -> str:
    return "no stride" if site.kind == "linear" else f"stride {max(site.stride)}"


def _resolution(site: LayerSite) -> str:
    return "one position" if site.kind == "linear" else f"{'×'.join(map(str, site.input_size))} input"


_FACTORS: tuple[tuple[str, Callable[[LayerSite], str]], ...] = (("kernel", _kernel), ("resolution", _resolution), ("stride", _stride))
