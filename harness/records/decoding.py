"""JSON into frozen records, strictly: every field there, of its type and finite, or a refusal that names the place.

What a record looks like is read off its own type annotations, so that a new field needs no second description here.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from harness.errors import RecordError

T = TypeVar("T")
Reader = Callable[[Any], Any]  # JSON value -> field


class _Refused(Exception):
    """A value is not what its field wants; ``way`` collects the names on the way out of the record, innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.way: list[str] = []


def decode(kind: type[T], entry: object, place: str) -> T:
    """The record of ``kind`` that ``entry`` describes; RecordError names the place inside it that is wrong.

    Fields that the record gives a default may be absent; keys that it does not know may not be there.
    """
    described: Any = kind
    return typing.cast(T, _read(_reader(described), entry, place))


def decode_counts(entry: object, place: str) -> dict[str, int]:
    """A JSON object of whole numbers, such as channels per group; RecordError names the place that is wrong."""
    return typing.cast(dict[str, int], _read(_counts, entry, place))


def refuse_constant(text: str) -> float:
    """For ``json.loads(parse_constant=...)``: NaN and infinities are no JSON and no measurement."""
    raise ValueError(f"{text} is no number")


def _read(reader: Reader, entry: object, place: str) -> object:
    try:
        return reader(entry)
    except _Refused as refused:
        raise RecordError(f"{place}{''.join(reversed(refused.way))} {refused}; measure again") from refused


@cache
def _reader(kind: Hashable) -> Reader:
    """How values of one annotated type are read."""
    if is_dataclass(kind):
        return _repeated(_record(kind))
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _optional(_reader(next(one for one in inner if one is not types.NoneType)))
    if origin is tuple and inner[-1] is Ellipsis:
        return _repeated(_many(_reader(inner[0]))) if inner[0] not in _PLAIN else _plain_many(inner[0])
    if origin is tuple:
        return _fixed(tuple(_reader(one) for one in inner))
    raise TypeError(f"a record field of type {kind} cannot be read from JSON")


def _record(kind: Any) -> Reader:
    hints = typing.get_type_hints(kind)
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
            raise _Refused(f"holds {', '.join(map(str, value.keys() - readers.keys()))}, which no {kind.__name__} has")
        name, found = "", {}
        try:
            for name, part in value.items():
                found[name] = readers[name](part)
        except _Refused as refused:
            refused.way.append(f".{name}")
            raise
        return kind(**found)

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


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Refused(f"is {_shown(value)}, not a text")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _Refused(f"is {_shown(value)}, not true or false")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise _Refused(f"is {_shown(value)}, not a whole number")
    return value


def _number(value: Any) -> float:
    if type(value) is int and abs(value) < 2**1023:
        return float(value)
    if type(value) is not float or not math.isfinite(value):
        raise _Refused(f"is {_shown(value)}, not a finite number")
    return value


_PLAIN: dict[Any, Reader] = {str: _text, bool: _flag, int: _whole, float: _number}


def _plain_many(kind: type) -> Reader:
    """Samples and the like: long, so they are looked at one by one only when something is wrong."""
    one_by_one, only = _many(_PLAIN[kind]), {kind}

    def read(value: Any) -> tuple[Any, ...]:
        if isinstance(value, list | tuple) and set(map(type, value)) <= only and (kind is not float or all(map(math.isfinite, value))):
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
        refused.way.append(f"[{len(found)}]")
        raise
    return tuple(found)


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise _Refused(f"is {_shown(value)}, not an object")
    if type(value) is dict and set(map(type, value)) == {str} and set(map(type, value.values())) == {int}:
        return value
    return dict(zip(map(_text, value), _each([_whole] * len(value), list(value.values())), strict=True))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
