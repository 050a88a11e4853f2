"""A campaign whose process is killed at any moment goes on without a loss."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import journal
from search.space.goals import Goal

KILLED = """
import sys, time
from pathlib import Path
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.space.goals import Goal
from search.race.synthetic import SyntheticEvaluate, problem

def evaluate(trial, report):
    time.sleep(0.05)
    return SyntheticEvaluate("vgg", 0)(trial, report)

settings = CampaignSettings("c", trials=40, seeds=5, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1)
found = problem("vgg", 0)
campaign.run(settings, found.space(), found, evaluate, Path(sys.argv[1]), resume=sys.argv[2] == "resume")
"""


def started(arguments: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", KILLED, *arguments], env=environment)


FINISHED = b'"finished"'


def finished_lines(path: Path, count: int) -> bool:
    return path.exists() and path.read_bytes().count(FINISHED) >= count


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_a_killed_campaign_loses_and_repeats_nothing(vgg: SyntheticProblem, tmp_path: Path) -> None:
    """SIGKILL at random moments of a real process, then a resume: every line that was there is still there."""
    path, moments = tmp_path / journal.FILE, random.Random(1)
    before = b""
    for attempt in ("run", "resume"):
        process = started([str(tmp_path), attempt])
        wanted = before.count(FINISHED) + 1 + moments.randrange(6)
        wait_until(partial(finished_lines, path, wanted))
        time.sleep(moments.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        survived = path.read_bytes()
        assert survived.startswith(before[: before.rfind(b"\n") + 1])
        before = survived
    settings = CampaignSettings("c", trials=40, seeds=5, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1)
    finished = journal.read(tmp_path).finished
    result = campaign.run(settings, vgg.space(), vgg, SyntheticEvaluate("vgg", 0), tmp_path, resume=True)
    assert result.trials[: len(finished)] == finished
    numbers = [t.number for t in result.trials]
    assert sorted(numbers) == list(range(len(numbers)))
    assert len(result.searched) == 40
    keys = vgg.space().keys(np.asarray([vgg.space().encode(t.request.config, t.request.recipe) for t in result.searched]))
    assert len(set(keys)) == 40
