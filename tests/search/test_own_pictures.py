"""A folder of pictures ends as well as the built-in set that it was written from: in accuracy, scores, sensitivity and drops."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from harness.networks import datasets, written_folder, zoo
from harness.networks.datasets import Dataset
from harness.pipeline import Network, compress
from harness.pruning import criteria
from harness.training import accuracy
from harness.training.finetune import finetune, recalibrate
from harness.training.recipes import Recipe
from harness.training.sensitivity import sensitivity
from search.campaign import common_recipe, dense_check
from search.campaign.subject import Subject
from search.records.display import Display
from search.records.request import Request

SMALL = '''
"""Three convolutions, for pictures of any size."""
from torch import nn


def small(input_shape, classes):
    def layer(inputs, outputs, stride):
        return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()

    layers = (*layer(input_shape[0], 16, 2), *layer(16, 32, 2), *layer(32, 64, 2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))
'''
TRAINED = Recipe(epochs=8, learning_rate=0.1, batch_size=32, calibration_images=600, precision="f32")
TUNED = replace(TRAINED, epochs=1, learning_rate=0.02, reconstruct=True)
FOLDERS = ("ordered", "shuffled")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own-pictures")
    (folder / "small.py").write_text(SMALL)
    return folder


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def as_folders(home: Path) -> dict[str, Dataset]:
    """Digits as folders of PNG files, with the same splits, read from names in order of the set, and from names that say nothing."""
    for names in FOLDERS:
        written_folder.write("digits", home / names, layout="splits", names=names)
    return {names: datasets.load(f"imagefolder:{home / names}") for names in FOLDERS}


@pytest.fixture(scope="module")
def network(home: Path, digits: Dataset) -> Network:
    model = finetune(zoo.build(f"{home / 'small.py'}:small", (1, 32, 32), 10, seed=0), digits, TRAINED).model
    assert accuracy.evaluate(model, digits.validation).top1_ratio > 0.9
    return Network.wrap("small", model, (1, 32, 32), 10)


def alone(network: Network) -> Network:
    """The same network, which has seen no dataset yet."""
    return Network(network.name, network.model, network.architecture)


def test_names_of_files_change_nothing_at_all(as_folders: dict[str, Dataset]) -> None:
    ordered, shuffled = as_folders.values()
    assert ordered.digest == shuffled.digest
    assert torch.equal(ordered.train.images, shuffled.train.images)


def test_the_same_splits_give_the_same_accuracy_statistics_and_scores(
    network: Network, digits: Dataset, as_folders: dict[str, Dataset]
) -> None:
    folder = as_folders["shuffled"]
    for split in ("train", "validation", "test"):
        assert accuracy.evaluate(network.model, getattr(folder, split)) == accuracy.evaluate(network.model, getattr(digits, split))
    ours, theirs = (finetune(network.model, one, replace(TUNED, epochs=0)).model.state_dict() for one in (folder, digits))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], msg=name)
    for criterion in criteria.CRITERIA:
        found, expected = (alone(network).scores(criterion, one) for one in (folder, digits))
        for group, scores in found.items():
            torch.testing.assert_close(scores, expected[group], msg=f"{criterion}, {group}")
    asked = network.model, network.architecture
    scores = network.scores("l1", digits)
    assert sensitivity(*asked, folder, scores) == sensitivity(*asked, digits, scores)


@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_drops_are_those_of_the_built_in_set_within_their_intervals(
    network: Network, digits: Dataset, as_folders: dict[str, Dataset], keep: float
) -> None:
    config = network.architecture.dense() if keep == 1 else network.architecture.uniform(keep)
    ours, theirs = (compress(alone(network), one, config, "l1", TUNED).validation for one in (as_folders["shuffled"], digits))
    low, high = theirs.interval_ratio
    assert low <= ours.top1_ratio <= high


def test_a_folder_without_splits_ends_alike(home: Path, network: Network, digits: Dataset) -> None:
    written_folder.write("digits", home / "single", layout="single", names="shuffled")
    folder = datasets.load(f"imagefolder:{home / 'single'}")
    assert sum(map(len, (folder.train, folder.validation, folder.test))) == 1797
    seen = dense_check.check(_subject(network, folder), TUNED, 1.0, are_foreign=False)
    assert not [lost for _, lost in seen.path if lost.low > 0]
    tuned = compress(alone(network), folder, network.architecture.uniform(0.7), "l1", TUNED).validation
    expected = compress(alone(network), digits, network.architecture.uniform(0.7), "l1", TUNED).validation
    assert tuned.interval_ratio[1] >= expected.interval_ratio[0]


def _subject(network: Network, dataset: Dataset) -> Subject:
    return Subject(alone(network), dataset, accuracy.right(accuracy.answers(network.model, dataset.validation), dataset.validation))


COUNTS = {"dark": 500, "dim": 200, "grey": 60, "bright": 10}


@pytest.fixture(scope="module")
def unequal(home: Path) -> Dataset:
    """Four classes that differ in brightness, of which one has fifty pictures for one of another's; a shape tells them too."""
    random = np.random.default_rng(0)
    for split, share in (("train", 1.0), ("val", 0.4), ("test", 0.4)):
        for place, (name, count) in enumerate(COUNTS.items()):
            (home / "unequal" / split / name).mkdir(parents=True)
            for number in range(round(count * share)):
                picture = random.normal(30 + 55 * place, 12, (32, 32, 3))
                picture[4 + 6 * place : 10 + 6 * place, 8:24] += 60
                Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(home / "unequal" / split / name / f"{number}.png")
    return datasets.load(f"imagefolder:{home / 'unequal'}")


