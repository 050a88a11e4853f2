"""JSON of any origin: bounded in depth, without NaN and infinities, and with the line on which a field stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.files import reading

MOST_DEPTH = 40  # of lists and objects in each other; ours have ten
_SPACE = " \t\r\n"


def read(path: Path) -> Any:
    """The document in a file; OSError as ``reading.read``, ValueError as ``parse``."""
    return parse(reading.read(path))


def parse(text: bytes | str) -> Any:
    """The document that ``text`` is; ValueError, with line and column where it can be told, for what is none or nested too deeply."""
    try:
        document = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep") from None
    level = [document]
    for _ in range(MOST_DEPTH):
        level = [part for one in level for part in _parts(one) if isinstance(part, dict | list)]
        if not level:
            return document
    raise ValueError(f"it is nested more than {MOST_DEPTH} deep")


def line_of(text: str, way: Sequence[str | int]) -> int:
    """The line, from 1, on which the part of a valid document begins that ``way`` (keys and indices) leads to, as far as it leads."""
    at = _behind_space(text, 0)
    for step in way:
        found = _child(text, at, step)
        if found is None:
            break
        at = found
    return text.count("\n", 0, at) + 1


def _parts(one: Any) -> Any:
    return one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _child(text: str, at: int, step: str | int) -> int | None:
    """Where the member called ``step``, or the item of that number, begins in what begins at ``at``."""
    decoder, number, opened = json.JSONDecoder(), 0, text[at]
    if opened not in "{[":
        return None
    at = _behind_space(text, at + 1)
    while text[at] not in "}]":
        key: str | int = number
        if opened == "{":
            key, at = decoder.raw_decode(text, at)
            at = _behind_space(text, _behind_space(text, at) + 1)  # the colon
        if key == step:
            return at
        _, at = decoder.raw_decode(text, at)
        at = _behind_space(text, at)
        at, number = _behind_space(text, at + (text[at] == ",")), number + 1
    return None


def _behind_space(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at
