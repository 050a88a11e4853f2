"""Weights of the layers behind removed channels, solved anew so that their outputs stay as close to the dense network's as they can.

[He2017] Y. He, X. Zhang, J. Sun: Channel Pruning for Accelerating Very Deep Neural Networks. ICCV 2017, sec. 3.1, the second step of
eq. (1): with the channels chosen, W' = argmin |Y - X'W'|^2, here in closed form from second moments of the dense network's features.
A layer that sees very many features (VGG's first linear layer: 25,088) is solved from the features themselves, of few images: the same
solution by a system as large as their number, for a matrix of all features' moments would not fit into memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.pruning import surgery
from harness.pruning.surgery import Kept
from harness.records.architecture import Architecture

RIDGE = 1e-3  # of the mean second moment: features that the images hardly excite must not get huge weights
LEAST_RIDGE = 1e-9  # where nothing is excited at all
POSITIONS_PER_FEATURE = 20  # of every batch: neighbouring positions tell little more
BATCH = 64
MOST_FEATURES = 8192  # whose moments are kept as a matrix: 256 MiB, and a second to solve
MOST_BYTES = 256 << 20  # of one layer's features kept as they are, and of those of one batch while they are looked at
BYTES_PER_VALUE = 4


@dataclass(frozen=True, eq=False)
class Seen:
    """What a layer sees of the images: F features, a convolution's weights in order (in x k x k).

    matrix: their second moments, ``F x F``; or, where ``is_rows``, rows of them, ``P x F``, so scaled that the product of the matrix's
    transpose with itself would be the moments.
    """

    matrix: Tensor
    is_rows: bool = False


Moments = Mapping[str, Seen]  # by layer


@torch.no_grad()
def moments(model: nn.Module, architecture: Architecture, images: Tensor) -> Moments:
    """Second moments, over ``images`` (``N x C x H x W``) and positions, of what every layer that may lose inputs sees."""
    names = [site.name for site in architecture.layers if site.in_groups]
    layers = {name: module for name in names if _is_solvable(module := model.get_submodule(name))}
    found: dict[str, list[Tensor]] = {}
    random = torch.Generator().manual_seed(0)

    def add(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for part in _parts(module, inputs[0]):
            seen = _features(module, part)
            share, width = len(part) / len(images), seen.shape[1]
            is_wide = width > MOST_FEATURES
            most = int(MOST_BYTES / BYTES_PER_VALUE / width * share) if is_wide else POSITIONS_PER_FEATURE * width
            if len(seen) > most:
                seen = seen[torch.randperm(len(seen), generator=random)[: max(most, 1)]]
            if is_wide:
                found.setdefault(name, []).append(seen * (share / len(seen)) ** 0.5)
            else:
                second = seen.T @ seen * (len(part) / len(seen))
                found[name] = [found[name][0] + second if name in found else second]

    was_training = model.training
    model.eval()
    with ExitStack() as hooks:
        for name, module in layers.items():
            hooks.enter_context(module.register_forward_pre_hook(lambda one, inputs, name=name: add(name, one, inputs)))
        for batch in torch.split(images, BATCH):
            model(batch)
    model.train(was_training)
    return {
        name: Seen(torch.cat(kept), is_rows=True) if _width(layers[name]) > MOST_FEATURES else Seen(kept[0] / len(images))
        for name, kept in found.items()
    }


@torch.no_grad()
def reconstruct(pruned: nn.Module, dense: nn.Module, architecture: Architecture, kept: Kept, known: Moments) -> None:
    """Give every layer of ``pruned`` that lost inputs the weights that best reproduce its dense outputs; in place.

    kept: the channels by which ``pruned`` was made from ``dense``. Depthwise and grouped convolutions stay as they are.
    """
    lost = surgery.lost(dense, architecture, kept)
    alive = dict(pruned.named_modules())
    for name, seen in known.items():
        gone = lost.get((name, "in"), ())
        if not gone or name not in alive:
            continue
        weight, target = (_weight(found) for found in (dense.get_submodule(name), alive[name]))
        flat = weight.flatten(1)  # out x F
        per_input = flat.shape[1] // weight.shape[1]
        columns = (_others(weight.shape[1], gone)[:, None] * per_input + torch.arange(per_input)).flatten()
        rows = _others(len(weight), lost.get((name, "out"), ()))
        solve = _solved_by_rows if seen.is_rows else _solved
        solved = solve(seen.matrix.double(), columns, flat[rows].double())
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


def _solved_by_rows(seen: Tensor, columns: Tensor, weight: Tensor) -> Tensor:
    """The same from rows of features, ``P x F``: what the removed ones gave is divided among the others by a ``P x P`` system."""
    stays, old = seen[:, columns], weight[:, columns]
    ridge = max(RIDGE * float((stays * stays).sum(0).mean()), LEAST_RIDGE)
    missing = seen @ weight.T - stays @ old.T  # P x out
    shares = torch.linalg.solve(stays @ stays.T + ridge * torch.eye(len(stays), dtype=stays.dtype), missing)
    solved: Tensor = old + (stays.T @ shares).T
    return solved


def _parts(module: nn.Module, inputs: Tensor) -> tuple[Tensor, ...]:
    """A batch in parts whose features fit into memory together."""
    positions = inputs[0, 0].numel() if isinstance(module, nn.Conv2d) else inputs[0].numel() // inputs.shape[-1]
    images = max(1, MOST_BYTES // (BYTES_PER_VALUE * _width(module) * positions))
    return torch.split(inputs, images)


def _width(module: nn.Module) -> int:
    return _weight(module)[0].numel()


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
