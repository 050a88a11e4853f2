"""How labelled pictures are divided into train, validation and test: what is missing is cut by class, and every cut is told.

Whose weights are judged decides where a cut is made. A network that is trained here has seen only what this division calls train, so
that all is cut from train. Weights from elsewhere have seen whatever lay in train there; only given test pictures are new to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError, UsageError
from harness.networks.pictures import large_arrays

SOURCES = ("train", "test")  # what --validation-from may name
MOST_CUT = 5000  # pictures: an accuracy of 90 % is then known within 0.8 points
SEED = 20170401
OF_NO_CLASS = ("",)  # in the place of classes, where pictures are not divided by them
_AS_GIVEN = "validation as given: it must not have been trained on"

Pixels = NDArray[np.uint8]  # N x C x H x W
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Pixels ``N x C x H x W`` and labels ``N``; of pictures that were divided already, masks ``N x H x W`` may stand in their place.

    contents: ``N`` numbers, the same for all copies of a picture, also in another part; None where no copies are known.
    """

    pixels: Pixels
    labels: Labels
    contents: Labels | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> Labelled:
        """Those rows, in that order."""
        return Labelled(large_arrays.taken(self.pixels, rows), self.labels[rows], None if self.contents is None else self.contents[rows])


@dataclass(frozen=True)
class Given:
    """What came: training pictures, or all where the others are None, and what else was told apart from them."""

    train: Labelled
    validation: Labelled | None = None
    test: Labelled | None = None


@dataclass(frozen=True)
class Division:
    """Three splits, none of which shares a picture with what was cut from it, and one sentence on each that was cut or needs care."""

    train: Labelled
    validation: Labelled
    test: Labelled
    notes: tuple[str, ...] = ()


def divide(given: Given, classes: Sequence[str], validation_from: str = "train") -> Division:
    """All three splits of what was given. Raises DatasetError, naming the class, for one with too few pictures to be cut."""
    check(validation_from)
    train, foreign = given.train, validation_from == "test"
    match given.validation, given.test:
        case None, None:
            train, test, first = _without(train, "", "test", classes, _fifth(train, classes), left=2)
            train, validation, second = _without(train, "other ", "validation", classes, _fifth(train, classes))
            notes = [first, second, *([unknown_past()] if foreign else [])]
        case None, Labelled() as test if foreign:
            test, validation, told = _without(test, "test ", "validation", classes, half(test))
            notes = [told]
        case None, Labelled() as test:
            train, validation, told = _without(train, "training ", "validation", classes, _fifth(train, classes))
            notes = [told]
        case Labelled() as validation, None if foreign:
            validation, test, told = _without(validation, "validation ", "test", classes, half(validation))
            notes = [told, _AS_GIVEN]
        case Labelled() as validation, None:
            train, test, told = _without(train, "training ", "test", classes, _fifth(train, classes))
            notes = [told, _AS_GIVEN]
        case Labelled() as validation, Labelled() as test:
            notes = [_AS_GIVEN]
    notes += [told for split, part in (("validation", validation), ("test", test)) for told in _single(split, part.labels, classes)]
    return Division(train, validation, test, tuple(notes))


def check(validation_from: str) -> None:
    """UsageError for a split that validation pictures are not cut from."""
    if validation_from not in SOURCES:
        raise UsageError(f"--validation-from={validation_from}: choose {' or '.join(SOURCES)}")


