"""Every way in which a request can fail, as an exception whose message ends with what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

MOST_NAMES_TOLD = 20
MOST_SIGNS_TOLD = 200  # of a name
MOST_MESSAGE = 1200  # signs of what is said of a record


def one_line(text: str) -> str:
    """The text with line breaks, and whatever else cannot be printed, escaped as Python does."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


_SUITES = re.compile(r"pytest((?: bench/(?:test_\w+\.py)?)+)")
_NAME = re.compile(r"test_(\w+)\.py")
_A_SUITE = Path("bench", "test_network_latency.py")


def as_typed_here(text: str) -> str:
    """Commands of ``text`` as the working directory takes them: outside of a checkout there is no ``bench/`` to give to pytest."""
    if _A_SUITE.is_file():
        return text
    return _SUITES.sub(lambda found: " ".join(("python -m harness.runner", *_NAME.findall(found[1]))), text)


class HarnessError(Exception):
    """A request could not be met; ``str(error)`` is one line for a person, ending with what to do."""

    exit_code = 2

    def __str__(self) -> str:
        """The line, with commands that can be typed where it is read."""
        return as_typed_here(super().__str__())


class UsageError(HarnessError):
    """An option, a name or an input file is not usable as given."""


class UnknownName(UsageError):
    """A name is in none of the tables where it was looked up.

    kind: what was looked up, in the user's word ("network", "device"). known: the names that exist; of many, those most like
    ``name`` are told and the others counted. hint: how to add one, appended to the message.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        choices = sorted(known)
        close = difflib.get_close_matches(name[:MOST_SIGNS_TOLD], choices, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        advice = f"; {hint}" if hint else ""
        told = choices
        if len(choices) > MOST_NAMES_TOLD:
            told = sorted(difflib.get_close_matches(name[:MOST_SIGNS_TOLD], choices, n=MOST_NAMES_TOLD, cutoff=0.0))
            told.append(f"or one of {len(choices) - MOST_NAMES_TOLD} more")
        shown = repr(name) if len(name) <= MOST_SIGNS_TOLD else f"{name[:MOST_SIGNS_TOLD]!r}..."
        super().__init__(one_line(f"unknown {kind} {shown}{guess}: choose one of {', '.join(told) or '(none)'}{advice}"))
        self.kind, self.name, self.known = kind, name, tuple(choices)


class RecordError(HarnessError):
    """A stored record is truncated, foreign, contradictory or from a newer schema; its own words may hold what would break the line."""

    def __init__(self, message: str) -> None:
        told = one_line(message)
        super().__init__(told if len(told) <= MOST_MESSAGE else f"{told[: MOST_MESSAGE // 2]} ... {told[-MOST_MESSAGE // 2 :]}")


class ConditionsDiffer(RecordError):
    """Two records were taken under conditions that must agree before they are compared.

    keys: the names of the conditions that differ, with both values in the message.
    """

    def __init__(self, differences: Iterable[tuple[str, str, str]]) -> None:
        found = tuple(differences)
        told = ", ".join(f"{key} ({ours} against {theirs})" for key, ours, theirs in found)
        super().__init__(f"measured under different conditions: {told}; measure both under the same conditions")
        self.keys = tuple(key for key, _, _ in found)


class LatencyUnknown(HarnessError):
    """The stored measurements do not say what a configuration costs; the message holds the command to run."""


class PruningError(HarnessError):
    """A pruning configuration does not fit the network, or its removal would be wrong."""


class DatasetError(HarnessError):
    """A dataset is absent, incomplete or holds a file that is not an image; names of files may hold what would break its line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class TrainingError(HarnessError):
    """Training or evaluation produced something unusable, for example a loss that is not a number."""


class CampaignError(HarnessError):
    """A campaign cannot start, resume or be shown."""


class DeviceError(HarnessError):
    """Something went wrong on, or on the way to, a device."""


class DeviceUnavailable(DeviceError):
    """The device, its interpreter or its runtime cannot be reached or started."""


class DeviceBusy(DeviceError):
    """Another process holds the device's lock."""


class DeviceTimeout(DeviceError):
    """A request did not end by its deadline; the agent was stopped."""


class DeviceCrashed(DeviceError):
    """The agent process ended, or answered something that is not a frame."""


class DeviceQuarantined(DeviceError):
    """The device failed earlier in this run and is not used again before the next one."""


class ModelRefused(DeviceError):
    """The runtime could not read, compile or run this model."""


class NoisyMeasurement(DeviceError):
    """The samples are too noisy for the limit that the user set with ``--max-noise``."""
