"""The same pool on a Dask cluster of real worker processes."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import CampaignError
from search.race.synthetic import SyntheticProblem
from search.records.trial import Evaluate, TrialOutcome, TrialRequest, TuningChoice
from search.workers import dask_pool
from search.workers.dask_pool import DaskPool

distributed = pytest.importorskip("distributed", reason="the extra 'distributed' is not installed")


MODULE = """
import os, signal, time
from dataclasses import dataclass
from search.records.trial import TrialOutcome

@dataclass(frozen=True)
class TellsWhere:
    log: str
    seconds: float = 0.0
    dies_at: int = -1
    ballast: bytes = b""

    def __call__(self, trial, report):
        with open(self.log, "a") as file:
            file.write(f"{trial.number} {os.getppid()} {os.getpid()}\\n")
        report("tune", 0.5)
        time.sleep(self.seconds)
        if trial.number == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return TrialOutcome(0.9, 0.89, 0.91, 0.1 * trial.number)
"""
BALLAST_BYTES = 16 << 20  # above what Dask takes for a call's own arguments without a warning


@dataclass(frozen=True)
class Attempt:
    """A line of the log: which trial ran, beside which Dask worker, in which process."""

    number: int
    worker: int
    child: int


@pytest.fixture
def tells_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Evaluate]]:
    """Makes evaluations that leave a line in the log; ``tells_where(seconds, dies_at, ballast)``."""
    (tmp_path / "tells_where.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    import tells_where as module  # type: ignore[import-not-found]

    yield lambda *how: module.TellsWhere(str(tmp_path / "log"), *how)
    sys.modules.pop("tells_where")


@pytest.fixture
def cluster(tells_where: object) -> Iterator[object]:
    """A scheduler and two worker processes, of which one has a device."""
    workers = {
        "plain": {"cls": distributed.Nanny, "options": {"nthreads": 1, "host": "127.0.0.1"}},
        "device": {"cls": distributed.Nanny, "options": {"nthreads": 1, "host": "127.0.0.1", "resources": {"DEVICE:ncs2": 1}}},
    }
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard_address": None, "port": 0, "host": "127.0.0.1"}}
    with distributed.SpecCluster(workers=workers, scheduler=scheduler, silence_logs=50) as running:
        yield running


def request(problem: SyntheticProblem, number: int) -> TrialRequest:
    return TrialRequest(number, "model", "", problem.architecture.dense(), TuningChoice(), 1.0, 0)


def outcomes(pool: DaskPool, problem: SyntheticProblem, numbers: Sequence[int]) -> dict[int, TrialOutcome]:
    for number in numbers:
        pool.submit(request(problem, number))
    over: dict[int, TrialOutcome] = {}
    while len(over) < len(numbers):
        over.update({one.number: outcome for one, outcome in pool.wait()})
    return over


def attempts(tmp_path: Path) -> list[Attempt]:
    log = tmp_path / "log"
    return [Attempt(*map(int, line.split())) for line in log.read_text().splitlines()] if log.exists() else []


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


def test_trials_run_side_by_side_and_only_where_their_device_is(
    vgg: SyntheticProblem, tmp_path: Path, cluster: object, tells_where: Callable[..., Evaluate]
) -> None:
    progress: list[tuple[int, str, float]] = []
    address = cluster.scheduler_address  # type: ignore[attr-defined]
    everywhere = DaskPool(address, tells_where(1.0), lambda *told: progress.append(told))
    assert everywhere.slots == 2
    assert all(outcome.ok for outcome in outcomes(everywhere, vgg, range(4)).values())
    everywhere.close()
    assert len({attempt.worker for attempt in attempts(tmp_path)}) == 2
    assert any(phase == "tune" and share == 0.5 for _, phase, share in progress)
    (tmp_path / "log").unlink()
    pinned = DaskPool(address, tells_where(), lambda *_: None, resources={"DEVICE:ncs2": 1})
    assert pinned.slots == 1
    outcomes(pinned, vgg, range(4))
    pinned.close()
    assert len({attempt.worker for attempt in attempts(tmp_path)}) == 1
    with pytest.raises(CampaignError, match=r"no worker of .* offers GPU=1"):
        DaskPool(address, tells_where(), lambda *_: None, resources={"GPU": 1})


def test_a_worker_keeps_its_process_and_gets_the_evaluation_once(
    vgg: SyntheticProblem, tmp_path: Path, cluster: object, tells_where: Callable[..., Evaluate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies is replaced beside the same worker; all end with the campaign, also in the middle of a trial."""
    sent: list[object] = []
    scatter = distributed.Client.scatter
    monkeypatch.setattr(distributed.Client, "scatter", lambda *a, **k: sent.append(k["workers"]) or scatter(*a, **k))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Dask warns of large calls
        pool = DaskPool(cluster.scheduler_address, tells_where(0.5, 7, bytes(BALLAST_BYTES)), lambda *_: None)  # type: ignore[attr-defined]
        over = outcomes(pool, vgg, range(6))
        assert all(outcome.ok for outcome in over.values())
        assert len({attempt.worker for attempt in attempts(tmp_path)}) == len({attempt.child for attempt in attempts(tmp_path)}) == 2
        assert "its process died 2 times, with signal 9" in outcomes(pool, vgg, [7])[7].reason
        assert all(outcome.ok for outcome in outcomes(pool, vgg, range(8, 12)).values())
        assert len(sent) == len({str(worker) for worker in sent}) == 2
        children, workers = {attempt.child for attempt in attempts(tmp_path)}, {attempt.worker for attempt in attempts(tmp_path)}
        assert len(children) <= 5
        pool.submit(request(vgg, 12))
        wait_until(lambda: any(attempt.number == 12 for attempt in attempts(tmp_path)))
        pool.close()
    wait_until(lambda: all(map(gone, children)))
    assert not any(map(gone, workers))


