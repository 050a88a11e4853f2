"""Weights from a file, whoever left it: ``FILE``, or ``FILE#key`` for another table of it than the usual one."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from harness.errors import UsageError, one_line
from harness.networks.weights import choosing, fitting, folding, safe_reading


def file_of(path: Path) -> Path:
    """The file of ``FILE#key``."""
    return _parts(path)[0]


def read(path: Path) -> choosing.Chosen:
    """The weights in ``path``, without executing anything that the file holds; UsageError, one line, when there are none."""
    file, key = _parts(path)
    found = safe_reading.read(file)
    chosen = choosing.choose(found, str(file), key)
    whole = folding.folded(chosen.weights)
    return choosing.Chosen(whole, chosen.key, chosen.notes, chosen.versions)


def load(model: nn.Module, path: Path) -> tuple[str, ...]:
    """Fill ``model`` from ``path``; what a person should know of it, each a sentence. UsageError, one line, when they do not fit."""
    chosen = read(path)
    weights, notes = fitting.fitted(chosen.weights, model.state_dict(), str(file_of(path)))
    fill(model, weights, str(path), chosen.versions)
    return (*chosen.notes, *notes)


def fill(model: nn.Module, weights: dict[str, Tensor], origin: str, versions: dict[str, dict[str, Any]] | None = None) -> None:
    """Load a table of tensors that has the network's own names, with the versions of its modules, without which some refuse.

    versions: as torch keeps them beside the tensors; the model's own where they are not known. UsageError when they do not fit.
    """
    state = OrderedDict(weights)
    own = getattr(model.state_dict(), "_metadata", OrderedDict())
    state._metadata = own | {name: kept for name, kept in (versions or {}).items() if name in own}  # type: ignore[attr-defined]
    try:
        model.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise UsageError(one_line(f"{origin} does not fit the network: {first}; give the weights of this very network")) from error


def _parts(path: Path) -> tuple[Path, str]:
    if path.is_file() or "#" not in path.name:
        return path, ""
    file, _, key = str(path).rpartition("#")
    return Path(file), key
