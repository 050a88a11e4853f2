"""One network measured once, as a history keeps it: its median with interval, its commit, the medians of its layers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records import comparability
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement

NETWORK_ROLE = "network"


@dataclass(frozen=True, slots=True)
class Point:
    """series: what must agree for two points to be compared, ``(key, value)`` pairs. Times in seconds; layers: name and median."""

    series: tuple[tuple[str, str], ...]
    commit: str
    taken_at: str
    median_s: float
    low_s: float
    high_s: float
    samples: int
    noisy: bool
    layers: tuple[tuple[str, float], ...] = ()


def of(measurement: Measurement, commit: str, architecture: Architecture | None = None) -> Point | None:
    """The point of a measurement, None where it was measured for a model of latency alone.

    commit: of the repository that was measured, empty for Espalier's own. architecture: the measurement's own. A network whose code
    changed goes on in its series, as it does for the gate; what throttled is marked as noisy, and no series of its own.
    """
    if measurement.role != NETWORK_ROLE:
        return None
    conditions, latency = measurement.conditions, measurement.latency
    told = comparability.circumstances(measurement, architecture)
    alike = tuple(pair for pair in told if pair[0] != comparability.THROTTLED)
    series = (("network", measurement.network), ("provenance", measurement.provenance), *alike)
    low_s, high_s = latency.interval_s
    layers = tuple(("+".join(one.source_layers), one.median_s) for one in measurement.layers if one.source_layers)
    return Point(
        tuple(sorted(series)),
        commit or conditions.git_commit,
        conditions.before.taken_at,
        latency.median_s,
        low_s,
        high_s,
        len(latency.samples_s),
        bool(measurement.noise),
        layers,
    )
