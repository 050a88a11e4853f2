"""A private OpenSSH server on loopback for tests, and the client's configuration for it."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")

REASON = "no OpenSSH server; sudo make system-packages"
needs_sshd = pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason=REASON)

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
def ssh_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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
