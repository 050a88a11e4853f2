"""The example of a device of one's own keeps the contract of every device."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.devices.conformance import DeviceConformance
from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import parse
from harness.errors import UsageError

ROOT = Path(__file__).parents[3]


def example(**options: str) -> Device:
    table = {"runtime": "examples/reference_runtime.py", "resource": f"test-example-{os.getpid()}", "options": options}
    return Device(parse("reference", table, ROOT / "pyproject.toml"), Quarantine())


class TestExample(DeviceConformance):
    @pytest.fixture
    def device(self) -> Device:
        return example()

    @pytest.fixture
    def network(self) -> Probe:
        return probe(width=4, side=8)  # the reference evaluator is slow


def test_an_option_that_it_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="has no option 'turbo'"):
        example(turbo="on").open()
