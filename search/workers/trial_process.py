"""A child process that evaluates trials, so that a time limit can end one and a crash costs no more than one.

Requests and answers are length-prefixed pickles over the child's standard input and output; what an evaluation prints goes to
standard error. The child ends itself when its parent is gone.
"""

from __future__ import annotations

import math
import os
import pickle
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Any

from harness.errors import CampaignError
from harness.training.speed import waiting
from search.records.trial import Evaluate, TrialOutcome, TrialRequest, attempt

_LENGTH = struct.Struct("<Q")
START_TIMEOUT_S = 120.0  # imports of a deep-learning framework on a busy machine take long
DEATHS_ALLOWED = 2  # a trial that was begun this often, and killed its process each time, counts as crashed


@dataclass(frozen=True, slots=True)
class _Progress:
    phase: str
    share: float


@dataclass(frozen=True, slots=True)
class _Ready:
    problem: str = ""


class _Died(Exception):
    """The child ended without an answer."""


class TrialProcess:
    """The parent's side: one child, started when it is needed, replaced when it dies or is too slow.

    payload: a pickled ``Evaluate``. timeout_s: per trial. threads: processor threads that the child's libraries may use.
    """

    def __init__(self, payload: bytes, timeout_s: float = math.inf, threads: int = 0) -> None:
        self._payload, self._timeout_s, self._threads = payload, timeout_s, threads
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._running, self._starting = threading.Lock(), threading.Lock()

    def run(self, request: TrialRequest, report: Callable[[str, float], None]) -> TrialOutcome:
        """Evaluate; a death of the child is answered with one more try, then with a crashed trial."""
        with self._running:
            for _ in range(DEATHS_ALLOWED):
                began = time.monotonic()
                try:
                    return self._once(request, report)
                except TimeoutError:
                    self._discard()
                    return TrialOutcome.crashed(f"took longer than the {self._timeout_s:g} s of --trial-timeout", time.monotonic() - began)
                except _Died:
                    how = self._how_it_died()
                    self._discard()
                    if self._closed:
                        return TrialOutcome.crashed("stopped", time.monotonic() - began)
            return TrialOutcome.crashed(f"its process died {DEATHS_ALLOWED} times, {how}", time.monotonic() - began)

    def close(self) -> None:
        """End the child, also in the middle of a trial; none will follow."""
        with self._starting:
            self._closed = True
            if self._child is not None:
                self._child.kill()
        with self._running:  # whoever reads the child's answers sees their end now, and lets go of its pipes
            self._discard()

    def _discard(self) -> None:
        """End the child and close its pipes; the next trial starts another one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # what was never sent to a dead child
                        pipe.close()

    def _once(self, request: TrialRequest, report: Callable[[str, float], None]) -> TrialOutcome:
        child = self._started()
        _send(child.stdin, request)
        deadline = time.monotonic() + self._timeout_s  # the start of a child is no trial's fault
        while True:
            answer = self._receive(child, deadline)
            if isinstance(answer, TrialOutcome):
                return answer
            report(answer.phase, answer.share)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is not None:
            return self._child
        child = self._spawned()
        _send(child.stdin, self._payload)
        try:
            ready = self._receive(child, time.monotonic() + START_TIMEOUT_S)
        except TimeoutError:
            ready = _Ready(f"it did not start within {START_TIMEOUT_S:g} s")
        if ready.problem:
            self._discard()
            raise CampaignError(f"the evaluation cannot run in another process ({ready.problem}); use one worker and no time limit")
        return child

    def _spawned(self) -> subprocess.Popen[bytes]:
        environment = {**dict(waiting.usual()), **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        if self._threads:
            environment.update({f"{library}_NUM_THREADS": str(self._threads) for library in ("OMP", "MKL", "OPENBLAS")})
        command = [sys.executable, "-c", "from search.workers.trial_process import serve; serve()"]
        with self._starting:
            if self._closed:
                raise _Died
            # in a group of its own: Ctrl-C at the terminal is for the campaign, which then ends its children
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, process_group=0)
            return self._child

    def _receive(self, child: subprocess.Popen[bytes], deadline: float) -> Any:
        prefix = self._read(child, _LENGTH.size, deadline)
        return pickle.loads(self._read(child, _LENGTH.unpack(prefix)[0], deadline))

    def _read(self, child: subprocess.Popen[bytes], count: int, deadline: float) -> bytes:
        """Exactly ``count`` bytes; TimeoutError at the deadline, _Died when there will be no more."""
        assert child.stdout is not None
        descriptor, parts = child.stdout.fileno(), b""
        while len(parts) < count:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            if not select.select([descriptor], [], [], min(remaining, 3600.0))[0]:
                continue
            chunk = os.read(descriptor, count - len(parts))
            if not chunk:
                raise _Died
            parts += chunk
        return parts

    def _how_it_died(self) -> str:
        child = self._child
        if child is None:
            return "stopped"
        try:
            code = child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "silently"
        return f"with signal {-code}" if code < 0 else f"with exit code {code}"


def _send(pipe: IO[bytes] | None, message: object) -> None:
    assert pipe is not None
    content = message if isinstance(message, bytes) else pickle.dumps(message)
    try:
        pipe.write(_LENGTH.pack(len(content)))
        pipe.write(content)
        pipe.flush()
    except (BrokenPipeError, ValueError) as error:
        raise _Died from error


def serve() -> None:
    """The child's side: read the evaluation, then trials, until the parent is gone."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints must not end up between the answers
    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests, inbox), daemon=True).start()
    try:
        evaluate: Evaluate = pickle.loads(inbox.get())
    except Exception as error:  # the parent tells it as its own error
        _send(answers, _Ready(f"{type(error).__name__}: {error}"))
        return
    _send(answers, _Ready())
    with suppress(_Died):  # the parent is gone, and has no use for an answer
        while True:
            request: TrialRequest = pickle.loads(inbox.get())
            _send(answers, attempt(evaluate, request, lambda phase, share: _send(answers, _Progress(phase, share))))


def _read_requests(pipe: IO[bytes], inbox: SimpleQueue[bytes]) -> None:
    while True:
        prefix = pipe.read(_LENGTH.size)
        if len(prefix) < _LENGTH.size:
            os._exit(1)  # the parent is gone, and so is the use of whatever is being computed
        inbox.put(pipe.read(_LENGTH.unpack(prefix)[0]))
