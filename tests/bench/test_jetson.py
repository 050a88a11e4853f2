"""The bench suites on a Jetson: a stand-in trtexec behind a real OpenSSH server, and everything after it unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.latency.model.predictor import LatencyPredictor
from harness.pages import device as device_page
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from tests.devices.over_ssh.ssh_server import needs_sshd
from tests.devices.over_ssh.ssh_server import ssh_config as ssh_config
from tests.devices.trtexec_stand_in import install

ROOT = Path(__file__).parent.parent.parent
SUITES = ("test_device.py", "test_network_latency.py", "test_layer_latency.py", "test_predictor.py")
TABLE = """
[tool.espalier.devices.jetson]
runtime = "trtexec"
host = "board"
ssh_config = "{config}"
python = "{python}"
resource = "test-bench-{pid}"
options = {{ trtexec = "{trtexec}", timing_cache = "" }}
"""

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def ended(ssh_config: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """``pytest bench/ --device=jetson``, where "jetson" is a table of the working directory's pyproject.toml."""
    home = tmp_path_factory.mktemp("jetson")
    trtexec = install(home, "8.5.2")
    (home / "pyproject.toml").write_text(TABLE.format(config=ssh_config, python=sys.executable, pid=os.getpid(), trtexec=trtexec))
    words = ["--device=jetson", "--precision=f16", "--rounds=10", "--min-time=0", "--designs=13", "--held-out=2"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), *words]
    command += [str(ROOT / "bench" / suite) for suite in SUITES] + [f"--benchmark-json={home / 'jetson.json'}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=280), home / "jetson.json"


@pytest.fixture(scope="module")
def file(ended: tuple[subprocess.CompletedProcess[str], Path]) -> BenchmarkFile:
    told, path = ended
    assert told.returncode == 0, told.stdout
    return benchmark_json.read(path)


def test_whole_networks_and_layers_are_in_the_file_with_the_boards_name(file: BenchmarkFile) -> None:
    whole, layered = [m for m in file.measurements if m.role == "network"]
    conditions = whole.conditions
    assert (conditions.device.name, conditions.device.runtime_version, conditions.effective_precision) == ("jetson", "8.5.2", "f16")
    assert {name for node in layered.layers for name in node.source_layers} == {site.name for site in file.architectures[0].layers}
    assert [node.kind for node in layered.layers if not node.source_layers][:1] == ["Reformat"]
    assert whole.latency.median_s < layered.latency.median_s * 1.5


def test_the_predictor_works_on_a_boards_measurements_unchanged(file: BenchmarkFile) -> None:
    predictor = LatencyPredictor.fit(file.architectures[0], [m for m in file.measurements if m.conditions.precision == "f16"])
    assert predictor.held_out is not None
    dense = next(m for m in file.measurements if m.config == file.architectures[0].dense())
    assert predictor.predict(file.architectures[0].dense()).seconds == pytest.approx(dense.latency.median_s, rel=0.3)


def test_the_device_page_shows_it(ended: tuple[subprocess.CompletedProcess[str], Path], file: BenchmarkFile, tmp_path: Path) -> None:
    assert device_page.main([str(ended[1]), f"--md={tmp_path / 'page.md'}"]) == 0
    page = (tmp_path / "page.md").read_text()
    assert "| network | jetson, f16 |" in page
    assert "trtexec 8.5.2" in page
    assert "selected device: NVIDIA Stand-in" in page
    assert "SIMULATED" not in page
