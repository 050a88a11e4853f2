"""Random shifts, mirroring, and scaling of a whole batch at once; targets that are maps move with their pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.networks.datasets import Split
from harness.training.guidance import Guidance
from harness.training.recipes import Recipe


def augmented(
    train: Split, chosen: Tensor, recipe: Recipe, guidance: Guidance | None, mirrors: bool, scale: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The pictures numbered ``chosen`` (``B``) as a step sees them, with their targets and what a teacher answers to them.

    mirrors: whether half of them are. scale: of their sides, below 1 only where targets have no place in the picture.
    """
    images, targets = train.taken(chosen), train.labels[chosen]
    if train.task.training is not None and train.task.training.moves:
        soft = None if guidance is None else guidance.to(chosen, torch.zeros(len(chosen), dtype=torch.bool))
        maps = [images, targets[:, None].float(), *([] if soft is None else [soft])]  # whole numbers below 2^24 stay what they are
        moved = shifted(torch.cat(maps, dim=1), recipe.crop_margin, generator)
        if mirrors:
            moved = mirrored(moved, coins(len(chosen), generator))
        images, masks, *taught = torch.split(moved, [one.shape[1] for one in maps], dim=1)
        return images.contiguous(), masks[:, 0].to(targets.dtype), taught[0] if taught else None
    images = shifted(images, recipe.crop_margin, generator)
    flips = torch.zeros(len(chosen), dtype=torch.bool)
    if mirrors:
        flips = coins(len(chosen), generator)
        images = mirrored(images, flips)
    if scale < 1:
        images = scaled(images, scale)
    return images, targets, None if guidance is None else guidance.to(chosen, flips)


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
