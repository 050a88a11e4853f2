"""A campaign with two workers that is killed again and again, at any moment, and resumed: nothing is lost, repeated or corrupted.

``pytest tests/performance/test_kills.py --benchmark-only -s`` kills a hundred times; without that flag it is a few.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from search import journal

KILLS, FEW_KILLS = 100, 2
LATEST_S = 4.0  # after the first new line in the journal, at which a process is killed
ENDLESS = 10_000  # trials that no campaign here reaches

CAMPAIGN = """
import sys
from pathlib import Path
from search import campaign
from search.campaign import CampaignSettings
from search.goals import Goal
from search.synthetic import problem
from killed import Logged

if __name__ == "__main__":
    folder, resume = Path(sys.argv[1]), sys.argv[2] == "resume"
    settings = CampaignSettings("c", trials=int(sys.argv[3]), seeds=5, budget_epochs=27.0, goal=Goal(1.0), workers=2)
    found = problem("vgg", 0)
    campaign.run(settings, found.space(), found, Logged(str(folder) + ".log"), folder, resume=resume)
"""
KILLED = """
import time
from dataclasses import dataclass
from search.synthetic import SyntheticEvaluate

@dataclass(frozen=True)
class Logged:
    path: str

    def __call__(self, trial, report):
        with open(self.path, "a") as file:
            file.write(f"{trial.number}\\n")
        time.sleep(0.05)
        return SyntheticEvaluate("vgg", 0)(trial, report)
"""


def test_kills_lose_repeat_and_corrupt_nothing(benchmark: BenchmarkFixture, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    kills = KILLS if request.config.getoption("benchmark_only") else FEW_KILLS
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "campaign_to_kill.py").write_text(CAMPAIGN)
    folder, log, moments = tmp_path / "c", tmp_path / "c.log", random.Random(kills)
    known, repeated = b"", list[int]()
    log.touch()

    def kill_once() -> None:
        nonlocal known
        done = {trial.number for trial in journal.read(folder).finished} if known else set[int]()
        evaluated = len(log.read_text().splitlines())
        process = _started(tmp_path, folder, "resume" if known else "run")
        try:
            _wait_for_growth(folder / journal.FILE, len(known), process)
            time.sleep(moments.random() * LATEST_S * (0.1 if kills == FEW_KILLS else 1.0))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        now = (folder / journal.FILE).read_bytes()
        assert now.startswith(known[: known.rfind(b"\n") + 1]), "a line that was there is gone"
        assert done <= {trial.number for trial in journal.read(folder).finished}
        time.sleep(0.3)  # orphans end when their pipe does; what they wrote until then belongs to this kill
        repeated.extend(done & {int(line) for line in log.read_text().splitlines()[evaluated:]})
        known = now

    benchmark.pedantic(kill_once, rounds=kills, iterations=1)
    contents = journal.read(folder)
    numbers = [trial.number for trial in contents.finished]
    twice = len(numbers) - len(set(numbers))
    print(f"\n{kills} kills, {len(numbers)} trials finished: {len(repeated)} repeated, {twice} twice in the journal")
    assert not repeated
    assert numbers or kills == FEW_KILLS, "nothing was ever finished"
    assert not twice
    last = _started(tmp_path, folder, "resume", trials=len(numbers) + len(contents.running) + 2)
    assert last.wait(timeout=240) == 0
    after = journal.read(folder)
    assert after.stopped
    assert not after.running
    assert sorted(trial.number for trial in after.finished) == list(range(len(after.finished)))


def _started(home: Path, folder: Path, how: str, trials: int = ENDLESS) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(home), *(path for path in sys.path if path)])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}
    return subprocess.Popen([sys.executable, str(home / "campaign_to_kill.py"), str(folder), how, str(trials)], env=environment)


def _wait_for_growth(path: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    """Until the process has written to the journal: before that there is nothing to lose."""
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size > size):
        assert process.poll() is None, "the campaign ended by itself"
        assert time.monotonic() < deadline, "the campaign writes nothing"
        time.sleep(0.01)
