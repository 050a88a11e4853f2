"""A bench run in another precision than f32 says first what that is worth on the device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TABLE = """
[tool.espalier.devices.mine]
runtime = "{runtime}"
resource = "test-{pid}-line"
"""


def run(folder: Path, runtime: str, precision: str, *suites: str) -> subprocess.CompletedProcess[str]:
    """``bench/`` on a device that nobody else holds, with a cache of its own."""
    (folder / "pyproject.toml").write_text(TABLE.format(runtime=runtime, pid=os.getpid()))
    words = [f"--precision={precision}", "--device=mine", "--rounds=20", "--min-time=0.01", "-p", "no:cacheprovider", "-v"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        *(str(ROOT / "bench" / suite) for suite in suites),
        *words,
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=240)


@pytest.mark.parametrize(("runtime", "precision"), [("openvino", "bf16"), ("simulated", "f16")])
def test_the_line_comes_once_and_before_what_is_measured(tmp_path: Path, runtime: str, precision: str) -> None:
    ended = run(tmp_path, runtime, precision, "test_network_latency.py", "test_layer_latency.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = [number for number, line in enumerate(ended.stdout.splitlines()) if line.startswith(f"{precision} ") and " on mine (" in line]
    tables = [number for number, line in enumerate(ended.stdout.splitlines()) if "whole networks" in line]
    assert len(told) == 1
    assert told[0] < tables[0]


def test_f32_needs_no_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "simulated", "f32", "test_network_latency.py")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " on mine (" not in ended.stdout
