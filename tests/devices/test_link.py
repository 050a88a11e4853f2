"""The link starts, watches and ends an agent: every failure has a name, and no agent outlives its host."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.devices import link as links
from harness.devices.bundle import bundle
from harness.devices.frames import Frame
from harness.devices.link import Link, command_line
from harness.devices.spec import DeviceSpec, parse
from harness.errors import DeviceCrashed, DeviceTimeout, DeviceUnavailable

INTERPRETERS = sorted(path for path in Path.home().glob(".pyenv/versions/3.*/bin/python"))
THIS = DeviceSpec("test", "simulated")


@pytest.fixture
def link() -> Iterator[Link]:
    link = Link(THIS)
    link.boot(bundle("simulated").serve)
    yield link
    link.kill()


def gone(pid: int, within_s: float = 3.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.01)
    return False


def scripted(tmp_path: Path, body: str) -> DeviceSpec:
    """A device whose interpreter is a shell script."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\n" + body)
    script.chmod(0o755)
    return replace(THIS, python=str(script))


@pytest.mark.parametrize("python", INTERPRETERS, ids=lambda path: path.parts[-3])
def test_every_interpreter_serves(python: Path) -> None:
    link = Link(replace(THIS, python=str(python)))
    hello = link.boot(bundle("simulated").serve)
    assert hello.python == python.parts[-3]
    blob = os.urandom(300_000)
    assert link.request("echo", {}, (blob, b"")) == Frame({"id": 1}, (blob, b""))
    link.close()
    assert gone(link.pid)


def test_large_blobs_pass_both_ways_at_once(link: Link) -> None:
    blob = np.random.default_rng(0).bytes(8 << 20)
    assert hashlib.sha256(link.request("echo", {}, (blob,)).blobs[0]).digest() == hashlib.sha256(blob).digest()


def test_a_request_that_is_unknown_is_answered_and_the_agent_stays(link: Link) -> None:
    assert link.request("dance", {}).header["error"]["text"] == "unknown request 'dance'"
    assert "error" not in link.request("echo", {}).header


def test_a_damaged_source_is_refused(link: Link) -> None:
    reply = link.request("install", {"modules": [["x", "0" * 64]]}, (b"pass",))
    assert "arrived damaged" in reply.header["error"]["text"]


@pytest.mark.parametrize(
    ("code", "told"),
    [("import time; time.sleep(60)", "stopped itself"), ("sum(range(10**15))", "stopped itself")],
    ids=["sleeps", "holds-the-interpreter"],
)
def test_the_agents_own_watchdog_ends_a_hanging_request(link: Link, code: str, told: str) -> None:
    source = f"class Runtime:\n    def __init__(self, options):\n        {code}\n".encode()
    link.request("install", {"modules": [["hanging", hashlib.sha256(source).hexdigest()]]}, (source,))
    begin = time.monotonic()
    with pytest.raises(DeviceTimeout, match=told):
        link.request("start", {"runtime": "hanging", "options": {}}, deadline_s=0.3)
    assert time.monotonic() - begin < 2.3
    assert gone(link.pid)


def test_a_stopped_agent_is_killed_by_the_host(link: Link) -> None:
    os.kill(link.pid, signal.SIGSTOP)  # not even its watchdog runs
    begin = time.monotonic()
    with pytest.raises(DeviceTimeout, match="was stopped"):
        link.request("echo", {}, deadline_s=0.1)
    assert time.monotonic() - begin < 2.1
    assert gone(link.pid)


def test_an_agent_that_reads_nothing_is_late_too(link: Link) -> None:
    os.kill(link.pid, signal.SIGSTOP)
    with pytest.raises(DeviceTimeout):
        link.request("echo", {}, (bytes(8 << 20),), deadline_s=0.1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("exit 3", "exit code 3"),
        ("echo 'no such module' >&2; exit 1", "no such module"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("sleep 60", "did not answer hello within 0.2 s"),
        ("printf 'espalier agent 1\\n\\377\\377\\377\\377\\377\\377\\377\\377'; sleep 60", "no frame"),
    ],
    ids=["exits", "says-why", "crashes", "hangs", "garbage"],
)
def test_an_interpreter_that_brings_no_agent_up_is_unavailable_with_a_reason(tmp_path: Path, body: str, told: str) -> None:
    link = Link(scripted(tmp_path, body))
    with pytest.raises(DeviceUnavailable, match=told):
        link.boot(bundle("simulated").serve, deadline_s=0.2)
    assert gone(link.pid)


@pytest.mark.parametrize("python", sorted(Path.home().glob(".pyenv/versions/2.*/bin/python")), ids=lambda path: path.parts[-3])
def test_an_interpreter_that_is_too_old_says_so(python: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"python here is 2\.\d, 3\.6 or newer is needed"):
        Link(replace(THIS, python=str(python))).boot(bundle("simulated").serve)


def test_an_interpreter_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(DeviceUnavailable, match="No such file"):
        Link(replace(THIS, python="/nowhere/python"))


def test_a_login_banner_before_the_agent_is_skipped(tmp_path: Path) -> None:
    link = Link(scripted(tmp_path, f'echo Welcome; exec {sys.executable} "$@"'))
    assert link.boot(bundle("simulated").serve).pid == link.pid
    link.close()


def test_what_the_agent_answers_out_of_turn_is_garbage(tmp_path: Path) -> None:
    source = bundle("simulated").serve.replace(b'reply["id"] = header.get("id")', b'reply["id"] = 99')
    link = Link(THIS)
    link.boot(source)
    with pytest.raises(DeviceCrashed, match="answered 99 to request 1"):
        link.request("echo", {})
    assert gone(link.pid)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_the_agent_dies_with_its_host(tmp_path: Path, how: signal.Signals) -> None:
    host = textwrap.dedent(
        """
        import sys, time
        from harness.devices.bundle import bundle
        from harness.devices.link import Link
        from harness.devices.spec import DeviceSpec
        link = Link(DeviceSpec("test", "simulated"))
        print(link.boot(bundle("simulated").serve).pid, flush=True)
        source = b"class Runtime:\\n    def __init__(self, options):\\n        while True: pass\\n"
        import hashlib
        link.request("install", {"modules": [["spinning", hashlib.sha256(source).hexdigest()]]}, (source,))
        print("started", flush=True)
        link.request("start", {"runtime": "spinning", "options": {}}, deadline_s=60)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    agent = int(process.stdout.readline())
    assert process.stdout.readline() == "started\n"
    process.send_signal(how)
    process.wait(10)
    assert gone(agent)
    process.stdout.close()


def test_behind_ssh_only_constants_and_quoted_words_reach_the_remote_shell(tmp_path: Path) -> None:
    table = {"runtime": "simulated", "host": "jetson-01", "python": "/opt/my python/bin/python3; reboot"}
    words = command_line(parse("board", table, tmp_path / "pyproject.toml"))
    assert words[-3:-1] == ("--", "jetson-01")
    assert words[-1].startswith("'/opt/my python/bin/python3; reboot' -u -c ")
    assert "BatchMode=yes" in words
    assert not any("StrictHostKeyChecking" in word for word in words)


def test_a_refused_ssh_is_unavailable_with_the_clients_own_words(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host board\n  HostName 127.0.0.1\n  Port 9\n  ConnectTimeout 2\n")
    link = Link(replace(THIS, host="board", ssh_config=str(config)))
    with pytest.raises(DeviceUnavailable, match=r"refused.*check the host"):
        link.boot(bundle("simulated").serve, deadline_s=5.0)


def test_the_boot_line_is_a_constant() -> None:
    assert links.BOOT in command_line(THIS)
