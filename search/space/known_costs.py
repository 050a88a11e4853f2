"""What is stored of a network's widths and sensitivities: found by digests and conditions, and what was passed over, said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConditionsDiffer, HarnessError, LatencyUnknown
from harness.latency.explanation import ledger
from harness.latency.explanation.roof import LayerCost, measured_layers
from harness.latency.explanation.staircase import WidthCost
from harness.latency.explanation.width_series import ROLE, measured_series, with_twins
from harness.networks import roof_probe
from harness.records import benchmark_json
from harness.records.accuracy import WidthAccuracy
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions

WIDTHS, SENSITIVITY, ROOF = "widths", "sensitivity", "roof"  # folders under reports/benchmarks/<device>/


@dataclass(frozen=True)
class Found:
    """Stored figures, empty where there are none. path: of the file they are from. passed_over: why others were not taken."""

    series: Mapping[str, tuple[WidthCost, ...]]
    points: tuple[WidthAccuracy, ...]
    path: Path | None
    passed_over: tuple[str, ...]


def widths(folder: Path, architecture: Architecture, conditions: Conditions, own: tuple[Path, BenchmarkFile] | None = None) -> Found:
    """The newest measured widths of this architecture under these conditions in ``folder``, twins included; before them ``own``."""
    passed: list[str] = []
    digest = architecture.digest
    for path, file in (*([own] if own else []), *_newest_first(folder / WIDTHS, passed)):
        ours = [m for m in file.measurements if m.role == ROLE and m.architecture_digest == digest]
        alike = [m for m in ours if not m.conditions.differences(conditions)]
        if ours and not alike:
            passed.append(f"{path} was {ConditionsDiffer(conditions.differences(ours[0].conditions))}")
        if not alike:
            continue
        try:
            return Found(with_twins(architecture, measured_series(architecture, alike)), (), path, tuple(passed))
        except LatencyUnknown:
            continue  # the benchmark file of a sweep: its networks without the anchors, which its store holds
    return Found({}, (), None, tuple(passed))


def roof_layers(folder: Path, conditions: Conditions) -> tuple[LayerCost, ...]:
    """The layers of the newest probe of the machine's roofs under these conditions; none where there is none."""
    for _, file in _newest_first(folder / ROOF, []):
        for measurement in file.measurements:
            if measurement.network != roof_probe.NAME or measurement.config is None or measurement.conditions.differences(conditions):
                continue
            architecture = file.architecture(measurement.architecture_digest)
            balanced = ledger.balance(measurement, architecture)
            return measured_layers(balanced, architecture, measurement.config, conditions.precision)
    return ()


def sensitivities(folder: Path, architecture: Architecture, weights_digest: str, dataset_digest: str | None, criterion: str) -> Found:
    """The newest analysis of these very weights on these very images; dataset_digest: None where only the weights are known."""
    passed: list[str] = []
    for path, file in _newest_first(folder / SENSITIVITY, passed):
        ours = [point for point in file.sensitivities if point.architecture_digest == architecture.digest]
        if not ours:
            continue
        reason = _mismatch(ours, weights_digest, dataset_digest, criterion)
        if reason:
            passed.append(f"{path} is {reason}")
            continue
        return Found({}, tuple(ours), path, tuple(passed))
    return Found({}, (), None, tuple(passed))


def _mismatch(points: Iterable[WidthAccuracy], weights: str, dataset: str | None, criterion: str) -> str:
    for point in points:
        if point.weights_digest != weights:
            return f"about other weights ({point.weights_digest}, these are {weights})"
        if dataset is not None and point.dataset_digest != dataset:
            return f"about other images of {point.dataset} ({point.dataset_digest[:12]}, these are {dataset[:12]})"
        if point.criterion != criterion:
            return f"by another criterion ({point.criterion}, asked for {criterion})"
    return ""


def _newest_first(folder: Path, passed: list[str]) -> Iterator[tuple[Path, BenchmarkFile]]:
    for path in sorted(folder.glob("*.json"), key=lambda found: found.stat().st_mtime, reverse=True):
        try:
            yield path, benchmark_json.read(path)
        except HarnessError as error:
            passed.append(str(error))
