"""A dataset of 96 + 32 + 32 images in four classes that a network of a few hundred weights learns in seconds."""

import pytest
import torch
from torch import nn

from harness.networks.datasets import Dataset, Split


class Small(nn.Sequential):
    """Two convolutions with batch normalisation, then a linear layer."""

    def __init__(self) -> None:
        first = (nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        second = (nn.Conv2d(8, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        super().__init__(*first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))


@pytest.fixture
def small() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small().eval()


@pytest.fixture(scope="session")
def quadrants() -> Dataset:
    """Noise with one bright quarter; the label says which one."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        labels = torch.arange(count) % 4
        images = torch.randn(count, 1, 16, 16, generator=generator) * 0.3
        for index, label in enumerate(labels.tolist()):
            top, left = 8 * (label // 2), 8 * (label % 2)
            images[index, :, top : top + 8, left : left + 8] += 2
        return Split(images, labels)

    return Dataset("quadrants", "0" * 16, (1, 16, 16), 4, split(96), split(32), split(32))
