"""Trials side by side in child processes of this machine; nobody waits for anybody else."""

from __future__ import annotations

import os
import pickle
import threading
from queue import Queue

from harness.errors import HarnessError, UsageError
from search.records.trial import Evaluate, TrialOutcome, TrialRequest
from search.workers.inbox import Advanced, Broken, Inbox, Over
from search.workers.pool import Progress
from search.workers.trial_process import TrialProcess


class Processes:
    """``slots`` child processes on this machine, each with its share of the processor's threads."""

    def __init__(self, evaluate: Evaluate, slots: int, timeout_s: float, progress: Progress) -> None:
        self.slots = slots
        self._inbox = Inbox(progress)
        self._requests: Queue[TrialRequest | None] = Queue()
        payload, threads = pickled(evaluate), max(1, (os.cpu_count() or 1) // slots)
        self._children = [TrialProcess(payload, timeout_s, threads) for _ in range(slots)]
        self._threads = [threading.Thread(target=self._work, args=(child,), daemon=True) for child in self._children]
        for thread in self._threads:
            thread.start()

    def submit(self, request: TrialRequest) -> None:
        """Hand a trial to the next free child."""
        self._requests.put(request)

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Block until a trial is over."""
        return self._inbox.wait()

    def close(self) -> None:
        """Kill the children."""
        for _ in self._threads:
            self._requests.put(None)
        for child in self._children:
            child.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self, child: TrialProcess) -> None:
        while (request := self._requests.get()) is not None:
            number = request.number
            try:
                outcome = child.run(request, lambda phase, share, number=number: self._inbox.queue.put(Advanced(number, phase, share)))  # type: ignore[misc]
                self._inbox.queue.put(Over(request, outcome))
            except HarnessError as error:
                self._inbox.queue.put(Broken(error))


def pickled(evaluate: Evaluate) -> bytes:
    """The evaluation for another process; UsageError when it cannot travel."""
    try:
        return pickle.dumps(evaluate)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(f"the evaluation cannot be sent to another process ({error}); use one worker, without a time limit") from error
