"""Image classification: one logit per class, judged by top-1.

[Hinton2015] G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network. arXiv:1503.02531, sec. 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from harness.errors import UsageError
from harness.networks.tasks.task import Chance, Outputs, Scores, Seen, Training, shapes_told
from harness.records.metric import TOP_1, Metric

NAME = "classification"


@dataclass(frozen=True)
class Classification:
    """A class per picture. Targets: ``N`` labels."""

    name: str = NAME
    metric: Metric = TOP_1
    training: Training | None = None
    outputs_told: str = "one logit per class"

    def fits(self, outputs: Outputs, input_shape: tuple[int, int, int], classes: int) -> str:
        """As ``Task.fits``."""
        found = isinstance(outputs, Tensor) and tuple(outputs.shape) == (1, classes)
        return "" if found else f"answers {shapes_told(outputs)}, not (1, {classes}); return one logit per class"

    def loss(self, outputs: Outputs, targets: Tensor, smoothing: float) -> Tensor:
        """Cross entropy with smoothed labels."""
        return functional.cross_entropy(whole(outputs), targets, label_smoothing=smoothing)

    def imitation(self, outputs: Outputs, taught: Tensor, heat: float) -> Tensor:
        """[Hinton2015]_'s soft targets, whose gradients scale with 1/T^2."""
        logits = whole(outputs)
        soft = functional.kl_div(
            functional.log_softmax(logits / heat, 1), functional.log_softmax(taught / heat, 1), reduction="batchmean", log_target=True
        )
        return heat**2 * soft

    def seen(self, outputs: Outputs, targets: Tensor) -> Seen:
        """Which pictures were named rightly."""
        return (whole(outputs).argmax(1) == targets,)

    def scores(self, seen: Seen) -> Scores:
        """The same."""
        right: Scores = seen[0].numpy()
        return right

    def graded(self, outputs: Outputs, targets: Tensor) -> float:
        """The right answer's mean probability."""
        chances = whole(outputs).softmax(dim=1)
        return float(chances[torch.arange(len(targets)), targets].mean())

    def agreement(self, ours: Outputs, theirs: Outputs) -> float | None:
        """The share of pictures that both name alike."""
        return float((whole(ours).argmax(1) == whole(theirs).argmax(1)).double().mean())

    def chance(self, targets: Tensor, classes: int) -> Chance | None:
        """Always the commonest class."""
        return Chance(float(targets.bincount().max()) / len(targets), 1.0, "always naming the commonest class")


def whole(outputs: Outputs) -> Tensor:
    """The one output that there must be; UsageError where there are several."""
    if isinstance(outputs, Tensor):
        return outputs
    raise UsageError(f"the network answers {shapes_told(outputs)}, of which one must be meant; return that one alone")


CLASSIFICATION = Classification()
