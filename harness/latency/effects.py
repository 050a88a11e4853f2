"""What the latency of a network depends on: width, depth, and kind of layer, each with an interval, by the latency model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.latency.predictor import LatencyPredictor
from harness.latency.sites import IntArray
from harness.records.pruning_config import PruningConfig

_Z_975 = 1.96
KEEP_RATIOS = (0.75, 0.5, 0.25)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one change of the dense network does to its latency.

    kind: "width", "depth" or "layers". change: in words. saved_s: less latency, negative where it got slower; low_s, high_s:
    its 95 % interval. saved_macs_ratio: share of multiply-accumulates that the change removes, for comparison.
    """

    kind: str
    change: str
    saved_s: float
    low_s: float
    high_s: float
    saved_macs_ratio: float


@dataclass(frozen=True, slots=True)
class KindCost:
    """What layers of one kind (kernel, stride, resolution) cost in the dense network: seconds and per million multiply-accumulates."""

    kind: str
    layers: int
    seconds: float
    low_s: float
    high_s: float
    macs: int

    @property
    def seconds_per_mmac(self) -> float:
        """Seconds per million multiply-accumulates."""
        return self.seconds / self.macs * 1e6


def effects(predictor: LatencyPredictor, keep_ratios: tuple[float, ...] = KEEP_RATIOS) -> tuple[Effect, ...]:
    """Every group narrowed alike, then every removable branch removed alone, where the model knows them."""
    architecture = predictor.architecture
    changed: list[tuple[str, str, PruningConfig]] = [
        ("width", f"{ratio:.0%} of all channels kept", architecture.uniform(ratio)) for ratio in keep_ratios
    ]
    changed += [
        ("depth", f"branch {group.name} removed", architecture.partial({group.name: 0})) for group in architecture.groups if group.removable
    ]
    site_map = predictor.table.site_map
    dense = site_map.widths([architecture.dense()])
    rows = site_map.widths([config for _, _, config in changed])
    known = predictor.known(rows)
    saved = predictor.seconds(dense)[0] - np.where(known, predictor.table.seconds(rows), 0.0)
    sd = np.zeros(len(rows))
    sd[known] = predictor.difference_sd_s(rows[known], dense[0])
    whole = architecture.macs(architecture.dense())
    return tuple(
        Effect(kind, change, float(less), float(less - _Z_975 * error), float(less + _Z_975 * error), 1 - architecture.macs(config) / whole)
        for (kind, change, config), less, error, inside in zip(changed, saved, sd, known, strict=True)
        if inside
    )


def kinds(predictor: LatencyPredictor) -> tuple[KindCost, ...]:
    """Cost of the dense network's layers by kernel, stride and resolution, the costliest first."""
    architecture = predictor.architecture
    site_map = predictor.table.site_map
    dense: IntArray = site_map.widths([architecture.dense()])
    seconds = predictor.table.layer_seconds(dense)[0]
    shapes = architecture.shapes(architecture.dense())
    by_kind: dict[str, list[int]] = {}
    for index, site in enumerate(site_map.sites):
        by_kind.setdefault(site_map.classes[site.site_class].key.partition(",")[0], []).append(index)
    found = []
    for kind, members in by_kind.items():
        total = float(seconds[members].sum())
        margin = _Z_975 * predictor.layers_sd_s(dense[0], tuple(members))
        macs = sum(shapes[site_map.sites[index].layer].macs for index in members)
        found.append(KindCost(kind, len(members), total, total - margin, total + margin, macs))
    return tuple(sorted(found, key=lambda one: -one.seconds))
