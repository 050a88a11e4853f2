"""How fast stored measurements are read, and configurations scored by what was fitted on them.

``pytest tests/performance/test_stored_measurements.py --benchmark-only`` checks the limits at full size; without that flag a
handful of rows is read and scored, and only the answers are checked.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.latency.model import design
from harness.latency.model.predictor import LatencyPredictor
from harness.networks import datasets
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, Measurement
from harness.records.pruning_config import PruningConfig

ROWS, READ_LIMIT_S = 10_000, 1.0
CONFIGURATIONS, LEAST_PER_S = 200_000, 200_000.0
SAMPLES, BLOCKS = 20, 5


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return Network.by_name("resnet56", datasets.load("digits", None)).architecture


def made_up(architecture: Architecture, config: PruningConfig) -> Measurement:
    """A row whose latency is a microsecond per ten channels: its figures mean nothing, its size is real."""
    device = DeviceInfo("made-up", "none", "1", "no processor", "nowhere", "3.11", simulated=True, details=(("device", "none"),))
    state = Snapshot("2026-11-23T18:00:00+00:00", clocks_mhz=(("cpu0", 2400.0), ("cpu1", 2400.0)), load_average=1.0)
    versions = tuple((f"package-{number}", "1.0") for number in range(12))
    conditions = Conditions(device, "f32", "f32", 1, 1, 1, state, state, versions, "abc")
    seconds = 1e-4 + 1e-7 * sum(kept for _, kept in config.channels)
    samples = tuple(seconds * (1 + 1e-3 * number) for number in range(SAMPLES))
    latency = Latency(samples, (SAMPLES // BLOCKS,) * BLOCKS, (), samples)
    return Measurement(
        "resnet56", architecture.digest, config, config.digest * 4, 100, latency, conditions, 0.1, 0.01, role="design",
        notes=(("interleaved", "180"), ("warm-up", "0.1 s, 20 inferences")),
    )  # fmt: skip


def test_ten_thousand_rows_are_read_within_a_second(
    architecture: Architecture, benchmark: BenchmarkFixture, judged: bool, tmp_path: Path
) -> None:
    rows = ROWS if judged else 100
    configs = design.held_out(architecture, min(rows, 500), 0)
    path = tmp_path / "rows.json"
    benchmark_json.write(path, BenchmarkFile(tuple(made_up(architecture, config) for config in configs), (architecture,)))
    document = json.loads(path.read_bytes())
    document["benchmarks"] = [document["benchmarks"][number % len(configs)] for number in range(rows)]
    path.write_text(json.dumps(document))
    found = benchmark.pedantic(benchmark_json.read_all, ([path],), rounds=5 if judged else 1, iterations=1, warmup_rounds=1)
    assert [m.config for m in found.measurements[: len(configs)]] == list(configs)
    assert len(found.measurements) == rows
    benchmark.extra_info["megabytes"] = path.stat().st_size / 1e6
    if judged:
        assert benchmark.stats.stats.median <= READ_LIMIT_S


def test_two_hundred_thousand_configurations_are_scored_in_a_second(
    architecture: Architecture, benchmark: BenchmarkFixture, judged: bool
) -> None:
    fitted = LatencyPredictor.fit(architecture, [made_up(architecture, config) for config in design.design(architecture, 60, 0)])
    rng, columns = np.random.default_rng(0), architecture.groups
    count = CONFIGURATIONS if judged else 500
    widths = np.stack([rng.integers(1, group.channels + 1, count) for group in columns], axis=1)
    seconds = benchmark.pedantic(fitted.seconds, (widths,), rounds=5 if judged else 1, iterations=1, warmup_rounds=1)
    assert seconds.shape == (count,)
    assert np.median(np.abs(seconds / (1e-4 + 1e-7 * widths.sum(axis=1)) - 1)) < 0.05
    if judged:
        assert count / benchmark.stats.stats.median >= LEAST_PER_S
