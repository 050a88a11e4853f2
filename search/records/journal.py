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
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from harness.errors import CampaignError, HarnessError
from harness.records.pruning_config import PruningConfig
from search.records.trial import Floor, InPrecision, Trial, TrialOutcome, TrialRequest, TuningChoice

SCHEMA = 1
FILE = "journal.jsonl"


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
        raw = path.read_bytes()
    except FileNotFoundError:
        raise CampaignError(f"there is no campaign in {directory} (no {FILE}); start one with: python -m search run") from None
    documents, complete = _lines(path, raw)
    if not documents:
        raise CampaignError(f"the journal {path} ends within its first line, nothing was tried yet; delete {directory} and start again")
    return _contents(path, documents, complete)


def _lines(path: Path, raw: bytes) -> tuple[list[dict[str, Any]], int]:
    """The complete lines as documents, and how many bytes they take."""
    documents: list[dict[str, Any]] = []
    complete = 0
    lines = raw.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            if number == len(lines):
                break
            raise CampaignError(f"line {number} of {path} is damaged and is not the last one; restore the file from a copy")
        documents.append(document)
        complete += len(line)
    return documents, complete


def _contents(path: Path, documents: list[dict[str, Any]], complete: int) -> Contents:
    if documents[0].get("kind") != "campaign" or documents[0].get("schema") != SCHEMA:
        raise CampaignError(
            f"{path} is a journal of schema {documents[0].get('schema')!r}, this program writes {SCHEMA}; "
            "read it with the version that wrote it, or start a new campaign"
        )
    finished: dict[int, Trial] = {}
    running: dict[int, TrialRequest] = {}
    imported: list[Trial] = []
    stopped, seconds = "", 0.0
    try:
        header = Header(**documents[0]["header"])
        for document in documents[1:]:
            seconds = max(seconds, float(document.get("elapsed_s", 0.0)))
            match document["kind"]:
                case "started":
                    request = _request(document["request"])
                    running[request.number], stopped = request, ""
                case "finished":
                    trial = _trial(document)
                    finished.setdefault(trial.number, trial)
                    running.pop(trial.number, None)
                case "imported":
                    imported.append(_trial(document))
                case "stopped":
                    stopped = str(document["reason"])
                case _:
                    raise KeyError(document["kind"])
    except (KeyError, TypeError, ValueError, HarnessError) as error:
        raise CampaignError(f"a line of {path} does not say what a line of schema {SCHEMA} says ({error!r}); restore the file") from error
    ordered = tuple(finished.values())
    return Contents(header, ordered, tuple(running.values()), tuple(imported), stopped, seconds, complete)


class Journal:
    """The one writer of a campaign's journal, holding its lock until ``close``."""

    def __init__(self, directory: Path, file: BinaryIO, lock: FileLock) -> None:
        self.directory, self._file, self._lock = directory, file, lock

    @classmethod
    def create(cls, directory: Path, header: Header) -> Journal:
        """A new journal; CampaignError when the directory holds one already."""
        lock = _locked(directory)
        if (directory / FILE).exists():
            lock.release()
            name = directory.name
            raise CampaignError(f"the campaign {name} exists; resume it with: python -m search resume {name}, or choose another name")
        laid = directory / f"{FILE}.part"  # appears whole or not at all: a journal without its first line could not be resumed
        journal = cls(directory, open(laid, "w+b", buffering=0), lock)  # noqa: SIM115
        try:
            journal._append({"kind": "campaign", "schema": SCHEMA, "header": asdict(header)})
            os.rename(laid, directory / FILE)
            _sync_directory(directory)
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
            file = open(directory / FILE, "r+b", buffering=0)  # noqa: SIM115
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
        line = (json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n").encode()
        end = self._file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            full = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"writing failed ({error.strerror})"
            name = self.directory.name
            raise CampaignError(
                f"{full}: {self.directory / FILE} keeps all trials so far; make room, then: python -m search resume {name}"
            ) from error

    def _end_line(self) -> None:
        """Give a complete last line the newline that a kill took from it."""
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(0, end - 1))
        if self._file.read(1) != b"\n":
            self._file.write(b"\n")


def _locked(directory: Path) -> FileLock:
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "journal.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CampaignError(f"another process is working on the campaign {directory.name}; wait for it, or stop it first") from None
    return lock


def _sync_directory(directory: Path) -> None:
    """Make the new file's name durable as well as its bytes."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _request_document(request: TrialRequest) -> dict[str, Any]:
    kept = {"network": request.config.network, "channels": dict(request.config.channels)}
    return {**asdict(request), "config": kept}


def _trial_document(trial: Trial) -> dict[str, Any]:
    outcome = {name: (None if isinstance(v, float) and math.isnan(v) else v) for name, v in asdict(trial.outcome).items()}
    return {"request": _request_document(trial.request), "outcome": outcome, "latency_s": trial.latency_s, "ask_s": trial.ask_s}


def _request(document: dict[str, Any]) -> TrialRequest:
    config = PruningConfig.of(document["config"]["network"], document["config"]["channels"])
    floors = tuple(Floor(**one) for one in document.get("floors", ()))  # journals of before have none
    return TrialRequest(**{**document, "config": config, "recipe": TuningChoice(**document["recipe"]), "floors": floors})


def _trial(document: dict[str, Any]) -> Trial:
    outcome: dict[str, Any] = {name: (math.nan if value is None else value) for name, value in document["outcome"].items()}
    outcome["curve"] = tuple((float(share), float(top1)) for share, top1 in outcome.get("curve", ()))
    outcome["others"] = tuple(InPrecision(**one) for one in outcome.get("others", ()))
    return Trial(_request(document["request"]), TrialOutcome(**outcome), float(document["latency_s"]), float(document["ask_s"]))
