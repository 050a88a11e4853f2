"""A wheel of this checkout, installed beside nothing of ours: what somebody gets who never saw the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("harness", "search", "bench", "pyproject.toml", "setup.py", "README.md", "LICENSE")

TABLES = """
[tool.espalier.devices.mine]
runtime = "simulated"
options = {{ kind = "ncs2", noise = 0.01 }}
resource = "test-{pid}"
[tool.espalier.devices.board]
runtime = "simulated"
options = {{ kind = "jetson", noise = 0.01 }}
resource = "test-{pid}-board"
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, and this environment's other packages."""
    place = tmp_path_factory.mktemp("wheel")
    source, environment = place / "source", place / "environment"
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(place), str(source)], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    wheel = next(place.glob("*.whl"))
    install = [*pip, "--python", str(python), "install", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, env=_own_environment())
    packages = next((environment / "lib").glob("python3.*/site-packages"))
    # a .pth inside of a folder named by a .pth is not read, so the checkout that is installed in place stays out of sight
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder with nothing in it but the table of a device that no other process waits for."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(TABLES.format(pid=os.getpid()))
    return folder


@pytest.fixture
def run(installed: Path, empty: Path) -> Run:
    """Function: run the installed Python in the empty folder."""
    environment = _own_environment()

    def run_it(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(installed), *words], cwd=empty, env=environment, capture_output=True, text=True, timeout=280)

    return run_it


def _own_environment() -> dict[str, str]:
    """What this run's own Python and pytest are told is not for theirs."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COV_", "PYTEST"))}
