"""Link: an agent process at the other end of pipes, here or behind the OpenSSH client, with a deadline on everything."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.devices import frames
from harness.devices.frames import Decoder, Frame, NotAFrame
from harness.devices.spec import DeviceSpec
from harness.errors import DeviceCrashed, DeviceTimeout, DeviceUnavailable

PREAMBLE = b"espalier agent 1\n"
HELLO_DEADLINE_S = 20.0
GRACE_S = 1.0  # the agent's own watchdog ends it at the deadline and says where it hung; the host kills it after this
EXIT_WAIT_S = 0.1  # between the end of its output and its exit code
PIPE_BYTES = 1 << 20
STDERR_TAIL_BYTES = 16 << 10

# Constant, so that no text of ours is ever spliced into what a remote shell reads.
BOOT = (
    "import sys;sys.version_info<(3,6) and sys.exit('espalier: python here is %d.%d, 3.6 or newer is needed'%sys.version_info[:2]);"
    "exec(compile(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())),'<agent>','exec'),{'__name__':'__agent__'})"
)
SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3")


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answered: the device's Python version, machine type, host name and process id."""

    python: str
    machine: str
    node: str
    pid: int


def command_line(spec: DeviceSpec) -> tuple[str, ...]:
    """The local command that starts the device's interpreter; ssh's configuration stays the user's own."""
    start = (spec.python, "-u", "-c", BOOT)
    if spec.host is None:
        return start
    config = ("-F", spec.ssh_config) if spec.ssh_config else ()
    return (*SSH, *config, "--", spec.host, shlex.join(start))


