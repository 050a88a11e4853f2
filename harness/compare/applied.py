"""Limits that could apply to nothing: what is misspelt is refused before anything is measured, what nothing here is called is told.

A limit of a network that this run does not measure is as good as any. So a name is refused where it is nearly that of a network that is
measured and has no limits of its own; another that nobody here knows may be what a user's own tests call a network, and is told.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.compare import limits
from harness.compare.limits import DEVICES, LAYERS, PLACE, TOGETHER, Table
from harness.devices import spec
from harness.errors import UnknownName, UsageError
from harness.files import reading, toml_text
from harness.records.architecture import Architecture

NEAR = 0.8  # of difflib's ratio: one letter of five changed, or two of eleven left out
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Names:
    """What a run knows by name. measured: networks that it judges; known: others that it has met, as in a baseline; devices: its own."""

    measured: Collection[str] = ()
    known: Collection[str] = ()
    devices: Collection[str] = ()


def check(pyproject: Path, names: Names) -> tuple[str, ...]:
    """A sentence on every network whose limits apply to nothing that is known here.

    UsageError, in one line, for any limit in the file that is none, and for a network or device that is certainly misspelt.
    """
    if not pyproject.is_file():
        return ()
    _check_table(pyproject)
    found = limits.read(pyproject)
    devices = {*names.devices, *spec.names(), *spec.names(pyproject)}
    own = limits.networks(found)
    for network in ("", *own):
        place = f"{PLACE}.{limits.key(network)}" if network else PLACE
        for device in limits.devices(found, network):
            if device not in devices:
                raise UnknownName("device", device, devices, f"as in [{place}.{DEVICES}.NAME]")
    _check_deadlines(found)
    return tuple(told for network in own if (told := _told(network, own, names, pyproject.parent)))


def check_layers(pyproject: Path, architecture: Architecture, device: str) -> None:
    """UnknownName where a limit that is set for this very network is of a layer that it does not have."""
    found, known = limits.read(pyproject), [site.name for site in architecture.layers]
    for place, level in limits.own_levels(found, architecture.network, device):
        for name in level.get(LAYERS, {}):
            if not set(name.split(TOGETHER)) <= set(known):
                raise UnknownName("layer", name, known, f"as in [{place}.{LAYERS}]")


def never_asked(pyproject: Path, asked: Collection[str]) -> tuple[str, ...]:
    """A sentence on every network with limits that is nearly called as one that was asked for, and has none."""
    own = limits.networks(limits.read(pyproject))
    bare = [name for name in asked if name not in own]
    return tuple(_sentence(name, close, "no test asked for it") for name in own if name not in asked and (close := _nearest(name, bare)))


def _check_table(pyproject: Path) -> None:
    *above, last = PLACE.split(".")
    for key in toml_text.table(pyproject, *above):
        if key != last and _nearest(key, [last]):
            raise UsageError(f"{pyproject}: nothing reads [{'.'.join(above)}.{key}] (did you mean [{PLACE}]?); mend its name")


def _check_deadlines(found: Table) -> None:
    """A deadline alone limits nothing: UsageError where the share that may miss it is set nowhere."""
    shared = limits.of(found, "", "")
    merged = {network: tuple(_merged(found, network)) for network in ("", *limits.networks(found))}
    for network, levels in merged.items():
        alone = any(one.at("deadline_ms") is not None and one.at("deadline_miss_ratio") is None for one in levels)
        if alone and (shared.at("deadline_ms") is None or not any(_has_ratio(every) for every in merged.values())):
            place = f"{PLACE}.{limits.key(network)}" if network else PLACE
            raise UsageError(f"[{place}] deadline_ms alone limits nothing; set deadline_miss_ratio, the share that may miss it, too")


def _merged(found: Table, network: str) -> Iterator[limits.Limits]:
    """The limits on any device and on each that has some of its own: all are read, so that what is no limit is refused."""
    for device in dict.fromkeys(("", *limits.devices(found), *limits.devices(found, network))):
        yield limits.of(found, network, device)


def _has_ratio(levels: Collection[limits.Limits]) -> bool:
    return any(one.at("deadline_miss_ratio") is not None for one in levels)


def _told(name: str, own: Collection[str], names: Names, folder: Path) -> str:
    """A sentence on a network that nobody knows, empty for one that somebody does; UsageError where another is certainly meant."""
    if name in names.measured or name in names.known or _is_there(name, folder):
        return ""
    from harness.networks import zoo  # torch is imported for a name that nothing else explains

    if zoo.is_built_in(name):
        return ""
    bare = [known for known in (*names.measured, *names.known) if known not in own]
    meant = _called_otherwise(name, bare) or _nearest(name, bare)
    if meant and _DIGITS.sub("", meant) != _DIGITS.sub("", name):
        raise UsageError(
            f"[{PLACE}] unknown network {name!r} (did you mean {meant!r}?): it would limit nothing; write [{PLACE}.{limits.key(meant)}]"
        )
    file = Path(name).stem if (folder / name).is_file() else ""
    guess = meant or file or _nearest(name, (*zoo.NETWORKS, *names.measured))
    return _sentence(name, guess, "no network that is known here is called so")


def _sentence(name: str, close: str, why: str) -> str:
    guess = f" (did you mean {close}?)" if close else ""
    return f"[{PLACE}.{limits.key(name)}] applied to nothing: {why}{guess}"


def _is_there(name: str, folder: Path) -> bool:
    """Whether a file beside the limits goes by this name: ``nets.py:wide``, with that word in it, or ``pruned`` of ``pruned.onnx``."""
    path, _, factory = name.rpartition(":")
    if not path.endswith(".py"):
        return (folder / f"{name}.onnx").is_file()
    try:
        return re.search(rf"\b{re.escape(factory)}\b", reading.text(folder / path)) is not None
    except (OSError, ValueError):
        return False


def _called_otherwise(name: str, known: Collection[str]) -> str:
    """Whichever of ``known`` is meant by a file's name with its ending or folder, or by a factory's without its file; empty for none."""
    for one in known:
        if one in (Path(name).name, Path(name).stem) or one.rpartition(":")[2] == name:
            return one
    return ""


def _nearest(name: str, known: Collection[str]) -> str:
    plain = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=NEAR)
    return plain[close[0]] if close else ""
