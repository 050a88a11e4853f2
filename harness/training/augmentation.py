"""Random shifts, mirroring, and scaling of a whole batch at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def shifted(images: Tensor, margin: int, generator: torch.Generator) -> Tensor:
    """Each image of ``N x C x H x W`` shifted by its own random offset of up to ``margin`` pixels, edges reflected."""
    if margin == 0:
        return images
    count, _, height, width = images.shape
    padded = functional.pad(images, (margin, margin, margin, margin), mode="reflect")
    tops, lefts = torch.randint(0, 2 * margin + 1, (2, count), generator=generator)
    rows = (tops[:, None] + torch.arange(height))[:, :, None]
    columns = (lefts[:, None] + torch.arange(width))[:, None, :]
    batch = torch.arange(count)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 3, 1, 2)


def coins(count: int, generator: torch.Generator) -> Tensor:
    """``count`` booleans, each true with probability one half: which images to mirror."""
    return torch.rand(count, generator=generator) < 0.5


def mirrored(images: Tensor, flips: Tensor) -> Tensor:
    """Each image of ``N x C x H x W`` mirrored left to right where ``flips`` (``N``, bool) says so."""
    return torch.where(flips[:, None, None, None], images.flip(3), images)


def scaled(images: Tensor, scale: float) -> Tensor:
    """Each image of ``N x C x H x W`` scaled down to ``scale`` of its sides (0 to 1), every pixel's neighbourhood averaged in."""
    height, width = (max(1, round(side * scale)) for side in images.shape[-2:])
    return functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