def test_a_killed_campaign_leaves_no_process_on_the_cluster(tmp_path: Path, cluster: object, tells_where: Callable[..., Evaluate]) -> None:
    script = f"""
from tells_where import TellsWhere
from search.race.synthetic import problem
from search.records.trial import TrialRequest, TuningChoice
from search.workers.dask_pool import DaskPool
if __name__ == "__main__":
    pool = DaskPool({cluster.scheduler_address!r}, TellsWhere({str(tmp_path / "log")!r}, 1000.0), lambda *_: None)
    for number in range(2):
        pool.submit(TrialRequest(number, "model", "", problem("vgg", 0).architecture.dense(), TuningChoice(), 1.0, 0))
    pool.wait()
"""  # type: ignore[attr-defined]
    campaign = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: len(attempts(tmp_path)) == 2)
    campaign.kill()
    campaign.wait()
    wait_until(lambda: all(gone(attempt.child) for attempt in attempts(tmp_path)))
    assert not any(gone(attempt.worker) for attempt in attempts(tmp_path))


def test_a_dask_worker_that_is_killed_costs_one_retry(
    vgg: SyntheticProblem, tmp_path: Path, cluster: object, tells_where: Callable[..., Evaluate]
) -> None:
    pool = DaskPool(cluster.scheduler_address, tells_where(1.0), lambda *_: None)  # type: ignore[attr-defined]
    for number in range(2):
        pool.submit(request(vgg, number))
    wait_until(lambda: len(attempts(tmp_path)) > 0)
    killed = attempts(tmp_path)[0]
    os.kill(killed.worker, signal.SIGKILL)
    over: dict[int, TrialOutcome] = {}
    while len(over) < 2:
        over.update({one.number: outcome for one, outcome in pool.wait()})
    pool.close()
    assert all(outcome.ok for outcome in over.values())
    assert sorted(attempt.number for attempt in attempts(tmp_path)) == sorted([0, 1, killed.number])
    wait_until(lambda: gone(killed.child))


def test_a_scheduler_that_goes_away_ends_the_campaign_with_a_word(
    vgg: SyntheticProblem, tmp_path: Path, cluster: object, tells_where: Callable[..., Evaluate], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While only its workers are away, the campaign waits for them."""
    monkeypatch.setattr(dask_pool, "CONNECT_TIMEOUT_S", 3.0)
    pool = DaskPool(cluster.scheduler_address, tells_where(1000.0), lambda *_: None)  # type: ignore[attr-defined]
    pool.submit(request(vgg, 0))
    wait_until(lambda: len(attempts(tmp_path)) > 0)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:  # type: ignore[attr-defined]
        client.retire_workers()
    assert pool.slots == 1
    cluster.close()  # type: ignore[attr-defined]
    with pytest.raises(CampaignError, match=r"the Dask scheduler at tcp.* is gone; .*search resume"):
        pool.wait()
    pool.close()


def test_no_scheduler_is_told(monkeypatch: pytest.MonkeyPatch, tells_where: Callable[..., Evaluate]) -> None:
    monkeypatch.setattr(dask_pool, "CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(CampaignError, match="no Dask scheduler answers at tcp"):
        DaskPool("tcp://127.0.0.1:9", tells_where(), lambda *_: None)
