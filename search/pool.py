"""A pool: where trials run. This one runs them here, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from search.trial import Evaluate, TrialOutcome, TrialRequest, attempt

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
