"""A trial prunes, tunes and judges for real; one at full length is kept, and nobody tunes it again."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.networks import zoo
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from harness.records.accuracy import Accuracy
from harness.training import processor
from harness.training.processor import Way
from harness.training.recipes import Recipe
from search.proof import tuning
from search.proof.entrants import Entrant
from search.proof.tuning import Recipes
from search.records import tuned_store
from search.records.losses.drop import Paired
from search.records.recipe_record import RecipeRecord, Reference
from search.records.trial import PROMOTE, TrialRequest, TuningChoice
from search.workers import evaluation
from search.workers.evaluation import PipelineEvaluate

FULL = Recipe(epochs=0.25, learning_rate=0.02, batch_size=8, precision="f32", calibration_images=16, distillation=0.5)
CHOICE = TuningChoice("l1", "one-shot", FULL.learning_rate, FULL.weight_decay, FULL.label_smoothing, FULL.distillation)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        return Split(torch.randn(count, 1, 16, 16, generator=generator), torch.arange(count) % 4)

    return Dataset("noise", "0" * 16, (1, 16, 16), 4, split(64), split(40), split(32))


@pytest.fixture
def network(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.chdir(tmp_path)  # where the teacher's answers are cached
    return Network.wrap("resnet20", zoo.build("resnet20", (1, 16, 16), 4), (1, 16, 16), 4)


def record(correct: int, *references: Reference) -> RecipeRecord:
    """Networks are tuned by ``FULL``; so many of the forty validation images are answered rightly by the untouched network."""
    return RecipeRecord(FULL, Accuracy(correct, 40), references=references)


def request(network: Network, epochs: float, seed: int = 0) -> TrialRequest:
    return TrialRequest(3, PROMOTE, "", network.architecture.uniform(0.5), CHOICE, epochs, seed)


def ignore(*_: object) -> None:
    return None


def test_a_trial_of_a_campaign_from_before_tells_the_drop_against_the_untouched_network(network: Network, dataset: Dataset) -> None:
    outcome = PipelineEvaluate(network, dataset, record(30))(request(network, 0.25), ignore)
    assert outcome.drop_points == pytest.approx(100 * (0.75 - outcome.top1_ratio))
    assert outcome.top1_low < outcome.top1_ratio < outcome.top1_high
    assert outcome.tune_s > 0


def test_drops_are_counted_from_the_unpruned_network_tuned_as_long(network: Network, dataset: Dataset) -> None:
    short, full = Reference(0.125, Accuracy(20, 40), Paired(10, 10, 40)), Reference(0.25, Accuracy(36, 40), Paired(-6, 6, 40))
    evaluate = PipelineEvaluate(network, dataset, record(30, short, full))
    for epochs, correct in ((0.125, 20), (0.25, 36)):
        outcome = evaluate(request(network, epochs), ignore)
        assert outcome.drop_points == pytest.approx(100 * (correct / 40 - outcome.top1_ratio))


def test_the_unpruned_network_is_not_tuned_again_and_loses_nothing(
    network: Network, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = PipelineEvaluate(network, dataset, record(30, Reference(0.25, Accuracy(36, 40), Paired(-6, 6, 40))))
    dense = replace(request(network, 0.25), config=network.architecture.dense())
    other = evaluate(replace(dense, seed=1), ignore)
    assert other.tune_s > 0, "another seed is another tuning"
    monkeypatch.setattr(evaluation, "compress", lambda *_: pytest.fail("tuned again"))
    outcome = evaluate(dense, ignore)
    assert (outcome.top1_ratio, outcome.drop_points, outcome.seconds) == (0.9, 0.0, 0.0)


def test_a_full_length_trial_is_kept_and_the_comparison_takes_it(network: Network, dataset: Dataset, tmp_path: Path) -> None:
    evaluate = PipelineEvaluate(network, dataset, record(30), tmp_path)
    told = {seed: evaluate(request(network, 0.25, seed), ignore).top1_ratio for seed in (0, 1)}
    entrant = Entrant("found", "candidate", network.architecture.uniform(0.5), "l1")
    steps: list[int] = []
    (tuned,) = tuning.tune(network, dataset, [entrant], Recipes(FULL, FULL), 2, tmp_path, lambda _, done, __: steps.append(done))
    assert set(steps) == {0}, "nothing is tuned again"
    assert {one.seed: one.validation.top1_ratio for one in tuned.judged} == told


def test_a_trial_that_was_finished_but_not_told_is_not_repeated(
    network: Network, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = PipelineEvaluate(network, dataset, record(30), tmp_path)
    first = evaluate(request(network, 0.25), ignore)
    monkeypatch.setattr(evaluation, "compress", lambda *_: pytest.fail("tuned again"))
    again = evaluate(request(network, 0.25), ignore)
    assert (again.top1_ratio, again.drop_points, again.tune_s) == (first.top1_ratio, first.drop_points, 0.0)


def test_short_trials_are_not_kept(network: Network, dataset: Dataset, tmp_path: Path) -> None:
    evaluate = PipelineEvaluate(network, dataset, record(30), tmp_path)
    for epochs in (0.0, 0.125):
        assert evaluate(request(network, epochs), ignore).ok
    assert not (tmp_path / tuned_store.FOLDER).exists()


def test_a_torchvision_network_reaches_another_process(tmp_path: Path) -> None:
    network = Network.wrap("mobilenetv2", zoo.build("mobilenetv2", (1, 32, 32), 4), (1, 32, 32), 4)
    (tmp_path / "network.pickle").write_bytes(pickle.dumps(network))
    code = "import pickle, sys; network = pickle.load(open(sys.argv[1], 'rb')); print(network.architecture.digest)"
    words = [sys.executable, "-c", code, str(tmp_path / "network.pickle")]
    ended = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert ended.stdout.strip() == network.architecture.digest, ended.stderr


def test_a_trial_trains_in_the_campaigns_way_wherever_it_runs(network: Network, dataset: Dataset) -> None:
    """Another process has tried nothing: the evaluation that travels to it says how the campaign trains."""
    theirs = Way("bf16", channels_last=True, threads=1)
    with processor.adopted(theirs):
        payload = pickle.dumps(PipelineEvaluate(network, dataset, record(30)))
    with processor.adopted(processor.UNTRIED):
        pickle.loads(payload)(request(network, 0.25), ignore)
        assert processor.way() == theirs
