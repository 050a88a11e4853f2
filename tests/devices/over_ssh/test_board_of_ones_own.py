"""A Raspberry Pi, or any board over ssh, as the docs add it: an interpreter of its own with one package, a table, and nothing of ours.

The board is this machine behind a real ssh server, its interpreter a new environment with OpenVINO or ONNX Runtime and what they need.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.devices.conformance import DeviceConformance
from harness.devices.session import Device, Quarantine
from harness.devices.spec import find
from harness.doctor import __main__ as doctor
from harness.errors import DeviceUnavailable
from tests.devices.over_ssh.ssh_server import needs_sshd
from tests.devices.over_ssh.ssh_server import ssh_config as ssh_config

NEEDED = ("numpy", "numpy.libs", "flatbuffers", "google", "packaging")  # folders that pip makes of what either depends on
TABLE = """
[tool.espalier.devices.pi]
runtime = "{runtime}"
host = "board"
python = "{python}"
ssh_config = "{ssh_config}"
resource = "{resource}"
"""

pytestmark = needs_sshd


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def runtime(request: pytest.FixtureRequest) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed here")
    return str(request.param)


@pytest.fixture(scope="module")
def environment(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board's own; pip's work is done by links, for it would take a network and a minute."""
    made = tmp_path_factory.mktemp("home") / "espalier"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made)], check=True)
    (packages,) = made.glob("lib/python*/site-packages")
    spec = importlib.util.find_spec(runtime)
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parents[1]
    for name in (runtime, *NEEDED):
        if (installed / name).exists():
            (packages / name).symlink_to(installed / name)
    return made


@pytest.fixture
def pyproject(runtime: str, environment: Path, ssh_config: Path, tmp_path: Path) -> Path:
    """As the docs write it: the interpreter is a path from the home folder of whoever logs in."""
    python = os.path.relpath(environment / "bin/python", Path.home())
    resource = f"test-board-{os.getpid()}-{runtime}"
    file = tmp_path / "pyproject.toml"
    file.write_text(TABLE.format(runtime=runtime, python=python, ssh_config=ssh_config, resource=resource))
    return file


class TestBoard(DeviceConformance):
    @pytest.fixture
    def device(self, pyproject: Path) -> Device:
        return Device(find("pi", pyproject), Quarantine())


def test_the_doctor_finds_the_boards_own_package_and_nothing_is_left_there(
    pyproject: Path, runtime: str, environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pyproject.parent)
    before = sorted(environment.rglob("*"))
    doctor.main(["--device=pi"])  # its verdict is of what else runs here
    first, package, *others = capsys.readouterr().out.splitlines()
    assert re.match(f"pi: (not )?ready · {runtime}", first)
    assert package.startswith(f"  ok   runtime         {runtime}")
    assert "  ok   lock            free" in others
    assert sorted(environment.rglob("*")) == before


def test_what_is_not_installed_there_is_told_with_what_to_do(pyproject: Path, runtime: str) -> None:
    missing = {"openvino": "onnxruntime", "onnxruntime": "openvino"}[runtime]
    pyproject.write_text(pyproject.read_text().replace(f'"{runtime}"', f'"{missing}"'))
    with pytest.raises(DeviceUnavailable, match=f"cannot import {missing}.*; .*pip install"):
        Device(find("pi", pyproject), Quarantine()).open()
