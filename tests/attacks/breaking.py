"""Files broken in every way that we know of: values, keys, nesting, bytes, and what lies where a file should."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEEP = 100_000
RAW = "\x07raw:"  # marks a text that stands in the document without its quotes
NASTY: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    1e308,
    -0.0,
    f"{RAW}1{'0' * 400}",
    f"{RAW}1{'0' * 5000}",
    f"{RAW}1e999",
    f"{RAW}NaN",
    f"{RAW}-Infinity",
    f"{RAW}{'[' * DEEP}{']' * DEEP}",
    f'{RAW}"\\ud800"',
    "",
    "x" * 10_000,
    "\0",
    "line\nbreak",
    "../../../../etc/passwd",
    "\u202egnp.exe",
    "{0.__class__}",
    [],
    {},
    [[]],
    {"a": 1},
    [None],
    "1",
    0.5,
)


def nodes(document: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every part of a document, the whole first."""
    found = [way]
    parts = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, part in parts:
        found += nodes(part, (*way, key))
    return found


def written(document: Any) -> str:
    """The document as JSON, raw parts as they are."""
    text = json.dumps(document, indent=1)
    start = json.dumps(RAW)[:-1]
    while (at := text.find(start)) >= 0:
        _, end = json.decoder.scanstring(text, at + 1)  # type: ignore[attr-defined]
        text = text[:at] + json.loads(text[at:end])[len(RAW) :] + text[end:]
    return text


def broken_document(seed: bytes, chance: random.Random) -> bytes:
    """A JSON document of which one to three parts are not what they were."""
    document = json.loads(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        document = _changed(document, chance)
    return written(document).encode("utf-8", "surrogatepass")


def broken_lines(seed: bytes, chance: random.Random) -> bytes:
    """JSON lines of which one is broken, twice there, gone or cut."""
    lines = seed.splitlines()
    at = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case 2:
            lines[at] = broken_bytes(lines[at], chance)
        case _:
            lines[at] = broken_document(lines[at], chance).replace(b"\n", b"")
    return b"\n".join(lines) + b"\n" * chance.randrange(2)


def broken_bytes(seed: bytes, chance: random.Random) -> bytes:
    """Bytes cut off, flipped, put in, doubled, or others altogether."""
    content = bytearray(seed)
    match chance.randrange(7):
        case 0:
            return bytes(content[: chance.randrange(len(content) + 1)])
        case 1 | 2:
            for _ in range(chance.choice((1, 1, 4, 64))):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        case 3:
            at = chance.randrange(len(content) + 1)
            content[at:at] = chance.randbytes(chance.choice((1, 8, 300)))
        case 4:
            first, last = sorted(chance.randrange(len(content) + 1) for _ in range(2))
            content[first:first] = content[first:last]
        case 5:
            return chance.choice(
                (b"", b"\0" * 100, b"\xff\xfe" + seed, b"\xef\xbb\xbf" + seed, b"[" * DEEP, b'{"a":' * DEEP, b"null", b"\n")
            )
        case _:
            first, last = sorted(chance.randrange(len(content) + 1) for _ in range(2))
            del content[first:last]
    return bytes(content)


WORDS = (
    "nan",
    "inf",
    "-inf",
    "1e999",
    "1" + "0" * 5000,
    "true",
    "[]",
    "{}",
    '""',
    "[[[[",
    "2024-01-01",
    "&a [*a]",
    "!!python/object/apply:os.system ['id']",
    "~",
)


def broken_text(seed: bytes, chance: random.Random) -> bytes:
    """TOML or YAML of which a value, a line or bytes are others."""
    lines = seed.decode().splitlines()
    at = chance.randrange(len(lines))
    sign = "=" if "=" in lines[at] else ":"
    match chance.randrange(5):
        case 0:
            return broken_bytes(seed, chance)
        case 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case 2:
            del lines[at]
        case _:
            lines[at] = f"{lines[at].partition(sign)[0]}{sign} {chance.choice(WORDS)}"
    return "\n".join(lines).encode()


def _changed(document: Any, chance: random.Random) -> Any:
    way = chance.choice(nodes(document))
    if not way:
        return copy.deepcopy(chance.choice(NASTY))
    parent = document
    for key in way[:-1]:
        parent = parent[key]
    match chance.randrange(6):
        case 0:
            del parent[way[-1]]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(("", "other", way[-1] + " "))] = parent.pop(way[-1])
        case 2 if isinstance(parent, list):
            parent += [parent[way[-1]]] * chance.choice((1, 30))
        case _:
            parent[way[-1]] = copy.deepcopy(chance.choice(NASTY))
    return document


def _link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _circle(path: Path) -> None:
    path.symlink_to(path)


# What may lie where a file should.
INSTEAD: dict[str, Callable[[Path], None]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": lambda path: os.mkfifo(path),
    "link to /dev/zero": _link_to_zero,
    "link to itself": _circle,
    "nothing": lambda path: None,
}
