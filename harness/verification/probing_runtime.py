"""The far end of ``distiller_elsewhere``: experiments on Distiller in an interpreter with its own torch. Shipped there.

It takes a runtime's place in the agent: an experiment is loaded like a model, and its outcome is among the facts. Python 3.7.
"""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import platform
import sys
import types
from typing import Any


class Unusable(Exception):
    """This interpreter lacks something that the user can install."""

    kind = "UsageError"


class Runtime:
    """options: ``root`` (folder with the package, empty for an installed one), ``packages`` (ours, to stand in for), ``modules``.

    The first of ``modules`` has ``PROBES`` and ``perform(probe, distiller)``; the others put experiments into that table.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        for name in options["packages"]:
            package = types.ModuleType(name)
            package.__path__ = []
            sys.modules[name] = package
        self.options = options
        self.torch = _needed("torch")
        self.numpy = _needed("numpy")
        _check_pair(self.torch)
        self.torch.set_num_threads(1)
        self.distiller: Any = None
        self.shims: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Versions, and where Distiller is; nothing of it has run yet."""
        return {
            "python": platform.python_version(),
            "torch": self.torch.__version__,
            "numpy": self.numpy.__version__,
            "root": self.options["root"] or _installed(),
        }

    def load(self, _model: bytes, wanted: dict[str, Any]) -> Experiment:
        """The experiment whose id is ``wanted["probe"]``; the first one imports Distiller."""
        if self.distiller is None:
            self._import()
        table = importlib.import_module(self.options["modules"][0])
        return Experiment(table, table.PROBES[wanted["probe"]], self)

    def _import(self) -> None:
        compat = importlib.import_module("harness.verification.distiller_compat")
        try:
            distiller, self.shims = compat.load(pathlib.Path(self.describe()["root"]))
            for name in self.options["modules"]:
                importlib.import_module(name)
        except ImportError as error:
            raise Unusable(f"Distiller cannot be imported by {sys.executable} ({error}); install its requirements there") from error
        self.distiller = distiller


class Experiment:
    """One experiment, in the form that the agent expects of a model."""

    def __init__(self, table: Any, probe: Any, runtime: Runtime) -> None:
        self.table, self.probe, self.runtime = table, probe, runtime
        self.outcome: dict[str, Any] = {}

    def first_inference(self) -> float:
        """Perform it; the time says nothing."""
        self.outcome = self.table.perform(self.probe, self.runtime.distiller)
        return 0.0

    def facts(self) -> dict[str, Any]:
        """What came out, and the shims that Distiller needed."""
        return {"outcome": self.outcome, "shims": list(self.runtime.shims)}

    def unload(self) -> None:
        """Nothing is held."""


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unusable(
            f"{sys.executable} has no usable {name} ({error}); install torch==1.3.1 and Distiller's requirements in it, or give another"
        ) from error


def _check_pair(torch: Any) -> None:
    """Natively Distiller needs torch 1.3's tracer; the shims that replace it are written for Python 3.10."""
    if not hasattr(torch.jit, "get_trace_graph") and sys.version_info < (3, 10):
        raise Unusable(
            f"torch {torch.__version__} under Python {platform.python_version()} runs Distiller neither natively nor with our shims; "
            "install torch==1.3.1 in it, or give Python 3.10 or newer"
        )


def _installed() -> str:
    spec = importlib.util.find_spec("distiller")
    if spec is None or spec.origin is None:
        raise Unusable(f"{sys.executable} has no Distiller; give its checkout with --distiller=PATH")
    return str(pathlib.Path(spec.origin).parent.parent)
