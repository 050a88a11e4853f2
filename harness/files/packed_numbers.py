"""Long lists of numbers of a JSON document, kept compressed in a file beside it, a line each, and put back bit for bit.

In the place of each the document says on which line it lies, how many there are, and the least, the median and the largest of them. A line
is JSON: ``{"ns": [740639, ...]}``, whole nanoseconds of what the document tells in seconds, or else the list as it was. So
``zcat proof.samples.gz | sed -n 17p`` shows one to anybody.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import RecordError
from harness.files import json_text, reading

KEY, LINE = "packed", "packed_line"  # of a document that has such a file; of what stands for a list
LEAST = 16  # numbers: shorter lists are read where they are
SUFFIX = ".samples.gz"
_NANOSECOND = 1e-9
_MOST_NS = 2**53  # whole numbers beyond are no floating-point ones any more
_AGAIN = "copy both files again from where they were packed"


def beside(path: Path) -> Path:
    """Where the lists of the document at ``path`` lie: ``proof.samples.gz`` of ``proof.json``."""
    return path.with_suffix(SUFFIX)


def copy(source: Path, target: Path) -> None:
    """Copy a document, with its lists where they lie beside it; OSError."""
    if beside(source).is_file():
        shutil.copyfile(beside(source), beside(target))
    shutil.copyfile(source, target)


def is_packed(document: object) -> bool:
    """Whether lists of a document lie in another file."""
    return isinstance(document, dict) and KEY in document


def packed(document: dict[str, Any], origin: str) -> tuple[dict[str, Any], bytes]:
    """The document without its long lists, and the file for them; the document itself and no bytes where it has none.

    RecordError, which names ``origin``, for a document in which something stands for a list already.
    """
    lines: list[str] = []
    short = _taken_out(document, lines, origin)
    if not lines:
        return document, b""
    text = ("\n".join(lines) + "\n").encode()
    told = {"sha256": hashlib.sha256(text).hexdigest(), "lines": len(lines)}
    return {KEY: told, **short}, gzip.compress(text, mtime=0)


def restored(document: object, path: Path) -> object:
    """The document at ``path`` with its lists put back, itself where it is not packed.

    RecordError where their file is missing, damaged or another one, names the file and says what to do.
    """
    if not isinstance(document, dict) or KEY not in document:
        return document
    lists = _Lists(path, _lines(path, document[KEY]))
    return {key: _put_back(part, lists) for key, part in document.items() if key != KEY}


def laid_out(document: dict[str, Any]) -> bytes:
    """A document as JSON with a line for every entry of its lists of objects, so that people and ``diff`` see records."""
    return (_laid(document, 0) + "\n").encode()


@dataclass
class _Lists:
    """Those of one file, given out once each: a short document cannot ask for one of them a thousand times."""

    path: Path
    lines: Sequence[bytes]
    given: set[int] = field(default_factory=set)

    def take(self, mark: dict[str, Any]) -> list[Any]:
        number, place = mark[LINE], f"{self.path}: line {mark[LINE]!r:.20} of {beside(self.path).name}"
        if type(number) is not int or not 0 < number <= len(self.lines):
            raise RecordError(f"{place} is asked for, it has {len(self.lines)}; {_AGAIN}")
        if number in self.given:
            raise RecordError(f"{place} is asked for twice; {_AGAIN}")
        self.given.add(number)
        numbers = _numbers(self.lines[number - 1])
        if numbers is None:
            raise RecordError(f"{place} is no list of numbers; {_AGAIN}")
        if _mark(number, numbers) != mark:
            raise RecordError(f"{place} is another list than is told of (count, least, median, largest); {_AGAIN}")
        return numbers


def _lines(path: Path, told: object) -> Sequence[bytes]:
    """Of the file beside ``path``, whose digest is told."""
    file = beside(path)
    if not isinstance(told, dict) or told.keys() != {"sha256", "lines"}:
        raise RecordError(f"{path}: {KEY} does not tell the digest and the lines of {file.name}; {_AGAIN}")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(reading.read(file))) as compressed:
            text = compressed.read(reading.MOST_BYTES)  # a small file may hold no end of zeros
    except FileNotFoundError as error:
        raise RecordError(f"{path}: its samples are missing; put {file.name} beside it, from where it was packed") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordError(f"{path}: its samples in {file} cannot be read ({reason}); {_AGAIN}") from error
    digest, lines = hashlib.sha256(text).hexdigest(), text.splitlines()
    if (digest, len(lines)) != (told["sha256"], told["lines"]):
        expected = f"{told['lines']!r:.20} lines of SHA-256 {told['sha256']!r:.14}"
        raise RecordError(f"{path}: {file} holds other samples ({len(lines)} lines of SHA-256 {digest[:12]}, not {expected}); {_AGAIN}")
    return lines


def _taken_out(value: Any, lines: list[str], origin: str) -> Any:
    if isinstance(value, list):
        if len(value) < LEAST or set(map(type, value)) != {float} or not all(map(math.isfinite, value)):
            return [_taken_out(one, lines, origin) for one in value]
        lines.append(json.dumps(_nanoseconds(value) or value, separators=(",", ":")))
        return _mark(len(lines), value)
    if isinstance(value, dict):
        if LINE in value:
            raise RecordError(f"{origin}: {LINE} stands in it, as if it were packed, and the rest of it is not; measure again")
        return {key: _taken_out(one, lines, origin) for key, one in value.items()}
    return value


def _put_back(value: Any, lists: _Lists) -> Any:
    if isinstance(value, list):
        return [_put_back(one, lists) for one in value]
    if isinstance(value, dict):
        return lists.take(value) if LINE in value else {key: _put_back(one, lists) for key, one in value.items()}
    return value


def _mark(number: int, numbers: Sequence[float]) -> dict[str, Any]:
    """What stands in the document for a list: the line that it is on, from 1, and what a reader wants to know first."""
    ordered, count = sorted(numbers), len(numbers)
    median = ordered[count // 2] if count % 2 else ordered[count // 2 - 1] / 2 + ordered[count // 2] / 2  # halved first: no sum overflows
    return {LINE: number, "count": count, "min": ordered[0], "median": median, "max": ordered[-1]}


def _nanoseconds(seconds: Sequence[float]) -> dict[str, list[int]] | None:
    """The same as whole nanoseconds, as a device's clock told them; None where that would not give every bit back."""
    if not (min(seconds) > 0 and max(seconds) < _MOST_NS * _NANOSECOND):
        return None
    counts = [round(one / _NANOSECOND) for one in seconds]
    return {"ns": counts} if [one * _NANOSECOND for one in counts] == list(seconds) else None


def _numbers(line: bytes) -> list[float] | None:
    """The list on a line, None where it is none."""
    try:
        found = json_text.parse(line)
    except ValueError:
        return None
    if isinstance(found, dict) and found.keys() == {"ns"} and isinstance(found["ns"], list):
        counts = found["ns"]
        if set(map(type, counts)) != {int} or not (min(counts) > 0 and max(counts) < _MOST_NS):
            return None
        return [one * _NANOSECOND for one in counts]
    return found if isinstance(found, list) and set(map(type, found)) == {float} and all(map(math.isfinite, found)) else None


def _laid(value: Any, depth: int) -> str:
    if isinstance(value, dict) and value and depth < 2:
        parts = (f"{json.dumps(key)}: {_laid(one, depth + 1)}" for key, one in value.items())
        return "{\n" + ",\n".join(parts) + "\n}"
    if isinstance(value, list) and depth < 3 and any(isinstance(one, dict) for one in value):
        return "[\n" + ",\n".join(json.dumps(one, allow_nan=False) for one in value) + "\n]"
    return json.dumps(value, allow_nan=False)
