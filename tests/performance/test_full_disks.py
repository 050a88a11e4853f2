"""Disks that fill up, and folders that nobody may write into: one line each, and the campaign goes on once there is room.

``pytest tests/performance/test_full_disks.py --benchmark-only -s`` prints twenty of them; else a few. Where it is root, a
small memory disk is filled or mounted read-only; elsewhere files may not grow beyond a limit (RLIMIT_FSIZE).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

CAMPAIGN = Path(__file__).parent.parent / "attacks" / "corpus" / "campaign"
SPARE_BYTES = (0, 512, 4096, 8192, 20_000, 50_000, 100_000, 200_000)
MANY, FEW = 20, 3

# Torch takes seconds to import: one process does it, and every command is a fork of it.
SERVER = """
import os, resource, sys
from search import journey, verbs
from search.report import report
from search.race.synthetic import SyntheticEvaluate, problem
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.space.goals import Goal
from harness.errors import HarnessError

def searched(folder, trials):
    settings = CampaignSettings("c", trials=trials, seeds=5, budget_epochs=27.0, goal=Goal(1.0), workers=1)
    found = problem("vgg", 0)
    try:
        campaign.run(settings, found.space(), found, SyntheticEvaluate("vgg", 0), folder, resume=(folder / "journal.jsonl").exists())
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0

if __name__ == "__main__":
    from pathlib import Path
    for line in sys.stdin:
        limit, log, *words = line.rstrip("\\n").split("\\t")
        forked = os.fork()
        if not forked:
            out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(out, 2)
            if int(limit) >= 0:
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
            try:
                code = searched(Path(words[1]), int(words[2])) if words[0] == "searched" else verbs.main(words)
            except BaseException:
                import traceback
                traceback.print_exc()
                code = 99
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Commands:
    """Runs one command after the other. scratch: outside of the disk that fills up."""

    server: subprocess.Popen[str]
    scratch: Path

    def run(self, *words: object, limit: int = -1) -> tuple[int, str]:
        """Exit code, and what stood on the error stream. limit: bytes that a file may have, -1 for none."""
        log = self.scratch / "stderr"
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        print(limit, log, *words, sep="\t", file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline()), log.read_text()


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    (tmp_path / "server.py").write_text(SERVER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = [sys.executable, str(tmp_path / "server.py")]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    yield Commands(server, tmp_path)
    server.kill()
    server.communicate()


def can_mount(place: Path) -> bool:
    """Whether a memory disk can be mounted here: root outside of a container that forbids it."""
    place.mkdir(exist_ok=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode:
        return False
    subprocess.run(["umount", place], check=True)
    return True


@contextmanager
def disk(place: Path) -> Iterator[Path]:
    """A memory disk of 4 MiB."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def laid(place: Path) -> Path:
    """A finished campaign under ``place``; returns the folder of reports."""
    shutil.copytree(CAMPAIGN, place / "reports" / "campaigns" / "c")
    return place / "reports"


def fill(place: Path, spare_bytes: int) -> Path:
    """Leave that much of a disk free."""
    filler = place / "filler"
    left = shutil.disk_usage(place).free
    filler.write_bytes(b"\0" * max(0, left - spare_bytes))
    return filler


def one_line(code: int, told: str, place: Path) -> None:
    lines = told.strip().splitlines()
    assert code == 2, told
    assert len(lines) == 1, told
    assert lines[0].startswith("error: "), told
    assert str(place) in lines[0], told


def reported(commands: Commands, place: Path, spare_bytes: int) -> str:
    """``resume`` of a finished campaign writes its report: on a disk that takes none of it or a part."""
    reports = laid(place)
    filler = fill(place, spare_bytes)
    code, told = commands.run("resume", "c", f"--reports={reports}")
    if spare_bytes < 100_000 or code:  # more is room enough for a short report
        one_line(code, told, reports)
    filler.unlink()
    assert commands.run("resume", "c", f"--reports={reports}")[0] == 0
    assert (reports / "campaigns" / "c" / "report.html").is_file()
    assert not [path for path in reports.rglob(".*") if path.is_file()], "no half of a file stays"
    shutil.rmtree(reports)
    return told


def searched(commands: Commands, place: Path, spare_bytes: int) -> str:
    """A search whose journal finds no room after some trials."""
    folder = place / "c"
    filler = fill(place, spare_bytes)
    code, told = commands.run("searched", folder, 12)
    if code:
        one_line(code, told, place)
    filler.unlink()
    assert commands.run("searched", folder, 12)[0] == 0
    shutil.rmtree(folder)
    return told


def read_only(commands: Commands, place: Path) -> str:
    """A disk that is mounted read-only."""
    reports = laid(place)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    try:
        code, told = commands.run("resume", "c", f"--reports={reports}")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    one_line(code, told, reports)
    assert commands.run("resume", "c", f"--reports={reports}")[0] == 0
    shutil.rmtree(reports)
    return told


def limited(commands: Commands, place: Path, limit: int) -> str:
    """Files that may not grow: what a quota does."""
    reports = laid(place)
    code, told = commands.run("resume", "c", f"--reports={reports}", limit=limit)
    one_line(code, told, reports)
    assert commands.run("resume", "c", f"--reports={reports}")[0] == 0
    shutil.rmtree(reports)
    return told


@pytest.mark.timeout(3600)
def test_full_disks_are_told_in_one_line_and_resume_completes(
    benchmark: BenchmarkFixture, judged: bool, tmp_path: Path, commands: Commands
) -> None:
    count, told = MANY if judged else FEW, list[str]()
    place = tmp_path / "disk"
    mounts = can_mount(place)
    ways = [lambda spare=spare: reported(commands, place, spare) for spare in SPARE_BYTES] if mounts else []
    ways += [lambda spare=spare: searched(commands, place, spare) for spare in (8192, 12_288, 16_384, 20_480, 24_576)] if mounts else []
    ways += [lambda: read_only(commands, place)] * 3 if mounts else []
    ways += [lambda limit=limit: limited(commands, place, limit) for limit in (0, 100, 1000, 4096, 10_000, 20_000, 30_000)]
    chosen = (ways * MANY)[:count] if judged else [ways[0], ways[-8 if mounts else 0], ways[-1]]

    def all_of_them() -> None:
        for way in chosen:
            place.mkdir(exist_ok=True)
            if mounts:
                with disk(place):
                    told.append(way())
            else:
                told.append(way())

    benchmark.pedantic(all_of_them, rounds=1, iterations=1)
    print()
    for line in told:
        print(line.strip()[:200] or "there was room enough")
    print(f"{len(told)} full or protected disks: each told in one line or with room enough; every resume completed")
