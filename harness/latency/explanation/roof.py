"""What bounds each layer: the machine's arithmetic, its memory, or neither (overhead), against the roofs its own layers reach.

The roofs are the best rates that any layer of the measured networks certainly reached [Williams2009]_; they are of this
machine, this precision and these layers, and a lower bound of what the hardware could do.

.. [Williams2009] S. Williams, A. Waterman, D. Patterson. Roofline: an insightful visual performance model. CACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import RecordError
from harness.latency.explanation.ledger import Ledger, stage_of
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.layer import BYTES_PER_VALUE, LayerShape
from harness.records.pruning_config import PruningConfig

OVERHEAD_SHARE = 0.5  # a layer that both roofs together explain by less than this waits for something else
_Z_975 = 1.96


class Bound(StrEnum):
    """What a layer's time is spent on."""

    COMPUTE = "compute-bound"
    MEMORY = "memory-bound"
    OVERHEAD = "overhead-bound"


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The time of one layer, or of several that run as one kernel, beside its work.

    layer: the name, several joined with ``+``. seconds: at least 0, with the ends of its interval. members: the layers' own
    names.
    """

    layer: str
    stage: str
    seconds: float
    low_s: float
    high_s: float
    macs: int
    traffic_bytes: int
    members: tuple[str, ...]

    @property
    def intensity(self) -> float:
        """Multiply-accumulates per byte moved."""
        return self.macs / self.traffic_bytes


@dataclass(frozen=True, slots=True)
class Roof:
    """Best rates reached: multiply-accumulates a second, bytes a second, and the layers that reached them."""

    macs_per_s: float
    bytes_per_s: float
    fastest: str = ""
    busiest: str = ""

    @classmethod
    def of(cls, layers: Sequence[LayerCost]) -> Roof:
        """The roof over ``layers``, by the upper ends of their times; RecordError when none took any time."""
        timed = [layer for layer in layers if layer.high_s > 0]
        if not timed:
            raise RecordError("no layer took any time; profile the network again")
        fastest = max(timed, key=lambda one: one.macs / one.high_s)
        busiest = max(timed, key=lambda one: one.traffic_bytes / one.high_s)
        return cls(fastest.macs / fastest.high_s, busiest.traffic_bytes / busiest.high_s, fastest.layer, busiest.layer)

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
    """The rows of a ledger with their work under ``config``, and the range over the profiled compilations."""
    shapes = architecture.shapes(config)
    found = []
    for row in ledger.rows:
        present = [shapes[name] for name in row.layers if name in shapes]
        if present:
            found.append(_cost(row.layers, row.stage, (row.seconds, row.low_s, row.high_s), present, precision))
    return tuple(found)


def predicted_layers(predictor: LatencyPredictor, config: PruningConfig, precision: str) -> tuple[LayerCost, ...]:
    """Every present layer's time by the latency model, with its 95 % interval.

    Whole networks tell the layers of one block apart badly, so that the model alone would give some a negative time: the
    times here are the likeliest that are not negative and have the same sum. LatencyUnknown outside of what was measured.
    """
    architecture = predictor.architecture
    shapes = architecture.shapes(config)
    row = predictor.table.site_map.widths([config])
    predictor.seconds(row)
    present = [index for index, site in enumerate(architecture.layers) if site.name in shapes]
    seconds = [float(predictor.table.layer_seconds(row)[0, index]) for index in present]
    every_sd = predictor.layer_sd_s(row[0])
    sds = [float(every_sd[index]) for index in present]
    found = []
    for index, told, likely, sd in zip(present, seconds, likeliest_not_negative(seconds, sds), sds, strict=True):
        site = architecture.layers[index]
        ends = min(likely, max(0.0, told - _Z_975 * sd)), max(likely, told + _Z_975 * sd)
        found.append(_cost((site.name,), stage_of(site, architecture), (likely, *ends), [shapes[site.name]], precision))
    return tuple(found)


def likeliest_not_negative(means: Sequence[float], sds: Sequence[float]) -> tuple[float, ...]:
    """The figures with the same sum, none negative, nearest to ``means`` in units of ``sds``; zeros when the sum is negative.

    Independent normal errors: the highest density under both conditions, found by taking what must be given to the negative
    ones from all others, each by its variance, until none is negative.
    """
    total = sum(means)
    if total <= 0:
        return (0.0,) * len(means)
    least = max(*sds, 1e-12) * 1e-6  # an exact figure still has to give when nothing else can
    variances = [max(sd, least) ** 2 for sd in sds]
    kept = list(range(len(means)))
    while True:
        over = sum(means[index] for index in kept) - total
        price = over / sum(variances[index] for index in kept)
        moved = {index: means[index] - price * variances[index] for index in kept}
        if min(moved.values()) >= 0:
            return tuple(moved.get(index, 0.0) for index in range(len(means)))
        kept = [index for index in kept if moved[index] > 0]


def _cost(
    members: tuple[str, ...], stage: str, times: tuple[float, float, float], shapes: Sequence[LayerShape], precision: str
) -> LayerCost:
    known = precision if precision in BYTES_PER_VALUE else "f32"
    macs, moved = sum(shape.macs for shape in shapes), sum(shape.traffic_bytes(known) for shape in shapes)
    return LayerCost(" + ".join(members), stage, *times, macs, moved, members)
