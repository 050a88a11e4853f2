"""Residual blocks whose branch can be removed, and what is left of each: its shortcut.

A block of your own takes part by offering ``without_branch() -> nn.Module``: the module that stands in its place when
the branch is gone, built from the block's own shortcut modules under their own attribute names (a copy of the block
is asked, so nothing needs cloning). torchvision's BasicBlock, Bottleneck and InvertedResidual are known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


class Shortcut(nn.Module):
    """A residual block without its branch: relu(downsample(x)), or relu(x)."""

    def __init__(self, downsample: nn.Module | None) -> None:
        super().__init__()
        self.downsample = downsample
        self.relu = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """``N x in x H x W`` to the shape of the block's output."""
        shortcut = images if self.downsample is None else self.downsample(images)
        activated: Tensor = self.relu(shortcut)
        return activated


def without_branch(block: nn.Module) -> nn.Module | None:
    """The module that stands in ``block``'s place when its branch is removed; None when it has no removable branch."""
    offered = getattr(block, "without_branch", None)
    if callable(offered):
        shortcut = offered()
        return shortcut if isinstance(shortcut, nn.Module) else None
    home, kind = type(block).__module__, type(block).__name__
    if home == "torchvision.models.resnet" and kind in ("BasicBlock", "Bottleneck"):
        return Shortcut(block.downsample if isinstance(block.downsample, nn.Module) else None)
    if home in ("torchvision.models.mobilenetv2", "torchvision.models.mobilenetv3") and kind == "InvertedResidual":
        return nn.Identity() if block.use_res_connect else None
    return None


def removable_blocks(model: nn.Module) -> Iterator[tuple[str, frozenset[str]]]:
    """Every residual block with a removable branch, and the names of the modules that disappear with the branch."""
    for name, block in model.named_modules():
        shortcut = without_branch(block) if name else None
        if shortcut is None:
            continue
        kept = {id(module) for module in shortcut.modules()}
        gone = (f"{name}.{inner}" for inner, module in block.named_modules() if inner and id(module) not in kept)
        yield name, frozenset(gone)


def remove_branch(model: nn.Module, block_name: str) -> None:
    """Replace the block called ``block_name`` by its shortcut, in place."""
    parent_name, _, attribute = block_name.rpartition(".")
    parent = model.get_submodule(parent_name)
    shortcut = without_branch(parent.get_submodule(attribute))
    if shortcut is not None:
        shortcut.train(model.training)
        setattr(parent, attribute, shortcut)
