"""Devices that need no hardware keep the contract of every device."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from harness.devices.conformance import DeviceConformance
from harness.devices.session import Device, Quarantine
from harness.devices.spec import find


class TestCpu(DeviceConformance):
    @pytest.fixture
    def device(self) -> Device:
        return Device(replace(find("cpu"), resource=f"test-cpu-{os.getpid()}"), Quarantine())


class TestOnnxRuntime(DeviceConformance):
    @pytest.fixture
    def device(self) -> Device:
        return Device(replace(find("ort"), resource=f"test-ort-{os.getpid()}"), Quarantine())


class TestSimulatedStick(DeviceConformance):
    @pytest.fixture
    def device(self) -> Device:
        return Device(replace(find("simulated"), resource=f"test-stick-{os.getpid()}"), Quarantine())
