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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from search.records import journal

KILLS, FEW_KILLS = 100, 2
LATEST_S = 4.0  # after the first new line in the journal, at which a process is killed
ENDLESS = 10_000  # trials that no campaign here reaches

# Imports take longer than a resume: they are done once, and every campaign is a fork of its own, with two workers as children.
CAMPAIGNS = """
import os, sys, traceback
from pathlib import Path
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.space.goals import Goal
from search.race.synthetic import problem
from killed import Logged

def campaign_of(folder, how, trials):
    settings = CampaignSettings("c", trials=trials, seeds=5, budget_epochs=27.0, goal=Goal(1.0), workers=2)
    found = problem("vgg", 0)
    campaign.run(settings, found.space(), found, Logged(str(folder) + ".log"), folder, resume=how == "resume")

if __name__ == "__main__":
    for line in sys.stdin:
        how, trials = line.split()
        forked = os.fork()
        if not forked:
            try:
                campaign_of(Path(sys.argv[1]), how, int(trials))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        print(forked, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]), flush=True)
"""
KILLED = """
import time
from dataclasses import dataclass
from search.race.synthetic import SyntheticEvaluate

@dataclass(frozen=True)
class Logged:
    path: str

    def __call__(self, trial, report):
        with open(self.path, "a") as file:
            file.write(f"{trial.number}\\n")
        time.sleep(0.05)
        return SyntheticEvaluate("vgg", 0)(trial, report)
"""


@dataclass(frozen=True)
class Campaigns:
    """Starts campaigns in one folder, one at a time."""

    server: subprocess.Popen[str]

    def start(self, how: str, trials: int = ENDLESS) -> int:
        """Run or resume; returns the process id."""
        assert self.server.stdin is not None
        print(how, trials, file=self.server.stdin, flush=True)
        return int(self._line())

    def exit_code(self) -> int:
        """Of the campaign that was started last, when it has ended."""
        return int(self._line())

    def _line(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline()


@pytest.fixture
def campaigns(tmp_path: Path) -> Iterator[Campaigns]:
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "campaigns.py").write_text(CAMPAIGNS)
    paths = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, str(tmp_path / "campaigns.py"), str(tmp_path / "c")]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    yield Campaigns(server)
    os.killpg(server.pid, signal.SIGKILL)
    server.communicate()


@pytest.mark.timeout(7200)  # a hundred resumes on a busy machine
def test_kills_lose_repeat_and_corrupt_nothing(benchmark: BenchmarkFixture, judged: bool, tmp_path: Path, campaigns: Campaigns) -> None:
    kills = KILLS if judged else FEW_KILLS
    folder, log, moments = tmp_path / "c", tmp_path / "c.log", random.Random(kills)
    known, repeated = b"", list[int]()
    log.touch()

    def kill_once() -> None:
        nonlocal known
        done = {trial.number for trial in journal.read(folder).finished} if known else set[int]()
        evaluated = len(log.read_text().splitlines())
        process = campaigns.start("resume" if known else "run")
        _wait_for_growth(folder / journal.FILE, len(known), process)
        time.sleep(moments.random() * LATEST_S * (0.1 if kills == FEW_KILLS else 1.0))
        os.kill(process, signal.SIGKILL)
        assert campaigns.exit_code() == -signal.SIGKILL
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
    # what is lost or corrupted fails in its own round
    told = f"0 lost, {len(repeated)} repeated, {twice} twice in the journal, 0 journals corrupted"
    print(f"\n{kills} kills, {len(numbers)} trials finished: {told}")
    assert not repeated
    assert numbers or kills == FEW_KILLS, "nothing was ever finished"
    assert not twice
    campaigns.start("resume", trials=len(numbers) + len(contents.running) + 2)
    assert campaigns.exit_code() == 0
    after = journal.read(folder)
    assert after.stopped
    assert not after.running
    assert sorted(trial.number for trial in after.finished) == list(range(len(after.finished)))


def _wait_for_growth(path: Path, size: int, process: int) -> None:
    """Until the process has written to the journal: before that there is nothing to lose."""
    deadline = time.monotonic() + 240
    while not (path.exists() and path.stat().st_size > size):
        assert Path(f"/proc/{process}").exists(), "the campaign ended by itself"
        assert time.monotonic() < deadline, "the campaign writes nothing"
        time.sleep(0.01)
