"""Pictures that stand for a whole split: by class, seeded, and the same in whatever order the split lies."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from harness.networks import groups
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import draw
from harness.pipeline import Network
from harness.pruning import criteria
from harness.training.finetune import calibration, finetune, recalibrate
from harness.training.recipes import Recipe
from harness.training.sensitivity import sensitivity


def split_of(labels: list[int], seed: int = 0) -> Split:
    """Noise whose brightness is the label's: whoever sees one class only computes other statistics."""
    generator = torch.Generator().manual_seed(seed)
    known = torch.tensor(labels)
    images = torch.randn(len(labels), 2, 8, 8, generator=generator) + known[:, None, None, None].float()
    return Split(images, known)


def in_order(split: Split, order: np.ndarray) -> Split:
    places = torch.from_numpy(order)
    return Split(split.images[places], split.labels[places])


LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=200)


@given(labels=LABELS, count=st.integers(1, 220), seed=st.integers(0, 5), order=st.randoms(use_true_random=False))
def test_any_order_of_a_split_gives_the_same_pictures_in_the_same_order(labels: list[int], count: int, seed: int, order) -> None:
    split, places = split_of(labels), list(range(len(labels)))
    order.shuffle(places)
    first, second = draw(split, count, seed), draw(in_order(split, np.array(places)), count, seed)
    assert torch.equal(first.split.images, second.split.images)
    assert torch.equal(first.split.labels, second.split.labels)
    assert first.per_class == second.per_class


@given(labels=LABELS, count=st.integers(1, 220))
def test_every_class_is_drawn_by_its_share_and_one_at_least(labels: list[int], count: int) -> None:
    drawn, classes = draw(split_of(labels), count), sorted(set(labels))
    taken = min(count, len(labels))
    assert len(drawn.numbers) == len(set(drawn.numbers.tolist())) == taken
    assert [label for label, _, _ in drawn.per_class] == classes
    for label, ours, there in drawn.per_class:
        assert ours == int((drawn.split.labels == label).sum()) <= there == labels.count(label)
        assert count < len(classes) or ours >= 1
        slack = 1 if count < 2 * len(classes) else len(classes)  # what the smallest are given is taken from others
        assert abs(ours - taken * there / len(labels)) <= max(1, slack)


def test_one_picture_for_fifty_of_another_class_is_seen_too() -> None:
    drawn = draw(split_of([0] * 500 + [1] * 10), 64)
    assert {label: count for label, count, _ in drawn.per_class} == {0: 63, 1: 1}
    assert drawn.sentence == "64 of 510 pictures, 1 to 63 of each of 2 classes"


def test_every_stretch_of_the_pictures_holds_all_classes() -> None:
    drawn = draw(split_of([label for label in range(4) for _ in range(100)]), 80)
    for batch in torch.split(drawn.split.labels, 16):
        assert torch.bincount(batch, minlength=4).tolist() == [4, 4, 4, 4]


def test_seeds_draw_differently() -> None:
    split = split_of([0, 1] * 100)
    assert set(draw(split, 50, 0).numbers.tolist()) != set(draw(split, 50, 1).numbers.tolist())


def test_equal_pictures_of_two_classes_are_told_apart() -> None:
    same = Split(torch.zeros(6, 1, 2, 2), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert len(set(same.content_keys.tolist())) == 2
    assert draw(same, 2).split.labels.tolist() in ([0, 1], [1, 0])


class Small(nn.Module):
    """Two convolutions, a norm behind each, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv2, self.norm2 = nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(images))))))
        return self.fc(seen.mean((2, 3)))


@pytest.fixture(scope="module")
def by_class() -> Dataset:
    """Nine hundred pictures that lie class by class, as a folder is read."""
    train, held = split_of([label for label in range(3) for _ in range(300)]), split_of([0, 1, 2] * 20, seed=1)
    return Dataset("by class", "a", (2, 8, 8), 3, train, held, held)


@pytest.fixture(scope="module")
def shuffled(by_class: Dataset) -> Dataset:
    mixed = in_order(by_class.train, np.random.default_rng(0).permutation(len(by_class.train)))
    return Dataset("shuffled", "b", (2, 8, 8), 3, mixed, by_class.validation, by_class.test)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    model = Small().eval()
    return Network("small", model, groups.architecture_of(model, "small", (2, 8, 8), 3))


def states(model: nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def test_statistics_are_those_of_all_classes_in_any_order(network: Network, by_class: Dataset, shuffled: Dataset) -> None:
    recipe = Recipe(epochs=0, calibration_images=90)
    ours, theirs = (finetune(network.model, dataset, recipe).model for dataset in (by_class, shuffled))
    torch.testing.assert_close(states(ours), states(theirs))
    recalibrate(network.model, by_class.train.images)  # all there are
    mean = network.model.get_buffer("norm1.running_mean")
    torch.testing.assert_close(ours.get_buffer("norm1.running_mean"), mean, atol=0.1, rtol=0)
    assert [count for _, count, _ in calibration(by_class, recipe).per_class] == [30, 30, 30]


def test_short_trainings_see_all_classes(network: Network, by_class: Dataset, shuffled: Dataset) -> None:
    recipe = Recipe(epochs=1, max_images=60, calibration_images=30, batch_size=8, learning_rate=0.01)
    ours, theirs = (finetune(network.model, dataset, recipe).model for dataset in (by_class, shuffled))
    torch.testing.assert_close(states(ours), states(theirs))


@pytest.mark.parametrize("criterion", sorted(criteria.CRITERIA))
def test_scores_are_the_same_in_any_order(network: Network, by_class: Dataset, shuffled: Dataset, criterion: str) -> None:
    first, second = (Network("small", network.model, network.architecture).scores(criterion, one) for one in (by_class, shuffled))
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name])


def test_reconstruction_and_sensitivity_are_the_same_in_any_order(network: Network, by_class: Dataset, shuffled: Dataset) -> None:
    first, second = network.moments(by_class), network.moments(shuffled)
    for layer in first:
        torch.testing.assert_close(first[layer].matrix, second[layer].matrix)
    asked = network.model, network.architecture
    scores = network.scores("l1", by_class)
    assert sensitivity(*asked, by_class, scores) == sensitivity(*asked, shuffled, scores)
