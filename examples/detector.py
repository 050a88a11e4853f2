"""A one-stage detector on made-up pictures as a task of one's own: its loss, its average precision, its pictures, and the network.

``python -m search --task=examples/detector.py:task --network=examples/detector.py:detector``

[Redmon2016] J. Redmon, S. Divvala, R. Girshick, A. Farhadi: You only look once. CVPR 2016, arXiv:1506.02640, sec. 2: a box per cell.
[Everingham2010] M. Everingham et al.: The Pascal Visual Object Classes challenge. IJCV 88, sec. 4.2: average precision at IoU 0.5.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE, CELL = 32, 8  # pixels: of a picture, of a cell that may hold a box's centre
KINDS = ("disc", "square")
MOST_BOXES = 3  # of a picture; targets are padded to so many

Pictures = tuple[Tensor, Tensor]
"""Images ``N x 1 x SIDE x SIDE``; boxes ``N x MOST_BOXES x 5``: kind (-1: none), centre across and down, width, height, in pixels."""


class Detector(nn.Module):
    """A few strided convolutions, and for every cell an objectness logit and a box, in the second output a logit per kind."""

    def __init__(self, channels: int, wide: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(channels, wide, 2), *_conv(wide, wide, 1), *_conv(wide, 2 * wide, 2), *_conv(2 * wide, 2 * wide, 2)
        )
        self.boxes, self.kinds = nn.Conv2d(2 * wide, 5, 1), nn.Conv2d(2 * wide, len(KINDS), 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``N x 5 x cells x cells`` and ``N x kinds x cells x cells``."""
        maps = self.body(images)
        return self.boxes(maps), self.kinds(maps)


def detector(input_shape: tuple[int, int, int]) -> Detector:
    """What ``--network=examples/detector.py:detector`` makes."""
    return Detector(input_shape[0])


