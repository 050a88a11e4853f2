"""Which of the tables of tensors in a file are the network's weights: the only one, the usual one, or the one that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.errors import UsageError, one_line
from harness.networks.weights.safe_reading import Inert

USUAL = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params", "net_state_dict")
AVERAGED = ("ema", "swa", "averag", "shadow")  # in the names of running means over the training's steps
DEPTH = 3
MOST_TOLD = 8


@dataclass(frozen=True)
class Chosen:
    """One table of a file. key: where it lay, "" for the file itself; notes: what a person should know of the choice.

    versions: what torch's modules wrote beside their tensors, by module path and name.
    """

    weights: dict[str, Tensor]
    key: str
    notes: tuple[str, ...]
    versions: dict[str, dict[str, Any]] | None


def choose(found: Any, origin: str, asked: str = "") -> Chosen:
    """The weights in what a file held. asked: the key of the table to take, by dots where it lies deeper; origin: the file in errors.

    UsageError, one line, when there are none, or several of which none is usual.
    """
    if isinstance(found, Inert):
        told = f"{origin} is no weights file (it holds a whole network, {found.kind}, which only running its code could read)"
        raise UsageError(one_line(f"{told}; save its weights alone: torch.save(model.state_dict(), path)"))
    tables = dict(_tables(found))
    usual = _usual(tables)
    if asked:
        table = tables.get(asked) or _beginning(tables.get(usual or "", {}), asked)
        if not table:
            raise UsageError(one_line(f"{origin} holds no weights called {asked!r}, but {_listed(tables, found, origin)}"))
        return _chosen(table, asked, ())
    if usual is None:
        raise UsageError(one_line(f"{origin} holds no state dict that it is clear to take, but {_listed(tables, found, origin)}"))
    others = [key for key in tables if key not in ("", usual) and not key.startswith(f"{usual}.")]
    notes = [f"weights: {usual!r} of {origin} is taken; it also holds {_words(others, origin)}"] if usual and others else []
    return _chosen(tables[usual], usual, tuple(map(one_line, notes)))


def _usual(tables: Mapping[str, object]) -> str | None:
    """The table to take where nobody asked for one; None where that is not clear."""
    plain = [key for key in tables if not is_averaged(key) and "." not in key]
    named = [key for key in (*USUAL, "") if key in plain]
    return (
        named[0]
        if named
        else plain[0]
        if len(plain) == 1
        else next(iter(tables))
        if len(tables) == 1 and "." not in next(iter(tables))
        else None
    )


def _beginning(table: Mapping[Any, Any], start: str) -> dict[str, Tensor]:
    """The tensors of a table whose names begin with ``start``, as those of one of several networks that were trained together."""
    return {str(name)[len(start) + 1 :]: value for name, value in table.items() if str(name).startswith(f"{start}.")}


def is_averaged(key: str) -> bool:
    """Whether a table's name says that it holds running means of weights."""
    return any(word in key.lower() for word in AVERAGED)


def _chosen(table: Mapping[Any, Any], key: str, notes: tuple[str, ...]) -> Chosen:
    weights = {str(name): value for name, value in table.items() if isinstance(value, Tensor)}
    versions = getattr(table, "_metadata", None)
    return Chosen(weights, key, notes, dict(versions) if isinstance(versions, Mapping) else None)


def _tables(found: Any, key: str = "", depth: int = DEPTH) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every mapping of names to tensors, by its path; one with other things beside them is one as long as most are tensors."""
    if not isinstance(found, Mapping):
        return
    tensors = [name for name, value in found.items() if isinstance(name, str) and isinstance(value, Tensor)]
    if tensors and 2 * len(tensors) > len(found):
        yield key, found
    for name, value in found.items():
        if depth and "optim" not in str(name).lower():
            yield from _tables(value, f"{key}.{name}" if key else str(name), depth - 1)


def _listed(tables: Mapping[str, object], found: Any, origin: str) -> str:
    there = [key for key in tables if key]
    if there:
        return _words(there, origin)
    if isinstance(found, Mapping):
        held = [f"{name} ({value.kind})" if isinstance(value, Inert) else str(name) for name, value in found.items()]
        more = f" and {len(held) - MOST_TOLD} more" if len(held) > MOST_TOLD else ""
        told = f"{', '.join(held[:MOST_TOLD])}{more}" if held else "nothing"
    else:
        told = f"a {type(found).__name__}"
    return f"{told}; save the network with torch.save(model.state_dict(), path)"


def _words(keys: list[str], origin: str) -> str:
    """What else there is and how to ask for it."""
    told = ", ".join(map(repr, keys[:MOST_TOLD]))
    return f"{told}: to take that, give {origin}#{keys[0]}"
