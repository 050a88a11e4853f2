"""One optimiser step on a task's loss, and how a GPU takes it: recorded once as a CUDA graph, then replayed.

The networks here are small: launched one by one, the hundreds of kernels of a step keep a GPU waiting for the processor. What is
replayed is the very same step: forward pass, loss, backward pass and the update of [Sutskever2013]_ as torch's SGD writes it.

[Hinton2015] G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network. arXiv:1503.02531, sec. 2.
[Sutskever2013] I. Sutskever, J. Martens, G. Dahl, G. Hinton: On the importance of initialization and momentum in deep learning. ICML 2013.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter

import torch
from torch import Tensor, nn

from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.task import Outputs, Task, in_float32, parts
from harness.training import processor
from harness.training.recipes import Recipe

EAGER_STEPS = 3  # of every batch shape before it is recorded: libraries choose their kernels and allocate in them


class Stepper:
    """The optimiser steps of one training for ``task``; ``student`` stays where it is, on the CPU or a GPU."""

    def __init__(self, student: nn.Module, recipe: Recipe, task: Task = CLASSIFICATION) -> None:
        self._task = task
        self.optimiser = torch.optim.SGD(
            _decayed(student, recipe.weight_decay), recipe.learning_rate, recipe.momentum, nesterov=recipe.momentum > 0
        )
        self._student, self._recipe = student, recipe
        self.place = next(student.parameters()).device
        self.memory_format = processor.way().memory_format
        self._bf16 = processor.precision(recipe.precision) == "bf16"
        self._taken: Counter[torch.Size] = Counter()
        self._recorded: dict[torch.Size, _Recording | None] = {}

    def __call__(self, images: Tensor, labels: Tensor, soft: Tensor | None, rate: float) -> float:
        """One step on a batch (``N x C x H x W``) at a learning rate; its loss, which may be no number. soft: a teacher's output."""
        recording = self._recording(images, labels, soft)
        return self._eager(images, labels, soft, rate) if recording is None else recording(images, labels, soft, rate)

    def _recording(self, images: Tensor, labels: Tensor, soft: Tensor | None) -> _Recording | None:
        if self.place.type != "cuda" or len(images) != self._recipe.batch_size:
            return None
        self._taken[images.shape] += 1
        if self._taken[images.shape] <= EAGER_STEPS:
            return None
        if images.shape not in self._recorded:
            try:
                self._recorded[images.shape] = _Recording(self, images, labels, soft)
            except RuntimeError as error:  # a network that asks the processor on its way: nothing is lost but time
                told = str(error).strip().splitlines()[0]
                warnings.warn(f"a training step of this network cannot be recorded, and is launched bit by bit: {told}", stacklevel=2)
                self._recorded[images.shape] = None
        return self._recorded[images.shape]

    def _eager(self, images: Tensor, labels: Tensor, soft: Tensor | None, rate: float) -> float:
        """The weights stay where the loss is no number."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self.loss(
            processor.laid(images, self.memory_format).to(self.place),
            labels.to(self.place),
            None if soft is None else soft.to(self.place),
        )
        value = loss.item()
        if math.isfinite(value):
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
        return value

    def loss(self, images: Tensor, labels: Tensor, soft: Tensor | None) -> Tensor:
        """The recipe's loss on a batch that is where the network is."""
        with torch.autocast(self.place.type, torch.bfloat16, enabled=self._bf16):
            outputs = parts(self._student(images))
        return _loss(self._task, in_float32(outputs), labels, soft, self._recipe)

    @torch.no_grad()
    def update(self, rate: Tensor) -> None:
        """What ``optimiser.step()`` does from the second step on, with the learning rate read from the GPU's memory at every replay."""
        for group in self.optimiser.param_groups:
            weights = [one for one in group["params"] if one.grad is not None]
            if not weights:
                continue
            change = torch._foreach_add([one.grad for one in weights], weights, alpha=group["weight_decay"])
            if group["momentum"]:
                momenta = [self.optimiser.state[one]["momentum_buffer"] for one in weights]
                torch._foreach_mul_(momenta, group["momentum"])
                torch._foreach_add_(momenta, change)
                torch._foreach_add_(change, momenta, alpha=group["momentum"])  # Nesterov's look ahead
            torch._foreach_mul_(change, rate)
            torch._foreach_sub_(weights, change)


class _Recording:
    """A step on batches of one shape, as a CUDA graph; with soft targets always, or never. Recording it takes no step."""

    def __init__(self, stepper: Stepper, images: Tensor, labels: Tensor, soft: Tensor | None) -> None:
        place = stepper.place
        self._images, self._labels = processor.laid(images, stepper.memory_format).to(place), labels.to(place)
        self._soft = None if soft is None else soft.to(place)
        self._rate = torch.zeros((), device=place)
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # a processor that waits is free for other trainings
        stepper.optimiser.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            loss = stepper.loss(self._images, self._labels, self._soft)
            loss.backward()  # type: ignore[no-untyped-call]
            stepper.update(self._rate)
        self._loss = loss.detach()

    def __call__(self, images: Tensor, labels: Tensor, soft: Tensor | None, rate: float) -> float:
        self._images.copy_(images)
        self._labels.copy_(labels)
        if self._soft is not None and soft is not None:
            self._soft.copy_(soft)
        self._rate.fill_(rate)
        self._graph.replay()
        self._done.record()
        self._done.synchronize()
        return self._loss.item()


def _loss(task: Task, outputs: Outputs, labels: Tensor, guidance: Tensor | None, recipe: Recipe) -> Tensor:
    """The task's loss, mixed with what it makes of a teacher's answers ([Hinton2015]_)."""
    hard = task.loss(outputs, labels, recipe.label_smoothing)
    if guidance is None:
        return hard
    return (1 - recipe.distillation) * hard + recipe.distillation * task.imitation(outputs, guidance, recipe.temperature)


def _decayed(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameter groups: weights decay, biases and normalisation do not."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
