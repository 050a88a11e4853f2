"""No cut puts copies of a picture into two splits."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DatasetError
from harness.networks.pictures import division
from harness.networks.pictures.division import Given, Labelled


def copied(part: Labelled, copies: list[int]) -> Labelled:
    """The pictures, number i as often as ``copies`` says (1 beyond its end)."""
    rows = np.repeat(np.arange(len(part)), [*copies, *[1] * len(part)][: len(part)])
    return Labelled(part.pixels[rows], part.labels[rows], rows.astype(np.int64))


def distinct(sizes: list[int]) -> Labelled:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Labelled(np.zeros((len(labels), 1, 1, 1), np.uint8), np.random.default_rng(0).permutation(labels))


def alone(part: Labelled, label: int) -> int:
    """Different pictures of a class that are of no other, less one where there is no other kind: the class must keep that."""
    assert part.contents is not None
    ours, others = (set(part.contents[mask].tolist()) for mask in (part.labels == label, part.labels != label))
    return len(ours - others) - (not ours & others)


def names(sizes: list[int]) -> list[str]:
    return [f"c{label}" for label in range(len(sizes))]


@given(
    sizes=st.lists(st.integers(3, 30), min_size=2, max_size=5),
    copies=st.lists(st.integers(1, 6), max_size=60),
    relabelled=st.integers(0, 3),
    source=st.sampled_from(division.SOURCES),
    layout=st.sampled_from(("single", "train-test", "train-val")),
)
def test_a_cut_never_parts_copies(sizes: list[int], copies: list[int], relabelled: int, source: str, layout: str) -> None:
    whole = copied(distinct(sizes), copies)
    whole.labels[:relabelled] = 0  # copies under two labels, at times
    other = distinct([5] * len(sizes))
    other = Labelled(other.pixels, other.labels, 1000 + np.arange(len(other)))
    asked = {"single": Given(whole), "train-test": Given(whole, test=other), "train-val": Given(whole, other)}[layout]
    if relabelled and any(alone(whole, label) < 2 for label in range(len(sizes))):
        return  # refused, or cut where one is enough
    found = division.divide(asked, names(sizes), source)
    parts = (found.train, found.validation, found.test)
    for one, another in combinations(parts, 2):
        assert one.contents is not None
        assert another.contents is not None
        assert not set(one.contents.tolist()) & set(another.contents.tolist())
    for part in parts:
        assert set(part.labels.tolist()) == set(range(len(sizes)))
    assert sum(map(len, parts)) == len(whole) + (0 if layout == "single" else len(other)), "no picture is lost"


@given(sizes=st.lists(st.integers(3, 60), min_size=2, max_size=8))
def test_without_copies_the_cut_is_as_ever(sizes: list[int]) -> None:
    plain = distinct(sizes)
    for left in (1, 2):
        ours = division.cut(plain.labels, len(plain) // 3 + 1, left, np.arange(len(plain)))
        theirs = division.cut(plain.labels, len(plain) // 3 + 1, left)
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@given(sizes=st.lists(st.integers(3, 60), min_size=2, max_size=8))
def test_classes_without_copies_are_cut_as_ever(sizes: list[int]) -> None:
    labels = distinct([4, *sizes]).labels
    contents = np.arange(len(labels))
    contents[np.flatnonzero(labels == 0)[1]] = contents[np.flatnonzero(labels == 0)[0]]
    ours = division.cut(labels, len(labels) // 3 + 1, 2, contents)[1]
    theirs = division.cut(labels, len(labels) // 3 + 1, 2)[1]
    assert np.array_equal(ours[labels[ours] > 0], theirs[labels[theirs] > 0])


def test_a_cut_of_copies_keeps_to_the_count_and_says_so() -> None:
    found = division.divide(Given(copied(distinct([40, 40]), [2] * 40)), "ab")
    assert "by class, copies of a picture together" in found.notes[0]
    assert abs(len(found.test) - 24) <= 2


def test_a_class_of_copies_alone_cannot_be_cut() -> None:
    whole = Labelled(np.zeros((9, 1, 1, 1), np.uint8), np.repeat([0, 1], [4, 5]), np.array([0, 0, 0, 1, 2, 3, 4, 5, 6]))
    with pytest.raises(DatasetError, match="class a holds 4 pictures, but 2 different ones.*at least 3"):
        division.divide(Given(whole), "ab")
