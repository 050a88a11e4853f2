"""What a device's own compiler makes of a network, where it can be had without the device: schedule and cost, never a latency."""

from pathlib import Path

import pytest

from harness import tables
from harness.devices.compiling import compile_network
from harness.pipeline import latency_subject
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile


def test_compiled_schedule_and_cost(device, network, config, collected, pytestconfig):
    """``--compile-only``: the schedule of the network that ``--network`` and ``--config`` name, kept in a file of its own."""
    if not pytestconfig.getoption("--compile-only"):
        pytest.skip("no --compile-only was given")
    compiled = compile_network(device, latency_subject(network, config))
    path = pytestconfig.getoption("--store") or Path("reports/benchmarks") / device.info.name
    path.mkdir(parents=True, exist_ok=True)
    kept = path / f"compiled-{network.name}-{compiled.config.digest if compiled.config else compiled.artefact_digest[:16]}.json"
    benchmark_json.write(kept, BenchmarkFile((), (network.architecture,), compilations=(compiled,)))
    collected.texts += [tables.compiled(compiled), f"written: {kept}"]
    assert compiled.executed_count > 0
    assert benchmark_json.read(kept).compilations == (compiled,)
