"""The images that a bench run uses are those that its options and its networks ask for; a campaign's bench run is asked for the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.networks import written_folder
from search.campaign.subject import bench_of
from search.records.request import Request
from search.space.bench_run import Bench

ROOT = Path(__file__).parent.parent.parent
SUITE = """
def test_images(dataset):
    print(dataset.input_shape, len(dataset.train), len(dataset.validation), len(dataset.test), *dataset.notes)
"""
FIXED = """
from torch import nn

def fixed():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hundred pictures of digits in train and in test, grey."""
    place = tmp_path / "digits"
    written_folder.write("digits", place, limit=100, layout="train-test")
    return place


def bench(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    suite = tmp_path / "bench" / "test_images.py"
    suite.parent.mkdir(exist_ok=True)
    suite.write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "harness.runner.plugin",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return subprocess.run([*command, str(suite), *words], capture_output=True, text=True, cwd=tmp_path, env=environment)


def test_validation_images_are_cut_where_it_is_said(tmp_path: Path, folder: Path) -> None:
    ended = bench(tmp_path, f"--dataset=imagefolder:{folder}", "--validation-from=test")
    assert "(1, 32, 32) 200 50 50 validation: 50 of the 100 test pictures, by class" in ended.stdout
    assert "invalid choice: 'val'" in bench(tmp_path, "--validation-from=val").stderr


def test_a_network_that_takes_rgb_alone_gets_grey_pictures_as_rgb(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "mine.py").write_text(FIXED)
    ended = bench(tmp_path, f"--dataset=imagefolder:{folder}", f"--network={tmp_path / 'mine.py'}:fixed")
    assert "(3, 32, 32) 160 40 100 validation: 40 of the 200 training pictures, by class" in ended.stdout


def test_a_campaigns_bench_run_divides_as_the_campaign_does() -> None:
    own = Bench("cpu", "resnet20", "digits", None, "f32", Path("reports"))
    assert not [word for word in own.options() if "validation" in word], "stored commands stay as they were"
    foreign = Bench("cpu", "resnet20", "digits", None, "f32", Path("reports"), "test")
    assert "--validation-from=test" in foreign.options()


def test_images_come_in_the_size_and_channels_that_are_asked_for(tmp_path: Path, folder: Path) -> None:
    ended = bench(tmp_path, f"--dataset=imagefolder:{folder}", "--input-shape=3x24x20", "--resize=40x36", "--mean=imagenet")
    assert "(3, 24, 20) 160 40 100" in ended.stdout, ended.stdout + ended.stderr
    refused = bench(tmp_path, f"--dataset=imagefolder:{folder}", "--input-shape=24x20", "--resize=12")
    assert "--resize=12: pictures of 24 x 20 cannot be cut out of it" in refused.stdout + refused.stderr


def test_latency_alone_makes_no_images_of_a_built_in_set_anew(tmp_path: Path) -> None:
    assert "(1, 32, 32) 1157" in bench(tmp_path, "--dataset=digits", "--input-shape=3x224x224").stdout


def test_a_campaigns_bench_run_prepares_as_the_campaign_does() -> None:
    asked = Request(dataset="imagefolder:x", input_shape="3x24x20", resize="40", mean="imagenet")
    assert {"--input-shape=3x24x20", "--resize=40", "--mean=imagenet"} <= set(bench_of(asked).options())
    before = [Request(dataset="fashion-mnist"), Request(dataset="imagefolder:x")]
    assert all("--input-shape=32x32" in bench_of(one).options() for one in before), "of before there was a choice"
    assert not [word for word in bench_of(Request()).options() if "shape" in word]
