"""Child processes that a Dask worker keeps from one trial of a campaign to the next: what they import and unpickle, they do once.

The cluster decides how long. The worker holds ``keep``'s answer in its memory, and gives it up when the campaign closes, when the
campaign's process is gone, or when memory is short; then the children end. Those of a worker that dies end with it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from search.records.trial import TrialOutcome, TrialRequest
from search.workers.trial_process import TrialProcess


@dataclass(frozen=True, slots=True)
class Lacking:
    """A worker's answer to a trial whose evaluation it does not have."""

    worker: str


class Hold:
    """While it lives, so do the children; a copy elsewhere holds nothing."""


class _Children:
    """The children of one campaign on one worker, one for each trial that it runs at a time."""

    def __init__(self, payload: bytes, timeout_s: float) -> None:
        self._payload, self._timeout_s = payload, timeout_s
        self._lock = threading.Lock()
        self._all: list[TrialProcess] = []
        self._idle: list[TrialProcess] = []
        self._closed = False

    def run(self, request: TrialRequest, report: Callable[[str, float], None]) -> TrialOutcome | None:
        """One trial, in a child that has nothing else to do; None when ``close`` came between."""
        with self._lock:
            if self._closed:
                return None
            if not self._idle:
                self._idle.append(TrialProcess(self._payload, self._timeout_s))
                self._all += self._idle
            child = self._idle.pop()
        try:
            outcome = child.run(request, report)
            return None if self._closed and not outcome.ok else outcome
        finally:
            with self._lock:
                self._idle.append(child)

    def close(self) -> None:
        """End them, also in the middle of a trial."""
        with self._lock:
            self._closed = True
        for child in self._all:
            child.close()


_KEPT: dict[tuple[str, str], _Children] = {}  # by campaign and worker: workers of a test share a process


def keep(campaign: str, worker: str, payload: bytes, timeout_s: float) -> Hold:
    """Be ready for a campaign's trials until the answer is gone. payload: a pickled ``Evaluate``; timeout_s: per trial."""
    hold, children = Hold(), _Children(payload, timeout_s)
    _KEPT[campaign, worker] = children
    weakref.finalize(hold, _let_go, campaign, worker, children).atexit = False  # the children notice the end of the worker themselves
    return hold


def run(campaign: str, worker: str, request: TrialRequest, report: Callable[[str, float], None]) -> TrialOutcome | Lacking:
    """One trial, in a kept child; ``Lacking`` when ``keep`` was not called, or what it answered is gone."""
    children = _KEPT.get((campaign, worker))
    return (children and children.run(request, report)) or Lacking(worker)


def _let_go(campaign: str, worker: str, children: _Children) -> None:
    if _KEPT.get((campaign, worker)) is children:
        del _KEPT[campaign, worker]
    threading.Thread(target=children.close, daemon=True).start()  # any thread may be here, also one that waits for a child
