"""Measurements of one small network, on their own and in a file, for the gate's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.compare.baseline import Baseline, Counterpart
from harness.records import benchmark_json, comparability
from harness.records.architecture import Architecture, ChannelGroup, LayerSite
from harness.records.benchmark_json import BenchmarkFile
from harness.records.comparability import Differing
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, LayerLatency, Measurement

DEVICE = DeviceInfo("cpu", "openvino", "2026.4.1", "a processor", "a host", "3.11")
MOMENT = Snapshot("2026-01-01T00:00:00+00:00", throttle_events=0)
CONDITIONS = Conditions(DEVICE, "f32", "f32", 1, 1, 1, MOMENT, MOMENT, (("torch", "2.13.0"),), "abc")
ARCHITECTURE = Architecture(
    "tiny",
    (3, 8, 8),
    4,
    (ChannelGroup("conv1", 8, ("conv1",), False, "conv1"),),
    (
        LayerSite("conv1", "conv", (), "conv1", 3, 8, (3, 3), (1, 1), (1, 1), input_size=(8, 8)),
        LayerSite("fc", "linear", ("conv1",), None, 8, 4),
    ),
)
WIDER = replace(ARCHITECTURE, input_shape=(3, 16, 16))


def measured(
    median_s: float = 1e-3,
    spread: float = 0.002,
    layer_s: float = 1e-5,
    conditions: Conditions = CONDITIONS,
    architecture: Architecture = ARCHITECTURE,
    kept: int = 8,
    samples: int = 100,
    notes: tuple[tuple[str, str], ...] = (),
) -> Measurement:
    """``samples`` in five blocks, ``spread`` apart, of a network whose first layer takes ``layer_s`` and keeps ``kept`` channels."""
    taken = tuple(median_s * (1 + spread * (index % 5 - 2) / 2) for index in range(samples))
    layers = (LayerLatency("/conv1/Conv", ("conv1",), "Convolution", (layer_s, layer_s * 1.01, layer_s * 0.99)),)
    latency = Latency(taken, (samples // 5,) * 5)
    config = architecture.partial({"conv1": kept})
    found = Measurement("tiny", architecture.digest, config, "d" * 64, 1000, latency, conditions, 0.1, 0.001)
    return replace(found, layers=layers, profiled=latency, notes=notes)


def counterpart(before: Measurement) -> Counterpart:
    """Without anything that differs."""
    return Counterpart(before, Differing((), ()))


def told(measurement: Measurement, architecture: Architecture = ARCHITECTURE) -> comparability.Pairs:
    return comparability.circumstances(measurement, architecture)


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., Baseline]:
    """Function: measurements as the file of an earlier run, with what may differ."""

    def store(*measurements: Measurement, allowed: frozenset[str] = frozenset(), architectures: tuple[Architecture, ...] = ()) -> Baseline:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        benchmark_json.write(path, BenchmarkFile(measurements, architectures or (ARCHITECTURE, WIDER)))
        return Baseline.read(path, allowed)

    return store
