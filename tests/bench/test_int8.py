"""The bench suites with ``--precision=int8``, as a user runs them, on this machine's processor and without one."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness.latency.explanation import ledger
from harness.networks import export, zoo
from harness.quantisation.for_latency import for_latency
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from tests.bench.test_suites import ROOT, run_pytest

QUICK = ("--rounds=20", "--min-time=0.01", "--precision=int8")
TABLE = """
[tool.espalier.devices.here]
runtime = "openvino"
resource = "test-bench-int8-{pid}"
options = {{ device = "CPU", threads = 1 }}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose device "here" is this processor under a lock of its own, with a network in float and in INT8."""
    folder = tmp_path_factory.mktemp("int8")
    (folder / "pyproject.toml").write_text(TABLE.format(pid=os.getpid()))
    plain = export.export(zoo.build("resnet20", (1, 32, 32), 10), (1, 32, 32), "resnet20")
    (folder / "float.onnx").write_bytes(plain.onnx)
    (folder / "int8.onnx").write_bytes(for_latency(plain).onnx)
    return folder


@pytest.fixture(scope="module")
def ended(home: Path) -> subprocess.CompletedProcess[str]:
    suites = [str(ROOT / "bench" / name) for name in ("test_network_latency.py", "test_layer_latency.py")]
    return run_pytest(*suites, "--device=here", *QUICK, "--calibration=20", f"--benchmark-json={home / 'int8.json'}", cwd=home)


@pytest.fixture(scope="module")
def file(ended: subprocess.CompletedProcess[str], home: Path) -> BenchmarkFile:
    assert ended.returncode == 0, ended.stdout
    return benchmark_json.read(home / "int8.json")


def test_the_record_says_what_ran_and_how_it_was_calibrated(file: BenchmarkFile) -> None:
    for measurement in file.measurements:
        assert (measurement.conditions.precision, measurement.conditions.effective_precision) == ("int8", "int8")
        notes = dict(measurement.notes)
        assert notes["INT8 layers"] == "22 of 22"
        assert notes["calibration"].startswith("20 training images, seed 0, digest ")
        assert notes["quantisation"] == "22 of 22 layers quantised"
    assert len({measurement.artefact_digest for measurement in file.measurements}) == 1


def test_every_layer_has_a_time_and_a_precision_and_the_ledger_holds_them(file: BenchmarkFile) -> None:
    (detailed,) = [measurement for measurement in file.measurements if measurement.layers]
    architecture = file.architecture(detailed.architecture_digest)
    assert {node.precision for node in detailed.layers if node.source_layers} == {"int8"}
    told = ledger.balance(detailed, architecture)
    assert [name for row in told.rows for name in row.layers] == [site.name for site in architecture.layers]
    assert told.unattributed == ()


def test_the_terminal_says_int8(ended: subprocess.CompletedProcess[str], file: BenchmarkFile) -> None:
    assert re.search(r"^int8, batch 1, 1\s.*\n?.*\bthread\b", ended.stdout, re.MULTILINE)


def test_accuracy_is_that_of_the_quantised_network_beside_the_float_one(home: Path) -> None:
    words = ("--device=here", "--precision=int8", f"--contender=plain={home / 'float.onnx'}", f"--contender=given={home / 'int8.onnx'}")
    ended = run_pytest(str(ROOT / "bench" / "test_accuracy.py"), *words, f"--benchmark-json={home / 'accuracy.json'}", cwd=home)
    assert ended.returncode == 1, ended.stdout  # random weights guess, and the gate says so
    assert "guessing gives 10.0 %" in " ".join(ended.stdout.split())
    plain, given = benchmark_json.read(home / "accuracy.json").accuracies
    assert (plain.effective_precision, given.effective_precision) == ("int8", "int8")
    assert plain.on_host is not None
    assert plain.largest_difference is not None
    assert plain.largest_difference > 0
    assert given.on_host is None
    assert "plain in INT8: 22 of 22 layers quantised; calibrated with 300 training images" in " ".join(ended.stdout.split())


def test_designed_networks_and_widths_are_quantised_without_hardware_too(tmp_path: Path) -> None:
    words = ("--device=simulated", *QUICK, "--designs=14", "--held-out=2", "--widths=2", f"--store={tmp_path}")
    suites = [str(ROOT / "bench" / name) for name in ("test_predictor.py", "test_width_staircase.py", "test_roof.py")]
    ended = run_pytest(*suites, *words, f"--benchmark-json={tmp_path / 'all.json'}")
    assert ended.returncode == 0, ended.stdout
    file = benchmark_json.read(tmp_path / "all.json")
    assert {m.conditions.precision for m in file.measurements} == {"int8"}
    assert {dict(m.notes)["calibration"] for m in file.measurements} == {"none, for latency alone"}
    assert next(tmp_path.glob("simulated/widths/resnet20-digits-int8.json"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--calibration=5",), "--calibration is about INT8, but --precision is f32; give --precision=int8 with it"),
        (("--precision=int8", "--calibration=0"), "--calibration=0: give at least 1 image"),
        (("--precision=int8", "--in-float=layer1.0.conv7"), "unknown layer 'layer1.0.conv7'"),
        (("--precision=int8", "--int8-max-drop=0.2"), "--int8-max-drop is about accuracy, and random weights have none"),
        (("--precision=int8", "--compile-only"), "leave --precision out"),
        (("--precision=f32,int8",), "a run measures in one precision; give f32, bf16, f16 or int8, a run for each"),
        (("--precision=",), "a run measures in one precision"),
        (("--precision=INT8", "--device=ncs2"), "device ncs2 has no INT8; give --precision=f16 for it"),
        (("--precision=int8", "--device=ncs2"), "device ncs2 has no INT8; give --precision=f16 for it"),
        (("--precision=int8", "--device=jetson", "--asymmetric"), "TensorRT on jetson takes symmetric activations only"),
    ],
    ids=lambda found: found[-1] if isinstance(found, tuple) else "",
)
def test_what_int8_cannot_be_had_by_ends_the_run_in_one_line(words: tuple[str, ...], told: str) -> None:
    ended = run_pytest(str(ROOT / "bench" / "test_network_latency.py"), "--device=simulated", *words)
    assert ended.returncode == 2, ended.stdout
    assert told in ended.stdout + ended.stderr


def test_a_quantised_file_is_not_taken_for_f32(home: Path) -> None:
    words = ("--device=simulated", "--rounds=5", f"--against={home / 'int8.onnx'}")
    ended = run_pytest(str(ROOT / "bench" / "test_regression.py"), *words)
    assert ended.returncode == 2  # no slowdown: it could not be asked
    told = " ".join(ended.stdout.split())
    assert "effective_precision" in told
    assert "measure both under the same conditions" in told
