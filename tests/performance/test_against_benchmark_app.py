"""Our latency against that of OpenVINO's own benchmark_app, on the same network, side by side.

``pytest tests/performance/test_against_benchmark_app.py --benchmark-only -s`` prints our median over theirs, and checks the limits;
without that flag a busy machine may be what it likes, and only that both measure the same thing is checked. Both with one thread,
one stream, one request, synchronous, f32; benchmark_app's latency is the runtime's own, ours is what a program waits for.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.devices import spec
from harness.devices.measure import Protocol, measure
from harness.devices.session import Device
from harness.networks import datasets
from harness.pipeline import Network, latency_subject

LOWEST, HIGHEST = 0.97, 1.03
NETWORKS = ("resnet20", "resnet56", "mobilenetv2")
SCRIPT = Path(__file__).parent / "beside_benchmark_app.py"
TOOL = Path(sys.executable).parent / "benchmark_app"


@dataclass(frozen=True)
class Effort:
    """pairs: turns of each. rounds: inferences of a turn. judged: whether the limits are checked."""

    pairs: int
    rounds: int
    judged: bool


@pytest.fixture
def effort(judged: bool) -> Effort:
    return Effort(15, 500, True) if judged else Effort(3, 30, False)


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    network = Network.by_name(request.param, datasets.load("digits", None))
    path = tmp_path / f"{request.param}.onnx"
    path.write_bytes(latency_subject(network, network.architecture.dense()).onnx)
    return path


def tell(name: str, ours_s: list[float], theirs_s: list[float]) -> float:
    """Print and return the median over pairs of our median over theirs."""
    ratios = sorted(ours / theirs for ours, theirs in zip(ours_s, theirs_s, strict=True))
    ratio = statistics.median(ratios)
    print(
        f"\n{name}: ours {statistics.median(ours_s) * 1e6:.1f} µs, benchmark_app {statistics.median(theirs_s) * 1e6:.1f} µs, "
        f"ratio {ratio:.4f} ({ratios[0]:.4f} to {ratios[-1]:.4f}, {len(ratios)} pairs)"
    )
    return ratio


@pytest.mark.parametrize("model", NETWORKS, indirect=True)
def test_our_loop_agrees_with_the_vendors_on_the_same_request(model: Path, effort: Effort, benchmark: BenchmarkFixture) -> None:
    words = [sys.executable, str(SCRIPT), str(model), str(effort.pairs), str(effort.rounds)]
    ended = benchmark.pedantic(subprocess.run, (words,), {"capture_output": True, "text": True, "timeout": 280}, rounds=1, iterations=1)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert (told["effective_precision"], told["threads"], told["streams"]) == ("f32", 1, 1)
    assert len(told["ours_s"]) == len(told["theirs_s"]) == effort.pairs
    ratio = tell(f"{model.stem}, same request", told["ours_s"], told["theirs_s"])
    benchmark.extra_info.update(ratio=ratio, ours_s=told["ours_s"], theirs_s=told["theirs_s"])
    assert 0.2 < ratio < 5  # one of them would count something else
    if effort.judged:
        assert LOWEST <= ratio <= HIGHEST


def vendors_median_s(model: Path, rounds: int) -> float:
    """benchmark_app as it is installed, in a process of its own."""
    words = "-d CPU -hint none -api sync -nireq 1 -nstreams 1 -nthreads 1 -infer_precision CPU:f32 -ip f32 -inference_only"
    command = [str(TOOL), "-m", str(model), *words.split(), "-niter", str(rounds)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    figure, unit = re.search(r"Median:\s+([\d.]+) (us|ms)", printed).groups()  # type: ignore[union-attr]
    return float(figure) * (1e-6 if unit == "us" else 1e-3)


@pytest.mark.parametrize("model", NETWORKS[:1], indirect=True)
def test_the_whole_product_agrees_with_the_tool_as_it_is_installed(model: Path, effort: Effort, benchmark: BenchmarkFixture) -> None:
    """Through device, agent and records, each time loaded anew, in turns with the tool's own process."""
    network = Network.by_name(model.stem, datasets.load("digits", None))
    subject = latency_subject(network, network.architecture.dense())
    protocol = Protocol(rounds=effort.rounds, min_time_s=0.0, blocks=5, precision_target=None, profile_compiles=0)
    ours_s, theirs_s = [], []

    def in_turns() -> None:
        with Device(spec.find("cpu")).open(wait_s=120) as session:
            for pair in range(effort.pairs if effort.judged else 1):
                for turn in ("ours", "theirs") if pair % 2 == 0 else ("theirs", "ours"):
                    if turn == "ours":
                        ours_s.append(measure(session, subject, protocol).latency.median_s)
                    else:
                        theirs_s.append(vendors_median_s(model, effort.rounds))

    benchmark.pedantic(in_turns, rounds=1, iterations=1)
    ratio = tell(f"{model.stem}, separate processes", ours_s, theirs_s)
    benchmark.extra_info.update(ratio=ratio)
    assert 0.2 < ratio < 5
    if effort.judged:
        assert LOWEST <= ratio <= HIGHEST
