"""Trials on a Dask cluster: each on a worker that has what it needs, in a child process beside that worker.

On Slurm, for example, ``dask_jobqueue.SLURMCluster(cores=1, processes=1, job_extra_directives=["--gres=gpu:1"],
worker_extra_args=["--resources", "GPU=1"])`` gives workers of which each takes one trial at a time.
"""

from __future__ import annotations

import itertools
import math
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import CampaignError, HarnessError, UsageError
from search.records.trial import Evaluate, TrialOutcome, TrialRequest
from search.workers import kept_children
from search.workers.inbox import Advanced, Broken, Inbox, Over
from search.workers.kept_children import Hold, Lacking
from search.workers.pool import Progress
from search.workers.processes import pickled

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_TIMEOUT_S = 10.0


@dataclass(slots=True)
class _Equipped:
    """A Dask worker that has the evaluation. holding: keeps it there. since_s: monotonic; infinite while it is on its way."""

    holding: Future
    since_s: float = math.inf

    def arrived(self) -> None:
        """It is there."""
        self.since_s = time.monotonic()


class DaskPool:
    """Trials as futures on a Dask cluster.

    address: of the scheduler. resources: what a worker must have for a trial, e.g. ``{"GPU": 1}`` or ``{"DEVICE:ncs2": 1}``; a
    worker without it never gets one. Every trial runs in a process of its own beside the Dask worker, so that neither a
    time limit nor a crash takes the worker along. That process is kept for the trials that follow, and the evaluation with
    its dataset travels to a worker once: when it has got its first trial and answers that it lacks the evaluation.
    """

    def __init__(
        self,
        address: str,
        evaluate: Evaluate,
        progress: Progress,
        timeout_s: float = math.inf,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        self._address, self._resources, self._timeout_s = address, dict(resources or {}), timeout_s
        self._payload = pickled(evaluate)
        self._inbox = Inbox(progress)
        self._campaign = f"espalier-{uuid.uuid4().hex}"  # of this session: others on the cluster must not be mistaken for it
        self._keys = (f"{self._campaign}-{attempt}" for attempt in itertools.count())
        self._futures: set[Future] = set()
        self._equipped: dict[str, _Equipped] = {}
        self._closing = False
        self._client = _connected(address)
        self._client.subscribe_topic(self._campaign, self._advanced)
        if not self._room:
            self._client.close()
            needed = f' --resources "{_told(self._resources)}"' if self._resources else ""
            raise CampaignError(f"no worker of {address} offers {_told(self._resources)}; start one with: dask worker {address}{needed}")

    @property
    def slots(self) -> int:
        """How many trials the cluster's workers can take at once, now; one also while all of them are away: it waits for them."""
        return max(1, self._room)

    @property
    def _room(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1).get("workers", {}).values()
        return sum(_capacity(worker, self._resources) for worker in workers)

    def submit(self, request: TrialRequest) -> None:
        """Send a trial to a worker that has what it needs."""
        began_s, where = time.monotonic(), {"resources": self._resources or None, "pure": False, "retries": 0}
        if self._client.status == "closed":
            raise self._gone()
        future = self._client.submit(run_on_worker, self._campaign, request, key=next(self._keys), **where)
        self._futures.add(future)
        self._when_done(future, lambda: self._done(request, began_s, future))

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Block until a trial is over."""
        return self._inbox.wait()

    def close(self) -> None:
        """Cancel what runs, end the kept processes, and leave the cluster as it was."""
        self._closing = True
        if self._client.status == "running":
            self._client.cancel([*self._futures, *(equipped.holding for equipped in self._equipped.values())], force=True)
        self._client.close()

    def _when_done(self, future: Future, then: Callable[[], None]) -> None:
        """Call ``then`` in Dask's callback thread, of which there is one; what it raises ends the campaign."""

        def called(_: Future) -> None:
            try:
                if not self._closing:
                    then()
            except HarnessError as error:
                self._inbox.queue.put(Broken(error))

        future.add_done_callback(called)

    def _done(self, request: TrialRequest, began_s: float, future: Future) -> None:
        """A trial has an outcome, or came to a worker that lacks the evaluation."""
        self._futures.discard(future)
        if future.cancelled():
            raise self._gone()
        error = future.exception()
        if isinstance(error, CampaignError):
            raise error
        answer = future.result() if error is None else TrialOutcome.crashed(f"{type(error).__name__}: {error}")
        if isinstance(answer, Lacking):
            self._equip(answer.worker, request, began_s)
        else:
            self._inbox.queue.put(Over(request, answer))

    def _equip(self, worker: str, request: TrialRequest, began_s: float) -> None:
        """Send the evaluation to a worker, unless it is on its way or came after the trial began; then try the trial again."""
        equipped = self._equipped.get(worker)
        if equipped is None or equipped.since_s < began_s:
            try:
                sent = self._client.scatter(self._payload, workers=[worker], hash=False)
            except (OSError, ValueError):  # the worker has ended meanwhile
                self.submit(request)
                return
            holding = self._client.submit(
                keep_on_worker, self._campaign, sent, self._timeout_s, workers=[worker], pure=False, retries=0, key=next(self._keys)
            )
            equipped = self._equipped[worker] = _Equipped(holding)
            self._when_done(holding, equipped.arrived)
        self._when_done(equipped.holding, lambda: self.submit(request))

    def _gone(self) -> CampaignError:
        told = "nothing finished is lost: start it again, then go on with: python -m search resume NAME"
        return CampaignError(f"the Dask scheduler at {self._address} is gone; {told}")

    def _advanced(self, event: tuple[float, tuple[int, str, float]]) -> None:
        self._inbox.queue.put(Advanced(*event[1]))


def run_on_worker(campaign: str, request: TrialRequest) -> TrialOutcome | Lacking:
    """One trial, in a child process of the Dask worker that got it."""
    from distributed import get_worker

    worker = get_worker()
    return kept_children.run(
        campaign, worker.address, request, lambda phase, share: worker.log_event(campaign, (request.number, phase, share))
    )


def keep_on_worker(campaign: str, payload: bytes, timeout_s: float) -> Hold:
    """Give a Dask worker the evaluation, for as long as the answer lives in its memory."""
    from distributed import get_worker

    return kept_children.keep(campaign, get_worker().address, payload, timeout_s)


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


def asked_for(
    address: str | None, resources: str | None, timeout_s: float | None, evaluate: Evaluate
) -> Callable[[Progress], DaskPool] | None:
    """Function that makes the pool of a campaign with ``--dask``; None without."""
    if address is None:
        return None
    needed, longest_s = parse_resources(resources or ""), math.inf if timeout_s is None else timeout_s
    return lambda progress: DaskPool(address, evaluate, progress, longest_s, needed)


def check(address: str) -> None:
    """CampaignError, at once, when no Dask scheduler answers at ``address``."""
    _connected(address).close()


def _connected(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "--dask needs the package distributed; install it with: pip install 'dask>=2024.8' 'distributed>=2024.8'"
        ) from error
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
