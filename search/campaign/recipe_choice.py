"""Which recipe a network is tuned by: chosen by short trainings of the unpruned and of a mildly pruned network.

The longer a training and the heavier the pruning, the higher the rate that brings back most [Renda2020]_, [Le2021]_: where promoted trials
are much longer than the search's own, higher rates are tried at length too, on a heavily pruned network.

.. [Renda2020] A. Renda, J. Frankle, M. Carbin: Comparing Rewinding and Fine-tuning in Neural Network Pruning. ICLR 2020.
.. [Le2021] D. H. Le, B.-S. Hua: Network Pruning That Matters: A Case Study on Retraining Variants. ICLR 2021.

A recipe that suits one network and its pictures harms another: the search would book the harm as the price of pruning. So a few
learning rates are tried, from the dataset's own downwards or upwards as long as that helps, then what else decides; together they
cost at most ``MOST_TRIALS`` trials' worth of images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import TrainingError
from harness.networks.tasks.task import Scores
from harness.training.accuracy import count
from harness.training.recipes import Recipe
from search.records.losses.drop import Drop, Paired
from search.records.recipe_record import Probed

MOST_TRIALS = 2.0  # trials' worth that the choice may cost
MOST_RECIPES, LEAST_RECIPES = 5, 2
MOST_RATES = 4
RATE_STEP = math.sqrt(10.0)
LEAST_STEPS = 8  # of an optimiser, for a short training to tell one recipe from another
BACKWARD_COST = 3.0  # passes that a training step costs, in forward ones
HARM_SHARE = 0.2  # of the limit: more lost by the recipe alone is said before the search begins
MILD_RATIO = 0.75  # channels that the mildly pruned network keeps, of every width
HEAVY_RATIO = 0.5  # and the heavily pruned one
LONG_SHARE = 0.5  # of a full-length trial, how long higher rates are tried
MOST_LONG = 3  # such trainings at most, the chosen rate's own among them
_TAUGHT, _DISTILLED, _WARMED = 0.5, 0.9, 0.3  # of the teacher where there was none, where there was some; share of the steps

Right = Scores
"""Every image's part in the metric: which were answered rightly."""

Judge = Callable[[Recipe, bool], Right]
"""Tunes the unpruned network, or the mildly pruned one (True), by a recipe, and judges it. May raise TrainingError."""


@dataclass(frozen=True, slots=True)
class ProbeLengths:
    """How the recipes are tried. epochs: of each training; images: for batch norm statistics, and to be judged by; recipes: at most."""

    epochs: float
    calibration_images: int
    judged_images: int
    recipes: int


def lengths(recipe: Recipe, train_images: int, validation_images: int) -> ProbeLengths | None:
    """What ``MOST_TRIALS`` trials by ``recipe`` pay for; None where their trainings are too short to be told apart."""
    images = min(train_images, recipe.max_images) if recipe.max_images else train_images
    trained, calibrated = recipe.epochs * images, min(recipe.calibration_images, images)
    whole = BACKWARD_COST * trained + calibrated + validation_images
    for recipes in range(MOST_RECIPES, LEAST_RECIPES - 1, -1):
        each = MOST_TRIALS * whole / (2 * recipes)  # of two networks
        for share in (1.0, 0.5, 0.25, 0.125):
            calibration, judged = (max(math.ceil(share * count), 1) for count in (calibrated, validation_images))
            left = (each - calibration - judged) / BACKWARD_COST
            if left >= LEAST_STEPS * recipe.batch_size and left >= 0.5 * each / BACKWARD_COST:
                epochs = min(recipe.epochs * left / trained, recipe.epochs)
                return ProbeLengths(epochs, max(calibration, 2), judged, recipes)
    return None


