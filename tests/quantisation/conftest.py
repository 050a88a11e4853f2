"""A small residual network, a made-up dataset for it, and devices that exclude nobody else's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import find
from harness.networks import export
from harness.networks.datasets import Dataset, Split
from harness.networks.export import Artefact
from harness.quantisation import calibration
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import is_quantised
from harness.training import device_accuracy

SHAPE, CLASSES = (3, 12, 12), 4
Answers = Callable[[Artefact, Tensor], NDArray[np.float32]]


class Residual(nn.Module):
    """Two convolutions and a shortcut, a depthwise convolution, a linear layer."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.stem, self.first, self.second = nn.Conv2d(3, width, 3), nn.Conv2d(width, inner, 3, padding=1), nn.Conv2d(inner, width, 1)
        self.depthwise, self.fc = nn.Conv2d(width, width, 3, groups=width), nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.stem(images))
        maps = torch.relu(maps + self.second(torch.relu(self.first(maps))))
        logits: Tensor = self.fc(torch.relu(self.depthwise(maps)).mean((2, 3)))
        return logits


def network(width: int = 8, inner: int = 12, seed: int = 0) -> Artefact:
    torch.manual_seed(seed)
    return export.export(Residual(width, inner), SHAPE, f"residual-{width}-{inner}")


def split(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    return Split(torch.randn(count, *SHAPE, generator=generator) + labels[:, None, None, None] * 0.2, labels)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Dataset("made-up", "d" * 16, SHAPE, CLASSES, split(48, 1), split(40, 2), split(40, 3))


@pytest.fixture(scope="session")
def images(dataset: Dataset) -> Calibration:
    return calibration.of(dataset, 24)


@pytest.fixture(scope="session")
def artefact() -> Artefact:
    return network()


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    with Device(replace(find("cpu"), resource=f"test-int8-{os.getpid()}"), Quarantine()).open() as opened:
        yield opened


@pytest.fixture(scope="session")
def answers(session: Session) -> Answers:
    """Function: the logits of any artefact, by the embedded runtime, in INT8 where it is quantised."""
    return lambda of, images: device_accuracy.answers(session, of, images, "int8" if is_quantised(of) else "f32")
