"""Whole campaigns that are killed in every phase and resumed: no finished trial is lost or repeated, no file is left half.

``pytest tests/performance/test_kills_everywhere.py --benchmark-only -s`` kills ``ESPALIER_KILLS`` times (default: a hundred) while designed
networks are measured, while it searches, tunes, measures the comparison, writes the report, and one of a Dask cluster's workers, on this
machine's processor; without that flag twice, of a small network on a simulated device.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import safetensors.torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.networks import zoo
from harness.records import benchmark_json
from search.records import journal, outcome
from tests.search.command import own_device, small_network

try:
    import distributed
except ImportError:  # an extra: then no worker is killed
    distributed = None

KILLS, FEW_KILLS = int(os.environ.get("ESPALIER_KILLS", "100")), 2
DEADLINE_S = 900  # of one command on a busy machine
QUICK = ("--trials=4", "--budget=0", "--proof-budget=0", "--designs=14", "--rounds=60", "--max-predictor-error=0.9", "--chance-margin=0")
FEW_PHASES = ("searching", "measuring the comparison")  # that two kills reach: what is written a line at a time, and what in one piece
QUICK += ("--finalists=1", "--folds=0", "--no-global-pruning", "--input-shape=1x16x16")

# Torch takes seconds to import: one process does it, and every command is a fork of it with a process group of its own.
SERVER = """
import os, sys
from search import journey, verbs
if __name__ == "__main__":
    for line in sys.stdin:
        log, *words = line.rstrip("\\n").split("\\t")
        forked = os.fork()
        if not forked:
            os.setpgid(0, 0)
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1); os.dup2(out, 2)
            try:
                code = verbs.main(words)
                sys.stdout.flush()
            except BaseException:
                import traceback
                traceback.print_exc()
                code = 99
            os._exit(code)
        print(forked, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]), flush=True)
