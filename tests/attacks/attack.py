"""One broken file given to one reader, and what came of it: taken, refused in one line, or a defect."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from harness.errors import HarnessError
from tests.attacks import breaking
from tests.attacks.reader import Reader

LIMIT_S = 30
# What a person cannot use: words of the interpreter instead of what is wrong in the file.
INTERNALS = re.compile(
    r"\w+Error\(|Traceback|object at 0x|not enough values|too many values|unhashable|NoneType|unexpected keyword|positional argument"
    r"|has no attribute|not subscriptable|not iterable|not supported between|recursion depth|must be str|indices must be"
)
TAKEN, REFUSED, UNCLEAR, TRACEBACK, HANG = "taken", "refused", "unclear", "traceback", "hang"
RUNS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_watch: list[Watch] = []


class _TooLong(BaseException):
    """The reader took more than ``LIMIT_S``."""


@dataclass
class Watch:
    """What the interpreter was seen to do meanwhile, outside of ``place``: commands run, files opened for writing."""

    place: Path
    executed: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in RUNS:
            self.executed.append(f"{event} {arguments!r:.100}")
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
            path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else ""
            if path and not path.startswith((str(self.place), "/dev/null")) and "__pycache__" not in path:
                self.overwritten.append(path)


@dataclass(frozen=True)
class Seen:
    """What one reader made of one file."""

    reader: str
    kind: str
    text: str = ""
    content: bytes = b""


@dataclass
class Tally:
    """What all of them came to."""

    seen: list[Seen] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """How many of each kind."""
        return Counter(one.kind for one in self.seen)

    @property
    def defects(self) -> list[Seen]:
        """Those that must not be."""
        return [one for one in self.seen if one.kind in (UNCLEAR, TRACEBACK, HANG)]

    @property
    def sentence(self) -> str:
        """The counts in one line."""
        counts = self.counts
        return (
            f"{len(self.seen)} broken files: {counts[REFUSED]} refused in one line, {counts[TAKEN]} whole enough, {counts[TRACEBACK]} "
            f"tracebacks, {counts[UNCLEAR]} unclear, {counts[HANG]} hangs over {LIMIT_S} s, {len(self.overwritten)} overwritten, "
            f"{len(self.executed)} executions"
        )


def give(reader: Reader, content: bytes, place: Path, tally: Tally) -> Seen:
    """Give the reader a file of this content."""
    with _folder(place) as folder:
        path = reader.lay(folder)
        path.write_bytes(content)
        return _given(reader, path, content, tally)


def give_instead(reader: Reader, what: str, place: Path, tally: Tally) -> Seen:
    """Give the reader something else than a file."""
    with _folder(place) as folder:
        path = reader.lay(folder)
        breaking.INSTEAD[what](path)
        return _given(reader, path, what.encode(), tally)


def broken(reader: Reader, chance: random.Random) -> bytes:
    """One broken file for this reader."""
    return chance.choice(reader.breaks)(reader.seed(), chance)


def _given(reader: Reader, path: Path, content: bytes, tally: Tally) -> Seen:
    watch = Watch(path.parent)
    _install()
    kind, text = TAKEN, ""
    _watch.append(watch)
    try:
        with _limited():
            reader.read(path)
    except HarnessError as error:
        text = str(error)
        kind = UNCLEAR if "\n" in text or len(text) > 1500 or INTERNALS.search(text) else REFUSED
    except _TooLong:
        kind = HANG
    except BaseException as error:
        kind, text = TRACEBACK, f"{type(error).__name__}: {error}"[:300]
    finally:
        _watch.clear()
    tally.executed += watch.executed
    tally.overwritten += watch.overwritten
    found = Seen(reader.name, kind, text, content)
    tally.seen.append(found)
    return found


def _install() -> None:
    if not getattr(sys, "_espalier_watched", False):  # an audit hook cannot be taken away: one for the process
        sys.addaudithook(lambda event, arguments: [one.see(event, arguments) for one in _watch] and None)
        sys._espalier_watched = True  # type: ignore[attr-defined]


@contextmanager
def _folder(place: Path) -> Iterator[Path]:
    folder = place / "reports" / "campaigns" / "c"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(place / "reports")


@contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
