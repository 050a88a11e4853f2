"""Trials in other processes: their failures cost themselves, and nobody waits for anybody."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import CampaignError, UsageError
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records.events import Event, TrialProgress
from search.records.trial import Evaluate, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal
from search.workers.dask_pool import parse_resources
from search.workers.processes import Processes, pickled
from search.workers.trial_process import TrialProcess

# What the children import: they cannot import a test module.
MODULE = '''
import os, signal, sys, time
from dataclasses import dataclass
from search.records.trial import TrialOutcome

@dataclass(frozen=True)
class Odd:
    """Does what its mode says at the trial numbers given, and leaves a line per attempt."""

    log: str
    mode: str = "fine"
    numbers: tuple = ()

    def __call__(self, trial, report):
        with open(self.log, "a") as file:
            file.write(f"{trial.number} {os.getpid()} {time.monotonic()}\\n")
        report("tune", 0.5)
        print("noise on standard output", flush=True)
        if trial.number in self.numbers or not self.numbers:
            if self.mode == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            attempts = [line.split()[0] for line in open(self.log)].count(str(trial.number))
            if self.mode == "die once" and attempts == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.mode == "exit":
                os._exit(3)
            if self.mode == "hang":
                time.sleep(1000)
            if self.mode == "raise":
                raise MemoryError("no room")
            if self.mode == "slow":
                time.sleep(0.4)
        return TrialOutcome(0.9, 0.89, 0.91, 0.1 * trial.number, tune_s=0.1)
'''


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Evaluate]]:
    """Makes evaluations with a failure; ``odd(mode, numbers)``."""
    (tmp_path / "odd_evaluations.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import odd_evaluations  # type: ignore[import-not-found]

    yield lambda mode="fine", numbers=(): odd_evaluations.Odd(str(tmp_path / "log"), mode, numbers)
    sys.modules.pop("odd_evaluations")


def request(problem: SyntheticProblem, number: int) -> TrialRequest:
    return TrialRequest(number, "model", "", problem.architecture.dense(), TuningChoice(), 1.0, 0)


def outcomes(pool: Processes, problem: SyntheticProblem, numbers: list[int]) -> dict[int, TrialOutcome]:
    for number in numbers:
        pool.submit(request(problem, number))
    over: dict[int, TrialOutcome] = {}
    while len(over) < len(numbers):
        over.update({one.number: outcome for one, outcome in pool.wait()})
    return over


def attempts(tmp_path: Path) -> list[tuple[int, int, float]]:
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    return [(int(number), int(pid), float(when)) for number, pid, when in lines]


def test_trials_run_side_by_side_in_other_processes(vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]) -> None:
    progress: list[tuple[int, str, float]] = []
    pool = Processes(odd("slow"), 2, 60.0, lambda *told: progress.append(told))
    over = outcomes(pool, vgg, [1, 2, 3, 4])
    pool.close()
    assert {number: one.drop_points for number, one in over.items()} == pytest.approx({1: 0.1, 2: 0.2, 3: 0.3, 4: 0.4})
    done = attempts(tmp_path)
    assert len({pid for _, pid, _ in done} | {os.getpid()}) == 3
    assert sorted(progress) == [(number, "tune", 0.5) for number in (1, 2, 3, 4)]


def test_a_trial_that_kills_its_process_is_tried_twice_and_told(
    vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]
) -> None:
    pool = Processes(odd("die", (2,)), 1, 60.0, lambda *_: None)
    over = outcomes(pool, vgg, [1, 2, 3])
    pool.close()
    assert over[1].ok
    assert over[3].ok
    assert over[2].reason == "its process died 2 times, with signal 9"
    assert [number for number, _, _ in attempts(tmp_path)] == [1, 2, 2, 3]


def test_a_process_that_dies_once_costs_one_retry(vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]) -> None:
    process = TrialProcess(pickled(odd("die once")))
    assert process.run(request(vgg, 7), lambda phase, share: None).ok
    process.close()
    assert len(attempts(tmp_path)) == 2


def test_an_interrupt_at_the_terminal_is_for_the_campaign_alone(
    vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]
) -> None:
    process = TrialProcess(pickled(odd()))
    process.run(request(vgg, 1), lambda phase, share: None)
    assert os.getpgid(attempts(tmp_path)[0][1]) != os.getpgid(0)
    process.close()


def test_closing_ends_a_trial_in_its_middle_and_starts_no_other(
    vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]
) -> None:
    process = TrialProcess(pickled(odd("hang")))
    told: list[TrialOutcome] = []
    running = threading.Thread(target=lambda: told.append(process.run(request(vgg, 1), lambda phase, share: None)))
    running.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.02)
    process.close()
    running.join()
    assert [outcome.reason for outcome in told] == ["stopped"]
    assert process.run(request(vgg, 2), lambda phase, share: None).reason == "stopped"
    assert len(attempts(tmp_path)) == 1


def test_an_exit_code_is_told(vgg: SyntheticProblem, odd: Callable[..., Evaluate]) -> None:
    process = TrialProcess(pickled(odd("exit")))
    assert "with exit code 3" in process.run(request(vgg, 7), lambda phase, share: None).reason
    process.close()


def test_an_exception_is_a_crashed_trial(vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]) -> None:
    process = TrialProcess(pickled(odd("raise", (1,))))
    assert process.run(request(vgg, 1), lambda phase, share: None).reason == "MemoryError: no room"
    assert process.run(request(vgg, 2), lambda phase, share: None).ok
    process.close()
    assert len({pid for _, pid, _ in attempts(tmp_path)}) == 1


def test_a_trial_that_takes_too_long_is_ended(vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]) -> None:
    process = TrialProcess(pickled(odd("hang", (1,))), timeout_s=3.0)
    outcome = process.run(request(vgg, 1), lambda phase, share: None)
    assert outcome.reason == "took longer than the 3 s of --trial-timeout"
    assert process.run(request(vgg, 2), lambda phase, share: None).ok
    process.close()
    hung = attempts(tmp_path)[0][1]
    with pytest.raises(ProcessLookupError):
        os.kill(hung, 0)


def test_no_child_outlives_a_killed_campaign(tmp_path: Path, odd: Callable[..., Evaluate]) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from odd_evaluations import Odd
from search.race.synthetic import problem
from search.records.trial import TrialRequest, TuningChoice
from search.workers.processes import Processes
pool = Processes(Odd({str(tmp_path / "log")!r}, "hang"), 1, 1000.0, lambda *_: None)
pool.submit(TrialRequest(0, "model", "", problem("vgg", 0).architecture.dense(), TuningChoice(), 1.0, 0))
pool.wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while not (tmp_path / "log").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child = attempts(tmp_path)[0][1]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()


def test_an_evaluation_that_cannot_travel_is_refused(vgg: SyntheticProblem) -> None:
    with pytest.raises(UsageError, match="cannot be sent to another process"):
        Processes(lambda trial, report: TrialOutcome.crashed(""), 2, 60.0, lambda *_: None)


def test_an_evaluation_that_the_child_cannot_import_ends_the_campaign(
    vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]
) -> None:
    payload = pickled(odd())
    (tmp_path / "odd_evaluations.py").write_text("raise ImportError('gone')")
    process = TrialProcess(payload)
    with pytest.raises(CampaignError, match=r"cannot run in another process .*gone"):
        process.run(request(vgg, 1), lambda phase, share: None)
    process.close()


def test_a_campaign_with_two_workers_ends_with_its_trials(vgg: SyntheticProblem, tmp_path: Path, odd: Callable[..., Evaluate]) -> None:
    events: list[Event] = []
    settings = CampaignSettings("c", trials=9, seeds=5, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1, workers=2)
    first = campaign.run(settings, vgg.space(), vgg, odd("die", (3,)), tmp_path / "c", events.append)
    assert len(first.searched) == 9
    assert sorted(t.number for t in first.trials) == list(range(len(first.trials)))
    assert [t.number for t in first.trials if not t.outcome.ok] == [3]
    assert any(isinstance(event, TrialProgress) for event in events)


def test_one_worker_process_gives_the_trials_of_this_process(vgg: SyntheticProblem, tmp_path: Path) -> None:
    here = CampaignSettings("c", trials=8, seeds=5, budget_epochs=27.0, goal=Goal(1.0), repeats=0)
    one = campaign.run(here, vgg.space(), vgg, SyntheticEvaluate("vgg", 0), tmp_path / "here")
    there = replace(here, trial_timeout_s=60.0)
    same = campaign.run(there, vgg.space(), vgg, SyntheticEvaluate("vgg", 0), tmp_path / "there")
    assert [t.request for t in one.trials] == [t.request for t in same.trials]


def test_resources_are_read() -> None:
    assert parse_resources("GPU=1,DEVICE:ncs2=2") == {"GPU": 1.0, "DEVICE:ncs2": 2.0}
    assert parse_resources("") == {}
    with pytest.raises(UsageError, match="not understood"):
        parse_resources("GPU")
