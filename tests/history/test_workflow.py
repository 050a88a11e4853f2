"""Our workflow's steps carry the history from run to run, here with a stand-in for GitHub's own program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.history.conftest import measurement, write

ROOT = Path(__file__).parents[2]
GH = """#!/bin/sh
case "$*" in
  "run list"*--branch=new*) echo 12 ;;
  "run list"*--branch=main*) echo 11 ;;
  "run download 11 --name=history --dir=history") mkdir -p history && cp -r "$EARLIER"/. history ;;
  *) echo "no artifact matches" >&2; exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def steps() -> dict[str, Any]:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "bench.yml").read_text())["jobs"]
    return {step.get("name", step.get("id", "")): step for step in jobs["side-by-side"]["steps"]}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Where the steps run: an interpreter with the product, GitHub's program, what one device measured just now."""
    here = tmp_path / "checkout"
    for name, text in ((".venv/bin/python", f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n'), ("bin/gh", GH)):
        (here / name).parent.mkdir(parents=True)
        (here / name).write_text(text)
        (here / name).chmod(0o755)
    measured = here / "measured" / "espalier-cpu" / "measured.json"
    measured.parent.mkdir(parents=True)
    shutil.move(write(tmp_path / "now", measurement(1e-3, 8), 8), measured)
    return here


def step(of: dict[str, Any], folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        **given,
    }
    environment.update({"GITHUB_RUN_ID": "13", "GITHUB_RUN_ATTEMPT": "1"})
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", of["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_run_adds_to_the_history_of_its_branch_or_of_the_main_one(steps: dict[str, Any], checkout: Path, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "earlier", measurement(1e-3, number), number)
    branch = {"BRANCH": "new", "DEFAULT": "main", "EARLIER": str(tmp_path / "earlier")}
    for name, given in (("history so far", branch), ("history", {}), ("where the history is", {"URL": "https://forge/artifact/5"})):
        assert set(steps[name].get("env", {})) - {"GH_TOKEN", "GH_REPO"} <= given.keys()
        done = step(steps[name], checkout, **given)
        assert done.returncode == 0, done.stdout + done.stderr
    kept = steps["kept"]["with"]
    folder = checkout / kept["path"]
    assert (folder / "history.html").is_file()
    indexed = [line for line in (folder / ".history.jsonl").read_text().splitlines() if '"points"' in line]
    assert len(indexed) == len(list(folder.rglob("*.json"))) == 4
    assert kept["include-hidden-files"] is True, "the index is a hidden file"
    summary = (checkout / "summary.md").read_text()
    assert "net" in summary
    assert summary.rstrip().endswith("(https://forge/artifact/5)")


def test_the_first_run_begins_a_history(steps: dict[str, Any], checkout: Path) -> None:
    begun = step(steps["history so far"], checkout, BRANCH="lone", DEFAULT="lone")
    assert begun.returncode == 0, begun.stderr
    assert "no earlier run" in begun.stdout
    assert step(steps["history"], checkout).returncode == 0
    assert [path.name for path in (checkout / "history").glob("*.json")] == ["13-1-espalier-cpu.json"]
