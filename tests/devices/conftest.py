"""Fixtures of the devices' tests: a network with known answers, and devices that exclude nobody else's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import OptionValue, parse
from tests.devices.ncs2 import ncs2_environment as ncs2_environment
from tests.devices.trtexec_stand_in import install


@pytest.fixture(scope="session")
def network() -> Probe:
    return probe()


@pytest.fixture
def simulated(tmp_path: Path) -> Callable[..., Device]:
    """A simulated device with these options, on this interpreter or another."""

    def device(python: str | None = None, **options: OptionValue) -> Device:
        table: dict[str, object] = {"runtime": "simulated", "options": options, "resource": f"test-{os.getpid()}-{tmp_path.name}"}
        if python is not None:
            table["python"] = python
        return Device(parse("simulated", table, tmp_path / "pyproject.toml"), Quarantine())

    return device


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """A trtexec of a TensorRT version that is none."""

    return lambda version: install(tmp_path, version)
