"""Device and Session: open a device for one user, load networks on it, run them, close it whatever happened."""

from __future__ import annotations

import getpass
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.devices import replies
from harness.devices.attribution import source_layers
from harness.devices.bundle import Bundle, Module, bundle
from harness.devices.frames import Frame
from harness.devices.link import Hello, Link
from harness.devices.replies import Block, Facts, NodeTime
from harness.devices.spec import DeviceSpec
from harness.errors import DeviceBusy, DeviceError, DeviceQuarantined, HarnessError, ModelRefused, UsageError
from harness.records.conditions import DeviceInfo, Snapshot

START_DEADLINE_S = 60.0  # importing a runtime from a slow disk
CALL_DEADLINE_S = 30.0
LOCK_POLL_S = 0.2
CHANGING = {"set_power_mode"}  # options by which a session changes the device's own state
SLOWDOWN_ALLOWED = 20.0  # a busy machine may be this much slower than the first inferences promised

# A cold inference after another network's, then two of which the quicker counts: what lasts shorter is no state of the machine.
CANARY_ROUNDS = 2
CANARY_TIMING = {"rounds": CANARY_ROUNDS, "min_s": 0.0, "warmup_s": 0.0, "warmup_rounds": 1, "pace_s": 0.0}

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Quarantine:
    """The devices that failed in this run, with the first reason; shared by every Device of a run."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def check(self, identity: str) -> None:
        """Raise DeviceQuarantined when the device failed before."""
        if identity in self._reasons:
            raise DeviceQuarantined(
                f"{identity} is not used again in this run, because it failed: {self._reasons[identity]} (then start the run again)"
            )

    def add(self, identity: str, reason: str) -> None:
        """Remember the first failure of a device."""
        self._reasons.setdefault(identity, reason)


THIS_RUN = Quarantine()


class Device:
    """A device by its specification; nothing is started before ``open``."""

    def __init__(self, spec: DeviceSpec, quarantine: Quarantine = THIS_RUN) -> None:
        self.spec = spec
        self._quarantine = quarantine

    def open(self, wait_s: float | None = None) -> Session:
        """Start the agent, take the device for this process unless it only answers, start the runtime.

        wait_s: how long to wait while somebody else holds the device; the specification's by default. Raises DeviceBusy,
        DeviceUnavailable (no interpreter, host, runtime or hardware), DeviceQuarantined.
        """
        self._quarantine.check(self.spec.identity)
        agent = bundle(self.spec.runtime, self.spec.directory)
        try:
            return _open(self.spec, agent, self.spec.lock_wait_s if wait_s is None else wait_s, self._quarantine)
        except DeviceBusy:
            raise
        except DeviceError as error:
            self._quarantine.add(self.spec.identity, str(error))
            raise


class Session:
    """An open device. Use it as a context manager: leaving it ends the agent and frees the device."""

    def __init__(self, spec: DeviceSpec, link: Link, info: DeviceInfo, quarantine: Quarantine) -> None:
        self.spec, self.info = spec, info
        self.unready: tuple[tuple[str, str], ...] = ()  # what the doctor, where one looked, found in the way: kept with measurements
        self._link, self._quarantine = link, quarantine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the agent; the device is free afterwards, and as it was found. Further calls do nothing."""
        if CHANGING & {name for name, _ in self.spec.options} and not self._link.closed:
            try:
                self.call("rest", replies.nothing)
            except HarnessError as failure:
                _log.warning("device %s is not as it was found: %s", self.spec.name, failure)
        self._link.close()

    def call(
        self,
        do: str,
        parse: Callable[[Frame], T],
        fields: Mapping[str, Any] | None = None,
        blobs: tuple[bytes, ...] = (),
        deadline_s: float = CALL_DEADLINE_S,
    ) -> T:
        """One request to the agent, by name, and its parsed reply; the errors it answers are raised by their kind.

        Every DeviceError but ModelRefused ends the session and quarantines the device, also one that ``parse`` raises.
        """
        self._quarantine.check(self.spec.identity)
        if self._link.closed:
            raise UsageError(f"the session of device {self.spec.name} is closed, it cannot {do}; open the device again")
        try:
            return _ask(self._link, self.spec, do, parse, fields or {}, blobs, deadline_s)
        except ModelRefused:
            raise
        except DeviceError as failure:
            self._link.kill()
            self._quarantine.add(self.spec.identity, str(failure))
            raise

    def snapshot(self) -> Snapshot:
        """The device's clocks, temperatures, load and power now."""
        return self.call("snapshot", replies.snapshot)

    def load(
        self,
        onnx: bytes,
        name: str,
        precision: str = "f32",
        profile: bool = False,
        node_layers: Sequence[tuple[str, str]] = (),
        batch_size: int = 1,
        deadline_s: float | None = None,
        streams: int = 0,
    ) -> Loaded:
        """Compile a network and run it once; ModelRefused when the runtime cannot.

        onnx: the model's bytes. profile: compile so that ``Loaded.profile`` can tell times of nodes. node_layers:
        ``(ONNX node, layer)`` pairs, to tell to which layer a node belongs. Several networks may be loaded at once. streams: inferences
        that are to run at once, 0 for one after the other. UsageError where the device has not the threads or streams asked for.
        """
        wanted = {"name": name, "precision": precision, "profile": profile, "batch_size": batch_size, "streams": streams}
        deadline_s = self.spec.load_deadline_s if deadline_s is None else deadline_s
        found = self.call("load", replies.facts, {"wanted": wanted}, (onnx,), deadline_s)
        for what, asked, made in (("threads", dict(self.spec.options).get("threads"), found.threads), ("streams", streams, found.streams)):
            if asked and asked != made:
                raise UsageError(f"device {self.spec.name} runs {name} in {made} {what}, not {asked} as asked for; ask for {made}, or none")
        return Loaded(self, name, found, tuple(node_layers))


