"""Splits of any class sizes have no picture in common, hold every class, and each cut is told."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import DatasetError, UsageError
from harness.networks.pictures import division
from harness.networks.pictures.division import Division, Given, Labelled

SIZES = st.lists(st.integers(3, 60), min_size=2, max_size=12)
SPLITS = ("train", "validation", "test")


def numbered(sizes: list[int], first: int = 0) -> Labelled:
    """Pictures of 1 x 1 x 4, each the bytes of its own number."""
    count = sum(sizes)
    numbers = np.arange(first, first + count, dtype="<u4")
    labels = np.random.default_rng(first).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return Labelled(numbers.view(np.uint8).reshape(count, 1, 1, 4), labels)


def numbers(part: Labelled) -> list[int]:
    return np.ascontiguousarray(part.pixels).reshape(-1, 4).view("<u4").ravel().tolist()


def names(sizes: list[int]) -> list[str]:
    return [f"c{label}" for label in range(len(sizes))]


def parts(found: Division) -> tuple[Labelled, ...]:
    return found.train, found.validation, found.test


@given(sizes=SIZES, data=st.data(), validation_from=st.sampled_from(division.SOURCES))
def test_every_picture_is_in_one_split_and_every_class_in_all(sizes: list[int], data: st.DataObject, validation_from: str) -> None:
    layout = data.draw(st.sets(st.sampled_from(SPLITS[1:])))
    pictures = {name: numbered(sizes, 1000 * place) for place, name in enumerate(("train", *sorted(layout)))}
    found = division.divide(Given(pictures["train"], pictures.get("validation"), pictures.get("test")), names(sizes), validation_from)
    whole = sorted(number for part in pictures.values() for number in numbers(part))
    assert sorted(number for part in parts(found) for number in numbers(part)) == whole
    labels = {number: label for part in pictures.values() for number, label in zip(numbers(part), part.labels.tolist(), strict=True)}
    for part in parts(found):
        assert set(part.labels.tolist()) == set(range(len(sizes)))
        assert [labels[number] for number in numbers(part)] == part.labels.tolist(), "a label goes with its own picture"
    for split, part in zip(SPLITS, parts(found), strict=True):
        assert (f"{split}: {len(part)} of the" in "\n".join(found.notes)) == (split not in pictures and split != "train")


@given(sizes=st.lists(st.integers(2, 300), min_size=2, max_size=12), share=st.floats(0.01, 0.5))
def test_each_class_gives_its_share(sizes: list[int], share: float) -> None:
    count = round(share * sum(sizes))
    assume(count >= 1)
    labels = numbered(sizes).labels
    rest, held = division.cut(labels, count)
    assert sorted([*rest, *held]) == list(range(len(labels)))
    given_up = np.bincount(labels[held], minlength=len(sizes))
    expected = np.array(sizes) * count / sum(sizes)
    rare = np.maximum(0, 1 - expected).sum()
    assert given_up.min() >= 1, "rare classes too"
    assert (np.bincount(labels[rest], minlength=len(sizes)) >= 1).all()
    assert len(held) == max(count, len(sizes)) or rare > 0
    assert np.abs(given_up - expected).max() <= 1 + rare


@given(sizes=SIZES)
def test_the_same_pictures_are_divided_the_same_way(sizes: list[int]) -> None:
    first, second = (division.divide(Given(numbered(sizes)), names(sizes)) for _ in range(2))
    assert [numbers(part) for part in parts(first)] == [numbers(part) for part in parts(second)]


def test_who_draws_from_train_leaves_test_alone_and_the_other_way_round() -> None:
    train, test = numbered([30, 50]), numbered([20, 10], 1000)
    own, foreign = (division.divide(Given(train, test=test), "ab", source) for source in division.SOURCES)
    assert numbers(own.test) == numbers(test)
    assert own.notes == ("validation: 16 of the 80 training pictures, by class",)
    assert numbers(foreign.train) == numbers(train)
    assert foreign.notes == ("validation: 15 of the 30 test pictures, by class",)


def test_a_missing_test_split_is_cut_where_the_weights_have_not_been() -> None:
    train, validation = numbered([30, 50]), numbered([20, 10], 1000)
    own, foreign = (division.divide(Given(train, validation), "ab", source) for source in division.SOURCES)
    assert numbers(own.validation) == numbers(validation)
    assert own.notes[0] == "test: 16 of the 80 training pictures, by class"
    assert numbers(foreign.train) == numbers(train)
    assert foreign.notes[0] == "test: 15 of the 30 validation pictures, by class"
    for found in (own, foreign):
        assert found.notes[1] == "validation as given: it must not have been trained on"


def test_no_more_is_cut_than_judging_needs() -> None:
    many = numbered([20_000, 20_000])
    assert len(division.divide(Given(many), "ab").test) == division.MOST_CUT
    foreign = division.divide(Given(numbered([5, 5]), test=many), "ab", "test")
    assert (len(foreign.validation), len(foreign.test)) == (5000, 35_000)


def test_undivided_pictures_and_foreign_weights_are_warned_of() -> None:
    own, foreign = (division.divide(Given(numbered([30, 50])), "ab", source) for source in division.SOURCES)
    assert [numbers(part) for part in parts(own)] == [numbers(part) for part in parts(foreign)]
    assert own.notes == ("test: 16 of the 80 pictures, by class", "validation: 12 of the 64 other pictures, by class")
    assert foreign.notes[:2] == own.notes
    assert "nobody knows which of these pictures the weights were trained on" in foreign.notes[2]


def test_a_class_with_a_single_picture_to_judge_it_by_is_told() -> None:
    found = division.divide(Given(numbered([50, 3, 3, 3, 4, 4])), names([0] * 6))
    assert "test: a single picture of c1, c2, c3 and 2 more, which is right or wrong and says little" in found.notes
    assert not division.divide(Given(numbered([50, 50])), "ab").notes[2:]


@pytest.mark.parametrize(
    ("given", "source", "told"),
    [
        (Given(numbered([9, 1]), test=numbered([2, 2])), "train", "class b holds 1 training pictures.*at least 2, or a validation folder"),
        (Given(numbered([9, 1]), numbered([2, 2])), "train", "class b holds 1 training pictures.*at least 2, or a test folder"),
        (Given(numbered([9, 9]), test=numbered([1, 2])), "test", "class a holds 1 test pictures.*at least 2, or a validation folder"),
        (Given(numbered([9, 9]), numbered([1, 2])), "test", "class a holds 1 validation pictures.*at least 2, or a test folder"),
        (Given(numbered([2, 9])), "train", "class a holds 2 pictures.*at least 3"),
        (Given(numbered([0, 9])), "train", "class a holds 0 pictures.*at least 3"),
    ],
)
def test_a_class_too_small_to_be_cut_is_named(given: Given, source: str, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        division.divide(given, "ab", source)


def test_an_unknown_source_is_told() -> None:
    with pytest.raises(UsageError, match="--validation-from=val: choose train or test"):
        division.divide(Given(numbered([9, 9])), "ab", "val")