def test_classes_that_differ_in_brightness_and_number_harm_no_unpruned_network(
    home: Path, unequal: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = finetune(zoo.build(f"{home / 'small.py'}:small", (3, 32, 32), 4, seed=0), unequal, replace(TRAINED, learning_rate=0.05)).model
    network = Network.wrap("small", model, (3, 32, 32), 4)
    before = accuracy.evaluate(model, unequal.validation)
    assert before.top1_ratio > 0.95, "there is something to lose"
    spoilt = finetune(model, unequal, replace(TUNED, epochs=0)).model
    recalibrate(spoilt, unequal.train.images[unequal.train.labels == 0][:128])
    assert accuracy.evaluate(spoilt, unequal.validation).top1_ratio < before.top1_ratio - 0.1, "one class alone, as a folder begins"
    subject, asked = _subject(network, unequal), Request(budget=2, max_drop=1.0, weights=Path("x"))
    seen = dense_check.check(subject, common_recipe.base(asked, unequal), 1.0, are_foreign=True)
    assert not [lost for _, lost in seen.path if lost.low > 0]
    record = common_recipe.settle(tmp_path, asked, subject, seen, Display())
    assert all(one.harm.drop.low <= 0 for one in record.references)
    counts = dict(record.drawn)["reconstruction"]
    assert counts.startswith("256 of 770 pictures, 3 to 166 of each of 4 classes"), counts


def test_a_campaign_on_a_folder_says_how_it_was_divided_and_counts_from_the_network_tuned_alike(home: Path, network: Network) -> None:
    """By the command line, in a process of its own: foreign weights, no validation split, class by class."""
    written_folder.write("digits", home / "train-test", layout="train-test", names="ordered")
    safetensors.torch.save_file(network.model.state_dict(), home / "dense.safetensors")
    words = [
        "--network=small.py:small",
        "--dataset=imagefolder:train-test",
        "--weights=dense.safetensors",
        "--device=simulated",
        "--name=own",
        "--designs=14",
    ]
    words += ["--trials=2", "--budget=0.5", "--proof-seeds=0", "--max-drop=5"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ended = subprocess.run([sys.executable, "-m", "search", *words], capture_output=True, text=True, cwd=home, env=environment, timeout=280)
    assert ended.returncode in (0, 3), ended.stdout + ended.stderr
    folder = home / "reports" / "campaigns" / "own"
    request = json.loads((folder / "request.json").read_bytes())
    assert request["validation_from"] == "test"
    assert "validation" in ended.stdout
    assert "drops are counted from it" in ended.stdout
    finished = [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]
    first = next(line for line in finished if line["kind"] == "finished")
    assert first["outcome"]["drop_points"] == 0.0, "trial 0 is the unpruned network itself"
    assert first["outcome"]["top1_ratio"] > 0.9
