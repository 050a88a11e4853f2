"""Devices behind a real OpenSSH server on loopback keep the contract, and die with the connection."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.devices.conformance import DeviceConformance
from harness.devices.measure import Protocol, Subject, measure
from harness.devices.probe import Probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import DeviceSpec, parse
from harness.errors import DeviceCrashed, DeviceUnavailable
from tests.devices.over_ssh.ssh_server import needs_sshd
from tests.devices.over_ssh.ssh_server import ssh_config as ssh_config

OLDEST = next(iter(sorted(Path.home().glob(".pyenv/versions/3.6.*/bin/python"))), Path(sys.executable))

pytestmark = needs_sshd


def board(ssh_config: Path, runtime: str = "simulated", host: str = "board", **options: str) -> DeviceSpec:
    table = {"runtime": runtime, "host": host, "ssh_config": str(ssh_config), "python": str(OLDEST), "options": options}
    return parse("board", table | {"resource": f"test-ssh-{os.getpid()}-{runtime}"}, ssh_config)


class TestJetson(DeviceConformance):
    """Against the stand-in: the real agent, transport, files and processes; only the times are made up."""

    layer_sum_limits = (0.5, 1.6)

    @pytest.fixture
    def device(self, ssh_config: Path, stand_in: Callable[[str], Path]) -> Device:
        return Device(board(ssh_config, "trtexec", trtexec=str(stand_in("10.3.0")), timing_cache=""), Quarantine())


def test_a_jetson_is_measured_over_ssh(ssh_config: Path, stand_in: Callable[[str], Path], network: Probe) -> None:
    spec = board(ssh_config, "trtexec", trtexec=str(stand_in("8.2.1")), timing_cache="")
    subject = Subject("probe", "a" * 16, None, network.onnx, "d" * 64, network.node_layers)
    protocol = Protocol(warmup_s=0.0, rounds=20, min_time_s=0.0, blocks=2, precision_target=None, profile_compiles=1)
    with Device(spec, Quarantine()).open() as session:
        found = measure(session, subject, protocol)
    assert found.conditions.device.runtime_version == "8.2.1"
    assert found.conditions.device.python.startswith(OLDEST.parts[-3] if "pyenv" in str(OLDEST) else "3.")
    assert {"conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"} <= {name for layer in found.layers for name in layer.source_layers}


def test_a_host_whose_key_is_unknown_is_refused_as_the_user_configured(ssh_config: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="Host key verification failed"):
        Device(board(ssh_config, host="stranger"), Quarantine()).open()


def test_a_missing_remote_interpreter_is_told_with_the_shells_words(ssh_config: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"/no/python.*(not found|No such file)"):
        Device(replace(board(ssh_config), python="/no/python"), Quarantine()).open()


def test_a_lost_connection_is_a_crash_and_the_remote_agent_goes_too(ssh_config: Path, network: Probe) -> None:
    session = Device(board(ssh_config), Quarantine()).open()
    session.load(network.onnx, "probe")
    agents = {one.pid for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [])[:1] == [str(OLDEST)]}
    (client,) = (one for one in psutil.Process().children() if one.name() == "ssh")
    os.kill(client.pid, signal.SIGKILL)
    with pytest.raises(DeviceCrashed, match="board"):
        session.snapshot()
    end = time.monotonic() + 5
    while (left := [pid for pid in agents if psutil.pid_exists(pid)]) and time.monotonic() < end:
        time.sleep(0.02)
    assert agents
    assert left == []
