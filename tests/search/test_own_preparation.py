"""A campaign on pictures of its own size, standardised its own way, and the script beside its network, whose answers are the campaign's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.networks.pictures import decoding
from harness.pruning import saved
from harness.records.benchmark_json import read as read_benchmarks
from search.records import folder as folders
from tests.search.command import SMALL, own_device, search

CLASSES = ("bottom", "left", "right")


def write(folder: Path, counts: dict[str, int], mode: str) -> None:
    """Pictures of many sizes, a bright bar in one of three places, in RGB, or with a fourth band that says nothing."""
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                height, width = random.integers(30, 70, 2)
                pixels = random.integers(0, 90, (height, width, 4), dtype=np.uint8)
                bar = (
                    (slice(2 * height // 3, None), slice(None)),
                    (slice(None), slice(0, width // 3)),
                    (slice(None), slice(2 * width // 3, None)),
                )
                pixels[bar[label]][..., label] = 230
                picture = pixels if mode == "RGBA" else pixels[..., :3]
                Image.fromarray(picture).save(folder / split / name / f"{number:02}.png")


WAYS = {
    "as torchvision": ("RGB", ["--input-shape=3x24x32", "--resize=36", "--mean=imagenet"]),
    "four bands": ("RGBA", ["--input-shape=4x28x20", "--mean=0.5,0.5,0.5,0.4", "--std=0.25"]),
}


@pytest.fixture(scope="module", params=WAYS)
def campaign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished campaign of one trial in a folder of its own; the way that was asked for."""
    home = tmp_path_factory.mktemp("prepared")
    mode, words = WAYS[request.param]
    (home / "small.py").write_text(SMALL)
    write(home / "pictures", {"train": 40, "val": 12, "test": 12}, mode)
    told = ["--network=small.py:small", "--dataset=imagefolder:pictures", own_device(home), "--name=own", "--designs=14", "--trials=3"]
    told += [
        "--budget=4",
        "--proof-budget=4",
        "--learning-rate=0.05",
        "--rounds=20",
        "--max-drop=30",
        "--folds=0",
        "--finalists=0",
        "--no-global-pruning",
    ]
    told += ["--dense-epochs=12", "--dense-learning-rate=0.05", *words]
    ended = search(*told, cwd=home, path=Path.cwd())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "pictures are brought to" in ended.stdout
    return home, request.param


def test_the_script_answers_what_the_campaign_did(campaign: tuple[Path, str]) -> None:
    home, _ = campaign
    folder = home / "reports" / "campaigns" / "own"
    files = sorted((home / "pictures" / "test").glob("*/*.png"))
    files = [files[place] for place in np.argsort([digest.hex() for digest in decoding.digests(files)])]  # the order of the test split
    logits = np.load(folder / "contenders" / "optimised.logits.npy")
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    for name in ("infer.py", "model.onnx", "config.json"):
        shutil.copyfile(folder / name, elsewhere / name)
    words = [sys.executable, "infer.py", *map(str, files)]
    ended = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": ""})
    assert ended.returncode == 0, ended.stderr
    lines = [line.rsplit(" ", 2) for line in ended.stdout.splitlines()]
    assert [name for _, name, _ in lines] == [CLASSES[best] for best in logits.argmax(1)]
    assert len({name for _, name, _ in lines}) > 1
    assert np.allclose([float(chance) for *_, chance in lines], chances.max(1), atol=1e-3)


def test_size_standard_and_classes_stand_in_the_configuration_the_report_and_the_measurements(campaign: tuple[Path, str]) -> None:
    home, way = campaign
    folder = home / "reports" / "campaigns" / "own"
    told = saved.describe(folder / "config.json").preprocessing
    assert told is not None
    assert told.classes == CLASSES
    expected = {"as torchvision": (3, 24, 32), "four bands": (4, 28, 20)}[way]
    assert told.input_shape == expected
    assert told.resize == {"as torchvision": "36", "four bands": "cover"}[way]
    request = folders.read_request(folder)
    assert {**json.loads((folder / "request.json").read_bytes())}["input_shape"] == "x".join(map(str, expected))
    assert request.preparation.channels == expected[0]
    report = (folder / "report.md").read_text()
    assert "bottom, left, right" in report
    assert f"{expected[1]} x {expected[2]}" in report
    assert {"as torchvision": "0.485, 0.456, 0.406", "four bands": "0.5, 0.5, 0.5, 0.4"}[way] in report
    assert read_benchmarks(folder / "proof.json").measurements
