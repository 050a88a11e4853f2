"""The journal: every trial of a campaign as one fsynced JSON line, the truth from which a campaign resumes.

The first line says what the campaign is; then come ``started``, ``finished``, ``imported`` and ``stopped`` lines. A torn last
line, which a killed process or a full disk leaves, is ignored and cut off before the next one is written.

Schema history
1  2026-11  first.
"""

from __future__ import annotations

import errno
import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from harness.errors import CampaignError, one_line
from harness.files import disk, json_text, locks, reading
from harness.files.locks import Lock
from harness.records import stored_files
from harness.records.decoding import FieldRefused, decode, told
from search.records.trial import CompiledCost, MaybeSeconds, Seconds, Trial, TrialOutcome, TrialRequest

SCHEMA = 1
FILE = "journal.jsonl"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Header:
    """What a campaign is about; a journal with other digests belongs to another campaign.

    goal: the goal in words. settings: the settings as text, for people. digests: of the space, the architecture, the
    stored measurements and whatever decides an accuracy (dense weights, data, code), by name. epochs: how long trials are.
    """

    name: str
    seed: int
    goal: str
    settings: str
    space: str
    architecture: str
    measurements: str
    accuracy: str
    epochs: str = ""

    def differences(self, other: Header) -> tuple[str, ...]:
        """Names of what must agree before a campaign goes on, but does not."""
        return tuple(
            name
            for name in ("seed", "goal", "epochs", "space", "architecture", "measurements", "accuracy")
            if getattr(self, name) != getattr(other, name)
        )


@dataclass(frozen=True, slots=True)
class _Started:
    kind: str
    request: TrialRequest
    elapsed_s: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class _Ran:
    """A finished or an imported trial."""

    kind: str
    request: TrialRequest
    outcome: TrialOutcome
    latency_s: MaybeSeconds
    ask_s: Seconds
    elapsed_s: Seconds = 0.0
    compiled_cost: CompiledCost | None = None

    @property
    def trial(self) -> Trial:
        return Trial(self.request, self.outcome, self.latency_s, self.ask_s, self.compiled_cost)


@dataclass(frozen=True, slots=True)
class _Stopped:
    kind: str
    reason: str
    elapsed_s: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Contents:
    """A journal as read. running: started and never finished. imported: trials of other campaigns."""

    header: Header
    finished: tuple[Trial, ...] = ()
    running: tuple[TrialRequest, ...] = ()
    imported: tuple[Trial, ...] = ()
    stopped: str = ""
    seconds: float = 0.0
    complete_bytes: int = field(default=0, compare=False)

    @property
    def next_number(self) -> int:
        """The first trial number that was never used."""
        return max((r.number for r in (*(t.request for t in self.finished), *self.running)), default=-1) + 1


def read(directory: Path) -> Contents:
    """What the journal in ``directory`` says; CampaignError when there is none, or it is damaged before its last line."""
    path = directory / FILE
    try:
        raw = reading.read(path)
    except FileNotFoundError:
        raise CampaignError(f"there is no campaign in {directory} (no {FILE}); start one with: python -m search run") from None
    except OSError as error:
        raise CampaignError(f"{path} cannot be read ({error.strerror}); restore it from a copy") from error
    documents, complete = _lines(path, raw)
    if not documents:
        raise CampaignError(f"the journal {path} ends within its first line, nothing was tried yet; delete {directory} and start again")
    return _contents(path, documents, complete)


def _lines(path: Path, raw: bytes) -> tuple[list[dict[str, Any]], int]:
    """The complete lines as documents, and how many bytes they take."""
    documents, complete = list[dict[str, Any]](), 0
    lines = raw.split(b"\n")  # no other separator, which a text in a line may hold
    for number, line in enumerate(lines, start=1):
        is_last = number == len(lines) or (number == len(lines) - 1 and not lines[-1])
        if is_last and not line:
            break
        why = "it is no object"
        try:
            document = json_text.parse(line)
        except ValueError as error:
            document, why = None, str(error)
        if not isinstance(document, dict):
            if is_last:
                break
            raise CampaignError(f"line {number} of {path} is damaged and is not the last one ({why}); restore the file from a copy")
        documents.append(document)
        complete = min(complete + len(line) + 1, len(raw))
    return documents, complete


def _contents(path: Path, documents: list[dict[str, Any]], complete: int) -> Contents:
    if documents[0].get("kind") != "campaign" or documents[0].get("schema") != SCHEMA:
        raise CampaignError(
            f"{path} is a journal of schema {documents[0].get('schema')!r:.20}, this program writes {SCHEMA}; "
            "read it with the version that wrote it, or start a new campaign"
        )
    finished: dict[int, Trial] = {}
    running, imported, stopped, seconds = dict[int, TrialRequest](), list[Trial](), "", 0.0
    header = _decoded(Header, documents[0].get("header"), path, 1)
    for number, document in enumerate(documents[1:], start=2):
        found: _Started | _Ran | _Stopped
        match document.get("kind"):
            case "started":
                found = _decoded(_Started, document, path, number)
                running[found.request.number], stopped = found.request, ""
            case "finished":
                found = _ran(document, path, number)
                finished.setdefault(found.trial.number, found.trial)
                running.pop(found.trial.number, None)
            case "imported":
                found = _ran(document, path, number)
                imported.append(found.trial)
            case "stopped":
                found = _decoded(_Stopped, document, path, number)
                stopped = found.reason
            case other:
                raise _refused(path, number, f"kind is {str(other)[:20]!r}, not one of started, finished, imported, stopped")
        seconds = max(seconds, found.elapsed_s)
    return Contents(header, tuple(finished.values()), tuple(running.values()), tuple(imported), stopped, seconds, complete)