def half(part: Labelled) -> int:
    """Pictures that a given split gives up, so that two can be judged by it."""
    return min(len(part) // 2, MOST_CUT)


def cut_note(split: str, cut: int, whole: int, source: str) -> str:
    """The sentence on a split that was cut; source: "training ", or "" for pictures that came undivided."""
    return f"{split}: {cut} of the {whole} {source}pictures, by class"


def unknown_past() -> str:
    """The sentence on foreign weights and pictures that came undivided."""
    return "undivided: nobody knows which of these pictures the weights were trained on, and what was seen is judged too well"


def cut(labels: Labels, count: int, left: int = 1, contents: Labels | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to keep and about ``count`` rows to hold out, each class by its share, both ascending.

    Every class gives at least one and keeps at least ``left``, of which it must have one more: so a rare class is held out too, and
    ``count`` is kept to as far as that allows. contents: copies, as in Labelled, are kept or held out together, and what has two labels
    is kept; a class then gives one picture with its copies at least, and keeps ``left`` different ones.
    """
    generator = np.random.default_rng(SEED)
    quotas = _quotas(np.bincount(labels), count, left)
    orders = [generator.permutation(np.flatnonzero(labels == label)) for label in range(len(quotas))]
    if contents is None or not _has_copies(contents):
        drawn = [order[:quota] for order, quota in zip(orders, quotas, strict=True)]
    else:
        torn = _of_two_labels(labels, contents)
        drawn = [_together(order, contents, torn, quota, left) for order, quota in zip(orders, quotas.tolist(), strict=True)]
    held = np.sort(np.concatenate(drawn))
    return np.setdiff1d(np.arange(len(labels)), held), held


def _fifth(part: Labelled, classes: Sequence[str]) -> int:
    return max(len(classes), min(len(part) // 5, MOST_CUT))


def _without(part: Labelled, source: str, split: str, classes: Sequence[str], count: int, left: int = 1) -> tuple[Labelled, Labelled, str]:
    """A part without what is held out of it, the latter, and the sentence on it."""
    sizes = np.bincount(part.labels, minlength=len(classes))
    for label in np.flatnonzero(sizes <= left)[:1]:
        raise DatasetError(
            f"{_holder(classes[label])} holds {sizes[label]} {source}pictures, too few to hold some out for {split}; "
            f"give at least {left + 1}, or a {split} folder"
        )
    note = ""
    if part.contents is not None and _has_copies(part.contents):
        _check_copies(part, part.contents, source, split, classes, left)
        note = ", copies of a picture together"
    rest, held = cut(part.labels, count, left, part.contents)
    return part.take(rest), part.take(held), cut_note(split, len(held), len(part), source) + note


def _holder(name: str) -> str:
    return f"class {name}" if name else "the folder"


def _has_copies(contents: Labels) -> bool:
    return len(np.unique(contents)) < len(contents)


def _of_two_labels(labels: Labels, contents: Labels) -> set[int]:
    """Contents that lie under more than one label."""
    pairs = np.unique(np.stack([contents, labels]), axis=1)
    numbers, times = np.unique(pairs[0], return_counts=True)
    return set(numbers[times > 1].tolist())


def _check_copies(part: Labelled, contents: Labels, source: str, split: str, classes: Sequence[str], left: int) -> None:
    """DatasetError for a class whose different pictures are too few, as far as they are of that class alone."""
    torn = _of_two_labels(part.labels, contents)
    for label, name in enumerate(classes):
        own = contents[part.labels == label]
        different = set(own.tolist())
        if len(different) <= left or len(different - torn) < left:
            raise DatasetError(
                f"{_holder(name)} holds {len(own)} {source}pictures, but {len(different - torn)} different ones"
                f"{' that are of no other class' if name else ''}, "
                f"too few to hold some out for {split}; give at least {left + 1}, or a {split} folder"
            )


def _together(order: NDArray[np.int64], contents: Labels, torn: set[int], quota: int, left: int) -> NDArray[np.int64]:
    """Rows of a class to hold out, about ``quota`` and at least one, in the order that was drawn; no picture without its copies."""
    copies: dict[int, list[int]] = {}
    for row in order.tolist():
        copies.setdefault(int(contents[row]), []).append(row)
    able = [rows for content, rows in copies.items() if content not in torn]
    most = min(len(copies) - left, len(able) - (left - 1))  # a next cut needs a picture that it can hold out
    held: list[list[int]] = []
    taken = 0
    for rows in able:
        if len(held) < most and taken + len(rows) <= quota:
            held.append(rows)
            taken += len(rows)
    return np.array([row for rows in held or [min(able, key=len)] for row in rows], np.int64)


def _quotas(sizes: NDArray[np.int64], count: int, left: int) -> NDArray[np.int64]:
    """How many of each class are held out: nearest to its share, within what it can give."""
    most, share = sizes - left, sizes * (count / sizes.sum())
    quotas: NDArray[np.int64] = np.clip(np.floor(share).astype(np.int64), 1, most)
    while (missing := count - int(quotas.sum())) != 0:
        able = quotas < most if missing > 0 else quotas > 1
        if not able.any():
            break
        gaps = np.where(able, (share - quotas) * np.sign(missing), -np.inf)
        quotas[np.argmax(gaps)] += np.sign(missing)
    return quotas


def _single(split: str, labels: Labels, classes: Sequence[str]) -> list[str]:
    """The sentence on classes with one picture in a split, where there are any."""
    names = [classes[label] for label in np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 1).tolist()]
    if not names:
        return []
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"{split}: a single picture{f' of {told}' if told else ''}, which is right or wrong and says little"]
