"""Top-1 accuracy of a network on a split of a dataset, on the host."""

from __future__ import annotations

import torch
from torch import nn

from harness.networks.datasets import Split
from harness.records.accuracy import Accuracy
from harness.training import processor


def evaluate(model: nn.Module, split: Split, batch_size: int = 256) -> Accuracy:
    """Top-1 of ``model`` on every image of ``split``, in float32; the network's mode is left as it was."""
    place = processor.device()
    training, home = model.training, next(model.parameters()).device
    model.eval().to(place)
    correct = 0
    with torch.inference_mode():
        for images, labels in zip(torch.split(split.images, batch_size), torch.split(split.labels, batch_size), strict=True):
            logits = model(images.contiguous(memory_format=torch.channels_last).to(place))
            correct += int((logits.argmax(1).cpu() == labels).sum())
    model.to(home).train(training)
    return Accuracy(correct, len(split))