def _decoded(kind: type[T], document: Any, path: Path, number: int) -> T:
    try:
        return decode(kind, document, "")
    except FieldRefused as error:
        raise _refused(path, number, f"{told(error.way).lstrip('.') or 'it'} {error.reason}") from error


def _ran(document: dict[str, Any], path: Path, number: int) -> _Ran:
    found = _decoded(_Ran, document, path, number)
    if found.outcome.ok and found.outcome != found.outcome.checked():  # one without an accuracy is written as crashed
        raise _refused(path, number, "outcome is that of a trial with an end, and lacks its accuracy")
    if math.isnan(found.latency_s) == (found.compiled_cost is None):
        raise _refused(path, number, "it has both a latency and a compiled cost, or neither")
    return found


def _refused(path: Path, number: int, why: str) -> CampaignError:
    told_why = f"line {number} of {path} does not say what a line of schema {SCHEMA} says: {why}"
    return CampaignError(one_line(f"{told_why}; restore the file from a copy"))


class Journal:
    """The one writer of a campaign's journal, holding its lock until ``close``."""

    def __init__(self, directory: Path, file: BinaryIO, lock: Lock) -> None:
        self.directory, self._file, self._lock = directory, file, lock

    @classmethod
    def create(cls, directory: Path, header: Header) -> Journal:
        """A new journal; CampaignError when the directory holds one already."""
        lock = _locked(directory)
        if (directory / FILE).exists():
            lock.release()
            resuming = f"resume it with: python -m search resume {directory.name}"
            raise CampaignError(f"the campaign {directory.name} exists; {resuming}, or choose another name")
        laid = directory / f"{FILE}.part"  # appears whole or not at all: a journal without its first line could not be resumed
        laid.unlink(missing_ok=True)  # left by a killed process, or laid there as a link to something else
        journal = cls(directory, open(laid, "x+b", buffering=0), lock)  # noqa: SIM115
        try:
            journal._append({"kind": "campaign", "schema": SCHEMA, "header": asdict(header)})
            os.rename(laid, directory / FILE)
            stored_files.sync(directory)
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def reopen(cls, directory: Path) -> tuple[Journal, Contents]:
        """Go on with a journal: what it says, and the writer, positioned behind the last complete line."""
        if not (directory / FILE).exists():
            read(directory)
        lock = _locked(directory)
        try:
            contents = read(directory)
            file = os.fdopen(os.open(directory / FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b", buffering=0)
        except BaseException:
            lock.release()
            raise
        file.truncate(contents.complete_bytes)
        file.seek(0, os.SEEK_END)
        journal = cls(directory, file, lock)
        journal._end_line()
        return journal, contents

    def started(self, request: TrialRequest, elapsed_s: float) -> None:
        """A trial is about to run."""
        self._append({"kind": "started", "elapsed_s": round(elapsed_s, 3), "request": _request_document(request)})

    def finished(self, trial: Trial, elapsed_s: float) -> None:
        """A trial has an outcome."""
        self._append({"kind": "finished", "elapsed_s": round(elapsed_s, 3), **_trial_document(trial)})

    def imported(self, trial: Trial) -> None:
        """A trial of another campaign that this one learns from."""
        self._append({"kind": "imported", **_trial_document(trial)})

    def stopped(self, reason: str, elapsed_s: float) -> None:
        """The campaign ends, for now, because of ``reason``."""
        self._append({"kind": "stopped", "elapsed_s": round(elapsed_s, 3), "reason": reason})

    def close(self) -> None:
        """Release the file and the lock."""
        self._file.close()
        self._lock.release()

    def _append(self, document: dict[str, Any]) -> None:
        line, written = (json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n").encode(), 0
        end = self._file.seek(0, os.SEEK_END)
        try:
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            full = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"writing failed ({error.strerror})"
            kept = f"{self.directory / FILE} keeps all trials so far ({disk.free(self.directory)})"
            raise CampaignError(f"{full}: {kept}; make room, then: python -m search resume {self.directory.name}") from error

    def _end_line(self) -> None:
        """Give a complete last line the newline that a kill took from it."""
        self._file.seek(max(0, self._file.seek(0, os.SEEK_END) - 1))
        if self._file.read(1) != b"\n":
            self._file.write(b"\n")


def _locked(directory: Path) -> Lock:
    directory.mkdir(parents=True, exist_ok=True)
    lock = locks.take(directory / "journal.lock")
    if lock is None:
        raise CampaignError(f"another process is working on the campaign {directory.name}; wait for it, or stop it first")
    return lock


def _request_document(request: TrialRequest) -> dict[str, Any]:
    kept = {"network": request.config.network, "channels": dict(request.config.channels)}
    return {**asdict(request), "config": kept}


def _trial_document(trial: Trial) -> dict[str, Any]:
    outcome = {name: (None if isinstance(v, float) and math.isnan(v) else v) for name, v in asdict(trial.outcome).items()}
    compiled = trial.compiled_cost is not None
    cost = {"latency_s": None, "compiled_cost": trial.compiled_cost} if compiled else {"latency_s": trial.latency_s}
    return {"request": _request_document(trial.request), "outcome": outcome, **cost, "ask_s": trial.ask_s}