def choose(
    base: Recipe, judge: Judge, untouched: Right, limit_points: float, most: int, taught: bool = True
) -> tuple[Recipe, tuple[Probed, ...]]:
    """The recipe by which both networks answer most, and all that were tried, in order.

    untouched: what the untuned network answers to the same images. taught: whether a teacher's answers can be learnt from. Of the recipes
    that cost the unpruned network at most ``HARM_SHARE`` of the limit, or of all where none does, the best is taken; of equally good ones
    the highest learning rate, for it brings back most of what heavier pruning will lose.
    """
    tried = _Tried(judge, untouched)
    first, second = tried.add(base), tried.add(replace(base, learning_rate=base.learning_rate / RATE_STEP))
    best, factor = (first, RATE_STEP) if tried.gain(first, second) > 0 else (second, 1 / RATE_STEP)
    while len(tried) < min(most, MOST_RATES):
        further = tried.add(replace(tried.recipe(best), learning_rate=tried.recipe(best).learning_rate * factor))
        if tried.gain(further, best) < 0 or (tried.gain(further, best) == 0 and tried.answers_any(best)):
            break
        best = further
    best = tried.preferred(limit_points)
    for changed in _variants(tried.recipe(best), taught):
        if len(tried) >= most:
            break
        tried.add(changed)
    return tried.recipe(tried.preferred(limit_points)), tried.probed


def rates_at_length(chosen: float, judge: Callable[[float], float]) -> tuple[tuple[float, float], ...]:
    """Learning rates from the ``chosen`` one upwards, each with what a heavily pruned network answers rightly after a long training by it.

    Higher ones are tried for as long as they bring back more, ``MOST_LONG`` at most.
    """
    found = [(chosen, judge(chosen))]
    while len(found) < MOST_LONG:
        rate = found[-1][0] * RATE_STEP
        found.append((rate, judge(rate)))
        if found[-1][1] <= found[-2][1]:
            break
    return tuple(found)


def _variants(recipe: Recipe, taught: bool) -> tuple[Recipe, ...]:
    """What else may decide, one change each: how much of the teacher, a slower start, larger batches."""
    distilled = replace(recipe, distillation=_DISTILLED if recipe.distillation > 0 else _TAUGHT)
    return *([distilled] if taught else []), replace(recipe, warm_up_ratio=_WARMED), replace(recipe, batch_size=2 * recipe.batch_size)


@dataclass
class _Tried:
    """The recipes that were tried, by their place."""

    judge: Judge
    untouched: Right
    recipes: list[Recipe] = field(default_factory=list)
    right: list[tuple[Right, Right]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.recipes)

    @property
    def probed(self) -> tuple[Probed, ...]:
        return tuple(
            Probed(recipe, count(unpruned), count(pruned), self.harm(place))
            for place, (recipe, (unpruned, pruned)) in enumerate(zip(self.recipes, self.right, strict=True))
        )

    def add(self, recipe: Recipe) -> int:
        """Try one; a training that fails answers nothing rightly."""
        both = []
        for pruned in (False, True):
            try:
                both.append(self.judge(recipe, pruned))
            except TrainingError:
                both.append(np.full_like(self.untouched, min(0.0, float(self.untouched.min()))))  # of scores, as low as any image has
        self.recipes.append(recipe)
        self.right.append((both[0], both[1]))
        return len(self) - 1

    def recipe(self, place: int) -> Recipe:
        return self.recipes[place]

    def harm(self, place: int) -> Drop:
        return Paired.of(self.right[place][0][None], self.untouched[None]).drop

    def gain(self, ours: int, theirs: int) -> float:
        """Right answers, or images' parts in the metric, of both networks, by which one recipe is better than another."""
        return self._answered(ours) - self._answered(theirs)

    def answers_any(self, place: int) -> bool:
        """Whether a recipe leaves anything to answer with."""
        return self._answered(place) > 0

    def preferred(self, limit_points: float) -> int:
        """The place of the recipe to be taken, as ``choose`` says."""
        mild = [place for place in range(len(self)) if self.harm(place).points <= HARM_SHARE * limit_points]
        return max(mild or range(len(self)), key=lambda place: (self._answered(place), self.recipe(place).learning_rate, -place))

    def _answered(self, place: int) -> float:
        """Right answers of both networks, or what their images' parts add up to."""
        return sum(float(right.sum()) for right in self.right[place])
