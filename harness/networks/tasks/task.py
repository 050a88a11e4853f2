"""What a task is: the loss that trains a network, the metric that judges it picture by picture, and what its outputs mean.

Whatever compares networks here compares them on the same pictures. So a task does not answer one number: it answers a number for every
picture, whose mean is the metric and whose differences between two networks tell how sure the difference of their metrics is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.records.metric import Metric

Outputs = Tensor | tuple[Tensor, ...]
"""What a network answers to a batch of N pictures: a tensor, or several in the order in which they are exported; N first in each."""

Scores = NDArray[np.bool_] | NDArray[np.float64]
"""A number for every picture (``N``) whose mean is the metric as a ratio; booleans where a picture is answered rightly or not at all."""

Seen = tuple[Tensor, ...]
"""What of a batch's outputs and targets the metric needs, N first in each: batch by batch, so that not all outputs need be kept."""


@dataclass(frozen=True, slots=True)
class Training:
    """How the dense network is trained where nobody says it. moves: whether targets are maps that may be shifted and mirrored with
    their pictures; else pictures stay as they are. imitates: whether a teacher's outputs can be learnt from. smooths: whether the loss
    knows smoothed labels."""

    epochs: float
    learning_rate: float
    batch_size: int
    moves: bool
    imitates: bool
    smooths: bool


@dataclass(frozen=True, slots=True)
class Chance:
    """What a network that learnt nothing reaches. ratio: of the metric; best: what is the most there is; told: by doing what."""

    ratio: float
    best: float
    told: str


class Task(Protocol):
    """What networks are trained for and judged by. Picklable: trials run in other processes too.

    name: ``classification``, ``segmentation``, or the user's ``file.py:task``. training: None for what a dataset's own recipes say.
    """

    @property
    def name(self) -> str:
        """What decides which task it is."""
        ...

    @property
    def metric(self) -> Metric:
        """What networks are judged by."""
        ...

    @property
    def training(self) -> Training | None:
        """How networks are trained where nobody says it."""
        ...

    @property
    def outputs_told(self) -> str:
        """What the exported network's outputs mean, in one sentence."""
        ...

    def fits(self, outputs: Outputs, input_shape: tuple[int, int, int], classes: int) -> str:
        """What is wrong with the outputs for one picture, for a person; empty where nothing is."""
        ...

    def loss(self, outputs: Outputs, targets: Tensor, smoothing: float) -> Tensor:
        """The mean loss of a batch, a scalar. smoothing: of labels, where the task has any."""
        ...

    def imitation(self, outputs: Outputs, taught: Tensor, heat: float) -> Tensor:
        """The loss against a teacher's output, softened by ``heat``; asked only where ``training.imitates``."""
        ...

    def seen(self, outputs: Outputs, targets: Tensor) -> Seen:
        """What the metric needs of one batch."""
        ...

    def scores(self, seen: Seen) -> Scores:
        """From what was seen of all pictures, joined. UsageError where the metric cannot be taken."""
        ...

    def graded(self, outputs: Outputs, targets: Tensor) -> float:
        """How good a batch's outputs are, from 0 to 1: finer than the metric where it can be, for few pictures must tell something."""
        ...

    def agreement(self, ours: Outputs, theirs: Outputs) -> float | None:
        """Which share of two networks' answers to the same pictures is the same; None where the task does not say what an answer is."""
        ...

    def chance(self, targets: Tensor, classes: int) -> Chance | None:
        """What a network that learnt nothing reaches on these targets; None where nobody knows."""
        ...


def parts(answer: object) -> Outputs:
    """A network's answer as it is exported: tensors in order, out of lists and dictionaries; what is no tensor is left out."""
    found = tuple(_tensors(answer))
    return found[0] if len(found) == 1 else found


def _tensors(answer: object) -> Iterator[Tensor]:
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, dict):
        for part in answer.values():
            yield from _tensors(part)
    elif isinstance(answer, list | tuple):
        for part in answer:
            yield from _tensors(part)


def on_host(outputs: Outputs) -> Outputs:
    """Float32 on the CPU, whatever they were computed in and where."""
    if isinstance(outputs, Tensor):
        return outputs.float().cpu()
    return tuple(part.float().cpu() for part in outputs)


def in_float32(outputs: Outputs) -> Outputs:
    """Float32 where they are."""
    return outputs.float() if isinstance(outputs, Tensor) else tuple(part.float() for part in outputs)


def shapes_told(outputs: Outputs) -> str:
    """The shapes for a person: ``(1, 10)``."""
    each = (outputs,) if isinstance(outputs, Tensor) else outputs
    return " and ".join(str(tuple(one.shape)) for one in each) or "no tensor"
