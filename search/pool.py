"""A pool: where trials run. This one runs them here, one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from harness.errors import HarnessError
from search.trial import Evaluate, TrialOutcome, TrialRequest

Progress = Callable[[int, str, float], None]
"""Trial number, phase and the share of it that is done."""


class Pool(Protocol):
    """Runs trials; ``slots`` may be in flight at once."""

    slots: int

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


def attempt(evaluate: Evaluate, request: TrialRequest, report: Callable[[str, float], None]) -> TrialOutcome:
    """One evaluation whose failure is an outcome: the campaign must survive any configuration."""
    began = time.perf_counter()
    try:
        return evaluate(request, report).checked()
    except HarnessError as error:
        return TrialOutcome.crashed(str(error), time.perf_counter() - began)
    except Exception as error:
        return TrialOutcome.crashed(f"{type(error).__name__}: {error}", time.perf_counter() - began)
