"""``python -m search explain`` as a user runs it, on a small network of their own: measures what is missing, once, and says so."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
from rich.console import Console

from harness.networks import zoo
from harness.records import benchmark_json
from search.records import folder
from search.records.display import Display
from search.records.request import Request
from search.report.costs import run as explain_run

pytestmark = pytest.mark.timeout(600)  # the first test runs three bench suites
FACTORY = """
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
    def forward(self, x):
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()

def tiny(input_shape, classes):
    stem = nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False)
    return nn.Sequential(stem, nn.BatchNorm2d(16), nn.ReLU(), Block(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes))
"""


def explain(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "search", "explain", "--network=tiny.py:tiny", "--weights=w.safetensors", "--designs=24", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=500)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "tiny.py").write_text(FACTORY)
    model = zoo.build(f"{folder / 'tiny.py'}:tiny", (1, 32, 32), 10, seed=1)
    safetensors.torch.save_file(model.state_dict(), folder / "w.safetensors")
    return folder


@pytest.fixture(scope="module")
def first(home: Path) -> subprocess.CompletedProcess[str]:
    ended = explain(home, "--device=simulated")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


def test_the_first_run_measures_what_is_missing_and_says_so(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    for suite in ("test_predictor.py", "test_width_staircase.py", "test_sensitivity.py"):
        assert re.search(rf"^measuring: pytest .*{suite}", first.stdout, re.MULTILINE), first.stdout
    assert "SIMULATED: " in first.stdout
    text = (home / "reports" / "explain" / "tiny.py-tiny-digits-f32-simulated.md").read_text()
    for title in ("Prune this next", "Cuts that save nothing", "Share of each stage", "Share of each layer", "Effect of width and depth"):
        assert f"## {title}" in text
    assert "Widths are not measured" not in text
    assert "`python -m search explain --device simulated" in text


def test_accuracy_is_known_at_the_very_width_that_is_advised(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    (path,) = (home / "reports" / "benchmarks" / "simulated" / "sensitivity").glob("*.json")
    analysed = {(point.group, point.channels) for point in benchmark_json.read(path).sensitivities}
    advised = re.findall(r"--also-width=([\w.]+)=(\d+)", first.stdout)
    assert {(group, int(width)) for group, width in advised} <= analysed
    assert advised


def test_the_second_run_measures_nothing_and_says_the_same(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    ended = explain(home, "--device=simulated")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "measuring: " not in ended.stdout
    said = [re.sub(r"\s+", " ", one.stdout[one.stdout.index("SIMULATED: ") :]) for one in (first, ended)]
    assert said[0] == said[1]


PAIR = """
from torch import nn

class Pair(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body, self.boxes, self.kinds = nn.Conv2d(channels, 16, 3, 2, 1), nn.Conv2d(16, 5, 1), nn.Conv2d(16, 2, 1)
    def forward(self, x):
        found = self.body(x).relu()
        return self.boxes(found), {"kinds": self.kinds(found)}

def pair(channels):
    return Pair(channels)
"""


def test_a_network_of_any_outputs_is_explained_without_a_task(home: Path, first: subprocess.CompletedProcess[str]) -> None:
    (home / "pair.py").write_text(PAIR)
    command = [sys.executable, "-m", "search", "explain", "--network=pair.py:pair", "--device=simulated", "--designs=12"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=500)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "answers (1, 5, 16, 16) and (1, 2, 16, 16): it is measured and explained" in ended.stdout
    assert "accuracy not analysed" in " ".join(ended.stdout.split())
    assert "training the dense network" not in ended.stdout
    assert "test_sensitivity.py" not in ended.stdout


def test_a_campaign_that_is_not_there_ends_with_2_and_one_line(home: Path) -> None:
    ended = explain(home, "--name=nothing")
    assert ended.returncode == 2
    assert "there is no campaign 'nothing'" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_campaign_from_a_repository_is_explained_without_training_again(tmp_path: Path) -> None:
    """Its dense network is laid again from what it was started with; one of which nothing is left is passed over, and that is said."""
    weights, reports = tmp_path / "w.safetensors", tmp_path / "reports"
    safetensors.torch.save_file(zoo.build("resnet20", (1, 32, 32), 10, seed=1).state_dict(), weights)
    asked = Request(network="resnet20", dataset="digits", weights=None, reports=reports)
    folders = [reports / "campaigns" / name for name in ("kept", "other-device", "lost")]  # the newest last
    started = [replace(asked, weights=weights), replace(asked, weights=weights, device="ncs2"), replace(asked, weights=tmp_path / "gone")]
    for age, (place, theirs) in enumerate(zip(folders, started, strict=True)):
        place.mkdir(parents=True)
        folder.write_request(place, theirs)
        os.utime(place / folder.REQUEST, (1_000_000 + age, 1_000_000 + age))
    console = Console(record=True, width=400)
    found = explain_run._asked(asked, Display(console))
    assert found.campaign == folders[0]
    assert found.request.weights == folders[0] / folder.DENSE
    assert (folders[0] / folder.DENSE).is_file()
    said = console.export_text().splitlines()
    assert [line.partition(":")[0] for line in said] == [f"passing over {folders[2]}", "dense network and latencies"]
    assert f"or put back {tmp_path / 'gone'}" in said[0]
