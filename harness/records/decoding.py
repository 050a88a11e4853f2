"""JSON into frozen records, strictly: every field there, of its type and finite, or a refusal that names the place.

What a record looks like is read off its own type annotations, so that a new field needs no second description here.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from harness.errors import HarnessError, RecordError
from harness.files.numbers import Range
from harness.records.pruning_config import PruningConfig

T = TypeVar("T")
Reader = Callable[[Any], Any]  # JSON value -> field


@dataclass(frozen=True, slots=True)
class OneOf:
    """In ``Annotated[str, OneOf(...)]``: the only texts that a field may hold."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrUnknown:
    """In ``Annotated[float, OrUnknown(), ...]``: what is null in the file is not a number in the record."""


@dataclass(frozen=True, slots=True)
class AsWritten:
    """In ``Annotated[float, AsWritten()]``: 4 stays 4 and does not become 4.0, where a digest is taken of the text."""


class FieldRefused(RecordError):
    """One field is not what it must be. way: keys and indices that lead to it; reason: what is wrong with it."""

    def __init__(self, place: str, way: tuple[str | int, ...], reason: str, advice: str) -> None:
        self.way, self.reason = way, reason
        super().__init__(f"{place}{told(way)} {reason}; {advice}")

    def __reduce__(self) -> tuple[type[RecordError], tuple[str]]:
        """To another process the sentence goes alone."""
        return RecordError, (str(self),)


def told(way: tuple[str | int, ...]) -> str:
    """``.contenders[3].macs`` of such keys and indices."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way)


class _Refused(Exception):
    """A value is not what its field wants; ``way`` collects the names on the way out of the record, innermost first."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.way: list[str | int] = []
        self.advice = advice


def decode(kind: type[T], entry: object, place: str, advice: str = "measure again") -> T:
    """The record of ``kind`` that ``entry`` describes; FieldRefused names the place inside it that is wrong.

    Fields that the record gives a default may be absent; keys that it does not know may not be there. Annotations may hold a ``Range``,
    ``OneOf`` or ``OrUnknown``.
    """
    described: Any = kind
    return typing.cast(T, _read(_reader(described), entry, place, advice))


def decode_counts(entry: object, place: str) -> dict[str, int]:
    """A JSON object of whole numbers, such as channels per group; RecordError names the place that is wrong."""
    return typing.cast(dict[str, int], _read(_counts, entry, place))


def _read(reader: Reader, entry: object, place: str, advice: str = "measure again") -> object:
    try:
        return reader(entry)
    except _Refused as refused:
        raise FieldRefused(place, tuple(reversed(refused.way)), str(refused), refused.advice or advice) from refused


@cache
def _reader(kind: Hashable) -> Reader:
    """How values of one annotated type are read."""
    if kind is PruningConfig:
        return _repeated(_config)
    if is_dataclass(kind):
        return _repeated(_record(kind))
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _marked(_reader(inner[0]), inner[1:])
    if origin in (types.UnionType, typing.Union):
        return _optional(_reader(next(one for one in inner if one is not types.NoneType)))
    if origin is tuple and inner[-1] is Ellipsis:
        return _repeated(_many(_reader(inner[0]))) if inner[0] not in _PLAIN else _plain_many(inner[0])
    if origin is tuple:
        return _fixed(tuple(_reader(one) for one in inner))
    raise TypeError(f"a record field of type {kind} cannot be read from JSON")


def _record(kind: Any) -> Reader:
    hints = typing.get_type_hints(kind, include_extras=True)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def read(value: Any) -> Any:
        if type(value) is kind:  # a part that was read before the whole
            return value
        if type(value) is not dict and not isinstance(value, Mapping):
            raise _Refused(f"is {_shown(value)}, not a {kind.__name__}")
        if value.keys() != readers.keys() and not required <= value.keys():
            raise _Refused(f"lacks {', '.join(sorted(required - value.keys()))}")
        if value.keys() != readers.keys() and not value.keys() <= readers.keys():
            raise _Refused(f"holds {_shown(', '.join(map(str, value.keys() - readers.keys())))[1:-1]}, which no {kind.__name__} has")
        name, found = "", {}
        try:
            for name, part in value.items():
                found[name] = readers[name](part)
        except _Refused as refused:
            refused.way.append(name)
            raise
        return _made(kind, found)

    return read


def _repeated(reader: Reader) -> Reader:
    """A reader that answers the record before where the JSON is equal: thousands of rows share their conditions."""
    last: list[tuple[Any, Any]] = []

    def read(value: Any) -> Any:
        if last and last[0][0] == value:
            return last[0][1]
        found = reader(value)
        last[:] = [(value, found)]
        return found

    return read


