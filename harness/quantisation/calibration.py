"""The images that scales are read off: drawn from the training split, every class by its share, never from validation or test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import UsageError
from harness.networks.datasets import Dataset
from harness.networks.drawing import draw
from harness.networks.tasks.classification import CLASSIFICATION
from harness.records.quantisation import CalibrationRecord

IMAGES = 300  # NNCF's own default; scales from one image cost ResNet-20 0.2 points of top-1


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images (``N x C x H x W``, float32, normalised) and where they are from. digest: 16 hexadecimal digits of their values'."""

    images: Tensor
    split: str
    seed: int
    count: int
    digest: str

    @property
    def record(self) -> CalibrationRecord:
        """Where the scales are from, without the images."""
        return CalibrationRecord(self.split, self.count, self.seed, self.digest)


def of(dataset: Dataset, count: int = IMAGES, seed: int = 0) -> Calibration:
    """``count`` training images of ``dataset``, or all where there are no more; the same for the same images and seed.

    Raises UsageError where there are none, all are of one class, or a value is no number.
    """
    if count < 1:
        raise UsageError(f"{count} calibration images calibrate nothing; give at least 1, {IMAGES} as a rule")
    if not len(dataset.train):
        raise UsageError(f"{dataset.name} has no training images to calibrate with; give a dataset with a training split")
    strata = dataset.train.strata
    if dataset.task.name == CLASSIFICATION.name and dataset.classes > 1 and bool((strata == strata[0]).all()):
        raise UsageError(
            f"all {len(dataset.train)} training images of {dataset.name} are of one class, which calibrates for that class alone; "
            "give images of every class"
        )
    images = draw(dataset.train, count, seed).split.images.contiguous()
    if not bool(torch.isfinite(images).all()):
        raise UsageError(f"calibration images of {dataset.name} hold values that are no numbers (NaN or infinite); mend its training split")
    digest = hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]
    return Calibration(images, "training", seed, len(images), digest)
