"""Residual branches solved anew, block after block, so that the stream stays where the dense network had it in spite of what was removed.

[He2017] Y. He, X. Zhang, J. Sun: Channel Pruning for Accelerating Very Deep Neural Networks. ICCV 2017, sec. 3.3: a branch's target is
the dense sum less the shortcut as it is now. Here a branch also stands for the branches behind it that were removed altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.networks.branches import BranchEnd, branch_end, shortcut_of, without_branch
from harness.pruning import surgery
from harness.pruning.surgery import Kept
from harness.records.architecture import Architecture

Sums = Mapping[str, Tensor]  # residual block -> what its branch and its shortcut add up to, at sampled places, ``P x C``
PLACES = 12_000  # output positions looked at per block: twenty for each feature of a 3 x 3 convolution on 64 channels
RIDGE = 1e-2  # of the mean second moment, towards the weights as they were


@dataclass(frozen=True, eq=False)
class Reference:
    """What the dense network computes on ``images`` (``N x C x H x W``): the sums of its residual blocks, in network order."""

    images: Tensor
    sums: Sums


@torch.no_grad()
def reference(model: nn.Module, images: Tensor) -> Reference:
    """The dense network's sums; ``model`` stays as it is. Blocks of unknown kinds are left out."""
    sums: dict[str, Tensor] = {}

    def record(name: str, block: nn.Module, entered: Tensor, ended: Tensor) -> None:
        shortcut = shortcut_of(block, entered)
        sums[name] = (ended + shortcut).permute(0, 2, 3, 1)[_places(ended)]

    _run(model, images, lambda name, block, end, entered, _, ended: record(name, block, entered, ended), training=False)
    return Reference(images, sums)


@torch.no_grad()
def reconstruct(pruned: nn.Module, dense: nn.Module, architecture: Architecture, kept: Kept, known: Reference) -> None:
    """Solve the last convolution of every residual branch of ``pruned``, in place; batch norm statistics are left to recalibration.

    kept: the channels by which ``pruned`` was made from ``dense``.
    """
    lost, names = surgery.lost(dense, architecture, kept), {module: name for name, module in dense.named_modules()}
    wanted: dict[str, Tensor] = {}
    for name in known.sums:
        end = branch_end(dense.get_submodule(name))
        sums = known.sums[_stands_for(name, pruned, dense, list(known.sums))]
        gone = set() if end is None else set(lost.get((names[end.conv], "out"), ()))
        wanted[name] = sums[:, [channel for channel in range(sums.shape[1]) if channel not in gone]]

    def solve(name: str, block: nn.Module, end: BranchEnd, entered: Tensor, hidden: Tensor, ended: Tensor) -> Tensor | None:
        if name not in wanted:
            return None
        target = wanted[name] - shortcut_of(block, entered).permute(0, 2, 3, 1)[_places(ended)]
        _solve(end, _patches(end.conv, hidden, _places(ended)), target, end.conv(hidden))
        return _normalised(end.conv(hidden), end.norm)

    _run(pruned, known.images, solve, training=True)


Step = Callable[[str, nn.Module, BranchEnd, Tensor, Tensor, Tensor], Tensor | None]
"""Called with a block's name, the block, its branch's end, what entered the block and the last convolution, and the branch's output."""


def _run(model: nn.Module, images: Tensor, step: Step, training: bool) -> None:
    """One pass, on the images' own batch statistics where ``training``, that calls ``step`` at the end of every residual branch."""
    was_training, entered = model.training, dict[str, Tensor]()
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.eval()
    with ExitStack() as hooks:
        for name, block in list(model.named_modules()):
            end = branch_end(block) if name else None
            if end is None:
                continue

            def enter(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                entered[name] = inputs[0]

            def inside(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                entered[f"{name}/last"] = inputs[0]

            def leave(
                _: nn.Module, __: tuple[Tensor, ...], output: Tensor, name: str = name, block: nn.Module = block, end: BranchEnd = end
            ) -> Tensor | None:
                return step(name, block, end, entered[name], entered[f"{name}/last"], output)

            hooks.enter_context(block.register_forward_pre_hook(enter))
            hooks.enter_context(end.conv.register_forward_pre_hook(inside))
            hooks.enter_context(end.norm.register_forward_hook(leave))
        if training:
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.train()
        model(images)
    for name, buffer in model.named_buffers():
        buffer.copy_(statistics[name])
    model.train(was_training)


def _solve(end: BranchEnd, features: Tensor, target: Tensor, outputs: Tensor) -> None:
    """Give convolution and norm the weights whose normalised output is nearest to ``target`` (``P x C``)."""
    conv, norm = end.conv, end.norm
    spread = (outputs.var((0, 2, 3), unbiased=False) + norm.eps).sqrt()
    old = conv.weight.flatten(1) * (norm.weight / spread)[:, None]
    features_mean, target_mean = features.mean(0), target.mean(0)
    centred = features - features_mean
    second = (centred.T @ centred / len(centred)).double()
    ridge = max(RIDGE * float(second.diagonal().mean()), 1e-9)
    wanted = (centred.T @ (target - target_mean) / len(centred)).double() + ridge * old.T.double()
    solved: Tensor = torch.linalg.solve(second + ridge * torch.eye(len(second), dtype=second.dtype), wanted)
    weight = solved.T.float()
    if not bool(torch.isfinite(weight).all()):
        return
    # the convolution keeps its rows' lengths, on which the learning rate acts; the norm takes up the scale
    scale = conv.weight.flatten(1).norm(dim=1) / weight.norm(dim=1).clamp_min(1e-9)
    conv.weight.copy_((weight * scale[:, None]).reshape(conv.weight.shape))
    explained = (weight * (second.float() @ weight.T).T).sum(1).clamp_min(0.0)
    norm.weight.copy_((explained + norm.eps).sqrt())
    norm.bias.copy_(target_mean)


def _normalised(outputs: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    return functional.batch_norm(outputs, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)


def _stands_for(name: str, pruned: nn.Module, dense: nn.Module, blocks: list[str]) -> str:
    """The last of the removed blocks that follow ``name`` without anything between; the block itself where none does."""
    while True:
        parent, _, place = name.rpartition(".")
        following = f"{parent}.{int(place) + 1}" if place.isdigit() else ""
        if following not in blocks or branch_end(pruned.get_submodule(following)) is not None:
            return name
        shortcut = without_branch(dense.get_submodule(following))
        if shortcut is None or any(True for _ in shortcut.parameters()):
            return name  # a shortcut of its own changes the stream
        name = following


def _places(output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same ``PLACES`` positions (image, row, column) for every output of this size."""
    count, _, height, width = output.shape
    total = count * height * width
    chosen = torch.randperm(total, generator=torch.Generator().manual_seed(total))[:PLACES]
    return chosen // (height * width), chosen // width % height, chosen % width


def _patches(conv: nn.Conv2d, inputs: Tensor, places: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """What a convolution sees at some output positions: ``P x in*k*k``, in the order of its flattened weights."""
    assert not isinstance(conv.padding, str)
    (vertical, horizontal), (tall, wide) = conv.padding, conv.kernel_size
    padded = functional.pad(inputs, (horizontal, horizontal, vertical, vertical)).permute(0, 2, 3, 1)
    images, rows, columns = places
    rows = rows[:, None] * conv.stride[0] + torch.arange(tall) * conv.dilation[0]
    columns = columns[:, None] * conv.stride[1] + torch.arange(wide) * conv.dilation[1]
    seen = padded[images[:, None, None], rows[:, :, None], columns[:, None, :]]  # P x tall x wide x in
    return seen.permute(0, 3, 1, 2).flatten(1)