class Loaded:
    """A network that is compiled on the device. load_s and first_inference_s in seconds."""

    def __init__(self, session: Session, name: str, facts: Facts, node_layers: tuple[tuple[str, str], ...]) -> None:
        self._session, self._node_layers = session, node_layers
        self._inference_s, self._unloaded = facts.first_inference_s, False
        self.name = name
        self.facts = facts
        self.load_s, self.first_inference_s = facts.load_s, facts.first_inference_s
        self.effective_precision = facts.effective_precision
        self.threads, self.streams, self.batch_size = facts.threads, facts.streams, facts.batch_size
        self.peak_memory_bytes = facts.peak_memory_bytes

    def infer(
        self,
        rounds: int,
        min_time_s: float = 0.0,
        warmup_s: float = 0.0,
        warmup_rounds: int = 0,
        pace_hz: float | None = None,
        deadline_s: float | None = None,
        canary: Loaded | None = None,
    ) -> Block:
        """Time inferences one by one on the device: at least ``rounds``, for at least ``min_time_s``.

        Before them it warms up for at least ``warmup_s`` and ``warmup_rounds`` inferences, then until it is steady.
        pace_hz: start that many a second, as a camera would; None means as fast as possible. canary: a loaded network of which
        ``CANARY_ROUNDS`` inferences are timed right after them.
        """
        pace_s = 1.0 / pace_hz if pace_hz else 0.0
        if deadline_s is None:
            expected_s = (rounds + warmup_rounds) * (self._inference_s + pace_s)
            deadline_s = CALL_DEADLINE_S + SLOWDOWN_ALLOWED * (expected_s + warmup_s) + 2 * min_time_s
        timing = {"rounds": rounds, "min_s": min_time_s, "warmup_s": warmup_s, "warmup_rounds": warmup_rounds, "pace_s": pace_s}
        fields: dict[str, Any] = {"timing": timing}
        if canary is not None:
            fields["canary"] = {"model": canary.facts.model, "timing": CANARY_TIMING}
        block = self._ask("infer", replies.block, fields, deadline_s=deadline_s)
        self._inference_s = max(block.wall_ns) * 1e-9
        return block

    def outputs(self, images: NDArray[np.float32], deadline_s: float | None = None) -> NDArray[np.float32]:
        """The network's float32 output for ``images`` (count x channels x height x width): count x whatever it answers."""
        batch = np.ascontiguousarray(images, dtype=np.float32)
        if deadline_s is None:
            runs_s = -(-len(batch) // self.batch_size) * self.facts.run_s
            deadline_s = CALL_DEADLINE_S + SLOWDOWN_ALLOWED * (len(batch) * self._inference_s + runs_s)
        return self._ask("outputs", replies.outputs, {"shape": list(batch.shape)}, (batch.tobytes(),), deadline_s)

    def profile(self, inferences: int = 200) -> tuple[NodeTime, ...]:
        """Seconds of every executed node, a mean over the inferences so far, after running ``inferences`` more."""
        deadline_s = CALL_DEADLINE_S + SLOWDOWN_ALLOWED * inferences * self._inference_s
        nodes = self._ask("profile", replies.nodes, {"inferences": inferences}, deadline_s=deadline_s)
        return tuple(node.with_layers(source_layers(node.sources, self._node_layers)) for node in nodes)

    def unload(self) -> None:
        """Free the network on the device."""
        self._ask("unload", replies.nothing, {})
        self._unloaded = True

    def _ask(
        self,
        do: str,
        parse: Callable[[Frame], T],
        fields: Mapping[str, Any],
        blobs: tuple[bytes, ...] = (),
        deadline_s: float = CALL_DEADLINE_S,
    ) -> T:
        if self._unloaded:
            raise UsageError(f"{self.name} was unloaded, it cannot {do}; load it again")
        return self._session.call(do, parse, {**fields, "model": self.facts.model}, blobs, deadline_s)


def _open(spec: DeviceSpec, agent: Bundle, wait_s: float, quarantine: Quarantine) -> Session:
    link = Link(spec)
    try:
        hello = link.boot(agent.serve)
        _install(link, spec, agent.modules)
        if spec.exclusive:
            _take(link, spec, hello, wait_s)  # before the runtime's own file runs and touches the hardware
        fields = {"runtime": agent.runtime, "options": dict(spec.options)}
        info = _ask(
            link, spec, "start", lambda reply: replies.device_info(reply, spec, hello, agent.digest), fields, deadline_s=START_DEADLINE_S
        )
        return Session(spec, link, info, quarantine)
    except BaseException:
        link.kill()
        raise


def _install(link: Link, spec: DeviceSpec, modules: Sequence[Module]) -> None:
    listed = [[module.name, module.digest] for module in modules]
    sources = tuple(module.source for module in modules)
    _ask(link, spec, "install", replies.nothing, {"modules": listed}, sources, START_DEADLINE_S)


def _take(link: Link, spec: DeviceSpec, hello: Hello, wait_s: float) -> None:
    """Take the device's lock on its own host, waiting up to ``wait_s``; DeviceBusy says who holds it."""
    who = {"user": _user(), "host": platform.node(), "pid": os.getpid(), "command": " ".join(sys.argv)[:200]}
    fields = {"resource": spec.resource or spec.name, "who": who}
    end, told = time.monotonic() + wait_s, False
    while True:
        reply = _ask(link, spec, "lock", replies.lock, fields)
        if reply.held:
            return
        own = reply.pid == os.getpid() and reply.host == platform.node()
        if own or time.monotonic() >= end:
            advice = "close its session first" if own else "wait for it to end, or end it"
            raise DeviceBusy(f"device {spec.name} on {hello.node} is in use by {reply.holder}; {advice}")
        if not told:
            _log.warning("device %s on %s is in use by %s; waiting up to %.0f s", spec.name, hello.node, reply.holder, wait_s)
            told = True
        time.sleep(LOCK_POLL_S)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # neither in the environment nor in the list of users
        return f"user {os.geteuid()}"


def _ask(
    link: Link,
    spec: DeviceSpec,
    do: str,
    parse: Callable[[Frame], T],
    fields: Mapping[str, Any],
    blobs: tuple[bytes, ...] = (),
    deadline_s: float = CALL_DEADLINE_S,
) -> T:
    reply = link.request(do, fields, blobs, deadline_s)
    error = replies.error(reply.header, spec.name)
    if error is not None:
        raise error
    return parse(reply)
