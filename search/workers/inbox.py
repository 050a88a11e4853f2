"""What workers tell, from whatever thread, is heard in the thread that asks."""

from __future__ import annotations

from dataclasses import dataclass
from queue import Empty, Queue

from harness.errors import HarnessError
from search.records.trial import TrialOutcome, TrialRequest
from search.workers.pool import Progress


@dataclass(frozen=True, slots=True)
class Advanced:
    """How far a trial has come: its phase, and the share of that phase."""

    number: int
    phase: str
    share: float


@dataclass(frozen=True, slots=True)
class Over:
    """A trial with its outcome."""

    request: TrialRequest
    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class Broken:
    """Something that is no fault of a configuration, and ends the campaign."""

    error: HarnessError


class Inbox:
    """What workers tell, handed on in the thread that asks: an observer need not be thread-safe."""

    def __init__(self, progress: Progress) -> None:
        self.queue: Queue[Advanced | Over | Broken] = Queue()
        self._progress = progress

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Block for at least one outcome; return all that are there."""
        over: list[tuple[TrialRequest, TrialOutcome]] = []
        while True:
            try:
                told = self.queue.get(block=not over)
            except Empty:
                return over
            match told:
                case Advanced():
                    self._progress(told.number, told.phase, told.share)
                case Over():
                    over.append((told.request, told.outcome))
                case Broken():
                    raise told.error
