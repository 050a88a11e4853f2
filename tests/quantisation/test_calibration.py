"""Scales are read off training images of every class, and off nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.errors import UsageError
from harness.networks.datasets import Dataset, Split
from harness.quantisation import calibration
from tests.quantisation.conftest import CLASSES


def poisoned(part: Split) -> Split:
    return Split(torch.full_like(part.images, torch.nan), part.labels)


def test_what_lies_in_the_other_splits_changes_nothing(dataset: Dataset) -> None:
    """A single image of theirs would be NaN here, and be refused."""
    spoilt = replace(dataset, test=poisoned(dataset.test), validation=poisoned(dataset.validation))
    clean, found = calibration.of(dataset, 20), calibration.of(spoilt, 20)
    assert found.digest == clean.digest
    assert torch.equal(found.images, clean.images)
    assert found.record.split == "training"


def test_every_image_is_a_training_image_and_none_a_test_image(dataset: Dataset) -> None:
    found = calibration.of(dataset, 20)
    drawn, train, test = ({image.tobytes() for image in part.numpy()} for part in (found.images, dataset.train.images, dataset.test.images))
    assert drawn <= train
    assert not drawn & test


def test_every_class_is_there_whatever_the_order_of_the_pictures(dataset: Dataset) -> None:
    by_class = torch.argsort(dataset.train.labels, stable=True)
    ordered = replace(dataset, train=Split(dataset.train.images[by_class], dataset.train.labels[by_class]))
    found = calibration.of(ordered, CLASSES)
    assert found.digest == calibration.of(dataset, CLASSES).digest
    keys = {image.numpy().tobytes(): int(label) for image, label in zip(dataset.train.images, dataset.train.labels, strict=True)}
    assert {keys[image.tobytes()] for image in found.images.numpy()} == set(range(CLASSES))


def test_another_seed_draws_others_and_there_are_never_more_than_there_are(dataset: Dataset) -> None:
    assert calibration.of(dataset, 10, seed=1).digest != calibration.of(dataset, 10, seed=0).digest
    assert calibration.of(dataset, 10_000).count == len(dataset.train)
    assert np.isfinite(calibration.of(dataset).images.numpy()).all()


def test_what_cannot_calibrate_is_refused_in_one_line(dataset: Dataset) -> None:
    empty = Split(dataset.train.images[:0], dataset.train.labels[:0])
    one_class = Split(dataset.train.images, torch.zeros_like(dataset.train.labels))
    for train, told in ((empty, "has no training images"), (one_class, "are of one class"), (poisoned(dataset.train), "no numbers")):
        with pytest.raises(UsageError, match=told) as failure:
            calibration.of(replace(dataset, train=train))
        assert "\n" not in str(failure.value)
    with pytest.raises(UsageError, match="give at least 1"):
        calibration.of(dataset, 0)
