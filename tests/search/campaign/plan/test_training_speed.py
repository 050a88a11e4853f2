"""A campaign trains in the way that it began with, whatever this machine would choose now."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import CampaignError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.training import processor
from harness.training.processor import Way
from harness.training.speed import probe, turns
from search.campaign import common_recipe
from search.campaign.plan import training_speed
from search.records import training_record
from search.records.display import Display
from search.records.request import Request
from search.records.training_record import TrainingRecord

BEGUN = TrainingRecord(Way("bf16", channels_last=False, threads=1), "training: bf16, contiguous, 1 thread: 9 images/s")

VIEWING = """
from torch import nn

class View(nn.Module):
    def forward(self, x):
        return x.view(x.size(0), -1)

def net(classes, in_chans):
    return nn.Sequential(nn.Conv2d(in_chans, 4, 3, 4), View(), nn.Linear(4 * 8 * 8, classes))
"""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits", None)


@pytest.fixture
def display() -> Display:
    return Display(Console(file=io.StringIO(), width=200))


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing remembered, short turns, and the way of this process put back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(turns, "TURN_S", 0.01)
    with processor.adopted(processor.way()):
        yield


def said(display: Display) -> str:
    file = display.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_a_new_campaign_says_and_adopts_what_was_fastest(digits: Dataset, display: Display) -> None:
    found = training_speed.begin(Request(), digits, display)
    assert processor.way() == found.record.way
    assert found.record.sentence in said(display)
    assert found.images_per_s is not None
    assert f"{found.images_per_s:.0f} images/s" in said(display)


def test_a_resumed_campaign_keeps_its_way_whatever_is_faster(
    digits: Dataset, display: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_record.write(tmp_path, BEGUN)
    monkeypatch.setattr(probe, "adopt", lambda *_: pytest.fail("tried"))
    training_speed.go_on(tmp_path, Request(), digits, display)
    assert processor.way() == BEGUN.way
    assert "as the campaign began" in said(display)
    assert common_recipe.base(Request(), datasets.load("digits")).precision == "bf16"


def test_a_campaign_from_before_tries_once_and_keeps_that(digits: Dataset, display: Display, tmp_path: Path) -> None:
    found = training_speed.go_on(tmp_path, Request(), digits, display)
    assert training_record.read(tmp_path) == found.record


def test_a_fork_that_cannot_be_trained_as_its_campaign_was_tries_what_can(digits: Dataset, display: Display, tmp_path: Path) -> None:
    folder, net = tmp_path / "campaigns" / "old", tmp_path / "net.py"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text("{}")
    net.write_text(VIEWING)
    training_record.write(folder, TrainingRecord(Way("f32", channels_last=True, threads=1), "as it was"))
    found = training_speed.begin(Request(network=f"{net}:net", old="old", reports=tmp_path), digits, display)
    assert not found.record.way.channels_last
    assert processor.way() == found.record.way
    assert "cannot be run here" in said(display)


def test_a_fork_trains_as_the_campaign_whose_trials_it_takes_over(digits: Dataset, display: Display, tmp_path: Path) -> None:
    folder = tmp_path / "campaigns" / "old"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text("{}")
    training_record.write(folder, BEGUN)
    training_speed.begin(Request(old="old", reports=tmp_path), digits, display)
    assert processor.way() == BEGUN.way


def test_where_nothing_is_trained_nothing_is_tried(digits: Dataset, display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "adopt", lambda *_: pytest.fail("tried"))
    training_speed.begin(Request(weights=Path("dense.safetensors"), budget=0, proof_budget=0), digits, display)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"schema": 1, "way": {"precision": "f8", "channels_last": true, "threads": 1}, "sentence": ""}']
)
def test_a_broken_record_is_one_line_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / training_record.FILE).write_text(text)
    with pytest.raises(CampaignError, match=r"training\.json is broken .*; restore it from a copy, or start the campaign again"):
        training_record.read(tmp_path)
