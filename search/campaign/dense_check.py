"""Whether the dense network is as good by the way that trials take as it is by itself, seen before the long work.

A trial lays the network out anew, computes in the training's precision and recalibrates batch norm statistics on drawn training
pictures. What the unpruned network loses by that, every network of the campaign would lose, and pruning would be blamed.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from harness.errors import TrainingError
from harness.networks.datasets import Split
from harness.networks.drawing import draw
from harness.networks.tasks.classification import CLASSIFICATION
from harness.pruning import surgery
from harness.records.accuracy import Accuracy
from harness.records.metric import TOP_1, Metric
from harness.training import accuracy, finetune
from harness.training.recipes import Recipe
from search.campaign.recipe_choice import HARM_SHARE
from search.campaign.subject import Subject, dense_training
from search.records.losses.drop import Drop, Paired, drop
from search.records.request import Request

SEEN_IMAGES = 2000  # of a split, drawn: enough to see a point lost, a second or two for a small network
LAID_OUT, IN_PRECISION, RECALIBRATED = "laid out as trials are", "in the precision of training", "with batch norm recalibrated"


@dataclass(frozen=True)
class DenseCheck:
    """What was seen. splits: top-1 by split; path: points lost on validation pictures, by step of the way; doubts: sentences.

    precision: what a recipe must compute in: its own, or ``f32`` where that one costs accuracy.
    """

    splits: tuple[tuple[str, Accuracy], ...]
    path: tuple[tuple[str, Drop], ...]
    doubts: tuple[str, ...]
    precision: str
    metric: Metric = TOP_1

    @property
    def sentence(self) -> str:
        """The accuracies in one line."""
        return ", ".join(f"{name} {self.metric.told(found.top1_ratio)}" for name, found in self.splits)


def check(subject: Subject, recipe: Recipe, limit_points: float, are_foreign: bool) -> DenseCheck:
    """Judge the dense network on every split, and by the way that trials by ``recipe`` take.

    are_foreign: its weights were trained elsewhere, nobody knows on which pictures. TrainingError, saying what to do, where that way
    costs more than ``recipe_choice.HARM_SHARE`` of the limit beyond doubt.
    """
    dataset, model = subject.dataset, subject.network.model
    train = draw(dataset.train, SEEN_IMAGES).split
    test = accuracy.evaluate(model, dataset.test)
    splits = (("train", accuracy.evaluate(model, train)), ("validation", subject.dense), ("test", test))
    path = _path(subject, recipe)
    tolerated, by_step = HARM_SHARE * limit_points, dict(path)
    for step in (LAID_OUT, RECALIBRATED):
        if by_step[step].low > tolerated:
            raise TrainingError(_refusal(subject, step, by_step[step], recipe))
    doubts = [_gain(step, lost) for step, lost in path if lost.high < -tolerated]
    rounded = by_step[IN_PRECISION].low > tolerated
    if rounded:
        doubts.append(f"{_told(IN_PRECISION, by_step[IN_PRECISION])}: everything is trained in float32 instead")
    if are_foreign and (known := drop(test, subject.dense)).low > 0:
        doubts.append(
            f"the dense network answers validation {known.points:.2f} points better than test ({known.low:.2f} to {known.high:.2f}): its "
            "weights may have been trained on the validation pictures, which then tell too little; give a validation split it has not seen"
        )
    return DenseCheck(splits, path, tuple(doubts), "f32" if rounded else recipe.precision, dataset.task.metric)


def refuse_chance(request: Request, subject: Subject) -> None:
    """TrainingError, saying what to do, for a dense network that is hardly better than one that always answers the commonest class."""
    validation, seen, metric = subject.dataset.validation, subject.dense.top1_ratio, subject.dataset.task.metric
    found = validation.task.chance(validation.labels, subject.dataset.classes)
    if found is None:  # nobody knows what having learnt nothing is worth
        return
    chance, least = found.ratio, found.ratio + request.chance_margin * (found.best - found.ratio)
    if seen >= least or not request.chance_margin:
        return
    told = (
        f"the dense network answers {seen:.2%} of the validation pictures, where {chance:.2%} are right by always naming the commonest of "
        f"{subject.dataset.classes} classes: below {least:.2%} (--chance-margin) pruning could keep nothing"
    )
    if validation.task.name != CLASSIFICATION.name:
        told = (
            f"the dense network's {metric.name} on validation is {metric.told(seen)}, and {metric.told(chance)} is had by {found.told}: "
            f"short of {metric.told(least)} (--chance-margin) pruning could keep nothing"
        )
    if request.weights is None:
        training = dense_training(request, validation.task)
        rate, epochs = training.learning_rate, training.epochs
        raise TrainingError(
            f"{told}; give --weights of a trained network, or train it otherwise: another --dense-learning-rate (now {rate:g}), more "
            f"--dense-epochs (now {epochs:g}), or {'more pictures' if request.own_task else 'a larger --input-shape'}"
        )
    if request.own_task:
        raise TrainingError(f"{told}; give --weights of this network, trained for this task on such pictures")
    first = ", ".join(subject.dataset.class_names[:3])
    raise TrainingError(
        f"{told}; give --weights of this network, trained on these classes in this order ({first} ...), "
        "and prepare the pictures as then: --input-shape, --resize, --mean and --std (such as --mean=imagenet)"
    )


def _path(subject: Subject, recipe: Recipe) -> tuple[tuple[str, Drop], ...]:
    """Points lost by each step of the way, on the same drawn validation pictures."""
    network = subject.network
    seen = draw(subject.dataset.validation, SEEN_IMAGES)
    before = subject.right_of(seen)[None]
    whole = surgery.chosen(network.architecture, network.architecture.dense(), network.scores("l1", subject.dataset))
    laid_out = surgery.remove(network.model, network.architecture, whole)
    recalibrated = finetune.finetune(laid_out, subject.dataset, recipe.with_epochs(0)).model

    def lost(model: nn.Module, split: Split, precision: str = "f32") -> Drop:
        return Paired.of(accuracy.scores(model, split, precision=precision)[None], before).drop

    return (
        (LAID_OUT, lost(laid_out, seen.split)),
        (IN_PRECISION, lost(laid_out, seen.split, recipe.precision)),
        (RECALIBRATED, lost(recalibrated, seen.split)),
    )


def _told(step: str, lost: Drop) -> str:
    interval = f"{lost.low:.2f} to {lost.high:.2f}"
    return f"the dense network loses {lost.points:.2f} points of validation top-1 ({interval}) when it is taken {step}"


def _refusal(subject: Subject, step: str, lost: Drop, recipe: Recipe) -> str:
    if step == LAID_OUT:
        return f"{_told(step, lost)}, nothing removed: it cannot be pruned rightly; tell us of this network, and search another one"
    drawn = finetune.calibration(subject.dataset, recipe).sentence
    return (
        f"{_told(step, lost)} ({drawn}): the training pictures are not such as its weights were trained on, or too few; give pictures "
        "and --weights that belong together, prepared alike, or more training pictures"
    )


def _gain(step: str, lost: Drop) -> str:
    return (
        f"the dense network gains {-lost.points:.2f} points when it is taken {step}: its weights were trained on pictures prepared "
        "otherwise; what it answers as it is understates it"
    )
