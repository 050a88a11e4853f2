"""Distiller in another interpreter, for example its native Python 3.7 with torch 1.3.1: the same experiments, over the devices' link.

The experiments and the shims are shipped with their digests and run there unchanged; every request has a deadline, and the
process never outlives its link. So a defect of Distiller is told apart from one of the shims, or of today's torch.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.devices import bundle, replies
from harness.devices.link import Hello, Link
from harness.devices.spec import DeviceSpec
from harness.errors import DeviceCrashed, UsageError
from harness.verification import distiller

OLDEST_PYTHON = (3, 7)
NATIVE_TORCH = "1.3.1"  # what Distiller pins
START_DEADLINE_S = 120.0  # a cold import of torch from a network disk
EXPERIMENT_DEADLINE_S = 600.0  # the longest takes a minute on a slow processor
_ROOT = Path(__file__).parents[2]
_RUNTIME = Path(__file__).with_name("probing_runtime.py")
_OURS = (
    "harness.errors",
    "harness.networks.own.torchvision_door",
    "harness.verification.distiller_trace",
    "harness.verification.distiller_compat",
)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where Distiller runs. root: the folder with its package. commit: 40 digits, or a remark."""

    python: str
    torch: str
    numpy: str
    root: Path
    commit: str

    @property
    def native(self) -> bool:
        """Whether it is the torch that Distiller was written for."""
        return self.torch.split("+")[0] == NATIVE_TORCH


class Interpreter:
    """An interpreter with Distiller, for use in a ``with`` statement.

    python: its command. root: a checkout of Distiller, or None for the one that it has installed. modules: dotted names of
    our modules with the experiments; the first one has ``PROBES`` and ``perform``, the others put theirs into that table. Refuses,
    with UsageError or DeviceUnavailable, an interpreter that is too old, has no torch or no Distiller, or the namesake.
    """

    def __init__(self, python: str, root: Path | None, modules: tuple[str, ...]) -> None:
        if shutil.which(python) is None:
            raise UsageError(
                f"there is no interpreter {python}; give --distiller-python=PATH of one that has torch and Distiller's requirements"
            )
        agent = bundle.bundle(str(_RUNTIME))
        self._link = Link(DeviceSpec("distiller", str(_RUNTIME), python=python))
        try:
            _check_python(python, self._link.boot(agent.serve))
            shipped = {module.name: module.source for module in agent.modules} | {name: _source(name) for name in (*_OURS, *modules)}
            self._ask("install", {"modules": [[name, hashlib.sha256(source).hexdigest()] for name, source in shipped.items()]}, shipped)
            options = {"root": str(distiller.root_of(root)) if root else "", "packages": _packages(shipped), "modules": list(modules)}
            self.environment = _environment(self._ask("start", {"runtime": agent.runtime, "options": options})["device"])
        except BaseException:
            self._link.kill()
            raise
        self.shims: tuple[str, ...] = ()

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._link.close()

    def perform(self, id: str) -> dict[str, Any]:
        """The outcome of one experiment: ``result``, or ``raises`` with type, message and place. Raises DeviceError."""
        facts = self._ask("load", {"wanted": {"probe": id}}, {"": b""}, EXPERIMENT_DEADLINE_S)
        self._ask("unload", {"model": facts["model"]})
        self.shims = tuple(str(shim) for shim in facts["shims"])
        return dict(facts["outcome"])

    def _ask(
        self, do: str, fields: Mapping[str, Any], blobs: Mapping[str, bytes] | None = None, deadline_s: float = START_DEADLINE_S
    ) -> Mapping[str, Any]:
        header = self._link.request(do, fields, tuple((blobs or {}).values()), deadline_s).header
        error = replies.error(header, "distiller")
        if error is not None:
            raise error
        return header


def _check_python(python: str, hello: Hello) -> None:
    version = tuple(int(part) for part in hello.python.split(".")[:2])
    if version < OLDEST_PYTHON:
        raise UsageError(f"{python} is Python {hello.python}; give one of Python 3.7, as Distiller's own, or newer")


def _source(module: str) -> bytes:
    return _ROOT.joinpath(*module.split(".")).with_suffix(".py").read_bytes()


def _packages(modules: Mapping[str, bytes]) -> list[str]:
    """The packages in which the shipped modules lie, outer ones first."""
    names = {".".join(name.split(".")[:depth]) for name in modules for depth in range(1, name.count(".") + 1)}
    return sorted(names)


def _environment(told: Mapping[str, Any]) -> Environment:
    try:
        root = Path(str(told["root"]))
        python, torch, numpy = (str(told[key]) for key in ("python", "torch", "numpy"))
    except (KeyError, TypeError) as error:
        raise DeviceCrashed(f"the interpreter did not describe itself ({error}); start again") from error
    distiller.check_identity(root / "distiller")
    return Environment(python, torch, numpy, root, distiller.commit_of(root))
