"""Whatever an agent does to its frames, and whenever it dies: a named error by the deadline, and nothing left running."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.devices import replies
from harness.devices.bundle import bundle
from harness.devices.link import Hello, Link
from harness.devices.probe import probe
from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import DeviceSpec, parse
from harness.errors import HarnessError

DEADLINE_S, GRACE_S, ALLOWED_S = 0.04, 0.03, 2.0
SPEC = DeviceSpec("faulty", "simulated", options=(("noise", 0.0),))
NETWORK = probe(width=2, side=4)
AGENT = bundle("simulated")
ENDS = ("exit 0", "exit 3", "kill -KILL $$", "kill -SEGV $$", "exec sleep 30", "exec >&- sleep 30", "exec cat >/dev/null", "exec yes >&2")


@dataclass(frozen=True)
class Fault:
    """At byte ``cut`` of what a sound agent says: insert, skip, then go on or not, then end."""

    cut: int
    insert: bytes
    skip: int
    goes_on: bool
    end: str


def converse(link: Link, deadline_s: float) -> None:
    """Everything that a session asks, each answer parsed; HarnessError when one is missing or wrong."""
    hello: Hello = link.boot(AGENT.serve, deadline_s)
    listed = [[module.name, module.digest] for module in AGENT.modules]
    link.request("install", {"modules": listed}, tuple(module.source for module in AGENT.modules), deadline_s)
    where = {"resource": f"test-faults-{os.getpid()}", "who": {}}
    replies.lock(link.request("lock", where, deadline_s=deadline_s))
    options = {"runtime": AGENT.runtime, "options": dict(SPEC.options)}
    info = replies.device_info(link.request("start", options, deadline_s=deadline_s), SPEC, hello, AGENT.digest)
    session = Session(SPEC, link, info, Quarantine())
    session.call("snapshot", replies.snapshot, deadline_s=deadline_s)
    loaded = session.load(NETWORK.onnx, "probe", profile=True, node_layers=NETWORK.node_layers, deadline_s=deadline_s)
    loaded.infer(50, deadline_s=deadline_s)
    session.call("profile", replies.nodes, {"model": 1, "inferences": 0}, deadline_s=deadline_s)
    session.call("unload", replies.nothing, {"model": 1}, deadline_s=deadline_s)


@pytest.fixture(scope="module")
def transcript(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a sound agent says in ``converse``, byte for byte."""
    home = tmp_path_factory.mktemp("transcript")
    script = home / "python"
    script.write_text(f'#!/bin/sh\n{sys.executable} "$@" | tee {home}/said\n')
    script.chmod(0o755)
    link = Link(replace(SPEC, python=str(script)))
    converse(link, 20.0)
    link.close()
    return (home / "said").read_bytes()


def boundaries(said: bytes) -> list[int]:
    """Where frames begin, and one byte around."""
    starts = [at for at in range(len(said)) if said[at : at + 4] == b"\0\0\0\0" and said[at + 8 : at + 9] == b"{"]
    return sorted({at + shift for at in [0, len(said), *starts] for shift in (-1, 0, 1, 8) if 0 <= at + shift <= len(said)})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_faulty_agent_is_a_named_error_in_time(data: st.DataObject, transcript: bytes, tmp_path: Path) -> None:
    fault = data.draw(
        st.builds(
            Fault,
            cut=st.sampled_from(boundaries(transcript)) | st.integers(0, len(transcript)),
            insert=st.sampled_from([b"", b"\n", b"[ WARNING ] noise\n", b"\xff" * 8, b"\0" * 16, b"{}"]) | st.binary(max_size=12),
            skip=st.sampled_from([0, 0, 1, 8, 100]),
            goes_on=st.booleans(),
            end=st.sampled_from(ENDS),
        )
    )
    said = transcript[: fault.cut] + fault.insert + (transcript[fault.cut + fault.skip :] if fault.goes_on else b"")
    name = hashlib.sha256(repr(fault).encode()).hexdigest()[:16]
    (tmp_path / f"{name}.said").write_bytes(said)
    script = tmp_path / name
    script.write_text(f"#!/bin/sh\ncat {tmp_path}/{name}.said\n{fault.end}\n")
    script.chmod(0o755)
    link = Link(replace(SPEC, python=str(script)), grace_s=GRACE_S)
    begin = time.monotonic()
    with contextlib.suppress(HarnessError):
        converse(link, DEADLINE_S)
    took_s = time.monotonic() - begin
    link.close()
    assert took_s < 9 * (DEADLINE_S + GRACE_S) + ALLOWED_S  # nine requests, of which at most one is late
    assert ended(link.pid)


def ended(group: int, within_s: float = 2.0) -> bool:
    """Whether a process group is gone, or only waits for somebody to read its exit code."""
    begin = time.monotonic()
    while (passed_s := time.monotonic() - begin) < within_s:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        members = psutil.process_iter(["status"]) if passed_s > 0.02 else ()  # dear, so only when it lasts
        if passed_s > 0.02 and all(one.info["status"] == psutil.STATUS_ZOMBIE for one in members if group_of(one.pid) == group):
            return True
        time.sleep(0.001)
    return False


def group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moment_s=st.floats(0.0, 0.25), how=st.sampled_from([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT]))
def test_an_agent_that_dies_at_any_moment_is_a_named_error(moment_s: float, how: signal.Signals, tmp_path: Path) -> None:
    resource = {"resource": f"test-faults-{os.getpid()}"}
    device = Device(parse("dying", {"runtime": "simulated", **resource}, tmp_path / "pyproject.toml"), Quarantine())
    over, others = threading.Event(), set(psutil.Process().children())  # of other tests, such as multiprocessing's tracker

    def strike() -> None:
        over.wait(moment_s)
        while not over.is_set():
            for child in set(psutil.Process().children()) - others:
                child.send_signal(how)
            over.wait(0.002)

    striker = threading.Thread(target=strike)
    striker.start()
    begin = time.monotonic()
    try:
        with pytest.raises(HarnessError):
            use(device, begin + 10)
    finally:
        over.set()
        striker.join()
    assert time.monotonic() - begin < moment_s + ALLOWED_S
    assert not set(psutil.Process().children()) - others


def use(device: Device, until: float) -> None:
    with device.open() as session:
        loaded = session.load(NETWORK.onnx, "probe")
        while time.monotonic() < until:
            loaded.infer(50)
