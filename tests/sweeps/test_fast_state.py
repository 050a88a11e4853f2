"""On a recorded trace of a loud machine the way that is used predicts best, and files without a canary are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.devices.session import Device, Quarantine
from harness.devices.spec import parse
from harness.devices.visits import Visits
from harness.latency.model import design
from harness.latency.verdict.machine_state import fast_share
from harness.networks import datasets
from harness.pipeline import Network, latency_subject
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.sweeps import fast_state

LOUD = {"kind": "jetson", "slow_share": 0.6, "slow_ratio": 1.5, "slow_most_s": 2.0, "preempted_per_s": 2.0, "seed": 4}


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty designed and ten held-out networks on a loud simulated machine, as a file."""
    folder = tmp_path_factory.mktemp("trace")
    network = Network.by_name("resnet20", datasets.load("digits"))
    configs = [("design", one) for one in design.design(network.architecture, 40, 0)]
    configs += [("held-out", one) for one in design.held_out(network.architecture, 10, 0)]
    device = Device(parse("loud", {"runtime": "simulated", "options": LOUD, "resource": str(folder)}, folder), Quarantine())
    with device.open() as session:
        visits = Visits(session, latency_subject(network, network.architecture.dense()))
        measured = visits.measure([latency_subject(network, config, role) for role, config in configs])
    benchmark_json.write(folder / "trace.json", BenchmarkFile(measured, (network.architecture,)))
    return folder / "trace.json"


def test_the_way_that_is_used_is_about_as_good_as_any_and_far_better_than_the_former(trace: Path) -> None:
    file = benchmark_json.read(trace)
    errors = {name: fast_state.judged(file, way).mape_ratio for name, way in fast_state.WAYS}
    used, *_ = errors
    assert errors[used] <= 1.5 * min(errors.values())
    assert errors[used] <= 0.02
    assert errors["quieter half of the blocks"] > 2 * errors[used]
    assert 0.2 < fast_share(m.latency for m in file.measurements) < 0.7


def test_the_table_names_the_processor_and_every_way(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fast_state.main([str(trace)]) == 0
    told = capsys.readouterr().out
    assert "SIMULATED" in told
    assert all(name in told for name, _ in fast_state.WAYS)


def test_a_file_without_a_canary_or_none_at_all_is_one_line(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = benchmark_json.read(trace)
    benchmark_json.write(tmp_path / "designed.json", BenchmarkFile(file.measurements[:40], file.architectures))
    assert fast_state.main([str(tmp_path / "designed.json")]) == 2
    assert "no held-out networks with a canary" in capsys.readouterr().err
    assert fast_state.main([str(tmp_path / "nothing.json")]) == 2