def _made(kind: Any, found: dict[str, Any]) -> Any:
    """The record of fields that are right each by itself; what it says against them together is the refusal."""
    try:
        return kind(**found)
    except HarnessError as error:
        reason, _, advice = str(error).rpartition("; ")
        raise _Refused(f"is no {kind.__name__}: {reason or advice}", advice if reason else "") from error


def _config(value: Any) -> PruningConfig:
    """Channels by group, as a campaign writes a configuration."""
    if isinstance(value, PruningConfig):
        return value
    if not isinstance(value, Mapping) or value.keys() != {"network", "channels"}:
        raise _Refused(f"is {_shown(value)}, not a network and its channels")
    parts: dict[str, Any] = {}
    for name, reader in (("network", _text), ("channels", _counts)):
        try:
            parts[name] = reader(value[name])
        except _Refused as refused:
            refused.way.append(name)
            raise
    try:
        return PruningConfig.of(parts["network"], parts["channels"])
    except HarnessError as error:
        raise _Refused(f"is no configuration: {str(error).rpartition('; ')[0] or error}") from error


def _marked(reader: Reader, marks: tuple[Any, ...]) -> Reader:
    """A reader that holds what was read against the marks of its annotation."""
    unknown, as_written = (any(isinstance(mark, kind) for mark in marks) for kind in (OrUnknown, AsWritten))

    def read(value: Any) -> Any:
        if value is None and unknown:
            return math.nan
        found = reader(value)
        for mark in marks:
            if isinstance(mark, Range) and not mark.holds(found):
                raise _Refused(f"is {_shown(value)}, not {mark.words}")
            if isinstance(mark, OneOf) and found not in mark.names:
                raise _Refused(f"is {_shown(value)}, not one of {', '.join(mark.names)}")
        return value if as_written else found

    return read


def _text(value: Any) -> str:
    if type(value) is not str or not (value.isascii() or _can_be_written(value)):
        raise _Refused(f"is {_shown(value)}, not a text")
    return value


def _can_be_written(text: str) -> bool:
    """Half of a surrogate pair, which JSON may hold, cannot."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _path(value: Any) -> Path:
    if not _text(value).isprintable():
        raise _Refused(f"is {_shown(value)}, not a path")
    return Path(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _Refused(f"is {_shown(value)}, not true or false")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise _Refused(f"is {_shown(value)}, not a whole number" + " of 64 bits" * (type(value) is int))
    return value


def _number(value: Any) -> float:
    if type(value) is int and abs(value) < 2**1023:
        return float(value)
    if type(value) is not float or not math.isfinite(value):
        raise _Refused(f"is {_shown(value)}, not a finite number")
    return value


_PLAIN: dict[Any, Reader] = {str: _text, bool: _flag, int: _whole, float: _number, Path: _path}


def _plain_many(kind: type) -> Reader:
    """Samples and the like: long, so they are looked at one by one only when something is wrong."""
    one_by_one, only = _many(_PLAIN[kind]), {kind}
    right: dict[type, Callable[[Any], bool]] = {
        float: lambda value: all(map(math.isfinite, value)),
        int: lambda value: not value or (min(value) >= -(2**63) and max(value) < 2**63),
        str: lambda value: all(map(str.isascii, value)),
    }
    alright = right.get(kind, lambda value: True)

    def read(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list | tuple) and set(map(type, value)) <= only and alright(value):
            return tuple(value)
        return one_by_one(value)  # type: ignore[no-any-return]

    return read


def _optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _many(reader: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise _Refused(f"is {_shown(value)}, not a list")
        return _each([reader] * len(value), value)

    return read


def _fixed(readers: tuple[Reader, ...]) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) != len(readers):
            raise _Refused(f"is {_shown(value)}, not a list of {len(readers)}")
        return _each(readers, value)

    return read


def _each(readers: typing.Sequence[Reader], values: typing.Sequence[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    try:
        for reader, value in zip(readers, values, strict=True):
            found.append(reader(value))
    except _Refused as refused:
        refused.way.append(len(found))
        raise
    return tuple(found)


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise _Refused(f"is {_shown(value)}, not an object")
    if type(value) is dict and set(map(type, value.values())) == {int} and max(value.values()) < 2**63 and all(map(str.isascii, value)):
        return value
    return dict(zip(map(_text, value), _each([_whole] * len(value), list(value.values())), strict=True))


def _shown(value: Any) -> str:
    if type(value) is int and abs(value) >= 10**40:
        return "an integer of more than 40 digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
