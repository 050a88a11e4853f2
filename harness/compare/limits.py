"""What is let pass: ``[tool.espalier.limits]`` of a pyproject.toml, by network and by device.

A key without a unit is a ratio against the baseline (``network = 0.03``: slower by 3 % is let pass); a key with a unit is absolute
(``p99_ms = 20``). Tables are read from the general to the special, later ones win: ``limits``, ``limits.devices.<device>``,
``limits.<network>``, ``limits.<network>.devices.<device>``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import toml_text

NETWORK_LIMIT = 0.03  # slower by less is let pass, unless pyproject.toml says otherwise
LAYER_LIMIT = 0.15  # a single layer's time is a few microseconds, truncated, over three compilations
DROP_POINTS = 1.0  # of top-1, that a device may lose against f32 on the host: INT8 loses a few tenths, the traps of old compilers lose 14

RELATIVE = ("network", "layer", "p90", "p99", "load", "first_inference", "peak_memory", "file", "energy")
ABSOLUTE = (
    "median_ms",
    "p90_ms",
    "p99_ms",
    "deadline_ms",
    "deadline_miss_ratio",
    "load_s",
    "first_inference_ms",
    "peak_memory_mb",
    "file_mb",
    "energy_mj",
    "top1_percent",
    "top1_drop_points",
)
_AT_MOST = {"deadline_miss_ratio": 1.0, "top1_percent": 100.0, "top1_drop_points": 100.0}
LAYERS, DEVICES = "layers", "devices"
PLACE = "tool.espalier.limits"
TOGETHER = "+"  # between the names of layers that a runtime fused

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is let pass of one network on one device.

    network, layer: how much slower, as ratios; layers: exceptions by name. relative: further ``(key, ratio)``; absolute: ``(key, limit)``
    in the key's unit.
    """

    network: float = NETWORK_LIMIT
    layer: float = LAYER_LIMIT
    layers: tuple[tuple[str, float], ...] = ()
    relative: tuple[tuple[str, float], ...] = ()
    absolute: tuple[tuple[str, float], ...] = ()

    def of_layer(self, name: str) -> float:
        """The limit of one layer; of several that a runtime fused, their own, or the least of those that are set for its parts."""
        known = dict(self.layers)
        parts = [known[part] for part in name.split(TOGETHER) if part in known]
        return known.get(name, min(parts, default=self.layer))

    def idle_layers(self, seen: Iterable[str]) -> tuple[str, ...]:
        """Layers with a limit of their own of which none of the judged ones, ``seen``, is one or holds one."""
        held = {part for name in seen for part in (name, *name.split(TOGETHER))}
        return tuple(name for name, _ in self.layers if name not in held)

    def at(self, key: str) -> float | None:
        """An absolute limit, or None where none is set."""
        return dict(self.absolute).get(key)


def limits(network: str, pyproject: Path, device: str = "") -> Limits:
    """The limits of a network on a device, over the defaults; UsageError names what is no limit, or no such key."""
    return of(read(pyproject), network, device)


def read(pyproject: Path) -> Table:
    """``[tool.espalier.limits]`` as it stands there; empty where there is no such file or table."""
    return toml_text.table(pyproject, *PLACE.split(".")) if pyproject.is_file() else {}


def networks(found: Table) -> tuple[str, ...]:
    """The networks that have limits of their own."""
    return tuple(name for name, entry in found.items() if isinstance(entry, dict) and name not in (LAYERS, DEVICES))


def devices(found: Table, network: str = "") -> tuple[str, ...]:
    """The devices for which a network, or any where none is named, has limits of its own."""
    level, place = (_table(found, network, PLACE), f"{PLACE}.{key(network)}") if network else (found, PLACE)
    return tuple(_table(level, DEVICES, place))


def key(name: str) -> str:
    """A network's name as TOML wants it in the name of a table."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def of(found: Table, network: str, device: str) -> Limits:
    """As ``limits``, of a table that was read."""
    known: dict[str, float] = {}
    layers: dict[str, float] = {}
    shared = {key: entry for key, entry in found.items() if not isinstance(entry, dict) or key in (LAYERS, DEVICES)}
    for where, level in (*_levels(shared, device, PLACE), *own_levels(found, network, device)):
        known |= {name: _limit(where, name, entry) for name, entry in level.items() if name not in (LAYERS, DEVICES)}
        layers |= {name: _ratio(f"{where}.{LAYERS}", name, entry) for name, entry in _table(level, LAYERS, where).items()}
    return Limits(
        known.get("network", NETWORK_LIMIT),
        known.get("layer", LAYER_LIMIT),
        tuple(layers.items()),
        tuple((key, known[key]) for key in RELATIVE[2:] if key in known),
        tuple((key, known[key]) for key in ABSOLUTE if key in known),
    )


def own_levels(found: Table, network: str, device: str) -> tuple[tuple[str, Table], ...]:
    """``(place, table)`` of what is said of one network alone: on any device, and on this one."""
    own, place = found.get(network, {}), f"{PLACE}.{key(network)}"
    if not isinstance(own, dict):
        raise UsageError(f"[{PLACE}] {network} = {own!r}: write [{place}] with keys such as network = 0.03")
    return _levels(own, device, place)


def _levels(level: Table, device: str, place: str) -> tuple[tuple[str, Table], ...]:
    tables = _table(level, DEVICES, place)
    return (place, level), (f"{place}.{DEVICES}.{device}", _table(tables, device, f"{place}.{DEVICES}"))


def _table(level: Table, key: str, place: str) -> Table:
    found = level.get(key, {})
    if not isinstance(found, dict):
        raise UsageError(f"[{place}] {key} = {found!r}: write it as a table, [{place}.{key}]")
    return found


def _limit(place: str, key: str, entry: object) -> float:
    if key in RELATIVE:
        return _ratio(place, key, entry)
    if key not in ABSOLUTE:
        close = difflib.get_close_matches(key, (*RELATIVE, *ABSOLUTE, LAYERS, DEVICES), n=1)
        guess = f" (did you mean {close[0]}?)" if close else ""
        raise UsageError(f"[{place}] has no limit {key}{guess}; there are {', '.join((*RELATIVE, *ABSOLUTE, LAYERS, DEVICES))}")
    most = _AT_MOST.get(key, float("inf"))
    if isinstance(entry, bool) or not isinstance(entry, int | float) or not 0 <= entry <= most or math.isinf(entry):
        raise UsageError(f"[{place}] {key} = {entry!r}: give a number of at least 0" + (f", {most:g} at most" if key in _AT_MOST else ""))
    return float(entry)


def _ratio(place: str, key: str, entry: object) -> float:
    if isinstance(entry, bool) or not isinstance(entry, int | float) or not 0 <= entry < 100:
        raise UsageError(f"[{place}] {key} = {entry!r}: give a ratio such as 0.03 for 3 %")
    return float(entry)
