"""Conditions: everything about a device and a moment that must be known before two measurements are compared."""

from __future__ import annotations

from dataclasses import dataclass

INT8 = "int8"  # the precision of quantised networks

# Conditions that must agree before two measurements are compared; the rest is told, not enforced.
COMPARED = (
    "device",
    "model",
    "runtime",
    "runtime_version",
    "effective_precision",
    "threads",
    "streams",
    "batch_size",
    "power_mode",
    "settings",
    "simulated",
)

SETTING = "set: "  # begins a device's detail that is a setting of its own, such as DLA or CUDA graphs
USUAL = "usual"  # nothing was set, as on every device before settings were told


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device says about itself.

    name: as in ``--device``. runtime: the agent's runtime, e.g. ``openvino``. model: the chip, as its maker calls it.
    details: further ``(key, text)`` pairs that this kind of device knows (firmware, USB speed, compute capability).
    """

    name: str
    runtime: str
    runtime_version: str
    model: str
    host: str
    python: str
    simulated: bool = False
    details: tuple[tuple[str, str], ...] = ()

    @property
    def settings(self) -> str:
        """What was set on the device and changes its times, in one text: the details that begin with ``SETTING``."""
        told = [f"{key.removeprefix(SETTING)} {text}" for key, text in self.details if key.startswith(SETTING)]
        return ", ".join(sorted(told)) or USUAL


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A device's state at one moment; None and empty mean that the device does not tell.

    clocks_mhz and temperatures_c are ``(name, value)`` pairs; power_w likewise, per rail; throttle_events counts since boot. throttling:
    what slows it at this moment, in words; throttled_since_boot: what did so at any time since it was started.
    """

    taken_at: str  # ISO 8601, UTC
    clocks_mhz: tuple[tuple[str, float], ...] = ()
    temperatures_c: tuple[tuple[str, float], ...] = ()
    power_w: tuple[tuple[str, float], ...] = ()
    governor: str | None = None
    power_mode: str | None = None
    load_average: float | None = None
    throttle_events: int | None = None
    throttling: tuple[str, ...] | None = None
    throttled_since_boot: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The circumstances of one measurement.

    precision is what was asked for, effective_precision what the runtime says it used: of a quantised network, what most of the work of
    its convolutions and linear layers ran in. versions are ``(package,
    version)`` pairs of the host. git_commit is the product's, with ``+`` when the tree was changed. unready: what the doctor found in
    the way just before, as ``(check, what was seen)``; empty where nothing was, or nobody looked.
    """

    device: DeviceInfo
    precision: str
    effective_precision: str
    threads: int
    streams: int
    batch_size: int
    before: Snapshot
    after: Snapshot
    versions: tuple[tuple[str, str], ...]
    git_commit: str
    unready: tuple[tuple[str, str], ...] = ()

    @property
    def throttled(self) -> bool:
        """Whether the device was slowed, by its heat or its supply, in either snapshot or between the two."""
        return bool(self.throttling)

    @property
    def throttling(self) -> str:
        """How the device was slowed, in words; empty where it was not, or does not tell.

        What had occurred before the first snapshot says nothing of this measurement, and is not among it.
        """
        before, after = self.before.throttle_events, self.after.throttle_events
        counted = (f"{after - before} times",) if before is not None and after is not None and after > before else ()
        earlier = self.before.throttled_since_boot
        meanwhile = [one for one in self.after.throttled_since_boot or () if earlier is not None and one not in earlier]
        seen = dict.fromkeys([*(self.before.throttling or ()), *(self.after.throttling or ()), *meanwhile])
        return ", ".join([*counted, *seen])

    def fingerprint(self) -> tuple[tuple[str, str], ...]:
        """The ``(key, value)`` pairs, named in ``COMPARED``, that must agree between compared measurements.

        Of quantised networks it is the precision asked for: how much of one runs in INT8 is its own matter, like its widths.
        """
        known = {
            "device": self.device.name,
            "model": self.device.model,
            "runtime": self.device.runtime,
            "runtime_version": self.device.runtime_version,
            "effective_precision": INT8 if self.precision == INT8 else self.effective_precision,
            "threads": str(self.threads),
            "streams": str(self.streams),
            "batch_size": str(self.batch_size),
            "power_mode": str(self.before.power_mode),
            "settings": self.device.settings,
            "simulated": str(self.device.simulated),
        }
        return tuple((key, known[key]) for key in COMPARED)

    def differences(self, other: Conditions, across_precisions: bool = False) -> tuple[tuple[str, str, str], ...]:
        """``(key, ours, theirs)`` for every compared condition that is not equal; the precision is none where that is what is compared."""
        pairs = zip(self.fingerprint(), other.fingerprint(), strict=True)
        differing = [(key, ours, theirs) for (key, ours), (_, theirs) in pairs if ours != theirs]
        return tuple(one for one in differing if not (across_precisions and one[0] == "effective_precision"))
