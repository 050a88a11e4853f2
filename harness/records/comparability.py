"""What must agree before two measurements are held against each other: every condition, named in this one place.

``conditions.COMPARED`` names what must agree before measurements may be put together at all; a comparison in time, between two runs, asks
for more: the same machine, the same picture, the same network, the same way of sampling, and a device that did not throttle.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.records.architecture import Architecture
from harness.records.conditions import COMPARED
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig

CONFIGURATION, CONTENDER, THROTTLED = "configuration", "contender", "throttled"
ENFORCED = (*COMPARED, "host", "governor", "usb", "input_shape", CONFIGURATION, CONTENDER, "pace", "sustained", THROTTLED)
DENSE, AS_ITS_FILE, UNKNOWN = "dense", "as its file is", "unknown"
NO_CONTENDER, TIGHT_LOOP, NOT_SUSTAINED = "none", "tight loop", "no"
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Differing:
    """Conditions that two measurements do not share, as ``(key, ours, theirs)``.

    refused: those that forbid a comparison. excepted: those that the user allowed to differ; they are recorded beside the verdict.
    """

    refused: tuple[tuple[str, str, str], ...]
    excepted: tuple[tuple[str, str, str], ...]

    def exception(self) -> str:
        """What was allowed to differ, in words; empty where nothing was."""
        return ", ".join(f"{key}: {ours} against {theirs}" for key, ours, theirs in self.excepted)


def circumstances(measurement: Measurement, architecture: Architecture | None) -> Pairs:
    """The ``(key, text)`` pairs of ``ENFORCED``; architecture: the measurement's own, None where its file does not hold it."""
    conditions, notes = measurement.conditions, dict(measurement.notes)
    sustained = notes.get("sustained", NOT_SUSTAINED)
    known = {
        **dict(conditions.fingerprint()),
        "host": conditions.device.host,
        "governor": str(conditions.before.governor),
        "usb": notes.get("usb", "no"),
        "input_shape": shape(architecture),
        CONFIGURATION: configuration(measurement.config, architecture),
        CONTENDER: notes.get("contender") or NO_CONTENDER,
        "pace": notes.get("pace", TIGHT_LOOP),
        "sustained": sustained,
        # what heats a device on purpose may throttle it
        THROTTLED: "yes" if conditions.throttled and sustained == NOT_SUSTAINED else "no",
    }
    return tuple((key, known[key]) for key in ENFORCED)


def shape(architecture: Architecture | None) -> str:
    """Channels x height x width of the pictures."""
    return UNKNOWN if architecture is None else "x".join(map(str, architecture.input_shape))


def configuration(config: PruningConfig | None, architecture: Architecture | None) -> str:
    """``dense``, the first digits of what was cut, or ``as its file is``: a network whose code changed is still the dense one."""
    if config is None or not config.channels:
        return AS_ITS_FILE
    if architecture is not None and architecture.groups and config.channels == architecture.dense().channels:
        return DENSE
    return config.digest


def differing(ours: Pairs, theirs: Pairs, allowed: frozenset[str] = frozenset()) -> Differing:
    """What differs among the keys that both tell. A throttled one is no measure of anything, so that two of them differ, too."""
    told = dict(theirs)
    found = [
        (key, mine, told[key])
        for key, mine in ours
        if key in told and (mine != told[key] or (key == THROTTLED and "yes" in (mine, told[key])))
    ]
    refused = tuple(one for one in found if one[0] not in allowed)
    return Differing(refused, tuple(one for one in found if one[0] in allowed))


def told_beside(measurement: Measurement) -> Pairs:
    """What is told of the circumstances and not enforced: versions, Python, what the device says of itself."""
    conditions = measurement.conditions
    versions = ((f"version of {name}", version) for name, version in conditions.versions)
    return (("python", conditions.device.python), *versions, *conditions.device.details)
