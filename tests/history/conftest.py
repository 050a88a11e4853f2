"""Years of benchmark files, written as pytest-benchmark and the plugin write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, LayerLatency, Measurement

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
Write = Callable[..., Path]


def measurement(median_s: float, number: int, device: str = "cpu", simulated: bool = False, layers: Sequence[float] = ()) -> Measurement:
    """One network measured on day ``number``; layers: seconds of conv0, conv1, …"""
    taken_at = (FIRST + timedelta(days=number)).isoformat()
    info = DeviceInfo(device, "openvino", "1", "a chip", "host", "3.11", simulated)
    state = Snapshot(taken_at)
    conditions = Conditions(info, "f32", "f32", 1, 1, 1, state, state, (), "abc")
    noise = np.random.default_rng(number).normal(0, 0.002, 30)
    samples = tuple(float(one) for one in median_s * np.exp(noise))
    times = tuple(LayerLatency(f"node{place}", (f"conv{place}",), "Conv", (seconds,)) for place, seconds in enumerate(layers))
    return Measurement("net", "d" * 64, None, f"{number:064x}", 10, Latency(samples, (10, 10, 10)), conditions, 0.1, 0.01, layers=times)


def write(folder: Path, found: Measurement, number: int, *architectures: Architecture) -> Path:
    """A file as a run of commit ``number`` leaves it."""
    document = benchmark_json.document(BenchmarkFile((found,), architectures))
    document["commit_info"] = {"id": f"{number:040x}"[::-1], "dirty": False}
    path = folder / f"{number % 10}" / f"{number:05d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def years(tmp_path: Path) -> Path:
    """Forty runs: from the 25th on, conv1 takes a fifth of the network longer."""
    for number in range(40):
        slow = 200e-6 if number >= 25 else 0.0
        wander = float(np.random.default_rng(1000 + number).normal(0, 0.004))
        layers = (400e-6 * (1 + wander), (300e-6 + slow) * (1 - wander))
        write(tmp_path / "stored", measurement((1e-3 + slow) * (1 + wander), number, layers=layers), number)
    return tmp_path / "stored"
