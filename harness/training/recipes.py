"""Recipes: everything that decides how a network is trained, and the ones that campaigns use by default.

[He2016] sec. 4.2: momentum 0.9, weight decay 1e-4 for these networks. [Smith2019] L. N. Smith, N. Topin: Super-Convergence, SPIE 2019
(one-cycle). [Szegedy2016] sec. 7: label smoothing. [Hinton2015] distillation. [Tan2021] M. Tan, Q. Le: EfficientNetV2, ICML 2021,
sec. 4: small images first. [He2017] Y. He, X. Zhang, J. Sun: Channel Pruning, ICCV 2017, sec. 3.1.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated

from harness.errors import RecordError, UsageError
from harness.files import json_text
from harness.records.decoding import AsWritten, decode
from harness.training.processor import PRECISIONS

Number = Annotated[float, AsWritten()]  # what was tuned before is found by the text of its recipe


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train, or to fine-tune, one network.

    epochs: passes over the training images, also a fraction; 0 recalibrates batch normalisation only. learning_rate:
    the peak; it is reached after ``warm_up_ratio`` of the steps and falls to zero along a cosine. distillation: weight
    of the teacher's softened answers against the labels, 0 to 1. crop_margin: random shifts of up to so many pixels;
    flip: random mirroring, where the dataset allows it. small_ratio: share of the steps, at the beginning, on images scaled down
    (``finetune.SMALL_SCALE``), which cost a fraction ([Tan2021]_). reconstruct: before anything else, solve the layers behind removed
    channels anew ([He2017]_, ``harness.pruning.reconstruction``). calibration_images: how many training images the batch norm
    statistics are taken from at the end. max_images: train on a fixed subset of so many images (0: all).
    """

    epochs: Number
    learning_rate: Number = 0.1
    weight_decay: Number = 5e-4
    batch_size: int = 64
    momentum: Number = 0.9
    warm_up_ratio: Number = 0.25
    label_smoothing: Number = 0.0
    distillation: Number = 0.0
    temperature: Number = 4.0
    crop_margin: int = 0
    flip: bool = False
    small_ratio: Number = 0.0
    reconstruct: bool = False
    calibration_images: int = 2000
    max_images: int = 0
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "epochs": (0.0, 10_000.0),
            "learning_rate": (0.0, 100.0),
            "weight_decay": (0.0, 1.0),
            "batch_size": (2, 65_536),
            "momentum": (0.0, 0.9999),
            "warm_up_ratio": (0.0, 1.0),
            "label_smoothing": (0.0, 0.99),
            "distillation": (0.0, 1.0),
            "temperature": (0.01, 1000.0),
            "crop_margin": (0, 16),
            "small_ratio": (0.0, 1.0),
            "calibration_images": (2, 10**9),
            "max_images": (0, 10**9),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"a recipe's {name} is {value}; give {low:g} to {high:g}")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"a recipe's seed is {self.seed}; give a whole number from 0, of 64 bits")
        if self.precision not in PRECISIONS:
            raise UsageError(f"a recipe's precision is {self.precision!r}; give one of {', '.join(PRECISIONS)}")

    @property
    def canonical(self) -> str:
        """JSON with sorted keys: equal text for equal recipes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def of_canonical(cls, text: str) -> Recipe:
        """The recipe that ``canonical`` wrote, also by an older version with fewer fields; UsageError when it is none."""
        try:
            return decode(cls, json_text.parse(text), "the recipe", "train again")
        except (ValueError, RecordError) as error:
            raise UsageError(f"this is no recipe: {text[:80]!r} ({error}); give what a description of trained weights holds") from error

    def with_epochs(self, epochs: float) -> Recipe:
        """The same recipe for another budget."""
        return replace(self, epochs=epochs)

    def with_seed(self, seed: int) -> Recipe:
        """The same recipe with other random choices."""
        return replace(self, seed=seed)


def dense_recipe(dataset: str) -> Recipe:
    """How the dense network is trained from nothing on ``dataset`` (any other name: as for fashion-mnist)."""
    if dataset == "digits":
        return Recipe(epochs=12, learning_rate=0.1, crop_margin=2, label_smoothing=0.05, calibration_images=600)
    if dataset == "cifar10":
        return Recipe(epochs=60, learning_rate=0.2, batch_size=128, crop_margin=4, flip=True, label_smoothing=0.05)
    return Recipe(epochs=30, learning_rate=0.2, batch_size=128, crop_margin=2, flip=True, label_smoothing=0.05)


def tuning_recipe(dataset: str, epochs: float, seed: int = 0) -> Recipe:
    """How a pruned network that kept its weights is fine-tuned on ``dataset`` for ``epochs`` (0: recalibrated only).

    digits has so few images that small batches at the full rate tell more within a budget than a teacher does.
    """
    dense = dense_recipe(dataset)
    if dataset == "digits":
        return replace(dense, epochs=epochs, batch_size=32, warm_up_ratio=0.1, reconstruct=True, seed=seed)
    rate = dense.learning_rate / 4
    return replace(
        dense, epochs=epochs, learning_rate=rate, batch_size=64, warm_up_ratio=0.1, distillation=0.5, reconstruct=True, seed=seed
    )
