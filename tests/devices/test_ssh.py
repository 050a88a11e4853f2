"""Devices behind a real OpenSSH server on loopback keep the contract, and die with the connection."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
OLDEST = next(iter(sorted(Path.home().glob(".pyenv/versions/3.6.*/bin/python"))), Path(sys.executable))

pytestmark = pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="no OpenSSH server; sudo make system-packages")

SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host
AuthorizedKeysFile {home}/user.pub
PidFile {home}/pid
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
CLIENT = """
Host board
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {home}/user
  IdentitiesOnly yes
  UserKnownHostsFile {home}/known
  StrictHostKeyChecking yes
  LogLevel ERROR
Host stranger
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {home}/user
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The client's configuration for a server of our own."""
    home = tmp_path_factory.mktemp("ssh")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)], check=True)
    key = " ".join((home / "host.pub").read_text().split()[:2])
    (home / "known").write_text(f"[127.0.0.1]:{port} {key}\n")
    (home / "server").write_text(SERVER.format(port=port, home=home))
    (home / "client").write_text(CLIENT.format(port=port, home=home, user=getpass.getuser()))
    Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(home / "server")], stderr=(home / "log").open("w"))
    end = time.monotonic() + 10
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    if server.poll() is not None:
        pytest.skip(f"sshd does not start: {(home / 'log').read_text().strip()}")
    yield home / "client"
    server.terminate()
    server.wait(10)


def board(config: Path, runtime: str = "simulated", host: str = "board", **options: str) -> DeviceSpec:
    table = {"runtime": runtime, "host": host, "ssh_config": str(config), "python": str(OLDEST), "options": options}
    return parse("board", table | {"resource": f"test-ssh-{os.getpid()}-{runtime}"}, config)


class TestJetson(DeviceConformance):
    """Against the stand-in: the real agent, transport, files and processes; only the times are made up."""

    layer_sum_limits = (0.5, 1.6)

    @pytest.fixture
    def device(self, config: Path, stand_in: Callable[[str], Path]) -> Device:
        return Device(board(config, "trtexec", trtexec=str(stand_in("10.3.0")), timing_cache=""), Quarantine())


def test_a_jetson_is_measured_over_ssh(config: Path, stand_in: Callable[[str], Path], network: Probe) -> None:
    spec = board(config, "trtexec", trtexec=str(stand_in("8.2.1")), timing_cache="")
    subject = Subject("probe", "a" * 16, None, network.onnx, "d" * 64, network.node_layers)
    protocol = Protocol(warmup_s=0.0, rounds=20, min_time_s=0.0, blocks=2, precision_target=None, profile_compiles=1)
    with Device(spec, Quarantine()).open() as session:
        found = measure(session, subject, protocol)
    assert found.conditions.device.runtime_version == "8.2.1"
    assert found.conditions.device.python.startswith(OLDEST.parts[-3] if "pyenv" in str(OLDEST) else "3.")
    assert {"conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"} <= {name for layer in found.layers for name in layer.source_layers}


def test_a_host_whose_key_is_unknown_is_refused_as_the_user_configured(config: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="Host key verification failed"):
        Device(board(config, host="stranger"), Quarantine()).open()


def test_a_missing_remote_interpreter_is_told_with_the_shells_words(config: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"/no/python.*(not found|No such file)"):
        Device(replace(board(config), python="/no/python"), Quarantine()).open()


def test_a_lost_connection_is_a_crash_and_the_remote_agent_goes_too(config: Path, network: Probe) -> None:
    session = Device(board(config), Quarantine()).open()
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
