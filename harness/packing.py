"""``python -m harness.packing reports/campaigns/NAME``: the raw samples of finished measurements, small and beside their file; and back.

pytest-benchmark reads a packed file as before, and everything here reads both alike.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, RecordError, UsageError
from harness.files import disk, json_text, locks, packed_numbers
from harness.records import benchmark_json, stored_files

ADVICE = "give a file of pytest bench/ --benchmark-json=FILE, or a folder of such"


@dataclass(frozen=True)
class Change:
    """What became of a file. before_bytes, after_bytes: of it and of what lies beside it; is_one: whether there was something to do."""

    path: Path
    before_bytes: int
    after_bytes: int
    is_one: bool = True

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"{self.path}: {_megabytes(self.before_bytes)} before, {_megabytes(self.after_bytes)} now"


def main(words: Sequence[str] | None = None) -> int:
    """0 when every file is as it was asked for; 2 where one cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.packing",
        description="Move the raw samples of finished measurements into a compressed file beside each, FILE.samples.gz, or back.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER", help="benchmark files, or folders of them, as a campaign's")
    parser.add_argument("--unpack", action="store_true", help="put the samples back into the files")
    asked = parser.parse_args(words)
    try:
        with ExitStack() as held:
            for path in asked.paths:
                held.enter_context(_held(path))
            changes = []
            for path in files(asked.paths):
                changes.append(unpack(path) if asked.unpack else pack(path))
                if changes[-1].is_one:
                    print(changes[-1].sentence)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {disk.told(error)}; make room, or mend the permissions, and repeat the command", file=sys.stderr)
        return UsageError.exit_code
    before, after = sum(one.before_bytes for one in changes), sum(one.after_bytes for one in changes)
    left = sum(not one.is_one for one in changes)
    told = f", {left} of them as they were" if left else ""
    print(f"{len(changes)} {'file' if len(changes) == 1 else 'files'}{told}: {_megabytes(before)} before, {_megabytes(after)} now")
    return 0


def files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The benchmark files that are named, and those in folders at any depth; UsageError where there are none.

    In a folder JSON of another kind is passed over. RecordError for what cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        ours = [one for one in inside if not path.is_dir() or isinstance(_document(one).get(benchmark_json.KEY), dict)]
        if not ours:
            raise UsageError(f"{path} holds no benchmark file; {ADVICE}")
        found += ours
    return tuple(dict.fromkeys(found))


def pack(path: Path) -> Change:
    """Move the long lists of a benchmark file beside it, bit for bit, whole or not at all.

    RecordError, with the file as it was, for one that cannot be read; OSError where nothing can be written.
    """
    before = _bytes(path)
    benchmark_json.read(path)
    document = _document(path)
    if packed_numbers.is_packed(document):
        return Change(path, before, before, is_one=False)
    short, lists = packed_numbers.packed(document, str(path))
    if not lists:
        return Change(path, before, before, is_one=False)
    content = _laid_out(path, short, benchmark_json.PACKED)
    stored_files.replace(packed_numbers.beside(path), lists)
    if packed_numbers.restored(short, path) != document:  # they took hours to measure
        raise RecordError(f"the samples of {path} were not written as they are; look at the disk of {path.parent}, and repeat the command")
    _replace(path, content)
    return Change(path, before, _bytes(path))


def unpack(path: Path) -> Change:
    """Put the lists back that lie beside a benchmark file, and remove their file. Raises as ``pack``."""
    before = _bytes(path)
    benchmark_json.read(path)
    document = _document(path)
    if not packed_numbers.is_packed(document):
        return Change(path, before, before, is_one=False)
    whole: Any = packed_numbers.restored(document, path)
    _replace(path, _laid_out(path, whole, benchmark_json.SCHEMA))
    packed_numbers.beside(path).unlink()
    return Change(path, before, _bytes(path))


def _document(path: Path) -> dict[str, Any]:
    """What lies in a file, packed or not; empty where it is no object."""
    try:
        found = json_text.read(path)
    except OSError as error:
        raise RecordError(f"cannot read {path} ({error.strerror}); check the path") from error
    except ValueError as error:
        raise RecordError(f"{path} is not whole JSON ({error}); mend or delete it") from error
    return found if isinstance(found, dict) else {}


def _laid_out(path: Path, document: dict[str, Any], schema: int) -> bytes:
    try:
        return packed_numbers.laid_out({**document, benchmark_json.KEY: {**document[benchmark_json.KEY], "schema": schema}})
    except ValueError as error:  # 1e999, in what somebody else keeps in it
        raise RecordError(f"{path} holds a number that is not finite; mend or delete it") from error


def _replace(path: Path, content: bytes) -> None:
    """Write it with the time of the old one: which measurements are the newest is told by that."""
    times = path.stat()
    stored_files.replace(path, content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _bytes(path: Path) -> int:
    """Of a file and its samples; RecordError where it cannot be read."""
    try:
        own, beside = path.stat().st_size, packed_numbers.beside(path)
        return own + beside.stat().st_size if beside.is_file() else own
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot read {path} ({getattr(error, 'strerror', None) or error}); check the path") from error


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """With the campaigns in a folder held, or that of a file, so that no other process writes meanwhile; UsageError where one does."""
    with ExitStack() as taken:
        for one in sorted(path.rglob("*.lock") if path.is_dir() else path.parent.glob("*.lock")):
            lock = locks.take(one)
            if lock is None:
                raise UsageError(f"another process is working in {one.parent}; wait for it, and repeat the command")
            taken.callback(lock.release)
        yield


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


if __name__ == "__main__":
    sys.exit(main())
