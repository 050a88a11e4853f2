"""Residual blocks whose branch can be removed, and what is left of each: its shortcut.

A block of your own takes part by offering ``without_branch() -> nn.Module``: the module that stands in its place when
the branch is gone, built from the block's own shortcut modules under their own attribute names (a copy of the block
is asked, so nothing needs cloning). torchvision's BasicBlock, Bottleneck and InvertedResidual are known here; any other block
is taken by its graph (``harness.networks.channels.additions``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from harness.networks.channels.additions import without_addition


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
    block = parent.get_submodule(attribute)
    shortcut = without_branch(block)
    if shortcut is None and (branched := without_addition(block)) is not None:
        shortcut = branched.shortcut
    if shortcut is not None:
        shortcut.train(model.training)
        setattr(parent, attribute, shortcut)


@dataclass(frozen=True, eq=False)
class BranchEnd:
    """The last two modules of a residual branch, whose output is added to the shortcut."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d


def branch_end(block: nn.Module) -> BranchEnd | None:
    """How ``block``'s residual branch ends; None for anything that is no residual block, or ends otherwise.

    A block of your own takes part by offering ``branch_end() -> BranchEnd`` and ``shortcut(images)``, what it adds to the branch.
    """
    offered = getattr(block, "branch_end", None)
    if callable(offered):
        end = offered()
        return end if isinstance(end, BranchEnd) else None
    home, kind = type(block).__module__, type(block).__name__
    last: tuple[object, object] = (None, None)
    if home == "torchvision.models.resnet" and kind == "BasicBlock":
        last = (block.conv2, block.bn2)
    elif home == "torchvision.models.resnet" and kind == "Bottleneck":
        last = (block.conv3, block.bn3)
    elif without_branch(block) is not None and kind == "InvertedResidual":
        modules = [module for module in block.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
        last = (modules[-2], modules[-1])
    conv, norm = last
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and conv.groups == 1:
        return BranchEnd(conv, norm)
    return None


def shortcut_of(block: nn.Module, images: Tensor) -> Tensor:
    """What a block with a ``branch_end`` adds to its branch, for what enters it."""
    offered = getattr(block, "shortcut", None)
    if callable(offered) and not isinstance(offered, nn.Module):
        own: Tensor = offered(images)
        return own
    downsample = getattr(block, "downsample", None)
    return images if downsample is None else downsample(images)
