"""Workers: trials side by side, in processes of this machine or on a Dask cluster; nobody waits for anybody else.

On Slurm, for example, ``dask_jobqueue.SLURMCluster(cores=1, processes=1, job_extra_directives=["--gres=gpu:1"],
worker_extra_args=["--resources", "GPU=1"])`` gives workers of which each takes one trial at a time.
"""

from __future__ import annotations

import math
import os
import pickle
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from harness.errors import CampaignError, HarnessError, UsageError
from search.pool import Progress
from search.trial import Evaluate, TrialOutcome, TrialRequest
from search.trial_process import TrialProcess

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_TIMEOUT_S = 10.0
TOPIC = "espalier-trial-progress"


@dataclass(frozen=True, slots=True)
class _Advanced:
    number: int
    phase: str
    share: float


@dataclass(frozen=True, slots=True)
class _Over:
    request: TrialRequest
    outcome: TrialOutcome


@dataclass(frozen=True, slots=True)
class _Broken:
    """Something that is no fault of a configuration, and ends the campaign."""

    error: HarnessError


class _Inbox:
    """What workers tell, handed on in the thread that asks: an observer need not be thread-safe."""

    def __init__(self, progress: Progress) -> None:
        self.queue: Queue[_Advanced | _Over | _Broken] = Queue()
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
                case _Advanced():
                    self._progress(told.number, told.phase, told.share)
                case _Over():
                    over.append((told.request, told.outcome))
                case _Broken():
                    raise told.error


class Processes:
    """``slots`` child processes on this machine, each with its share of the processor's threads."""

    def __init__(self, evaluate: Evaluate, slots: int, timeout_s: float, progress: Progress) -> None:
        self.slots = slots
        self._inbox = _Inbox(progress)
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
                outcome = child.run(request, lambda phase, share, number=number: self._inbox.queue.put(_Advanced(number, phase, share)))  # type: ignore[misc]
                self._inbox.queue.put(_Over(request, outcome))
            except HarnessError as error:
                self._inbox.queue.put(_Broken(error))


class DaskPool:
    """Trials as futures on a Dask cluster.

    address: of the scheduler. resources: what a worker must have for a trial, e.g. ``{"GPU": 1}`` or ``{"DEVICE:ncs2": 1}``; a
    worker without it never gets one. Every trial runs in a process of its own beside the Dask worker, so that neither a
    time limit nor a crash takes the worker along.
    """

    def __init__(
        self,
        address: str,
        evaluate: Evaluate,
        progress: Progress,
        timeout_s: float = math.inf,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self._client = _connected(address)
        self._inbox = _Inbox(progress)
        self._resources, self._timeout_s = dict(resources or {}), timeout_s
        self._futures: dict[int, Future] = {}
        # computed on the cluster and not scattered: what is computed survives the worker that holds it
        self._payload = self._client.submit(bytes, pickled(evaluate), pure=False)
        self._client.subscribe_topic(TOPIC, self._advanced)
        if not self.slots:
            self._client.close()
            raise CampaignError(
                f"no worker of {address} offers {_told(self._resources)}; start one with: dask worker {address} --resources ..."
            )

    @property
    def slots(self) -> int:
        """How many trials the cluster's workers can take at once, now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return sum(_capacity(worker, self._resources) for worker in workers)

    def submit(self, request: TrialRequest) -> None:
        """Send a trial to a worker that has what it needs."""
        key = f"espalier-trial-{request.number}-{os.getpid()}"
        future = self._client.submit(
            run_on_worker, self._payload, request, self._timeout_s, resources=self._resources or None, pure=False, retries=0, key=key
        )
        self._futures[request.number] = future
        future.add_done_callback(lambda done, request=request: self._done(request, done))

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Block until a trial is over."""
        return self._inbox.wait()

    def close(self) -> None:
        """Cancel what runs, and leave the cluster as it was."""
        self._client.cancel(list(self._futures.values()), force=True)
        self._client.close()

    def _done(self, request: TrialRequest, future: Any) -> None:
        self._futures.pop(request.number, None)
        if future.cancelled():
            return
        error = future.exception()
        outcome = future.result() if error is None else TrialOutcome.crashed(f"{type(error).__name__}: {error}")
        self._inbox.queue.put(_Over(request, outcome))

    def _advanced(self, event: tuple[float, tuple[int, str, float]]) -> None:
        self._inbox.queue.put(_Advanced(*event[1]))


def run_on_worker(payload: bytes, request: TrialRequest, timeout_s: float) -> TrialOutcome:
    """One trial, in a child process of the Dask worker that got it."""
    from distributed import get_worker

    worker = get_worker()
    process = TrialProcess(payload, timeout_s)
    try:
        return process.run(request, lambda phase, share: worker.log_event(TOPIC, (request.number, phase, share)))
    finally:
        process.close()


def pickled(evaluate: Evaluate) -> bytes:
    """The evaluation for another process; UsageError when it cannot travel."""
    try:
        return pickle.dumps(evaluate)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(f"the evaluation cannot be sent to another process ({error}); use one worker, without a time limit") from error


def parse_resources(text: str) -> dict[str, float]:
    """``GPU=1,DEVICE:ncs2=1`` as a mapping; UsageError for anything else."""
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, amount = part.partition("=")
        try:
            found[name.strip()] = float(amount)
        except ValueError:
            raise UsageError(f"resources {text!r} are not understood; write for example GPU=1,DEVICE:ncs2=1") from None
    return found


def _connected(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError("--dask needs the package distributed; install it with: pip install 'espalier[distributed]'") from error
    try:
        return Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise CampaignError(f"no Dask scheduler answers at {address} ({error}); start one with: dask scheduler") from error


def _capacity(worker: Mapping[str, Any], resources: Mapping[str, float]) -> int:
    """How many trials one worker takes at once."""
    offered = worker.get("resources", {})
    by_resource = [int(offered.get(name, 0) // amount) for name, amount in resources.items() if amount > 0]
    return min([int(worker["nthreads"]), *by_resource])


def _told(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in resources.items()) or "a thread"
