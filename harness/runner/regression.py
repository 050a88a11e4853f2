"""The regression gate: is this network, or one of its layers, slower than its baseline by more than its limit?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConditionsDiffer, RecordError, UsageError
from harness.files import toml_text
from harness.latency.verdict.finding import Finding, from_bounds
from harness.latency.verdict.judgement import compare
from harness.records import benchmark_json
from harness.records.measurement import LayerLatency, Measurement

NETWORK_LIMIT = 0.03  # slower by less is let pass, unless pyproject.toml says otherwise
LAYER_LIMIT = 0.15  # a single layer's time is a few microseconds, truncated, over three compilations


@dataclass(frozen=True, slots=True)
class Limits:
    """How much slower is let pass, as ratios: for a whole network and for its layers, each with exceptions by name."""

    network: float = NETWORK_LIMIT
    layer: float = LAYER_LIMIT
    layers: tuple[tuple[str, float], ...] = ()

    def of_layer(self, name: str) -> float:
        """The limit of one layer."""
        return dict(self.layers).get(name, self.layer)


def limits(network: str, pyproject: Path) -> Limits:
    """The limits that ``[tool.espalier.limits]`` of a pyproject.toml sets for a network, over the defaults.

    ``[tool.espalier.limits]`` holds ``network`` and ``layer``; ``[tool.espalier.limits.<network>]`` overrides them and may hold a table
    ``layers``. UsageError names what is no ratio of at least 0.
    """
    if not pyproject.is_file():
        return Limits()
    table = toml_text.table(pyproject, "tool", "espalier", "limits")
    own, layers = table.get(network, {}), {}
    if isinstance(own, dict):
        layers = own.get("layers", {})
    if not isinstance(own, dict) or not isinstance(layers, dict):
        raise UsageError(f"{pyproject}: tool.espalier.limits.{network} is no table of ratios, with a table layers in it; mend it")
    return Limits(
        _ratio(own, "network", _ratio(table, "network", NETWORK_LIMIT)),
        _ratio(own, "layer", _ratio(table, "layer", LAYER_LIMIT)),
        tuple((name, _ratio(layers, name, LAYER_LIMIT)) for name in layers),
    )


def baseline(path: Path, ours: Measurement) -> Measurement:
    """The measurement in a benchmark file that ``ours`` is to be compared with: same network, with layers where there are any.

    RecordError when the file holds none; ConditionsDiffer, naming the key, when all were taken under other conditions.
    """
    known = [m for m in benchmark_json.read(path).measurements if m.network == ours.network and m.role == "network"]
    if not known:
        raise RecordError(f"{path} holds no measurement of {ours.network}; write one with: pytest bench/ --benchmark-json={path}")
    fitting = [m for m in known if not m.conditions.differences(ours.conditions)]
    if not fitting:
        raise ConditionsDiffer(known[-1].conditions.differences(ours.conditions))
    return max(fitting, key=lambda m: (bool(m.layers), len(m.latency.samples_s)))


def interleaved(ours: Measurement, other: Measurement, limit: float, same_within: float) -> Finding:
    """The verdict of two networks measured in turns in one run: drift and bursts cancel."""
    told = compare(ours, other, same_within)
    how = f"interleaved, {told.pairs} block pairs worth {told.effective_pairs:.0f}"
    return Finding(ours.network, told.outcome, told.ratio, told.low, told.high, limit, how)


def stored(ours: Measurement, other: Measurement, limit: float, same_within: float) -> Finding:
    """A verdict against an earlier run. Nothing pairs the two, so their intervals are held against each other."""
    if differences := ours.conditions.differences(other.conditions):
        raise ConditionsDiffer(differences)
    low, high = ours.latency.interval_s
    other_low, other_high = other.latency.interval_s
    ratio = ours.latency.median_s / other.latency.median_s
    how = f"95 % intervals of separate runs, {len(ours.latency.samples_s)} and {len(other.latency.samples_s)} samples"
    return from_bounds(ours.network, ratio, low / other_high, high / other_low, limit, same_within, how)


def layers(ours: Measurement, other: Measurement, allowed: Limits, same_within: float) -> tuple[Finding, ...]:
    """Every layer against the same layer of the baseline; UsageError names a layer that vanished."""
    mine, theirs = _by_layer(ours), _by_layer(other)
    if gone := [name for name in theirs if name not in mine]:
        raise UsageError(f"layer {gone[0]} of the baseline is not in {ours.network} any more; measure a new baseline")
    found = []
    for name, runs in mine.items():
        if name in theirs and min(runs) > 0 and min(theirs[name]) > 0:
            ratio = _median(runs) / _median(theirs[name])
            low, high = min(runs) / max(theirs[name]), max(runs) / min(theirs[name])
            how = f"range over {len(runs)} and {len(theirs[name])} compilations"
            found.append(from_bounds(name, ratio, low, high, allowed.of_layer(name), same_within, how))
    return tuple(found)


def _by_layer(measurement: Measurement) -> dict[str, tuple[float, ...]]:
    """Seconds per compilation by fused set of layers; nodes without a layer are left out."""
    return {_name(layer): layer.runs_s for layer in measurement.layers if layer.source_layers}


def _name(layer: LayerLatency) -> str:
    return "+".join(layer.source_layers)


def _median(runs: tuple[float, ...]) -> float:
    return sorted(runs)[len(runs) // 2]


def _ratio(table: Mapping[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 100:
        raise UsageError(f"[tool.espalier.limits] {key} = {value!r}: give a ratio such as 0.03 for 3 %")
    return float(value)
