"""Semantic segmentation: one logit per class and pixel, judged by mean IoU over the pixels of all pictures ([Everingham2015]).

[Everingham2015] M. Everingham et al.: The Pascal Visual Object Classes challenge: a retrospective. IJCV 111, sec. 2.4.
[Liu2019] Y. Liu et al.: Structured knowledge distillation for semantic segmentation. CVPR 2019, sec. 3.1, pixel-wise distillation.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from harness.networks.tasks.classification import whole
from harness.networks.tasks.sampling import of_mean_iou
from harness.networks.tasks.task import Chance, Outputs, Scores, Seen, Training, shapes_told
from harness.records.metric import Metric

NAME = "segmentation"
IGNORED = 255  # the value of a mask's pixels that no class is asked of, as Pascal VOC and Cityscapes have it
MIOU = Metric("mIoU")
USUAL = Training(epochs=30, learning_rate=0.05, batch_size=16, moves=True, imitates=True, smooths=True)


@dataclass(frozen=True)
class Segmentation:
    """A class per pixel. Targets: masks, ``N x H x W``, of class numbers below ``classes`` and ``IGNORED``."""

    classes: int
    name: str = NAME
    metric: Metric = MIOU
    training: Training | None = USUAL
    outputs_told: str = "one logit per class for every pixel, in the order of the classes: a pixel's class is that of its largest"

    def fits(self, outputs: Outputs, input_shape: tuple[int, int, int], classes: int) -> str:
        """As ``Task.fits``: as high and wide as the picture."""
        wanted = (1, classes, *input_shape[1:])
        if isinstance(outputs, Tensor) and tuple(outputs.shape) == wanted:
            return ""
        return f"answers {shapes_told(outputs)}, not {wanted}; return one logit per class for every pixel, scaled up to the picture"

    def loss(self, outputs: Outputs, targets: Tensor, smoothing: float) -> Tensor:
        """Cross entropy of the pixels that count; 0 for a batch that has none."""
        logits, masks = whole(outputs), targets.long()
        if not logits.is_cuda and not bool((masks != IGNORED).any()):
            return 0.0 * logits.sum()
        return functional.cross_entropy(logits, masks, ignore_index=IGNORED, label_smoothing=smoothing)

    def imitation(self, outputs: Outputs, taught: Tensor, heat: float) -> Tensor:
        """[Liu2019]_'s soft targets of every pixel."""
        ours, theirs = (functional.log_softmax(one / heat, 1) for one in (whole(outputs), taught))
        return heat**2 * functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(1).mean()

    def seen(self, outputs: Outputs, targets: Tensor) -> Seen:
        """Intersections and unions in pixels, ``N x classes`` each."""
        answers, masks = whole(outputs).argmax(1).flatten(1), targets.long().flatten(1)
        counts = masks != IGNORED
        return self._per_class(masks, counts & (answers == masks)), self._per_class(masks, counts) + self._per_class(
            answers, counts & (answers != masks)
        )

    def _per_class(self, classes: Tensor, which: Tensor) -> Tensor:
        """How many of ``which`` (``N x pixels``, bool) are of every class: ``N x classes``."""
        found = torch.zeros(len(classes), self.classes + 1, dtype=torch.int64, device=classes.device)
        found.scatter_add_(1, torch.where(which, classes, self.classes), torch.ones_like(classes))
        return found[:, :-1]

    def scores(self, seen: Seen) -> Scores:
        """Every picture's part in the mean IoU of all."""
        return of_mean_iou(*(one.numpy().astype(float) for one in seen))

    def graded(self, outputs: Outputs, targets: Tensor) -> float:
        """The right class's mean probability over the pixels that count."""
        masks = targets.long()
        counts = masks != IGNORED
        chances = whole(outputs).softmax(dim=1).gather(1, torch.where(counts, masks, 0)[:, None])[:, 0]
        return float(chances[counts].mean()) if bool(counts.any()) else 0.0

    def agreement(self, ours: Outputs, theirs: Outputs) -> float | None:
        """The share of pixels of the same class."""
        return float((whole(ours).argmax(1) == whole(theirs).argmax(1)).double().mean())

    def chance(self, targets: Tensor, classes: int) -> Chance | None:
        """Always the commonest class: its share of the pixels, over the classes that are there."""
        counts = targets.long()[targets != IGNORED].bincount(minlength=classes)
        share, there = float(counts.max()) / max(float(counts.sum()), 1.0), int((counts > 0).sum())
        return Chance(share / max(there, 1), 1.0, "always answering the commonest class")
