"""Each part's share of a network's latency: layers or stages, and a named rest, that add up to the whole.

Measured shares come from a ledger, predicted ones from the latency model; one account is either the one or the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.latency.explanation.ledger import Ledger
from harness.latency.explanation.roof import Bound, LayerCost, Roof, measured_layers, predicted_layers
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig

MEASURED, PREDICTED = "measured", "predicted"
_Z_975 = 1.96


@dataclass(frozen=True, slots=True)
class Share:
    """One part's time and share of the whole; ``meaning`` in words for what is no layer.

    low_s, high_s: its interval, equal to ``seconds`` where none is known. Seconds of the rest may be negative: profiling
    costs time that the whole does not contain.
    """

    name: str
    seconds: float
    low_s: float
    high_s: float
    whole_s: float
    meaning: str = ""

    @property
    def ratio(self) -> float:
        """Of the whole."""
        return self.seconds / self.whole_s

    @property
    def interval_ratio(self) -> tuple[float, float]:
        """The ends of the interval, of the whole."""
        return self.low_s / self.whole_s, self.high_s / self.whole_s


@dataclass(frozen=True)
class Account:
    """A network's latency, divided: layers and rest add up to ``whole_s``, and so do stages and rest.

    kind: "measured" or "predicted". costs: the layers with their work, in the order of ``layers``. spread: what the
    intervals are, in words. whole_interval_s: of the whole. probes: layers of a network made to find the machine's roofs.
    """

    kind: str
    whole_s: float
    whole_interval_s: tuple[float, float]
    layers: tuple[Share, ...]
    stages: tuple[Share, ...]
    rest: tuple[Share, ...]
    costs: tuple[LayerCost, ...]
    spread: str
    probes: tuple[LayerCost, ...] = ()

    @property
    def roof(self) -> Roof:
        """The best rates that any of the layers reached, those of the probe included."""
        return Roof.of((*self.costs, *self.probes))

    @property
    def rest_s(self) -> float:
        """What belongs to no layer, in seconds."""
        return math.fsum(one.seconds for one in self.rest)

    def bound(self, place: int) -> Bound:
        """What bounds the layer at ``place`` of ``layers``."""
        return self.roof.bound(self.costs[place])


def measured(
    ledger: Ledger, whole_interval_s: tuple[float, float], architecture: Architecture, config: PruningConfig, precision: str
) -> Account:
    """The account of a profiled run; intervals are ranges over its compilations."""
    costs, whole = measured_layers(ledger, architecture, config, precision), ledger.whole_s
    stages = []
    for name in dict.fromkeys(row.stage for row in ledger.rows):
        rows = [row for row in ledger.rows if row.stage == name]
        seconds = math.fsum(row.seconds for row in rows)
        sums = [seconds, *(math.fsum(runs) for runs in zip(*(row.runs_s for row in rows), strict=False))]
        stages.append(Share(name, seconds, min(sums), max(sums), whole))
    rest = tuple(Share(line.name, line.seconds, line.seconds, line.seconds, whole, line.meaning) for line in ledger.lines)
    runs = max((len(row.runs_s) for row in ledger.rows), default=0)
    spread = f"smallest to largest of {runs} profiled run{'' if runs == 1 else 's'}"
    return Account(MEASURED, whole, whole_interval_s, _layers(costs, whole), tuple(stages), rest, costs, spread)


def predicted(predictor: LatencyPredictor, config: PruningConfig, precision: str) -> Account:
    """The account by the latency model; LatencyUnknown outside of what was measured."""
    told = predictor.predict(config)
    costs, whole = predicted_layers(predictor, config, precision), told.seconds
    row = predictor.table.site_map.widths([config])[0]
    position = {site.name: index for index, site in enumerate(predictor.architecture.layers)}
    stages = []
    for name in dict.fromkeys(one.stage for one in costs):
        members = [one for one in costs if one.stage == name]
        seconds = math.fsum(one.seconds for one in members)
        margin = _Z_975 * predictor.layers_sd_s(row, tuple(position[one.layer] for one in members))
        stages.append(Share(name, seconds, max(0.0, seconds - margin), seconds + margin, whole))
    beyond = whole - math.fsum(one.seconds for one in costs)
    rest = (Share("constant", beyond, beyond, beyond, whole, "the same at all widths: the call, input and output, pooling"),)
    return Account(PREDICTED, whole, (told.low_s, told.high_s), _layers(costs, whole), tuple(stages), rest, costs, "95 % interval")


def _layers(costs: Sequence[LayerCost], whole_s: float) -> tuple[Share, ...]:
    return tuple(Share(one.layer, one.seconds, one.low_s, one.high_s, whole_s) for one in costs)
