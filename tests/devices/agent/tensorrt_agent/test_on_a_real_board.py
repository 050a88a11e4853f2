"""What only a machine with TensorRT can show; run first there. It is skipped where the package or trtexec is not."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.conformance import DeviceConformance
from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import OptionValue, parse

SYSTEM = "/usr/bin/python3"
TRTEXEC = next((path for path in map(Path, ("/usr/src/tensorrt/bin/trtexec", "/opt/tensorrt/bin/trtexec")) if path.exists()), None)
ALIKE = 0.05  # of the two's medians on one engine
DIGEST_BYTES = 32  # before an engine that the agent keeps


def python() -> str | None:
    """An interpreter of this machine that has TensorRT's package; None without one."""
    if importlib.util.find_spec("tensorrt") is not None:
        return sys.executable
    return SYSTEM if any(Path("/usr/lib").glob("python3*/dist-packages/tensorrt/__init__.py")) else None


needs_tensorrt = pytest.mark.skipif(python() is None, reason="no interpreter here has TensorRT's Python package (python3-libnvinfer)")
needs_trtexec = pytest.mark.skipif(TRTEXEC is None, reason="no trtexec here to hold the package against")


def here(tmp_path: Path, **options: OptionValue) -> Device:
    table = {"runtime": "tensorrt", "python": python(), "resource": f"test-real-tensorrt-{os.getpid()}"}
    table["options"] = {"engine_cache": str(tmp_path / "engines"), **options}
    return Device(parse("here", table, tmp_path / "pyproject.toml"), Quarantine())


@needs_tensorrt
class TestTensorRtHere(DeviceConformance):
    output_tolerance = 1e-3

    @pytest.fixture
    def device(self, tmp_path: Path) -> Device:
        return here(tmp_path)


@needs_tensorrt
def test_half_precision_and_a_graph_answer_as_the_network_does(tmp_path: Path) -> None:
    network: Probe = probe(width=16, side=32)
    images = network.images(5)
    with here(tmp_path, cuda_graph=True).open() as session:
        found = session.load(network.onnx, "probe", "f16").outputs(images)
    assert np.abs(found - network.reference(images)).max() <= 0.02 * np.abs(network.reference(images)).max()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    return importlib.import_module("trtexec_files")


@needs_tensorrt
@needs_trtexec
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_trtexec_and_the_package_tell_one_latency_of_one_engine(files: ModuleType, tmp_path: Path, precision: str) -> None:
    """The package builds it, both run it: medians of the GPU's time and the names of the layers agree."""
    network = probe(width=64, side=112)
    with here(tmp_path).open() as session:
        loaded = session.load(network.onnx, "probe", precision)
        ours_s = statistics.median(loaded.infer(1000, warmup_s=0.5).wall_ns) * 1e-9
        nodes = [node.node for node in session.load(network.onnx, "probe", precision, profile=True).profile(50)]
    (kept,) = (tmp_path / "engines").glob("*.engine")
    plan, times, profile = (tmp_path / name for name in ("one.plan", "times.json", "profile.json"))
    plan.write_bytes(kept.read_bytes()[DIGEST_BYTES:])
    run = [str(TRTEXEC), f"--loadEngine={plan}", "--warmUp=500", "--iterations=1000", "--duration=0"]
    known = subprocess.run([str(TRTEXEC), "--help"], capture_output=True, text=True, check=False).stdout
    run += ["--noCudaGraph"] if "--noCudaGraph" in known else ["--useSpinWait", "--noDataTransfers"]
    log = subprocess.run([*run, f"--exportTimes={times}"], capture_output=True, text=True, check=True).stdout
    subprocess.run([*run, "--dumpProfile", f"--exportProfile={profile}"], capture_output=True, check=True)
    theirs_s = statistics.median(files.times_ms(times.read_text(), files.version(log), 500)) * 1e-3
    assert ours_s == pytest.approx(theirs_s, rel=ALIKE)
    assert nodes == [name for name, _ in files.profile_rows(profile.read_text())[1]]
