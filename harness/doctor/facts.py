"""What a device's machine tells of its fitness to measure, parsed from the agent's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.devices import replies
from harness.devices.frames import Frame
from harness.devices.session import Session

SPIN_S = 1.0  # of computing, to see what shares the processor


@dataclass(frozen=True, slots=True)
class Process:
    """Another program that computes: processors is how many it kept busy."""

    pid: int
    name: str
    processors: float


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter of energy: rapl or ina3221, what it is called, and whether this user may read it."""

    kind: str
    name: str
    readable: bool


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """None and empty mean that the machine does not tell.

    busy_processors: of ``processors``, by everybody, others_processors by programs that can be seen; stolen_ratio: time that the host
    of a virtual machine gave to others. throttled_events, quota_events: within the look, by heat and by a container's quota. spins_s: what
    the same piece of work took, again and again. heat_margin_c: degrees to the lowest limit. sticks: USB port and megabits a second.
    """

    processors: int
    virtual: bool
    disk_free_bytes: int
    spins_s: tuple[float, ...]
    busy_processors: float | None = None
    others_processors: float = 0.0
    stolen_ratio: float | None = None
    others: tuple[Process, ...] = ()
    governor: str | None = None
    turbo: bool | None = None
    smt: bool | None = None
    heat_margin_c: float | None = None
    throttled_events: int | None = None
    quota_events: int | None = None
    memory_free_bytes: int | None = None
    swap_used_bytes: int | None = None
    swapped_pages: int = 0
    sticks: tuple[tuple[str, float], ...] = ()
    meters: tuple[Meter, ...] = ()


def examine(session: Session, spin_s: float = SPIN_S) -> MachineFacts:
    """Look at the machine that the device is on, or hangs at; DeviceError as any request."""
    return session.call("examine", machine_facts, {"spin_s": spin_s}, deadline_s=30.0 + spin_s)


def machine_facts(frame: Frame) -> MachineFacts:
    """The agent's answer to ``examine``."""
    try:
        return parsed(frame.header["facts"])
    except replies.UNREADABLE as problem:
        raise replies.garbled("examine", problem) from problem


def parsed(found: Mapping[str, Any]) -> MachineFacts:
    """The same from plain values; KeyError, TypeError or ValueError for what cannot be read."""

    def maybe(key: str, kind: type) -> Any:
        return None if found.get(key) is None else kind(found[key])

    return MachineFacts(
        processors=int(found["processors"]),
        virtual=bool(found["virtual"]),
        disk_free_bytes=int(found["disk_free_bytes"]),
        spins_s=tuple(replies.duration(one) for one in found["spins_s"]),
        busy_processors=maybe("busy_processors", float),
        others_processors=float(found.get("others_processors", 0.0)),
        stolen_ratio=maybe("stolen_ratio", float),
        others=tuple(Process(int(pid), str(name), float(ratio)) for pid, name, ratio in found.get("others", [])),
        governor=maybe("governor", str),
        turbo=maybe("turbo", bool),
        smt=maybe("smt", bool),
        heat_margin_c=maybe("heat_margin_c", float),
        throttled_events=maybe("throttled_events", int),
        quota_events=maybe("quota_events", int),
        memory_free_bytes=maybe("memory_free_bytes", int),
        swap_used_bytes=maybe("swap_used_bytes", int),
        swapped_pages=int(found.get("swapped_pages", 0)),
        sticks=tuple((str(port), float(speed)) for port, speed in found.get("sticks", [])),
        meters=tuple(Meter(str(kind), str(name), bool(readable)) for kind, name, readable in found.get("meters", [])),
    )