class Link:
    """One agent process. Not for several threads. After any error but one that the agent answered, it is closed.

    grace_s: how long after a deadline the host waits for the agent to end itself before it kills it.
    """

    def __init__(self, spec: DeviceSpec, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._name = f"{spec.python} on {spec.host}" if spec.host else spec.python
        self._remote = spec.host is not None
        self._killed = False
        self._next_id = 1
        self._stderr = bytearray()
        self._decoder = Decoder(PREAMBLE)
        try:
            self._process = subprocess.Popen(
                command_line(spec), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, bufsize=0
            )
        except OSError as error:
            advice = f"create it: {spec.setup}" if spec.setup else f"check python of device {spec.name}"
            raise DeviceUnavailable(f"cannot start {spec.python} ({error.strerror}); {advice}") from error
        self._pipes = tuple(pipe for pipe in (self._process.stdin, self._process.stdout, self._process.stderr) if pipe is not None)
        self._in, self._out, self._err = (pipe.fileno() for pipe in self._pipes)
        self._poll = select.poll()
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(OSError):  # a smaller pipe is only slower
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for descriptor in (self._out, self._err):
            self._poll.register(descriptor, select.POLLIN)

    @property
    def pid(self) -> int:
        """Process id of the local child."""
        return self._process.pid

    @property
    def closed(self) -> bool:
        """Whether the agent was ended; its pipes' numbers may be other files' by then, so nothing is sent any more."""
        return self._killed

    def boot(self, source: bytes, deadline_s: float = HELLO_DEADLINE_S) -> Hello:
        """Send the serve loop's source and wait for its greeting; DeviceUnavailable says why none came."""
        try:
            greeting = self._exchange([b"%d\n" % len(source), source], deadline_s, "hello")
            found = greeting.header
            return Hello(str(found["python"]), str(found["machine"]), str(found["node"]), int(found["pid"]))
        except (DeviceTimeout, DeviceCrashed, KeyError, TypeError, ValueError) as error:
            self.kill()
            reason = self.last_words or str(error)
            advice = "check the host's name, key and network" if self._remote else "check the device's python"
            raise DeviceUnavailable(f"no agent came up with {self._name} within {deadline_s:g} s: {reason}; {advice}") from error

    def request(self, do: str, fields: Mapping[str, Any], blobs: tuple[bytes, ...] = (), deadline_s: float = 30.0) -> Frame:
        """One request and its reply, which may hold ``error``.

        DeviceTimeout when it is late by more than the grace; DeviceCrashed when the agent ended or answered no frame.
        """
        if self._killed:
            raise DeviceCrashed(f"{self._name} was ended, it cannot answer {do}; open the device again")
        number, self._next_id = self._next_id, self._next_id + 1
        asked = Frame({**fields, "do": do, "id": number, "deadline_s": deadline_s}, blobs)
        reply = self._exchange(frames.encode(asked), deadline_s, do)
        if reply.header.get("id") != number:
            raise self._garbage(do, f"it answered {reply.header.get('id')!r} to request {number}")
        return reply

    def close(self) -> None:
        """End the agent: a goodbye first, then by force; never raises, never waits longer than a second."""
        if not self._killed and self._process.poll() is None:
            with contextlib.suppress(DeviceTimeout, DeviceCrashed):
                self.request("bye", {}, deadline_s=0.0)
        self.kill()

    def kill(self) -> None:
        """End the process and everything in its session at once; a second time it does nothing, as the number may be another's by then."""
        if self._killed:
            return
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()

    @property
    def last_words(self) -> str:
        """The last line that the agent, its interpreter or ssh wrote to stderr."""
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def _exchange(self, parts: list[bytes], deadline_s: float, what: str) -> Frame:
        end = time.monotonic() + deadline_s + self._grace_s
        pending = [memoryview(part) for part in reversed(parts) if part]
        self._poll.register(self._in, select.POLLOUT)
        while True:
            try:
                frame = None if pending else self._decoder.next()
            except NotAFrame as reason:
                raise self._garbage(what, str(reason)) from reason
            if frame is not None:
                return frame
            left_s = end - time.monotonic()
            events = self._poll.poll(left_s * 1000) if left_s > 0 else []
            if not events:
                raise self._late(what, deadline_s)
            for descriptor, _ in events:
                if descriptor == self._in:
                    self._write(pending)
                elif descriptor == self._err:
                    self._hear()
                elif not self._read():
                    raise self._ended(what, deadline_s)

    def _write(self, pending: list[memoryview]) -> None:
        try:
            while pending:
                sent = os.write(self._in, pending[-1])
                pending[-1] = pending[-1][sent:]
                if not pending[-1]:
                    pending.pop()
        except BlockingIOError:
            return
        except OSError:
            pending.clear()  # the agent is gone: the end of its stdout follows and tells
        self._poll.unregister(self._in)

    def _read(self) -> bool:
        try:
            received = os.read(self._out, PIPE_BYTES)
        except BlockingIOError:
            return True
        self._decoder.feed(received)
        return bool(received)

    def _hear(self) -> None:
        try:
            said = os.read(self._err, PIPE_BYTES)
        except BlockingIOError:
            return
        if not said:
            self._poll.unregister(self._err)
        self._stderr += said
        del self._stderr[:-STDERR_TAIL_BYTES]

    def _late(self, what: str, deadline_s: float) -> DeviceTimeout:
        self.kill()
        return DeviceTimeout(f"{self._name} did not answer {what} within {deadline_s:g} s and was stopped; check the device and try again")

    def _garbage(self, what: str, reason: str) -> DeviceCrashed:
        self.kill()
        return DeviceCrashed(f"{self._name} answered {what} with no frame ({reason}); check what writes to its output")

    def _ended(self, what: str, deadline_s: float) -> DeviceTimeout | DeviceCrashed:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=EXIT_WAIT_S)
        code = self._process.poll()
        self._drain_stderr()
        self.kill()
        if b"Timeout (" in self._stderr and b"most recent call first" in self._stderr:  # faulthandler's words: the agent's own watchdog
            where = self._where_it_hung()
            return DeviceTimeout(
                f"{self._name} did not answer {what} within {deadline_s:g} s and stopped itself{where}; check the device and try again"
            )
        told = f": {self.last_words}" if self.last_words else ""
        return DeviceCrashed(f"{self._name} ended ({_exit(code)}) while it should answer {what}{told}; check the device and its runtime")

    def _drain_stderr(self) -> None:
        for _ in range(STDERR_TAIL_BYTES):
            before = len(self._stderr)
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._hear()
            if len(self._stderr) == before:
                return

    def _where_it_hung(self) -> str:
        lines = self._stderr.decode("utf-8", "replace").splitlines()
        places = [line.strip() for line in lines if line.strip().startswith("File ")]
        return f" in {places[-1].removeprefix('File ')}" if places else ""


def _exit(code: int | None) -> str:
    if code is None:
        return "its pipe closed"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"killed by signal {-code}"
    return f"exit code {code}"