"""


@dataclass
class Campaigns:
    """Runs commands, one at a time. known: finished trials by number, as their lines stood in the journal."""

    server: subprocess.Popen[str]
    home: Path
    words: tuple[str, ...]
    known: dict[int, str] = field(default_factory=dict)
    lost: int = 0
    repeated: int = 0
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def folder(self) -> Path:
        """Of the campaign."""
        return self.home / "reports" / "campaigns" / "c"

    @property
    def log(self) -> Path:
        """What all commands said."""
        return self.home / "log"

    def start(self, *words: str) -> int:
        """Begin a command; returns its process, which leads a group."""
        assert self.server.stdin is not None
        self.log.touch()
        print(self.log, *words, sep="\t", file=self.server.stdin, flush=True)
        return int(self._line())

    def code(self) -> int:
        """The exit code of the command that was begun last."""
        return int(self._line())

    def again(self) -> tuple[str, ...]:
        """The command that begins the campaign, or goes on with it."""
        begun = (self.folder / "request.json").is_file()
        return ("resume", "c") if begun else ("run", *self.words, "--name=c", *QUICK)

    def kill(self, phase: str, reached: Callable[[], bool], within_s: float, chance: random.Random) -> bool:
        """Kill the campaign at some moment after ``reached``; False where it ended before."""
        process = self.start(*self.again())
        deadline = time.monotonic() + DEADLINE_S
        while not reached() and _lives(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.random() * within_s)
        alive = _lives(process)
        try:
            os.killpg(process, signal.SIGKILL)
        except ProcessLookupError:
            alive = False
        self.code()
        self.kills[phase] += alive
        self.look()
        return alive

    def look(self) -> None:
        """Hold the journal against what was known of it."""
        if not (self.folder / journal.FILE).is_file():
            return
        journal.read(self.folder)
        finished: Counter[int] = Counter()
        now: dict[int, str] = {}
        for line in (self.folder / journal.FILE).read_text().split("\n"):
            try:
                document = json.loads(line)
            except ValueError:
                continue  # the torn last one
            if document["kind"] == "finished":
                number = document["request"]["number"]
                finished[number] += 1
                now[number] = line
            if document["kind"] == "started" and finished[document["request"]["number"]]:
                self.repeated += 1
        self.repeated += sum(count - 1 for count in finished.values())
        self.lost += sum(now.get(number) != line for number, line in self.known.items())
        self.known = now
        for whole in (outcome.PROOF, outcome.MEASUREMENTS):
            if (self.folder / whole).is_file():
                benchmark_json.read(self.folder / whole)

    def _line(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline()


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def campaigns(tmp_path: Path, judged: bool) -> Iterator[Campaigns]:
    if judged:
        safetensors.torch.save_file(zoo.build("resnet20", (1, 32, 32), 10, seed=1).state_dict(), tmp_path / "dense.safetensors")
    small = () if judged else (*small_network(tmp_path), own_device(tmp_path))
    (tmp_path / "server.py").write_text(SERVER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    words = [sys.executable, str(tmp_path / "server.py")]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    yield Campaigns(server, tmp_path, small or ("--weights=dense.safetensors",))
    server.kill()
    server.communicate()


@pytest.mark.timeout(4 * 3600)
def test_kills_in_every_phase_lose_and_repeat_nothing(benchmark: BenchmarkFixture, judged: bool, campaigns: Campaigns) -> None:
    wanted, chance = (KILLS if judged else FEW_KILLS), random.Random(7)
    one = campaigns

    def said(words: str, since: int) -> bool:
        return words in one.log.read_text(errors="replace")[since:]

    def rounds() -> None:
        while sum(one.kills.values()) < wanted:
            _forget(one)
            for phase, reached, within_s in phases() if judged else few():
                if sum(one.kills.values()) >= wanted:
                    break
                since = one.log.stat().st_size if one.log.exists() else 0
                one.kill(phase, lambda reached=reached, since=since: reached(since), within_s, chance)
            one.start(*one.again())
            assert one.code() in (0, 3), one.log.read_text()[-3000:]
            one.look()
            if sum(one.kills.values()) < wanted and distributed is not None:
                _kill_a_dask_worker(one)
            assert (one.folder / "report.html").read_text().rstrip().endswith("</html>")

    def phases() -> list[tuple[str, Callable[[int], bool], float]]:
        def journal_grew(since: int) -> bool:
            return (one.folder / journal.FILE).is_file()

        return [
            ("measuring", lambda since: said("checking the dense network", since), 20.0),
            ("beginning", lambda since: one.folder.is_dir(), 1.0),
            ("searching", journal_grew, 2.0),
            ("searching", journal_grew, 4.0),
            ("tuning", lambda since: '"stopped"' in _text(one.folder / journal.FILE), 3.0),
            ("tuning", lambda since: (one.folder / "tuned").is_dir(), 6.0),
            ("measuring the comparison", lambda since: (one.folder / "contenders").is_dir(), 4.0),
            ("measuring the comparison", lambda since: said("measuring", since), 8.0),
            ("reporting", lambda since: (one.folder / outcome.CONTENDERS).is_file(), 1.0),
            ("reporting", lambda since: (one.folder / outcome.CONTENDERS).is_file(), 0.3),
        ]

    def few() -> list[tuple[str, Callable[[int], bool], float]]:
        return [next(one for one in phases() if one[0] == phase) for phase in FEW_PHASES]

    benchmark.pedantic(rounds, rounds=1, iterations=1)
    counts = ", ".join(f"{count} {phase}" for phase, count in one.kills.items())
    print(f"\n{sum(one.kills.values())} kills ({counts}): {one.lost} lost, {one.repeated} repeated")
    assert not one.lost + one.repeated


def _kill_a_dask_worker(campaigns: Campaigns) -> None:
    """One more trial on a cluster whose only worker is killed while it runs it: the cluster starts another, and the campaign ends."""
    wanted = len(campaigns.known) + 1
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        size = (campaigns.folder / journal.FILE).stat().st_size
        process = campaigns.start("resume", "c", f"--dask={cluster.scheduler_address}", f"--trials={wanted}")
        while (campaigns.folder / journal.FILE).stat().st_size == size and _lives(process):
            time.sleep(0.02)
        os.kill(next(iter(cluster.workers.values())).process.pid, signal.SIGKILL)
        assert campaigns.code() in (0, 3), campaigns.log.read_text()[-3000:]
    campaigns.kills["a Dask worker"] += 1
    campaigns.look()


def _forget(campaigns: Campaigns) -> None:
    """Begin again from nothing, measurements too."""
    reports = campaigns.home / "reports"
    if reports.exists():
        reports.rename(campaigns.home / f"reports-{sum(campaigns.kills.values())}-{time.monotonic_ns()}")
    campaigns.known = {}


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
