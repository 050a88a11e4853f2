"""Boards of the tests: the stand-in package of a release on an interpreter of its age, with a stand-in of CUDA that is compiled here."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.session import Device, Quarantine
from harness.devices.spec import OptionValue, parse

HERE = Path(__file__).parent
RECORDED: dict[str, Any] = json.loads((HERE / "recorded.json").read_text())
RELEASES = tuple(RECORDED)
CUDA_OF = {"8.2.1": 10020, "8.5.2": 11040, "8.6.1": 12000}  # as their JetPacks have them
NEWEST_CUDA = 13000
PYTHON_OF = {"8.2.1": "3.6", "8.5.2": "3.8", "8.6.1": "3.8", "10.3.0": "3.10"}  # the newest of the machine for the rest

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here to build the stand-in of libcudart")


@cache
def cudart(version: int, folder: Path) -> Path:
    """The stand-in of CUDA's runtime library, as of one CUDA."""
    library = folder / f"libcudart.so.{version}"
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Werror",
        f"-DCUDART_VERSION={version}",
        "-o",
        str(library),
        str(HERE / "cudart.c"),
    ]
    subprocess.run(command, check=True)
    return library


@cache
def interpreter(wanted: str) -> str:
    """An interpreter of that Python where the machine has one, else this one."""
    found = sorted(Path.home().glob(f".pyenv/versions/{wanted}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{wanted}") or sys.executable


def surroundings(release: str, library: Path, **more: str) -> dict[str, str]:
    """The environment in which ``import tensorrt`` is the stand-in."""
    return {"PYTHONPATH": str(HERE / "package"), "STAND_IN_TENSORRT": release, "STAND_IN_CUDART": str(library), **more}


def board(release: str, folder: Path, libraries: Path, python: str | None = None, **options: OptionValue) -> Device:
    """A device whose interpreter has the package of ``release``, with an engine cache of its own in ``folder``."""
    library = cudart(CUDA_OF.get(release, NEWEST_CUDA), libraries)
    script = folder / f"python-{release}"
    told = [f"{name}={value}" for name, value in surroundings(release, library).items()]
    command = ["env", *told, python or interpreter(PYTHON_OF.get(release, "3.12"))]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    script.chmod(0o755)
    table = {"runtime": "tensorrt", "python": str(script), "resource": f"test-tensorrt-{os.getpid()}-{folder.name}"}
    table["options"] = {"cudart": str(library), "engine_cache": str(folder / "engines"), **options}
    return Device(parse("jetson", table, folder / "pyproject.toml"), Quarantine())


def drive(release: str, python: str, libraries: Path, cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the agent answers to each case on that interpreter."""
    library = cudart(CUDA_OF.get(release, NEWEST_CUDA), libraries)
    environment = {**os.environ, **surroundings(release, library)}
    command = [interpreter(python), str(HERE / "drive.py"), str(AGENT_DIRECTORY)]
    done = subprocess.run(command, input=json.dumps(cases), env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]
