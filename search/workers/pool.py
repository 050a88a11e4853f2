"""A pool: where trials run. Here, one at a time; or wherever another pool runs them, once there is one to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from search.records.trial import Evaluate, TrialOutcome, TrialRequest, attempt

Progress = Callable[[int, str, float], None]
"""Trial number, phase and the share of it that is done."""


class Pool(Protocol):
    """Runs trials."""

    @property
    def slots(self) -> int:
        """How many may be in flight at once."""
        ...

    def submit(self, request: TrialRequest) -> None:
        """Begin a trial as soon as a slot is free."""
        ...

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Block until at least one trial in flight is over, and return all that are."""
        ...

    def close(self) -> None:
        """Stop everything that still runs."""
        ...


class Here:
    """Trials in this very process: nothing to start, nothing to pickle, no time limit."""

    slots = 1

    def __init__(self, evaluate: Evaluate, progress: Progress) -> None:
        self._evaluate, self._progress = evaluate, progress
        self._waiting: list[TrialRequest] = []

    def submit(self, request: TrialRequest) -> None:
        """Remember the trial until ``wait``."""
        self._waiting.append(request)

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Run the oldest trial."""
        request = self._waiting.pop(0)
        return [(request, attempt(self._evaluate, request, lambda phase, share: self._progress(request.number, phase, share)))]

    def close(self) -> None:
        """Forget what was not begun."""
        self._waiting.clear()


class WhenNeeded:
    """Another pool, made when the first trial is handed to it: a campaign whose trials are all done starts nothing."""

    def __init__(self, slots: int, make: Callable[[], Pool]) -> None:
        self.slots, self._make = slots, make
        self._pool: Pool | None = None

    def submit(self, request: TrialRequest) -> None:
        """Hand the trial on."""
        if self._pool is None:
            self._pool = self._make()
        self._pool.submit(request)

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Block until a trial that was handed on is over."""
        return [] if self._pool is None else self._pool.wait()

    def close(self) -> None:
        """Close the other pool, if there is one."""
        if self._pool is not None:
            self._pool.close()
