"""What was tuned once is judged in every precision: in f32 as ever, in INT8 by INT8 itself, calibrated by training pictures alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import UsageError
from harness.networks import datasets, export, zoo
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import draw
from harness.pipeline import Network, compress
from harness.quantisation import answering, calibration
from harness.quantisation.answering import QuantisedNetwork, quantised_network
from harness.quantisation.quantising import Quantised
from harness.records.accuracy import Accuracy
from harness.training import accuracy
from harness.training.recipes import Recipe
from search.records.recipe_record import RecipeRecord
from search.records.trial import NEW, TrialOutcome, TrialRequest, TuningChoice
from search.workers import evaluation
from search.workers.evaluation import PipelineEvaluate

TUNED = Recipe(epochs=1.0, learning_rate=0.05, batch_size=32, precision="f32", calibration_images=64)
CHOICE = TuningChoice("l1", "one-shot", TUNED.learning_rate, TUNED.weight_decay, TUNED.label_smoothing, TUNED.distillation)
BOTH = ("f32", "int8")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Few of the digits, as they are."""
    whole = datasets.load("digits")
    return replace(whole, train=draw(whole.train, 300).split, validation=draw(whole.validation, 100).split, test=draw(whole.test, 60).split)


@pytest.fixture(scope="module")
def network(dataset: Dataset) -> Network:
    torch.manual_seed(0)
    return Network.wrap("resnet20", zoo.build("resnet20", dataset.input_shape, dataset.classes), dataset.input_shape, dataset.classes)


def ignore(*_: object) -> None:
    return None


def request(network: Network, precision: str) -> TrialRequest:
    return TrialRequest(3, NEW[0], "", network.architecture.uniform(0.5), replace(CHOICE, precision=precision), TUNED.epochs, 0)


def evaluate(network: Network, dataset: Dataset, folder: Path, precision: str, precisions: tuple[str, ...] = BOTH) -> TrialOutcome:
    """A trial whose tuning lies in ``folder``, from the first time on."""
    record = RecipeRecord(TUNED, Accuracy(90, 100))
    return PipelineEvaluate(network, dataset, record, folder, precisions=precisions)(request(network, precision), ignore)


@pytest.fixture(scope="module")
def folder(network: Network, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a campaign in which the trial was tuned already."""
    path = tmp_path_factory.mktemp("campaign")
    assert evaluate(network, dataset, path, "", ()).tune_s > 0
    return path


def test_in_f32_it_answers_what_the_plain_evaluation_finds(network: Network, dataset: Dataset, folder: Path) -> None:
    plain = evaluate(network, dataset, folder, "", ())
    joint, other = evaluate(network, dataset, folder, "int8"), evaluate(network, dataset, folder, "f32")
    (in_f32,), (in_int8,) = joint.others, other.others
    assert (in_f32.precision, in_int8.precision) == BOTH
    for one in (in_f32, other):
        assert (one.top1_ratio, one.top1_low, one.top1_high) == (plain.top1_ratio, plain.top1_low, plain.top1_high)
        assert one.drop_points == plain.drop_points
    assert (in_int8.top1_ratio, in_int8.drop_points) == (joint.top1_ratio, joint.drop_points), "whichever was asked for"
    assert joint.ok
    assert joint.drop_points == pytest.approx(100 * (0.9 - joint.top1_ratio))
    assert plain.others == ()


@pytest.fixture
def tuned(network: Network, dataset: Dataset) -> torch.nn.Module:
    return compress(network, dataset, network.architecture.uniform(0.5), "l1", TUNED).model


def test_int8_ran_in_int8_and_answers_nearly_as_float_does(tuned: torch.nn.Module, dataset: Dataset) -> None:
    quantised = quantised_network(tuned, dataset.input_shape, "trial", calibration.of(dataset), "cpu")
    assert isinstance(quantised, QuantisedNetwork)
    in_int8, in_float = (accuracy.answers(one, dataset.validation).numpy() for one in (quantised, tuned))
    difference = np.abs(in_int8 - in_float).max() / np.abs(in_float).max()
    assert 1e-4 < difference < 0.3, "INT8 rounds; float would agree to the last digits"
    loaded = answering._answers("cpu")._load(quantised.quantised.artefact)
    assert loaded.effective_precision == "int8"


def test_a_trial_that_lost_its_int8_on_the_way_is_no_int8_trial(
    network: Network, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quantiser that drops the QDQ would have f32's accuracy beside INT8's latency."""
    quantise = answering.quantise

    def dropped(artefact: export.Artefact, *more: object) -> Quantised:
        return replace(quantise(artefact, *more), artefact=artefact)  # type: ignore[arg-type]

    monkeypatch.setattr(answering, "quantise", dropped)
    outcome = evaluate(network, dataset, folder, "int8")
    assert outcome.failed
    assert "int8" in outcome.reason.lower()
    assert [one.precision for one in outcome.others] == ["f32"], "f32 is told all the same"


def test_what_cannot_be_quantised_crashes_in_int8_alone(
    network: Network, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Quantised:
        raise UsageError("nothing to quantise; leave it in f32")

    monkeypatch.setattr(answering, "quantise", refuse)
    asked = evaluate(network, dataset, folder, "int8")
    assert (asked.failed, asked.reason) == (True, "nothing to quantise; leave it in f32")
    assert [one.precision for one in asked.others] == ["f32"]
    spared = evaluate(network, dataset, folder, "f32")
    assert (spared.ok, spared.others) == (True, ())


def test_pictures_that_judge_never_calibrate(
    tuned: torch.nn.Module, network: Network, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation and test hold no numbers here: whatever reads scales off them has none."""
    given = []
    monkeypatch.setattr(evaluation, "quantised_network", lambda *parts: given.append(parts) or quantised_network(*parts))
    evaluate(network, dataset, folder, "int8")
    poisoned = replace(
        dataset,
        validation=Split(torch.full_like(dataset.validation.images, torch.nan), dataset.validation.labels),
        test=Split(torch.full_like(dataset.test.images, torch.nan), dataset.test.labels),
    )
    evaluate(network, poisoned, folder, "int8")
    (_, _, _, usual, *_), (_, _, _, spoilt, *_) = given
    assert usual.split == spoilt.split == "training"
    assert usual.digest == spoilt.digest
    rows = {image.numpy().tobytes() for image in dataset.train.images}
    assert all(image.numpy().tobytes() in rows for image in usual.images)


def test_precisions_that_float_as_f32_does_are_told_without_quantising(
    network: Network, dataset: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "quantised_network", lambda *_: pytest.fail("quantised for bf16"))
    outcome = evaluate(network, dataset, folder, "bf16", ("f32", "bf16"))
    (other,) = outcome.others
    assert (other.precision, other.top1_ratio) == ("f32", outcome.top1_ratio)
