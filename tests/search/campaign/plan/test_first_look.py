"""What cannot be pruned, exported or measured is refused before anything is trained."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from harness.errors import DeviceBusy, DeviceUnavailable, HarnessError, UnknownName
from harness.networks import datasets, zoo
from harness.networks.datasets import Dataset
from search.campaign.plan import first_look
from search.records.display import Display
from search.records.request import Request
from tests.search.command import search

NETWORKS = """
import torch
from torch import nn

def plain(classes, in_chans):
    first = nn.Sequential(nn.Conv2d(in_chans, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(first, nn.Conv2d(8, 8, 3, 2), nn.ReLU(), Mean(), nn.Linear(8, classes))

class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))

class View(nn.Module):
    def forward(self, x):
        return x.view(-1, 8 * 8 * 8)

def constant(classes, in_chans):
    return nn.Sequential(nn.Conv2d(in_chans, 8, 3, 4), nn.ReLU(), View(), nn.Linear(8 * 8 * 8, classes))

class Unwritten(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)

def unwritten(classes, in_chans):
    return nn.Sequential(Unwritten(), plain(classes, in_chans))

def parallel(classes, in_chans):
    return nn.DataParallel(plain(classes, in_chans))
"""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits", None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETWORKS)
    return path


def looked(request: Request, digits: Dataset) -> str:
    console = Console(file=io.StringIO(), width=200)
    first_look.look(request, digits, Display(console))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(("name", "told"), [("constant", r"flatten\(1\)"), ("unwritten", "cannot be written as ONNX")])
def test_what_cannot_be_pruned_or_exported_is_refused(file: Path, digits: Dataset, name: str, told: str) -> None:
    with pytest.raises(HarnessError, match=told) as failure:
        looked(Request(network=f"{file}:{name}", device="simulated"), digits)
    assert "\n" not in str(failure.value)


def test_a_refusal_comes_before_the_training_and_leaves_nothing(file: Path, tmp_path: Path) -> None:
    ended = search(f"--network={file}:constant", "--dataset=digits", "--device=simulated", cwd=tmp_path)
    assert ended.returncode == 2
    assert "training the dense network:" not in ended.stdout
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("reports/campaigns/*"))


def test_what_was_taken_off_is_said(file: Path, digits: Dataset) -> None:
    assert "DataParallel taken off 1 place" in looked(Request(network=f"{file}:parallel", device="simulated"), digits)
    assert not looked(Request(network=f"{file}:plain", device="simulated"), digits)


def test_weights_that_do_not_fit_are_refused(file: Path, digits: Dataset, tmp_path: Path) -> None:
    weights = tmp_path / "dense.pt"
    torch.save(zoo.build(f"{file}:plain", (1, 32, 32), 7).state_dict(), weights)
    with pytest.raises(HarnessError, match="answers 7 classes, the pictures have 10"):
        looked(Request(network=f"{file}:plain", device="simulated", weights=weights), digits)


def test_a_device_that_is_not_there_refuses_and_one_that_is_taken_does_not(
    file: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(network=f"{file}:plain", device="simulated")

    def gone(*_: object, **__: object) -> None:
        raise DeviceUnavailable("no stick; plug it in")

    def taken(*_: object, **__: object) -> None:
        raise DeviceBusy("somebody measures")

    monkeypatch.setattr(first_look.Device, "open", gone)
    with pytest.raises(DeviceUnavailable):
        looked(request, digits)
    first_look.look(request, digits, Display(), without_device=True)
    monkeypatch.setattr(first_look.Device, "open", taken)
    looked(request, digits)


def test_a_layer_that_is_not_there_cannot_stay_in_float(file: Path, digits: Dataset) -> None:
    """Whoever misspells it must not learn so after the dense network was trained."""
    asked = Request(network=f"{file}:plain", device="simulated", precision="f32,int8", in_float="4,5")
    with pytest.raises(UnknownName, match="unknown layer '5'.*choose one of 0.0, 1, 4.*--in-float"):
        first_look.look(asked, digits, Display(Console(file=io.StringIO())))
