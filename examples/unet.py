"""A small U-Net, and the folder of made-up shapes that it segments: what ``--task=segmentation`` wants of a network and of pictures.

[Ronneberger2015] O. Ronneberger, P. Fischer, T. Brox: U-Net. MICCAI 2015, arXiv:1505.04597. Smaller, normalised, and padded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

CLASSES = ("background", "disc", "square")


class Twice(nn.Module):
    """Two convolutions with batch normalisation, as every level of a U-Net has them."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide)
        self.conv2, self.norm2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide)

    def forward(self, maps: Tensor) -> Tensor:
        """``N x channels x H x W`` to ``N x wide x H x W``."""
        return torch.relu(self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(maps))))))


class UNet(nn.Module):
    """Two levels down and up again, with a concatenating skip on each: ``N x C x H x W`` to ``N x classes x H x W``."""

    def __init__(self, channels: int, classes: int, wide: int = 8) -> None:
        super().__init__()
        self.down1, self.down2, self.bottom = Twice(channels, wide), Twice(wide, 2 * wide), Twice(2 * wide, 4 * wide)
        self.up2, self.up1 = Twice(6 * wide, 2 * wide), Twice(3 * wide, wide)
        self.head = nn.Conv2d(wide, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """One logit per class for every pixel."""
        first = self.down1(images)
        second = self.down2(functional.max_pool2d(first, 2))
        bottom = self.bottom(functional.max_pool2d(second, 2))
        upper = self.up2(torch.cat([second, _doubled(bottom)], 1))
        logits: Tensor = self.head(self.up1(torch.cat([first, _doubled(upper)], 1)))
        return logits


def unet(input_shape: tuple[int, int, int], classes: int) -> UNet:
    """What ``--network=examples/unet.py:unet`` makes."""
    return UNet(input_shape[0], classes)


def _doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def write(folder: Path, train: int = 96, others: int = 64, side: int = 32, seed: int = 0) -> None:
    """Made-up pictures of discs and squares with their masks, as ``folder/train/images``, ``folder/train/masks``, alike val and test."""
    random = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", others), ("test", others)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture, mask = _drawn(random, side)
            Image.fromarray(picture).save(folder / split / "images" / f"{number:04}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{number:04}.png")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def _drawn(random: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """One grey picture and its mask: a bright disc and a darker square somewhere on noise."""
    down, across = np.mgrid[:side, :side]
    values, mask = random.normal(90, 12, (side, side)), np.zeros((side, side), np.uint8)
    for label, bright in ((1, 190.0), (2, 150.0)):
        size = int(random.integers(side // 8, side // 4))
        top, left = random.integers(size, side - size, 2)
        if label == 1:
            inside = (down - top) ** 2 + (across - left) ** 2 <= size**2
        else:
            inside = (abs(down - top) <= size) & (abs(across - left) <= size)
        values[inside], mask[inside] = random.normal(bright, 12, int(inside.sum())), label
    return values.clip(0, 255).astype(np.uint8), mask


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(f"python -m search --task=segmentation --dataset=segmentation:{sys.argv[1]} --network=examples/unet.py:unet")
