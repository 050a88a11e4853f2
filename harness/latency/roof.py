"""What bounds each layer: the machine's arithmetic, its memory, or neither (overhead), against the roofs its own layers reach.

The roofs are the best rates that any layer of the measured networks reached [Williams2009]_; they are of this machine, this
precision and these layers, and a lower bound of what the hardware could do.

.. [Williams2009] S. Williams, A. Waterman, D. Patterson. Roofline: an insightful visual performance model. CACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from harness.errors import RecordError
from harness.latency.ledger import Ledger, stage_of
from harness.latency.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.layer import BYTES_PER_VALUE, LayerShape
from harness.records.pruning_config import PruningConfig

OVERHEAD_SHARE = 0.5  # a layer that both roofs together explain by less than this waits for something else


class Bound(StrEnum):
    """What a layer's time is spent on."""

    COMPUTE = "compute-bound"
    MEMORY = "memory-bound"
    OVERHEAD = "overhead-bound"


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer's time, in seconds, beside its work. sd_s: standard deviation, 0 where one figure was measured."""

    layer: str
    stage: str
    seconds: float
    sd_s: float
    macs: int
    traffic_bytes: int

    @property
    def intensity(self) -> float:
        """Multiply-accumulates per byte moved."""
        return self.macs / self.traffic_bytes


@dataclass(frozen=True, slots=True)
class Roof:
    """Best rates reached: multiply-accumulates a second, bytes a second."""

    macs_per_s: float
    bytes_per_s: float

    @classmethod
    def of(cls, layers: Sequence[LayerCost]) -> Roof:
        """The roof over ``layers``; RecordError when none took any time."""
        timed = [layer for layer in layers if layer.seconds > 0]
        if not timed:
            raise RecordError("no layer took any time; profile the network again")
        return cls(max(one.macs / one.seconds for one in timed), max(one.traffic_bytes / one.seconds for one in timed))

    @property
    def ridge(self) -> float:
        """Arithmetic intensity, in multiply-accumulates per byte, below which memory is the roof."""
        return self.macs_per_s / self.bytes_per_s

    def explained_ratio(self, layer: LayerCost) -> float:
        """Share of a layer's time that the higher of the two roofs accounts for, at most 1."""
        needed = max(layer.macs / self.macs_per_s, layer.traffic_bytes / self.bytes_per_s)
        return min(1.0, needed / layer.seconds) if layer.seconds > 0 else 1.0

    def bound(self, layer: LayerCost) -> Bound:
        """What bounds ``layer``."""
        if self.explained_ratio(layer) < OVERHEAD_SHARE:
            return Bound.OVERHEAD
        return Bound.MEMORY if layer.intensity < self.ridge else Bound.COMPUTE


def measured_layers(ledger: Ledger, architecture: Architecture, config: PruningConfig, precision: str) -> tuple[LayerCost, ...]:
    """The rows of a ledger that are one layer each, with their work under ``config``; sd from the profiled compilations."""
    shapes = architecture.shapes(config)
    return tuple(
        _cost(row.name, row.stage, row.seconds, (row.high_s - row.low_s) / 2, shapes[row.name], precision)
        for row in ledger.rows
        if len(row.layers) == 1 and row.name in shapes
    )


def predicted_layers(predictor: LatencyPredictor, config: PruningConfig, precision: str) -> tuple[LayerCost, ...]:
    """Every present layer's time by the latency model, with the model's own standard deviation."""
    architecture = predictor.architecture
    shapes = architecture.shapes(config)
    row = predictor.table.site_map.widths([config])
    predictor.seconds(row)
    seconds = predictor.table.layer_seconds(row)[0]
    sds = predictor.layer_sd_s(row[0])
    return tuple(
        _cost(site.name, stage_of(site, architecture), float(time), float(sd), shapes[site.name], precision)
        for site, time, sd in zip(architecture.layers, seconds, sds, strict=True)
        if site.name in shapes
    )


def _cost(layer: str, stage: str, seconds: float, sd_s: float, shape: LayerShape, precision: str) -> LayerCost:
    known = precision if precision in BYTES_PER_VALUE else "f32"
    return LayerCost(layer, stage, seconds, float(np.abs(sd_s)), shape.macs, shape.traffic_bytes(known))
