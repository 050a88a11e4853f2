"""Training within a budget: from nothing, after pruning, or only the batch normalisation's statistics."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.errors import TrainingError
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import Drawn, draw
from harness.networks.pictures import large_arrays
from harness.training import processor
from harness.training.augmentation import coins, mirrored, scaled, shifted
from harness.training.checkpoint import Checkpoint, Point
from harness.training.guidance import Guidance
from harness.training.recipes import Recipe
from harness.training.stepping import Stepper

SMALL_SCALE = 0.625  # 32 x 32 becomes 20 x 20: 2.6 times fewer multiply-accumulates, and things are still to be recognised

Progress = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass(frozen=True)
class Looks:
    """Points on the way at which somebody looks at the network: after these shares of the steps.

    look: gets the network, which it leaves as it is, and the share. What it raises ends the training and passes through.
    """

    shares: tuple[float, ...]
    look: Callable[[nn.Module, float], None]

    def at(self, steps: int) -> dict[int, float]:
        """The share by the number of steps done; the end of the training is no point on its way."""
        return {done: share for share in self.shares if 0 < (done := round(share * steps)) < steps}


@dataclass(frozen=True, eq=False)
class Tuned:
    """A trained network in evaluation mode on the CPU.

    steps: optimiser steps taken; final_loss: mean training loss over the last tenth of them (NaN without steps).
    precision: what the forward passes computed in.
    """

    model: nn.Module
    seconds: float
    steps: int
    final_loss: float
    precision: str


def finetune(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    guidance: Guidance | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    looks: Looks | None = None,
) -> Tuned:
    """Train a copy of ``model`` on the dataset's training split; ``model`` itself stays as it is.

    guidance: a teacher's answers to the training images, learnt too when ``recipe.distillation`` > 0. checkpoint: where the
    training stands is written there from time to time, and taken up from there. looks: who looks at it on its way.
    Equal arguments give equal weights on the same machine and number of threads, interrupted or not, looked at or not. Raises
    TrainingError when the loss is no number.
    """
    started = time.perf_counter()
    place = processor.device()
    student = copy.deepcopy(model).to(place)
    subset = _subset(dataset.train, recipe)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(recipe.seed)  # dropout draws from it
        if recipe.epochs > 0:
            student.to(memory_format=processor.way().memory_format)  # type: ignore[call-overload]  # missing from torch's stubs
            losses = _train(student, dataset, subset, recipe, guidance if recipe.distillation > 0 else None, progress, checkpoint, looks)
    recalibrate(student, calibration(dataset, recipe).split.images, recipe.batch_size)
    tail = losses[-max(1, len(losses) // 10) :]
    student.to(torch.device("cpu")).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Tuned(
        student.eval(),
        time.perf_counter() - started,
        len(losses),
        sum(tail) / len(tail) if tail else math.nan,
        processor.precision(recipe.precision),
    )


@torch.no_grad()
def recalibrate(model: nn.Module, images: Tensor, batch_size: int = 128) -> None:
    """Replace the batch norm statistics of ``model``, in place, by their mean over ``images`` (``N x C x H x W``)."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean over the batches
        norm.train()
    for batch in torch.tensor_split(images, math.ceil(len(images) / batch_size)):  # alike, for all count the same
        model(processor.laid(batch, torch.contiguous_format).to(next(model.parameters()).device))
        large_arrays.was_read(batch.nbytes)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def step_count(recipe: Recipe, images: int) -> int:
    """Optimiser steps of ``recipe`` over so many training images; at least one when ``epochs`` > 0."""
    images = min(images, recipe.max_images) if recipe.max_images else images
    return max(1, round(recipe.epochs * images / recipe.batch_size)) if recipe.epochs > 0 else 0


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """Learning rate of one step: linear to the peak during the warm-up, then along half a cosine towards zero."""
    warm_up = recipe.warm_up_ratio * steps
    if step + 1 < warm_up:
        return recipe.learning_rate * (step + 1) / warm_up
    share = (step + 1 - warm_up) / max(1.0, steps - warm_up)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _train(
    student: nn.Module,
    dataset: Dataset,
    subset: Tensor,
    recipe: Recipe,
    guidance: Guidance | None,
    progress: Progress | None,
    checkpoint: Checkpoint | None,
    looks: Looks | None,
) -> list[float]:
    """Optimiser steps on the training images numbered ``subset``; returns the loss of every step."""
    train = dataset.train
    generator = torch.Generator().manual_seed(recipe.seed)
    take_step = Stepper(student, recipe)
    steps, first, order, losses = step_count(recipe, len(train)), 0, torch.empty(0, dtype=torch.int64), list[float]()
    begun = None if checkpoint is None else checkpoint.restore(student, take_step.optimiser)
    if begun is not None:
        first, order, losses = begun.step, begun.order, begun.losses
        generator.set_state(begun.generator)
        torch.set_rng_state(begun.global_state)
    student.train()
    for step in range(first, steps):
        if len(order) < 2:
            order = subset[torch.randperm(len(subset), generator=generator)]
        chosen, order = even(order[: recipe.batch_size]), order[recipe.batch_size :]
        images = shifted(train.taken(chosen), recipe.crop_margin, generator)
        flips = torch.zeros(len(chosen), dtype=torch.bool)
        if mirrors(dataset, recipe):
            flips = coins(len(chosen), generator)
            images = mirrored(images, flips)
        if step < round(recipe.small_ratio * steps):
            images = scaled(images, SMALL_SCALE)
        soft = None if guidance is None else guidance.to(chosen, flips)
        losses.append(take_step(images, train.labels[chosen], soft, learning_rate(step, steps, recipe)))
        if not math.isfinite(losses[-1]):
            raise TrainingError(
                f"the loss became {losses[-1]} at step {step + 1} of {steps}; lower the learning rate (now {recipe.learning_rate:g})"
            )
        if checkpoint is not None:
            checkpoint.offer(Point(step + 1, order, losses, generator.get_state(), torch.get_rng_state()), student, take_step.optimiser)
        if progress is not None:
            progress(step + 1, steps)
        if looks is not None and (share := looks.at(steps).get(step + 1)) is not None:
            looks.look(student, share)
    return losses


def even(batch: Tensor) -> Tensor:
    """A batch without its last image where their number is odd.

    The backward pass of a strided 1x1 convolution with 8 to 16 input channels writes behind its buffer for odd batches in channels
    last on several threads (oneDNN as of torch 2.13), which ends the process some steps later.
    """
    return batch[: len(batch) // 2 * 2]


def mirrors(dataset: Dataset, recipe: Recipe) -> bool:
    """Whether training by this recipe mirrors images of this dataset."""
    return recipe.flip and dataset.mirrored


def calibration(dataset: Dataset, recipe: Recipe) -> Drawn:
    """The images that batch norm statistics are taken from at the end, out of those that are trained on."""
    trained_on = dataset.train if recipe.max_images == 0 else draw(dataset.train, recipe.max_images).split
    return draw(trained_on, recipe.calibration_images)


def _subset(train: Split, recipe: Recipe) -> Tensor:
    """The numbers of the images to train on: all, or the same ``max_images`` each time."""
    return torch.arange(len(train)) if recipe.max_images == 0 else draw(train, recipe.max_images).numbers
