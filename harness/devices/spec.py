"""DeviceSpec: which runtime a device name stands for, and how its interpreter is started."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import UnknownName, UsageError
from harness.files import toml_text, user_folders
from harness.files.numbers import Range

OptionValue = str | int | float | bool
OWN_TABLES = Path(__file__).parent / "devices.toml"  # in the package, so that an installed one has devices too
CACHE = "{cache}"  # in an interpreter's path: the user's cache folder
PATIENCE = Range(0, 1e6)  # seconds
OPTION = Range(-(2**53), 2**53)  # whatever a runtime makes of it; each has ranges of its own
LOCK_WAIT_S = 120.0  # another process usually needs the device for one suite, or for one short check
LOAD_DEADLINE_S = 120.0
ONE_GPU = {"trtexec": "nvidia-gpu", "tensorrt": "nvidia-gpu"}  # runtimes that reach one thing in two ways: one waits for the other

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]*")  # never a leading dash, which ssh would read as an option
_KEYS = {"runtime", "python", "host", "ssh_config", "options", "resource", "lock_wait_s", "load_deadline_s", "setup"}


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One table ``[tool.espalier.devices.<name>]``.

    runtime: a name, or a path to a runtime's file. python: the interpreter's command on the device. host: where to go by
    ssh, None for this machine. options: what the runtime gets. resource: devices with the same resource on one host
    exclude each other. setup: the command that makes the interpreter. directory: against which relative paths are read.
    exclusive: whether a session keeps others of the resource out. Times in seconds.
    """

    name: str
    runtime: str
    python: str = sys.executable
    host: str | None = None
    ssh_config: str | None = None
    options: tuple[tuple[str, OptionValue], ...] = ()
    resource: str = ""
    lock_wait_s: float = LOCK_WAIT_S
    load_deadline_s: float = LOAD_DEADLINE_S
    setup: str = ""
    directory: Path = OWN_TABLES.parent
    exclusive: bool = True

    def answering(self) -> DeviceSpec:
        """The same device for answers alone: where nothing is timed nobody needs to be kept out, nor to wait."""
        return replace(self, resource=f"{self.resource or self.name}, answering", exclusive=False)

    def with_options(self, **changed: OptionValue) -> DeviceSpec:
        """The same device with some options changed."""
        return replace(self, options=tuple(sorted({**dict(self.options), **changed}.items())))

    @property
    def identity(self) -> str:
        """The resource and its host: what a quarantine is about."""
        return f"{self.resource or self.name} on {self.host or 'this machine'}"


def find(name: str, pyproject: Path | None = None) -> DeviceSpec:
    """The device called ``name``.

    Looked up in ``pyproject``, or, without one, in the ``pyproject.toml`` of the working directory and then among those that come
    with Espalier. UnknownName lists what exists; UsageError names the table and the key that is wrong.
    """
    specs = _specs(pyproject)
    if name not in specs:
        raise UnknownName("device", name, specs, "add one as [tool.espalier.devices.NAME] in pyproject.toml")
    table, origin = specs[name]
    return parse(name, table, origin)


def names(pyproject: Path | None = None) -> tuple[str, ...]:
    """Every device that ``find`` knows."""
    return tuple(sorted(_specs(pyproject)))


def parse(name: str, table: object, origin: Path) -> DeviceSpec:
    """Turn one table of the file ``origin`` into a DeviceSpec, or refuse it with UsageError."""
    place = f"{origin}: [tool.espalier.devices.{name}]"
    if not _NAME.fullmatch(name) or not isinstance(table, dict):
        raise UsageError(f"{place} is no table of a device with a plain name; write runtime = ... under it")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise UsageError(f"{place} has the unknown key {unknown[0]!r}; use {', '.join(sorted(_KEYS))}")
    host = _text(table, "host", place)
    if host is not None and not _HOST.fullmatch(host):
        raise UsageError(f"{place} host = {host!r} is no name of a host; write it as in ssh_config")
    runtime = _text(table, "runtime", place)
    if not runtime:
        raise UsageError(f"{place} names no runtime; write for example runtime = 'openvino'")
    options = _options(table.get("options", {}), place)
    return DeviceSpec(
        name,
        runtime,
        python=_interpreter(_text(table, "python", place), host, origin.parent),
        host=host,
        ssh_config=_text(table, "ssh_config", place),
        options=options,
        resource=_text(table, "resource", place) or ONE_GPU.get(runtime) or f"{Path(runtime).stem}-{dict(options).get('device', name)}",
        lock_wait_s=_seconds(table, "lock_wait_s", LOCK_WAIT_S, place),
        load_deadline_s=_seconds(table, "load_deadline_s", LOAD_DEADLINE_S, place),
        setup=_text(table, "setup", place) or "",
        directory=origin.parent,
    )


def _specs(pyproject: Path | None) -> dict[str, tuple[object, Path]]:
    if pyproject is not None:
        return _tables(pyproject, required=True)
    return _tables(OWN_TABLES, required=True) | _tables(Path.cwd() / "pyproject.toml", required=False)


def _tables(path: Path, required: bool) -> dict[str, tuple[object, Path]]:
    if not path.is_file() and not required:
        return {}
    return {name: (table, path) for name, table in toml_text.table(path, "tool", "espalier", "devices").items()}


def _text(table: Mapping[str, object], key: str, place: str) -> str | None:
    found = table.get(key)
    if found is not None and (not isinstance(found, str) or not found.isprintable()):
        raise UsageError(f"{place} {key} = {found!r} is no text of one line; put it in quotes")
    return found


def _seconds(table: Mapping[str, object], key: str, default: float, place: str) -> float:
    found = table.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not PATIENCE.holds(found):
        raise UsageError(f"{place} {key} = {str(found)[:40]} is no number of seconds; write for example {key} = {default:g}")
    return float(found)


def _options(found: object, place: str) -> tuple[tuple[str, OptionValue], ...]:
    if isinstance(found, dict):
        found = {name: _one_text(value) for name, value in found.items()}
    if not isinstance(found, dict) or not all(isinstance(value, str | int | float | bool) for value in found.values()):
        raise UsageError(f"{place} options are names with texts and numbers; write for example options = {{ device = 'CPU' }}")
    for name, value in found.items():
        if (isinstance(value, str) and "\0" in value) or (isinstance(value, int | float) and not OPTION.holds(value)):
            raise UsageError(f"{place} option {name} = {str(value)[:40]!r} is no text and no finite number; give {OPTION.words}")
    return tuple(sorted(found.items()))


def _one_text(value: object) -> object:
    """A list of words as a runtime gets it, in one text that a shell would take apart again; anything else as it is."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return shlex.join(value)
    return value


def _interpreter(python: str | None, host: str | None, directory: Path) -> str:
    if host is not None:
        return python or "python3"
    if python is None:
        return sys.executable
    if CACHE in python:
        python = python.replace(CACHE, str(user_folders.cache()))
    return str(directory / Path(python).expanduser()) if "/" in python else python
