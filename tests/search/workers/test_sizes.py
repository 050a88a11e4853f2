"""A trial is tuned and judged at its own size of the pictures, from the same weights, and learns from the network at the full size."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import UsageError
from harness.networks import datasets, zoo
from harness.networks.datasets import Dataset
from harness.networks.drawing import draw
from harness.networks.pictures import preparing
from harness.pipeline import Network
from harness.pruning import saved
from harness.records.accuracy import Accuracy
from harness.training import finetune
from harness.training.recipes import Recipe
from search.records.losses.drop import Paired
from search.records.recipe_record import RecipeRecord, Reference
from search.records.trial import PROMOTE, TrialRequest, TuningChoice
from search.workers.evaluation import PipelineEvaluate
from search.workers.sized import AtSize, at, network_at

TUNED = Recipe(epochs=0.5, learning_rate=0.02, batch_size=32, precision="f32", calibration_images=16, distillation=0.5)
CHOICE = TuningChoice("l1", "one-shot", TUNED.learning_rate, TUNED.weight_decay, TUNED.label_smoothing, TUNED.distillation)
ASKED = preparing.of_words("16x16")


def few(whole: Dataset) -> Dataset:
    return replace(whole, train=draw(whole.train, 60).split, validation=draw(whole.validation, 40).split, test=draw(whole.test, 40).split)


@pytest.fixture(scope="module")
def whole() -> Dataset:
    return datasets.load("digits", asked=ASKED)


@pytest.fixture(scope="module")
def full(whole: Dataset) -> AtSize:
    return AtSize(Network.wrap("resnet20", zoo.build("resnet20", (1, 16, 16), 10), (1, 16, 16), 10), few(whole))


@pytest.fixture(scope="module")
def small(whole: Dataset, full: AtSize) -> AtSize:
    pictures = few(datasets.at_size(whole, ASKED, "8x8"))
    return AtSize(full.network.resized(full.dataset, pictures), pictures)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the teacher's answers are cached


def test_a_network_at_another_size_is_the_same_weights_with_its_own_statistics(full: AtSize, small: AtSize) -> None:
    ours, theirs = small.network.model.state_dict(), full.network.model.state_dict()
    learnt = [name for name in ours if "running" not in name and "tracked" not in name]
    assert all(torch.equal(ours[name], theirs[name]) for name in learnt)
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours if "running" in name)
    assert small.network.architecture.digest != full.network.architecture.digest
    dense = full.network.architecture.dense()
    assert small.network.architecture.macs(dense) < full.network.architecture.macs(dense)


def test_it_learns_from_the_network_at_the_full_size_also_in_another_process(full: AtSize, small: AtSize) -> None:
    taught = small.network.guidance(small.dataset, TUNED)
    own = full.network.guidance(full.dataset, TUNED)
    assert taught is not None
    assert own is not None
    assert torch.equal(taught.logits, own.logits)
    there = pickle.loads(pickle.dumps(small.network)).guidance(small.dataset, TUNED)
    assert torch.equal(there.logits, own.logits)


def test_a_trial_runs_at_its_size_and_what_was_tuned_is_kept_as_that(full: AtSize, small: AtSize, tmp_path: Path) -> None:
    config = full.network.architecture.uniform(0.5)
    record = RecipeRecord(TUNED, Accuracy(30, 40))
    choosing = PipelineEvaluate(*full, record, tmp_path, sized={"8x8": small})
    seen = {}
    for size in ("16x16", "8x8"):
        outcome = choosing(TrialRequest(3, PROMOTE, "", config, replace(CHOICE, size=size), TUNED.epochs, 0), lambda *_: None)
        alone = PipelineEvaluate(*(full if size == "16x16" else small), record, None)
        again = alone(TrialRequest(3, PROMOTE, "", config, CHOICE, TUNED.epochs, 0), lambda *_: None)
        assert outcome.top1_ratio == again.top1_ratio, "as a campaign at that size alone"
        seen[size] = outcome
    shapes = {saved.describe(path).input_shape for path in tmp_path.rglob("config.json")}
    assert shapes == {(1, 16, 16), (1, 8, 8)}


def test_the_unpruned_network_is_known_beforehand_at_the_full_size_only(full: AtSize, small: AtSize) -> None:
    reference = Reference(TUNED.epochs, Accuracy(39, 40), Paired(0.0, 0.0, 40))
    evaluate = PipelineEvaluate(*full, RecipeRecord(TUNED, Accuracy(39, 40), references=(reference,)), sized={"8x8": small})
    dense = full.network.architecture.dense()
    known, tuned = (
        evaluate(TrialRequest(3, PROMOTE, "", dense, replace(CHOICE, size=size), TUNED.epochs, 0), lambda *_: None)
        for size in ("16x16", "8x8")
    )
    assert (known.drop_points, known.tune_s) == (0.0, 0.0)
    assert tuned.tune_s > 0


def test_a_size_that_was_not_asked_for_is_none(full: AtSize, small: AtSize) -> None:
    sized = {"8x8": small}
    assert at(*full, sized, "") == at(*full, sized, "16x16") == full
    assert at(*full, sized, "8x8") is small
    with pytest.raises(KeyError):
        at(*full, sized, "12x12")
    with pytest.raises(UsageError, match="resnet20 does not allow 2000x1"):
        network_at(Network("resnet20", torch.nn.Linear(1, 1), full.network.architecture), "2000x1")


def test_recalibrating_leaves_the_full_size_as_it_was(full: AtSize, small: AtSize) -> None:
    before = {name: tensor.clone() for name, tensor in full.network.model.state_dict().items()}
    full.network.resized(full.dataset, small.dataset)
    finetune.finetune(small.network.model, small.dataset, TUNED)
    assert all(torch.equal(before[name], tensor) for name, tensor in full.network.model.state_dict().items())
