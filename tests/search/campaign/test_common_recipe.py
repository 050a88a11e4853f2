"""The recipe is settled before the search, once, on disk; what it does to the unpruned network is known and said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.errors import CampaignError, TrainingError
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network
from harness.records.accuracy import Accuracy
from harness.training import accuracy
from harness.training.finetune import finetune
from harness.training.recipes import Recipe
from search.campaign import common_recipe, dense_check, recipe_choice
from search.campaign.recipe_choice import HARM_SHARE
from search.campaign.subject import Subject
from search.records import recipe_record
from search.records.display import Display
from search.records.losses.drop import Drop, Paired
from search.records.recipe_record import GIVEN, INHERITED, PROBED, TABLE, Probed, RecipeRecord, Reference
from search.records.request import Request
from search.records.trial import SEED, Trial, TrialOutcome, TrialRequest, TuningChoice

ASKED = Request(budget=12, short=6, screen=True, max_drop=1.0)


class Small(nn.Module):
    """Two convolutions, a norm behind each, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(images))))))
        return self.fc(seen.mean((2, 3)))


def split(count: int, seed: int) -> Split:
    """Class by class; a class is a brightness, and noise."""
    labels = torch.arange(count) * 3 // count
    images = torch.randn(count, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return Split(images * 2 + labels[:, None, None, None], labels)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset("imagefolder:shades", "d" * 16, (1, 6, 6), 3, split(600, 0), split(240, 1), split(240, 2))


@pytest.fixture(scope="module")
def trained(dataset: Dataset) -> nn.Module:
    torch.manual_seed(0)
    return finetune(Small(), dataset, Recipe(epochs=4, batch_size=16, learning_rate=0.05, precision="f32")).model


@pytest.fixture
def subject(trained: nn.Module, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.chdir(tmp_path)  # where caches lie
    network = Network.wrap("small", trained, dataset.input_shape, dataset.classes)
    return Subject(network, dataset, accuracy.right(accuracy.answers(trained, dataset.validation), dataset.validation))


@pytest.fixture
def settle(subject: Subject, tmp_path: Path) -> Callable[..., RecipeRecord]:
    def run(request: Request = ASKED, name: str = "one") -> RecipeRecord:
        folder = tmp_path / "reports" / "campaigns" / name
        folder.mkdir(parents=True, exist_ok=True)
        seen = dense_check.check(subject, common_recipe.base(request, subject.dataset), 1.0, are_foreign=False)
        return common_recipe.settle(folder, request, subject, seen, Display())

    return run


def test_the_recipe_is_settled_once_and_tells_what_it_does(
    settle: Callable[..., RecipeRecord], subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    record = settle()
    assert record.source == PROBED
    assert len(record.tried) >= 2
    assert record.recipe.epochs == 12
    assert {one.epochs for one in record.references} == {12.0, 6.0, 0.0}
    assert record.untouched == subject.dense
    for one in record.references:
        assert one.harm.total == subject.dense.correct - one.validation.correct
    told = capsys.readouterr().out
    assert "recipe: learning rate" in told
    assert "drops are counted from it" in told
    assert record.trials_worth > 0
    assert dict(record.drawn)["reconstruction"] == "256 of 600 pictures, 85 to 86 of each of 3 classes"
    monkeypatch.setattr(common_recipe, "compress", lambda *_: pytest.fail("tuned again"))
    assert settle() == record, "read from the folder"
    (tmp_path / "reports" / "campaigns" / "one" / recipe_record.FILE).unlink()
    assert settle() == record, "read from the cache"
    assert settle(name="another") == record


def test_a_broken_cache_is_made_anew_and_a_broken_record_is_refused(settle: Callable[..., RecipeRecord], tmp_path: Path) -> None:
    record = settle()
    for path in (tmp_path / ".cache").rglob(recipe_record.FILE):
        path.write_text("{")
    again = settle(name="another")
    assert (again.recipe, again.references) == (record.recipe, record.references)
    (tmp_path / "reports" / "campaigns" / "one" / recipe_record.FILE).write_text('{"schema": 1}')
    with pytest.raises(CampaignError, match="is broken"):
        settle()


def test_an_own_rate_is_taken_and_a_fork_takes_that_of_its_campaign(settle: Callable[..., RecipeRecord]) -> None:
    given = settle(replace(ASKED, learning_rate=0.003), "old")
    assert (given.source, given.recipe.learning_rate, given.tried) == (GIVEN, 0.003, ())
    forked = settle(replace(ASKED, old="old", budget=1, short=None, screen=False, seed=3), "new")
    assert (forked.source, forked.recipe) == (INHERITED, given.recipe.with_epochs(1).with_seed(3))
    assert settle(replace(ASKED, budget=0, short=None, screen=False), "none").source == TABLE


def test_where_full_length_is_longer_a_heavily_pruned_network_is_tuned_by_higher_rates_too(settle: Callable[..., RecipeRecord]) -> None:
    record = settle()
    assert record.source == PROBED
    assert 2 <= len(record.longer) <= recipe_choice.MOST_LONG
    assert {one.epochs for one in record.longer} == {recipe_choice.LONG_SHARE * ASKED.budget}
    best = max(record.longer, key=lambda one: (one.pruned.correct, one.learning_rate))
    harmed = record.of_length(ASKED.budget)
    assert harmed is not None
    assert record.recipe.learning_rate <= best.learning_rate, "or lower, where that harms the unpruned network"
    assert record.recipe.learning_rate in {one.learning_rate for one in record.longer}
    first, *_ = record.longer
    assert harmed.harm.drop.low <= HARM_SHARE * 1.0 or record.recipe.learning_rate == first.learning_rate
    others = (replace(ASKED, short=None, screen=False), replace(ASKED, minutes=9.0), replace(ASKED, learning_rate=0.01))
    assert [settle(one, f"other-{place}").longer for place, one in enumerate(others)] == [(), (), ()]


def test_too_much_harm_is_said_with_what_would_help(dataset: Dataset) -> None:
    harmful = Reference(1.0, Accuracy(220, 240), Paired(10, 10, 240))
    record = RecipeRecord(Recipe(epochs=2), Accuracy(230, 240), references=(harmful,))
    assert "more than a fifth of the limit of 1 points" in common_recipe.told(record, 1.0, 1.0)[-1]
    assert "--budget" in common_recipe.told(record, 1.0, 1.0)[-1]
    assert "fifth" not in " ".join(common_recipe.told(record, 30.0, 1.0))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    probed = Probed(Recipe(epochs=0.1), Accuracy(9, 10), Accuracy(8, 10), Drop(1.0, -1.0, 3.0))
    written = RecipeRecord(
        Recipe(epochs=4, learning_rate=0.01),
        Accuracy(9, 10),
        PROBED,
        (probed,),
        12.5,
        1.5,
        (Reference(4.0, Accuracy(8, 10), Paired(1.0, 1.0, 10)),),
        (("test", Accuracy(7, 10)),),
        (("laid out", Drop(0.0, -1.0, 1.0)),),
        (("criteria", "5 of 10 pictures"),),
    )
    recipe_record.write(tmp_path, written)
    assert recipe_record.read(tmp_path) == written
    assert recipe_record.read(tmp_path / "elsewhere") is None


def test_trials_of_other_campaigns_are_counted_from_this_ones_reference(subject: Subject) -> None:
    record = RecipeRecord(Recipe(epochs=2), Accuracy(9, 10), references=(Reference(2.0, Accuracy(8, 10), Paired(1.0, 1.0, 10)),))
    request = TrialRequest(0, SEED, "", subject.network.architecture.dense(), TuningChoice(), 2.0, 0)
    crashed = Trial(request, TrialOutcome.crashed("no"), 1.0)
    (told, same) = record.restated([Trial(request, TrialOutcome(0.7, 0.6, 0.8, 99.0), 1.0), crashed])
    assert told.outcome.drop_points == pytest.approx(10.0)
    assert same is crashed


def test_a_set_that_lies_class_by_class_harms_nobody(subject: Subject) -> None:
    seen = dense_check.check(subject, Recipe(epochs=1, calibration_images=200), 1.0, are_foreign=False)
    assert dict(seen.splits).keys() == {"train", "validation", "test"}
    for _, lost in seen.path:
        assert abs(lost.points) <= 1.5
    assert seen.doubts == ()


def test_pictures_that_the_weights_never_saw_the_like_of_stop_the_campaign(subject: Subject, dataset: Dataset) -> None:
    """Training pictures of one brightness, as when a folder holds something else than the weights were trained on."""
    flat = Split(torch.randn(600, 1, 6, 6) * 0.05 + 9, dataset.train.labels)
    spoilt = replace(subject, dataset=replace(dataset, train=flat))
    with pytest.raises(TrainingError, match=r"loses .* points of validation top-1 .* when it is taken with batch norm recalibrated"):
        dense_check.check(spoilt, Recipe(epochs=1), 1.0, are_foreign=False)


def test_weights_that_know_the_validation_pictures_are_doubted(subject: Subject, dataset: Dataset) -> None:
    hard = replace(dataset.test, images=dataset.test.images + 3 * torch.randn(dataset.test.images.shape))
    doubtful = replace(subject, dataset=replace(dataset, test=hard))
    recipe = Recipe(epochs=1, calibration_images=200)
    assert "may have been trained on the validation pictures" in dense_check.check(doubtful, recipe, 1.0, are_foreign=True).doubts[-1]
    assert dense_check.check(doubtful, recipe, 1.0, are_foreign=False).doubts == ()
