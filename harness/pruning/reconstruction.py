"""Weights of the layers behind removed channels, solved anew so that their outputs stay as close to the dense network's as they can.

[He2017] Y. He, X. Zhang, J. Sun: Channel Pruning for Accelerating Very Deep Neural Networks. ICCV 2017, sec. 3.1, the second step of
eq. (1): with the channels chosen, W' = argmin |Y - X'W'|^2, here in closed form from second moments of the dense network's features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.pruning import surgery
from harness.pruning.surgery import Kept
from harness.records.architecture import Architecture

Moments = Mapping[str, Tensor]  # layer -> second moments of its inputs, ``F x F``; F = in x k x k, a convolution's weights in order
RIDGE = 1e-3  # of the mean second moment: features that the images hardly excite must not get huge weights
LEAST_RIDGE = 1e-9  # where nothing is excited at all
POSITIONS_PER_FEATURE = 20  # of every batch: neighbouring positions tell little more
BATCH = 64


@torch.no_grad()
def moments(model: nn.Module, architecture: Architecture, images: Tensor) -> Moments:
    """Second moments, over ``images`` (``N x C x H x W``) and positions, of what every layer that may lose inputs sees."""
    names = [site.name for site in architecture.layers if site.in_groups]
    layers = {name: module for name in names if _is_solvable(module := model.get_submodule(name))}
    found: dict[str, Tensor] = {}
    random = torch.Generator().manual_seed(0)

    def add(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen = _features(module, inputs[0])
        if len(seen) > POSITIONS_PER_FEATURE * seen.shape[1]:
            seen = seen[torch.randperm(len(seen), generator=random)[: POSITIONS_PER_FEATURE * seen.shape[1]]]
        second = seen.T @ seen * (len(inputs[0]) / len(seen))
        found[name] = found[name] + second if name in found else second

    was_training = model.training
    model.eval()
    with ExitStack() as hooks:
        for name, module in layers.items():
            hooks.enter_context(module.register_forward_pre_hook(lambda one, inputs, name=name: add(name, one, inputs)))
        for batch in torch.split(images, BATCH):
            model(batch)
    model.train(was_training)
    return {name: total / len(images) for name, total in found.items()}


@torch.no_grad()
def reconstruct(pruned: nn.Module, dense: nn.Module, architecture: Architecture, kept: Kept, known: Moments) -> None:
    """Give every layer of ``pruned`` that lost inputs the weights that best reproduce its dense outputs; in place.

    kept: the channels by which ``pruned`` was made from ``dense``. Depthwise and grouped convolutions stay as they are.
    """
    lost = surgery.lost(dense, architecture, kept)
    alive = dict(pruned.named_modules())
    for name, second in known.items():
        gone = lost.get((name, "in"), ())
        if not gone or name not in alive:
            continue
        weight, target = (_weight(found) for found in (dense.get_submodule(name), alive[name]))
        flat = weight.flatten(1)  # out x F
        per_input = flat.shape[1] // weight.shape[1]
        columns = (_others(weight.shape[1], gone)[:, None] * per_input + torch.arange(per_input)).flatten()
        rows = _others(len(weight), lost.get((name, "out"), ()))
        solved = _solved(second.double(), columns, flat[rows].double())
        if bool(torch.isfinite(solved).all()):  # else the sliced weights stay, which are a solution too
            target.copy_(solved.reshape(target.shape))


def _solved(second: Tensor, columns: Tensor, weight: Tensor) -> Tensor:
    """The normal equations for the features ``columns``: ``out x len(columns)`` for weights ``out x F``."""
    normal = second[columns][:, columns]
    ridge = max(RIDGE * float(normal.diagonal().mean()), LEAST_RIDGE)
    normal = normal + ridge * torch.eye(len(columns), dtype=normal.dtype)
    # the ridge pulls towards the old weights, so that what nothing excites stays as it is
    wanted = second[columns] @ weight.T + ridge * weight[:, columns].T
    solved: Tensor = torch.linalg.solve(normal, wanted)
    return solved.T


def _weight(module: nn.Module) -> Tensor:
    assert isinstance(module, nn.Conv2d | nn.Linear)
    return module.weight


def _others(count: int, gone: Sequence[int]) -> Tensor:
    return torch.tensor(sorted(set(range(count)) - set(gone)), dtype=torch.int64)


def _is_solvable(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 and not isinstance(module.padding, str) and module.padding_mode == "zeros"
    return isinstance(module, nn.Linear)


def _features(module: nn.Module, inputs: Tensor) -> Tensor:
    """Rows of what one output position sees, in the order of the flattened weights."""
    if isinstance(module, nn.Linear):
        return inputs.flatten(0, -2)
    assert isinstance(module, nn.Conv2d)
    unfolded = functional.unfold(inputs, module.kernel_size, module.dilation, module.padding, module.stride)  # type: ignore[arg-type]
    return unfolded.transpose(1, 2).flatten(0, 1)
