"""Points of all benchmark files of a folder, each file read once: an append-only index by content lies beside them.

A line of the index is one content, by its SHA-256, with its points; another line tells which content a path had, by size and time of its
last change. Nothing is ever rewritten, so a crash or two writers leave lines that are read or skipped, never a broken index. Deleting it
costs time alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import RecordError
from harness.files import json_text
from harness.history import point
from harness.history.point import Point
from harness.records import benchmark_json

INDEX = ".history.jsonl"
SCHEMA = 2  # 1 put a network whose code changed into a series of its own

Say = Callable[[str], None]


@dataclass
class _Known:
    """What the index holds: points by digest, digests by path, size and time."""

    points: dict[str, list[Any]] = field(default_factory=dict)
    files: dict[tuple[str, int, int], str] = field(default_factory=dict)


def gather(folders: Sequence[Path], say: Say) -> tuple[Point, ...]:
    """Every point of the files in ``folders``, whatever the depth, each content once, by time.

    Files that are no benchmark files of ours are told through ``say`` and left out, once each; RecordError where a folder is none.
    """
    found: dict[str, tuple[Point, ...]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise RecordError(f"{folder} is no folder; give one with files of pytest bench/ --benchmark-json=FILE")
        found |= _of_folder(folder, say)
    return tuple(sorted((one for points in found.values() for one in points), key=lambda one: one.taken_at))


def _of_folder(folder: Path, say: Say) -> dict[str, tuple[Point, ...]]:
    known, fresh = _read(folder / INDEX), []
    digests = []
    for name, size, changed in _files(folder):
        key = (name, size, changed)
        digest = known.files.get(key)
        if digest is None or digest not in known.points:
            content = (folder / name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if digest not in known.points:
                known.points[digest] = [asdict(one) for one in _parsed(content, folder / name, say)]
                fresh.append({"schema": SCHEMA, "digest": digest, "points": known.points[digest]})
            fresh.append({"schema": SCHEMA, "file": name, "size": size, "changed": changed, "digest": digest})
        digests.append(digest)
    _append(folder / INDEX, fresh, say)
    return {digest: tuple(_point(one) for one in known.points[digest]) for digest in dict.fromkeys(digests)}


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path inside of the folder, bytes, and time of the last change in nanoseconds of every JSON file."""
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.name.endswith(".json"):
                    state = entry.stat()
                    yield os.path.relpath(entry.path, folder), state.st_size, state.st_mtime_ns


def _parsed(content: bytes, path: Path, say: Say) -> list[Point]:
    try:
        commit, file = benchmark_json.parse_with_commit(content, path)
    except RecordError as error:
        say(f"left out: {error}")
        return []
    of = {one.network: one for one in file.architectures}
    if len(of) < len(file.architectures):  # their digests take longer than reading the file
        of = {}
    by_digest = {} if of else {one.digest: one for one in file.architectures}
    found = []
    for one in file.measurements:
        architecture = of.get(one.network) or by_digest.get(one.architecture_digest)
        found.append(point.of(one, commit, architecture))
    return [one for one in found if one is not None]


def _read(index: Path) -> _Known:
    known = _Known()
    try:
        lines = index.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return known  # then everything is read anew
    for line in lines:
        try:
            entry = json_text.parse(line)
            if entry["schema"] == SCHEMA and "points" in entry:
                known.points[entry["digest"]] = entry["points"]
            elif entry["schema"] == SCHEMA:
                known.files[entry["file"], entry["size"], entry["changed"]] = entry["digest"]
        except (ValueError, KeyError, TypeError):
            continue  # half a line of somebody who was stopped
    return known


def _append(index: Path, entries: Iterable[dict[str, Any]], say: Say) -> None:
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    if not text:
        return
    try:
        with open(index, "a+b") as file:
            if file.tell() and not _ends_with_newline(file):
                text = "\n" + text
            file.write(text.encode())
    except OSError as error:
        say(f"{index} cannot be written ({error.strerror}): the files are read again next time")


def _ends_with_newline(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _point(entry: Any) -> Point:
    pairs = {key: tuple((name, value) for name, value in entry[key]) for key in ("series", "layers")}
    return Point(**{**entry, **pairs})
