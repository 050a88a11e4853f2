"""The same pool on a Dask cluster of real worker processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.errors import CampaignError
from search import workers
from search.synthetic import SyntheticProblem
from search.trial import Evaluate, TrialOutcome, TrialRequest, TuningChoice
from search.workers import DaskPool

distributed = pytest.importorskip("distributed", reason="the extra 'distributed' is not installed")


MODULE = """
import os, time
from dataclasses import dataclass
from search.trial import TrialOutcome

@dataclass(frozen=True)
class TellsParent:
    log: str
    seconds: float = 0.0

    def __call__(self, trial, report):
        with open(self.log, "a") as file:
            file.write(f"{trial.number} {os.getppid()}\\n")
        report("tune", 0.5)
        time.sleep(self.seconds)
        return TrialOutcome(0.9, 0.89, 0.91, 0.1 * trial.number)
"""


@pytest.fixture
def tells_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], Evaluate]]:
    """Makes evaluations that leave a line ``trial, process id of the Dask worker`` in the log."""
    (tmp_path / "tells_parent.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    import tells_parent as module  # type: ignore[import-not-found]

    yield lambda seconds=0.0: module.TellsParent(str(tmp_path / "log"), seconds)
    sys.modules.pop("tells_parent")


@pytest.fixture
def cluster(tells_parent: object) -> Iterator[object]:
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


def outcomes(pool: DaskPool, count: int) -> dict[int, TrialOutcome]:
    over: dict[int, TrialOutcome] = {}
    while len(over) < count:
        over.update({one.number: outcome for one, outcome in pool.wait()})
    return over


def parents(tmp_path: Path) -> list[tuple[int, int]]:
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    return [(int(number), int(parent)) for number, parent in lines]


def test_trials_run_side_by_side_and_only_where_their_device_is(
    vgg: SyntheticProblem, tmp_path: Path, cluster: object, tells_parent: Callable[[float], Evaluate]
) -> None:
    progress: list[tuple[int, str, float]] = []
    address = cluster.scheduler_address  # type: ignore[attr-defined]
    everywhere = DaskPool(address, tells_parent(1.0), lambda *told: progress.append(told))
    assert everywhere.slots == 2
    for number in range(4):
        everywhere.submit(request(vgg, number))
    assert all(outcome.ok for outcome in outcomes(everywhere, 4).values())
    everywhere.close()
    assert len({parent for _, parent in parents(tmp_path)}) == 2
    assert any(phase == "tune" and share == 0.5 for _, phase, share in progress)
    (tmp_path / "log").unlink()
    pinned = DaskPool(address, tells_parent(0.0), lambda *_: None, resources={"DEVICE:ncs2": 1})
    assert pinned.slots == 1
    for number in range(4):
        pinned.submit(request(vgg, number))
    outcomes(pinned, 4)
    pinned.close()
    assert len({parent for _, parent in parents(tmp_path)}) == 1
    with pytest.raises(CampaignError, match=r"no worker of .* offers GPU=1"):
        DaskPool(address, tells_parent(0.0), lambda *_: None, resources={"GPU": 1})


def test_a_dask_worker_that_is_killed_costs_one_retry(
    vgg: SyntheticProblem, tmp_path: Path, cluster: object, tells_parent: Callable[[float], Evaluate]
) -> None:
    pool = DaskPool(cluster.scheduler_address, tells_parent(1.0), lambda *_: None)  # type: ignore[attr-defined]
    for number in range(3):
        pool.submit(request(vgg, number))
    deadline = time.monotonic() + 60
    while (not (tmp_path / "log").exists() or not parents(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(parents(tmp_path)[0][1], signal.SIGKILL)
    over = outcomes(pool, 3)
    pool.close()
    assert all(outcome.ok for outcome in over.values())
    assert len(parents(tmp_path)) == 4


def test_no_scheduler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(CampaignError, match="no Dask scheduler answers at tcp"):
        DaskPool("tcp://127.0.0.1:9", lambda trial, report: TrialOutcome.crashed(""), lambda *_: None)
