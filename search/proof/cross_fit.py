"""Cross-fitting: finalists judged on training pictures, by networks of their configuration that never saw them.

A fold's pictures leave the training split and the validation pictures take their place; the dense network is trained anew on that from
nothing, then pruned and tuned as ever ([Stone1974]_). What a fold tells is therefore about the configuration with its recipe, and was not
looked at by the search. Where the dense network came from elsewhere there is no such fold, for its weights may remember every picture.

.. [Stone1974] M. Stone, Cross-validatory choice and assessment of statistical predictions, J. R. Statist. Soc. B 36, 1974.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from harness.networks.datasets import Dataset
from harness.networks.pictures import division
from harness.networks.splits import joined
from harness.pipeline import Network
from harness.training import baseline
from harness.training.recipes import Recipe
from search.proof import tuning
from search.proof.entrants import Entrant
from search.proof.proof import right_answers
from search.proof.tuning import Recipes
from search.records.losses.certainty import Evidence, with_folds
from search.records.losses.drop import Paired
from search.records.resolution import fold_count
from search.workers.sized import AtSize

HOPEFUL_CHANCE = 0.2  # least probability for a faster finalist to be worth further pictures
LEAST_SAVING_RATIO = 0.05  # of the latency of what is certain already, for a faster finalist to be worth them

Progress = Callable[[str, int, int], None]  # what is trained, steps done, steps in all


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold of the training pictures as the validation split of ``dataset``; sized: the same at further sizes of the pictures."""

    dataset: Dataset
    sized: Mapping[str, Dataset]


def sized_folds(dataset: Dataset, sized: Mapping[str, Dataset], most: int) -> tuple[Fold, ...]:
    """As ``folds``, the same pictures at every size."""
    return tuple(
        Fold(_without(dataset, rows, place), {size: _without(one, rows, place) for size, one in sized.items()})
        for place, rows in enumerate(_held(dataset, most))
    )


def folds(dataset: Dataset, most: int) -> tuple[Dataset, ...]:
    """Datasets whose validation split is a fold of ``dataset``'s training pictures, each class by its share, copies together.

    A fold is as large as the validation split, so that as much is left to train on; there are ``most`` at most. Their training split is
    all other training pictures and the validation ones; test pictures are in none of them.
    """
    return tuple(fold.dataset for fold in sized_folds(dataset, {}, most))


def _held(dataset: Dataset, most: int) -> list[NDArray[np.int64]]:
    """Numbers of the training pictures of each fold."""
    labels, contents = dataset.train.strata.numpy(), dataset.train.content_keys.view(np.int64)
    left, found = np.arange(len(labels)), []
    for _ in range(fold_count(len(labels), len(dataset.validation), most)):
        _, kinds, counts = np.unique(labels[left], return_inverse=True, return_counts=True)
        able = left[counts[kinds] > 1]  # a class with one picture left gives no more
        if not len(able):
            break
        _, kinds = np.unique(labels[able], return_inverse=True)
        _, rows = division.cut(kinds, min(len(dataset.validation), len(able)), contents=contents[able])
        found.append(able[rows])
        left = np.setdiff1d(left, able[rows])
    return found


def _without(dataset: Dataset, held: NDArray[np.int64], place: int) -> Dataset:
    train, validation = dataset.train, dataset.validation
    rest = torch.from_numpy(np.setdiff1d(np.arange(len(train)), held))
    rows = torch.from_numpy(held)
    digest = hashlib.sha256(f"{dataset.digest} fold {place} ".encode() + held.tobytes()).hexdigest()[:16]
    return replace(
        dataset,
        digest=digest,
        train=joined((train, rest), (validation, torch.arange(len(validation)))),
        validation=joined((train, rows)),
        notes=(),
    )


def in_question(
    candidates: Sequence[Entrant],
    evidence: Mapping[str, Evidence],
    costs: Mapping[str, float],
    dense_cost: float,
    limit: float,
    sure: float,
) -> list[Entrant]:
    """Those that further pictures may yet make the choice: not certain, not hopeless, and faster than whatever is certain already."""
    chances = {one.name: evidence[one.name].chance_within(limit) for one in candidates}
    base_cost = min((costs[name] for name, chance in chances.items() if chance >= sure), default=dense_cost)
    worth_cost = (1 - LEAST_SAVING_RATIO) * min(base_cost, dense_cost)
    return [one for one in candidates if HOPEFUL_CHANCE <= chances[one.name] < sure and costs[one.name] < worth_cost]


@dataclass(frozen=True)
class Bound:
    """How much cross-fitting may cost: ``pictures`` trained on, counted with repetition. dense, tuned: epochs of each training."""

    pictures: float
    dense: float
    tuned: float

    def allows(self, spent: float, fold: Dataset, entrants: int) -> bool:
        """Whether a further fold with so many entrants stays within the bound."""
        return spent + self.cost(fold, entrants) <= self.pictures

    def cost(self, fold: Dataset, entrants: int) -> float:
        """Pictures that a fold trains on: the dense network from nothing, then it and all entrants tuned."""
        return len(fold.train) * (self.dense + (entrants + 1) * self.tuned)


def judge(
    network: Network,
    fold: Dataset,
    entrants: Sequence[Entrant],
    dense: Recipe,
    by: Recipes,
    folder: Path,
    progress: Progress,
    side_by_side: int = 1,
    cache: Path = baseline.CACHE_DIR,
    sized: Mapping[str, Dataset] = MappingProxyType({}),
) -> dict[str, Paired]:
    """What every entrant, pruned from a dense network trained without the fold's pictures, loses of them against that one tuned alike.

    sized: the fold at further sizes of the pictures, for entrants that run there.
    """
    model = baseline.dense(network.name, fold, dense, cache, lambda done, steps: progress("dense, from nothing", done, steps))
    ours = Network.wrap(network.name, model, fold.input_shape, fold.classes, fold.task)
    unpruned = Entrant("dense", "dense", network.architecture.dense())
    needed = {one.size for one in entrants if one.size}
    subjects = {size: AtSize(ours.resized(fold, one), one) for size, one in sized.items() if size in needed}
    tuned = tuning.tune(ours, fold, [unpruned, *entrants], by, 1, folder, progress, side_by_side, subjects)
    right = right_answers(tuned, fold.validation, {size: one.dataset.validation for size, one in subjects.items()})
    return {one.name: Paired.of(right[one.name], right["dense"]) for one in entrants}


def gather(
    folds: Sequence[Fold],
    undecided: Callable[[Mapping[str, Evidence]], list[Entrant]],
    evidence: Mapping[str, Evidence],
    bound: Bound,
    judge_fold: Callable[[Fold, Sequence[Entrant]], Mapping[str, Paired]],
) -> dict[str, Evidence]:
    """Fold after fold, for whoever is in question yet, as long as the bound allows it."""
    known, spent = dict(evidence), 0.0
    for fold in folds:
        entrants = undecided(known)
        if not entrants or not bound.allows(spent, fold.dataset, len(entrants)):
            break
        spent += bound.cost(fold.dataset, len(entrants))
        for name, lost in judge_fold(fold, entrants).items():
            known[name] = with_folds(known[name], [lost])
    return known
