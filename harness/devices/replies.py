"""What an agent answers, parsed into types or refused."""

from __future__ import annotations

import datetime
import math
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness import errors
from harness.devices.frames import Frame
from harness.devices.link import Hello
from harness.devices.spec import DeviceSpec
from harness.errors import DeviceCrashed, DeviceError, HarnessError, one_line
from harness.records.conditions import DeviceInfo, Snapshot

T = TypeVar("T")

UNREADABLE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)  # what parsing a foreign answer may raise

# The kinds that an agent may name; everything else that goes wrong in it is a DeviceError.
KINDS: Mapping[str, type[HarnessError]] = {
    "ModelRefused": errors.ModelRefused,
    "DeviceUnavailable": errors.DeviceUnavailable,
    "UsageError": errors.UsageError,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a runtime says of a network that it has loaded; seconds and bytes.

    run_s: what every request costs beside the inferences, where each is a process of its own.
    """

    model: int
    load_s: float
    first_inference_s: float
    effective_precision: str
    threads: int
    streams: int
    batch_size: int
    peak_memory_bytes: int | None
    run_s: float = 0.0
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Inferences that ran one after the other.

    wall_ns, cpu_ns: nanoseconds each; cpu_ns is empty where the device cannot tell. preempted: indices of those during
    which the operating system took the processor away. steady: whether the warm-up before them settled. begin_s: when they
    began on the device's clock, which starts anywhere. canary_ns: the canary's inferences right after them, where one was asked for.
    energy_j: joules that a meter counted meanwhile, idling included; None without a meter.
    """

    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    preempted: tuple[int, ...]
    warmup_s: float
    warmup_inferences: int
    steady: bool
    notes: tuple[tuple[str, str], ...] = ()
    begin_s: float = 0.0
    canary_ns: tuple[int, ...] = ()
    energy_j: float | None = None

    @property
    def canary_s(self) -> float | None:
        """The canary's quickest inference, in seconds; None where none was asked for."""
        return min(self.canary_ns) * 1e-9 if self.canary_ns else None


@dataclass(frozen=True, slots=True)
class NodeTime:
    """Mean seconds of one executed node.

    sources: the ONNX nodes it stands for. layers: the network's layers among them. precision: what it computes in, "" where the runtime
    does not tell. runs_s: seconds in each of several profiled runs; empty where the runtime tells one figure.
    """

    node: str
    kind: str
    seconds: float
    sources: tuple[str, ...]
    layers: tuple[str, ...] = ()
    precision: str = ""
    runs_s: tuple[float, ...] = ()

    def with_layers(self, layers: tuple[str, ...]) -> NodeTime:
        """The same node, attributed."""
        return replace(self, layers=layers)


@dataclass(frozen=True, slots=True)
class LockReply:
    """Whether the lock was given; else who holds it, in words and by process."""

    held: bool
    holder: str
    host: str
    pid: int


def error(header: Mapping[str, Any], device: str) -> HarnessError | None:
    """The error that a reply stands for, or None."""
    if "error" not in header:
        return None
    try:
        found = header["error"]
        kind, name, text = str(found["kind"]), str(found["type"]), " ".join(str(found["text"]).split())
        trace = str(found["traceback"])
    except UNREADABLE as problem:
        raise garbled("a request", problem) from problem
    if kind in KINDS:
        failure = KINDS[kind](f"device {device}: {text}")
    else:
        failure = DeviceError(f"device {device} failed with {name}: {text}; check its runtime and its disk")
    failure.add_note(trace)
    return failure


def device_info(frame: Frame, spec: DeviceSpec, hello: Hello, agent: str) -> DeviceInfo:
    """Who the device is; DeviceCrashed when the runtime does not say it in full."""
    try:
        found = frame.header["device"]
        details = tuple((str(key), str(text)) for key, text in found.get("details", []))
        return DeviceInfo(
            name=spec.name,
            runtime=spec.runtime,
            runtime_version=str(found["runtime_version"]),
            model=str(found["model"]),
            host=hello.node,
            python=hello.python,
            simulated=bool(found.get("simulated", False)),
            details=(*details, ("agent", agent), ("machine", hello.machine)),
        )
    except UNREADABLE as problem:
        raise garbled("describe", problem) from problem


def snapshot(frame: Frame) -> Snapshot:
    """A device's state, stamped with the host's clock."""
    try:
        found = frame.header["snapshot"]
        return Snapshot(
            taken_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            clocks_mhz=_figures(found, "clocks_mhz"),
            temperatures_c=_figures(found, "temperatures_c"),
            power_w=_figures(found, "power_w"),
            governor=_maybe(str, found.get("governor")),
            power_mode=_maybe(str, found.get("power_mode")),
            load_average=_maybe(float, found.get("load_average")),
            throttle_events=_maybe(int, found.get("throttle_events")),
            throttling=_maybe(_words, found.get("throttling")),
            throttled_since_boot=_maybe(_words, found.get("throttled_since_boot")),
        )
    except UNREADABLE as problem:
        raise garbled("snapshot", problem) from problem


def facts(frame: Frame) -> Facts:
    """What was loaded."""
    header = frame.header
    try:
        return Facts(
            model=int(header["model"]),
            load_s=duration(header["load_s"]),
            first_inference_s=duration(header["first_inference_s"]),
            effective_precision=str(header["effective_precision"]),
            threads=int(header["threads"]),
            streams=int(header["streams"]),
            batch_size=int(header["batch_size"]),
            peak_memory_bytes=_maybe(int, header.get("peak_memory_bytes")),
            run_s=duration(header.get("run_s", 0.0)),
            notes=tuple((str(key), str(text)) for key, text in header.get("notes", [])),
        )
    except UNREADABLE as problem:
        raise garbled("load", problem) from problem


def block(frame: Frame) -> Block:
    """Timed inferences; DeviceCrashed when a clock ran backwards or the counts do not agree."""
    try:
        wall_ns, cpu_ns = (_nanoseconds(blob, frame.header) for blob in frame.blobs[:2])
        flags = frame.blobs[2]
        if not wall_ns or min(wall_ns) <= 0 or len(cpu_ns) not in (0, len(wall_ns)) or len(flags) not in (0, len(wall_ns)):
            raise ValueError("its samples are no durations, one by one")
        canary_ns = _nanoseconds(frame.blobs[3], frame.header) if len(frame.blobs) > 3 else ()
        if canary_ns and min(canary_ns) <= 0:
            raise ValueError("its canary's samples are no durations")
        return Block(
            wall_ns,
            cpu_ns,
            tuple(index for index, flag in enumerate(flags) if flag),
            duration(frame.header["warmup_s"]),
            int(frame.header["warmup_inferences"]),
            bool(frame.header["steady"]),
            tuple((str(key), str(text)) for key, text in frame.header.get("notes", [])),
            duration(frame.header.get("begin_s", 0.0)),
            canary_ns,
            _maybe(duration, frame.header.get("energy_j")),
        )
    except UNREADABLE as problem:
        raise garbled("infer", problem) from problem


def outputs(frame: Frame) -> NDArray[np.float32]:
    """The network's answers as an array."""
    try:
        return np.frombuffer(frame.blobs[0], dtype="<f4").reshape(frame.header["shape"]).astype(np.float32)
    except UNREADABLE as problem:
        raise garbled("outputs", problem) from problem


def nodes(frame: Frame) -> tuple[NodeTime, ...]:
    """Times of nodes, not yet attributed."""
    try:
        return tuple(
            NodeTime(
                str(node["node"]),
                str(node["kind"]),
                duration(node["seconds"]),
                tuple(str(name) for name in node["sources"]),
                precision=str(node.get("precision", "")),
                runs_s=tuple(duration(run) for run in node.get("runs", ())),
            )
            for node in frame.header["nodes"]
        )
    except UNREADABLE as problem:
        raise garbled("profile", problem) from problem


def nothing(frame: Frame) -> None:
    """A reply that only says that it was done."""


def lock(frame: Frame) -> LockReply:
    """Whether the device is ours."""
    header = frame.header
    if header.get("held"):
        return LockReply(True, "", "", 0)
    told = header.get("holder")
    holder = {key: one_line(str(text))[:200] for key, text in told.items()} if isinstance(told, dict) else {}
    words = (
        "process {pid} of {user} on {host} since {since} ({command})" if {"pid", "user", "host", "since", "command"} <= set(holder) else ""
    )
    pid = holder.get("pid", "")
    number = int(pid) if pid.isascii() and pid.isdigit() else 0
    return LockReply(False, words.format(**holder) or "somebody who left no name", str(holder.get("host")), number)


def _nanoseconds(blob: bytes, header: Mapping[str, Any]) -> tuple[int, ...]:
    samples = array("q", blob)
    if header.get("byteorder", sys.byteorder) != sys.byteorder:
        samples.byteswap()
    return tuple(samples)


def _figures(found: Mapping[str, Any], key: str) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(figure)) for name, figure in found.get(key, []))


def _words(found: Any) -> tuple[str, ...]:
    return tuple(one_line(str(word))[:100] for word in found)


def duration(found: Any) -> float:
    """Seconds, or joules, finite and 0 or more; ValueError for anything else."""
    seconds = float(found)
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"{seconds} s is no duration")
    return seconds


def _maybe(kind: Callable[[Any], T], found: Any) -> T | None:
    return None if found is None else kind(found)


def garbled(request: str, problem: Exception) -> DeviceCrashed:
    """The error for an answer that cannot be parsed."""
    lacking = f"it lacks {problem}" if isinstance(problem, KeyError) else str(problem) or "it has another form"
    return DeviceCrashed(one_line(f"the agent's answer to {request} cannot be read ({lacking[:200]}); check its runtime file"))
