"""The agent on other releases of ONNX Runtime, other Pythons and other providers, where such an interpreter is named.

``ESPALIER_ONNXRUNTIME`` holds interpreters, separated as in ``PATH``, each with an onnxruntime of its own and perhaps ``=PROVIDER`` behind
it: a board's releases are older than the host's, and every provider comes in a package of its own.
"""

from __future__ import annotations

import os

import pytest

from harness.devices.conformance import DeviceConformance
from harness.devices.session import Device, Quarantine
from harness.devices.spec import OWN_TABLES, parse

PACKAGES = [one for one in os.environ.get("ESPALIER_ONNXRUNTIME", "").split(os.pathsep) if one]


@pytest.mark.skipif(not PACKAGES, reason="ESPALIER_ONNXRUNTIME names no interpreter with an onnxruntime of its own")
@pytest.mark.parametrize("package", PACKAGES or ["none"])
class TestOtherPackages(DeviceConformance):
    @pytest.fixture
    def device(self, package: str) -> Device:
        python, _, provider = package.partition("=")
        options = {"provider": provider or "CPU"}
        table = {"runtime": "onnxruntime", "python": python, "options": options, "resource": f"test-ort-packages-{os.getpid()}"}
        return Device(parse("other", table, OWN_TABLES), Quarantine())
