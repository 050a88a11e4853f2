"""Top-1 accuracy of a network on a split of a dataset, on the host."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.networks.datasets import Split
from harness.records.accuracy import Accuracy
from harness.training import processor


def evaluate(model: nn.Module, split: Split, batch_size: int = 256) -> Accuracy:
    """Top-1 of ``model`` on every image of ``split``, in float32; the network's mode is left as it was."""
    return count(right(answers(model, split, batch_size), split))


def answers(model: nn.Module, split: Split, batch_size: int = 256, precision: str = "f32") -> Tensor:
    """The logits, images x classes, in float32 on the CPU; the network's mode and place are left as they were.

    precision: what the network computes in, ``f32`` or as a recipe names it.
    """
    place = processor.device()
    training, home = model.training, next(model.parameters()).device
    model.eval().to(place)
    halved = torch.autocast(place.type, torch.bfloat16, enabled=processor.precision(precision) == "bf16")
    with torch.inference_mode(), processor.whole_float32(), halved:
        batches = (processor.laid(images).to(place) for images in split.batches(batch_size))
        logits = torch.cat([model(images).float().cpu() for images in batches])
    model.to(home).train(training)
    return logits


def right(logits: Tensor, split: Split) -> NDArray[np.bool_]:
    """Which images of ``split`` the logits (images x classes) name rightly."""
    found: NDArray[np.bool_] = (logits.argmax(1) == split.labels).numpy()
    return found


def count(right: NDArray[np.bool_]) -> Accuracy:
    """Top-1 from which images were answered rightly."""
    return Accuracy(int(right.sum()), len(right))
