"""The pictures and targets of a user's own task, as tensors: out of pairs of tensors, sequences, or loaders of (image, target)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.errors import DatasetError, HarnessError, UsageError
from harness.networks.own import source
from harness.networks.pictures.preparing import LEAST_SIDE
from harness.networks.tasks.own_task import OwnTask

SPLITS = ("training", "validation", "test")
LEAST = {"training": 2, "validation": 2, "test": 2}  # pictures: one alone has no spread

Pair = tuple[Tensor, Tensor]
"""Images ``N x C x H x W``, float32, and targets, N first."""


def read(task: OwnTask) -> tuple[Pair, Pair, Pair]:
    """What ``data()`` gives: training, validation and test. UsageError or DatasetError, one line, for what cannot be meant."""
    named = f"data of {task.file.path}:{task.file.factory}"
    with source.telling(named):
        given = task.made.data()
    if not isinstance(given, Sequence) or len(given) != len(SPLITS):
        raise UsageError(f"{named} returned {_told(given)}; return three: training, validation and test pictures with their targets")
    found = []
    for split, part in zip(SPLITS, given, strict=True):
        try:
            with source.telling(named):
                pair = _pair(part, getattr(task.made, "collate", None))
            _check(split, pair)
        except HarnessError as error:
            raise DatasetError(f"{split} pictures of {task.name}: {error}") from error
        found.append(pair)
    shapes = {tuple(images.shape[1:]) for images, _ in found}
    kinds = {(targets.dtype, targets.shape[1:]) for _, targets in found}
    if len(shapes) > 1 or len({kind for kind, _ in kinds}) > 1:
        told = " and ".join(str(shape) for shape in sorted(shapes))
        raise DatasetError(f"the splits of {task.name} differ: images of {told}, targets of {len(kinds)} kinds; give all splits alike")
    return found[0], found[1], found[2]


def digest(pairs: Iterable[Pair], task: OwnTask) -> str:
    """16 hexadecimal digits of all images, targets, and the file: what was trained by another loss is another training."""
    found = hashlib.sha256(task.file.content)
    for pair in pairs:
        for tensor in pair:
            found.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
            found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _pair(part: Any, collate: Callable[[list[Any]], Tensor] | None) -> Pair:
    if isinstance(part, tuple | list) and len(part) == 2 and all(isinstance(one, Tensor | np.ndarray) for one in part):
        both = [torch.as_tensor(one) for one in part]
        return both[0].detach().cpu().float().contiguous(), both[1].detach().cpu().contiguous()
    images: list[Tensor] = []
    targets: list[Any] = []
    for item in _items(part):
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise DatasetError(f"one of them is {_told(item)}; give pairs of an image and a target")
        image, target = item
        several = isinstance(image, Tensor) and image.dim() == 4  # a loader's batch
        images += list(image) if several else [_tensor(image, "an image", "give tensors, C x H x W")]
        targets += list(target) if several else [target]
    if not images:
        raise DatasetError("there are none; give some")
    if len({tuple(one.shape) for one in images}) > 1:
        raise DatasetError("images differ in shape; bring them to one")
    joined = collate(targets) if collate is not None else _stacked(targets)
    return torch.stack(images).float().contiguous(), joined.detach().cpu().contiguous()


def _items(part: Any) -> Iterable[Any]:
    if hasattr(part, "__len__") and hasattr(part, "__getitem__") and not isinstance(part, list | tuple):
        return (part[at] for at in range(len(part)))  # a torch Dataset need not stop by itself
    found: Iterable[Any] = part
    return found


def _tensor(one: Any, what: str, instead: str) -> Tensor:
    try:
        return torch.as_tensor(one)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DatasetError(f"{what} is {_told(one)}, of which torch makes no tensor; {instead}") from error


def _stacked(given: list[Any]) -> Tensor:
    targets = [_tensor(one, "a target", "give numbers, or collate(targets), which makes one tensor of all") for one in given]
    shapes = {tuple(one.shape) for one in targets}
    if len(shapes) > 1:
        raise DatasetError(
            f"targets differ in shape ({' and '.join(map(str, sorted(shapes)[:3]))}); give collate(targets), which makes one tensor"
        )
    return torch.stack(targets)


def _check(split: str, pair: Pair) -> None:
    images, targets = pair
    if images.dim() != 4 or min(images.shape[2:]) < LEAST_SIDE:
        raise DatasetError(f"images of shape {tuple(images.shape)}; give N x C x H x W, at least {LEAST_SIDE} pixels high and wide")
    if targets.dim() < 1 or len(targets) != len(images):
        raise DatasetError(f"{len(images)} images but targets of shape {tuple(targets.shape)}; give one for every image, N first")
    if len(images) < LEAST[split]:
        raise DatasetError(f"{len(images)} are too few; give at least {LEAST[split]}")
    if not bool(torch.isfinite(images).all()):
        raise DatasetError("images hold values that are no numbers (NaN or infinite); mend them")


def _told(given: object) -> str:
    return f"{len(given)} parts" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