def _conv(channels: int, wide: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, wide, 3, stride, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()


class Detection:
    """The task: what ``--task=examples/detector.py:task`` gives."""

    name = "AP@0.5"
    chance = 0.02  # of boxes guessed at random
    epochs, learning_rate, batch_size = 30, 0.05, 16
    outputs = "for each cell of 8 x 8 pixels an objectness logit and a box (centre in the cell, logarithm of width and height), then kinds"

    def data(self) -> tuple[Pictures, Pictures, Pictures]:
        """Training, validation and test pictures."""
        return made_up(96, 0), made_up(64, 1), made_up(64, 2)

    def loss(self, outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        """[Redmon2016]_'s sum in its plainest form: is there a box, where and how large, and of which kind."""
        boxes, kinds = outputs
        there, wanted, kind = _cells(targets)
        objectness = functional.binary_cross_entropy_with_logits(boxes[:, 0], there.float(), pos_weight=torch.tensor(4.0))
        if not bool(there.any()):
            return objectness
        place = functional.smooth_l1_loss(_placed(boxes)[there], wanted[there])
        return objectness + 2 * place + functional.cross_entropy(kinds.permute(0, 2, 3, 1)[there], kind[there])

    def metric(self, outputs: tuple[Tensor, Tensor], targets: Tensor) -> float:
        """Average precision at IoU 0.5, over all pictures and both kinds: the area under precision over recall [Everingham2010]_."""
        return average_precision(*(one.numpy() for one in detections(outputs)), targets.numpy())


task = Detection


def detections(outputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Of every cell: confidence (``N x cells``), kind, and box (``N x cells x 4``: centre, width and height, in pixels)."""
    boxes, kinds = outputs
    chance, kind = kinds.softmax(1).max(1)
    placed = _placed(boxes)
    cells = torch.arange(boxes.shape[-1], dtype=torch.float32)
    centre = torch.stack(torch.broadcast_tensors(cells[None, :], cells[:, None]), -1) + placed[..., :2]
    box = torch.cat([centre * CELL, placed[..., 2:].exp() * CELL], -1)
    return (boxes[:, 0].sigmoid() * chance).flatten(1), kind.flatten(1), box.flatten(1, 2)


def average_precision(confidence: np.ndarray, kind: np.ndarray, box: np.ndarray, targets: np.ndarray) -> float:
    """Greedy matching, the most confident first, each box of a picture once; both kinds together."""
    pictures, boxes = np.nonzero(targets[..., 0] >= 0)
    if not len(pictures):
        return 0.0
    overlap = _iou(box, targets[..., 1:]) * (kind[:, :, None] == targets[:, None, :, 0])  # N x cells x MOST_BOXES
    best, matched = overlap.max(2), overlap.argmax(2)
    order = np.argsort(-confidence, axis=None, kind="stable")
    taken, right = np.zeros(targets.shape[:2], bool), np.zeros(len(order), bool)
    rows, cells = np.unravel_index(order, confidence.shape)
    for place in np.flatnonzero(best[rows, cells] >= 0.5):
        picture, which = rows[place], matched[rows[place], cells[place]]
        right[place] = not taken[picture, which]
        taken[picture, which] = True
    found = np.cumsum(right)
    precision = np.maximum.accumulate((found / np.arange(1, len(found) + 1))[::-1])[::-1]
    return float((precision * right).sum() / len(pictures))


def made_up(count: int, seed: int) -> Pictures:
    """Discs and squares on noise, one to three a picture, not two in one cell."""
    random = np.random.default_rng(seed)
    images, targets = np.zeros((count, 1, SIDE, SIDE), np.float32), np.full((count, MOST_BOXES, 5), -1, np.float32)
    down, across = np.mgrid[:SIDE, :SIDE]
    for number in range(count):
        image = random.normal(0, 0.3, (SIDE, SIDE))
        cells = random.permutation((SIDE // CELL) ** 2)[: int(random.integers(1, MOST_BOXES + 1))]
        for place, cell in enumerate(cells):
            kind, half = int(random.integers(len(KINDS))), float(random.uniform(3, 5))
            x, y = (CELL * (side + random.uniform(0.2, 0.8)) for side in (cell % (SIDE // CELL), cell // (SIDE // CELL)))
            near_x, near_y = abs(across + 0.5 - x), abs(down + 0.5 - y)
            inside = near_x**2 + near_y**2 <= half**2 if kind == 0 else np.maximum(near_x, near_y) <= half
            image[inside] = random.normal(2.0, 0.3, int(inside.sum()))
            targets[number, place] = kind, x, y, 2 * half, 2 * half
        images[number, 0] = image
    return torch.from_numpy(images), torch.from_numpy(targets)


def _placed(boxes: Tensor) -> Tensor:
    """``N x cells x cells x 4``: centre within the cell, 0 to 1, and the logarithm of width and height in cells, kept sane."""
    return torch.cat([boxes[:, 1:3].sigmoid(), boxes[:, 3:5].clamp(-3, 3)], 1).permute(0, 2, 3, 1)


def _cells(targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells hold a box's centre, as what they should place it, and its kind."""
    size, where = (len(targets), SIDE // CELL, SIDE // CELL), targets.device
    there, kind = torch.zeros(size, dtype=torch.bool, device=where), torch.zeros(size, dtype=torch.int64, device=where)
    wanted = torch.zeros(*size, 4, device=where)
    picture, place = (targets[..., 0] >= 0).nonzero(as_tuple=True)
    box = targets[picture, place]
    column, row = (box[:, 1] / CELL).long(), (box[:, 2] / CELL).long()
    there[picture, row, column], kind[picture, row, column] = True, box[:, 0].long()
    inside = torch.stack([box[:, 1] / CELL - column, box[:, 2] / CELL - row], 1)
    wanted[picture, row, column] = torch.cat([inside, (box[:, 3:] / CELL).log()], 1)
    return there, wanted, kind


def _iou(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """``N x A x 4`` and ``N x B x 4``, centres and sizes, to ``N x A x B``."""
    low, high = ours[..., :2] - ours[..., 2:] / 2, ours[..., :2] + ours[..., 2:] / 2
    their_low, their_high = theirs[..., :2] - theirs[..., 2:] / 2, theirs[..., :2] + theirs[..., 2:] / 2
    sides = np.minimum(high[:, :, None], their_high[:, None]) - np.maximum(low[:, :, None], their_low[:, None])
    shared = sides.clip(0).prod(-1)
    whole = ours[..., 2:].prod(-1)[:, :, None] + theirs[..., 2:].prod(-1)[:, None] - shared
    return np.asarray(shared / np.maximum(whole, 1e-9))
