"""Every network of the final comparison tuned by one recipe, with one seed or several, each finished one kept on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from harness.errors import CampaignError
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.pipeline import Network, compress
from harness.pruning import surgery
from harness.quantisation import calibration
from harness.quantisation.answering import quantised_network
from harness.training import accuracy, finetune, processor
from harness.training.checkpoint import Checkpoint
from harness.training.processor import Way
from harness.training.recipes import Recipe
from search.proof.entrants import Entrant
from search.records import tuned_store
from search.records.request import QUANTISED
from search.records.trial import REPEAT, Report, TrialOutcome, TrialRequest, TuningChoice
from search.records.tuned_store import Judged
from search.workers.processes import Processes
from search.workers.sized import AtSize, Sized, at

Progress = Callable[[str, int, int], None]  # contender, steps done, steps in all


@dataclass(frozen=True)
class Recipes:
    """How the compared networks are tuned, how the one without inherited weights is trained, and by which device INT8 is judged.

    in_float: layers that INT8 leaves so.
    """

    tuning: Recipe
    from_scratch: Recipe
    device: str = "cpu"
    in_float: tuple[str, ...] = ()

    def of(self, entrant: Entrant, seed: int) -> Recipe:
        """The entrant's recipe with its ``seed``-th seed, counted from the recipe's own."""
        recipe = self.tuning if entrant.criterion else self.from_scratch
        return recipe.with_seed(recipe.seed + seed)


@dataclass(frozen=True)
class Tuned:
    """An entrant after the common fine-tuning, once per seed; the first one is what will be deployed."""

    entrant: Entrant
    judged: tuple[Judged, ...]


def tune(
    network: Network,
    dataset: Dataset,
    entered: Sequence[Entrant],
    recipes: Recipes,
    seeds: int,
    folder: Path,
    progress: Progress,
    side_by_side: int = 1,
    sized: Sized = MappingProxyType({}),
) -> list[Tuned]:
    """Tune every entrant alike, with ``seeds`` seeds; the dense network too, so that more training is no advantage.

    folder: the campaign's; what it holds already, from an interrupted comparison, is not tuned again. side_by_side: processes,
    each with its share of the threads. sized: network and data at further sizes of the pictures, for entrants that run there.
    CampaignError for a tuning that fails in a process of its own.
    """
    jobs = [
        _Job(
            one.name if seeds == 1 else f"{one.name}, seed {seed + 1} of {seeds}",
            one,
            recipes.of(one, seed),
            folder,
            at(network, dataset, sized, one.size),
        )
        for seed in range(seeds)
        for one in entered
    ]
    different = {(job.place, job.recipe.seed): job for job in reversed(jobs)}  # one network may stand under two names
    open_jobs = [job for (place, seed), job in reversed(different.items()) if tuned_store.find(place, seed) is None]
    if side_by_side > 1 and len(open_jobs) > 1:
        _in_processes(_Tuning(tuple(open_jobs)), side_by_side, progress)
    judged: dict[str, list[Judged]] = {entrant.name: [] for entrant in entered}
    for job in jobs:
        progress(job.name, 0, 1)
        judged[job.entrant.name].append(_judged(job, _steps(job.name, progress)))
    return [
        Tuned(
            one,
            tuple(quantised(*at(network, dataset, sized, one.size), one, seen, recipes) for seen in judged[one.name])
            if one.precision == QUANTISED
            else tuple(judged[one.name]),
        )
        for one in entered
    ]


def quantised(network: Network, dataset: Dataset, entrant: Entrant, tuned: Judged, recipes: Recipes) -> Judged:
    """A tuned network in INT8, its scales read off training images, judged by the device's own arithmetic where it is at hand."""
    images = calibration.of(dataset, seed=tuned.seed)
    parts = (tuned.model, network.architecture.input_shape, entrant.name, images, recipes.device)
    model = quantised_network(*parts, recipes.in_float)
    return replace(tuned, model=model, validation=accuracy.evaluate(model, dataset.validation))


def take_over(subject: AtSize, entrant: Entrant, recipes: Recipes, seeds: int, theirs: Path, ours: Path) -> None:
    """Copy what another campaign's folder ``theirs`` holds of this very tuning into ``ours``, so that it is not done again."""
    for seed in range(seeds):
        recipe = recipes.of(entrant, seed)
        here, there = (_Job(entrant.name, entrant, recipe, folder, subject).place for folder in (ours, theirs))
        known = tuned_store.find(there, recipe.seed)
        if known is not None and tuned_store.find(here, recipe.seed) is None:
            tuned_store.keep(here, entrant.name, entrant.config, recipe, subject.network, known)


@dataclass(frozen=True)
class _Job:
    """One entrant to tune with one seed. folder: the campaign's, under which its result is kept. subject: from what it is pruned."""

    name: str
    entrant: Entrant
    recipe: Recipe
    folder: Path
    subject: AtSize

    @property
    def place(self) -> Path:
        """Where the result is kept."""
        return tuned_store.place(self.folder, self.entrant.config, self.entrant.criterion, self.recipe, self.subject.dataset)


@dataclass(frozen=True)
class _Tuning:
    """Evaluates jobs in another process, as trials numbered by their place; the networks themselves go to the disk."""

    jobs: tuple[_Job, ...]
    way: Way = field(default_factory=processor.way)

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """Tune one, keep it, and answer its validation accuracy."""
        processor.adopt(self.way)
        judged = _judged(self.jobs[trial.number], lambda done, steps: report("tune", done / max(steps, 1)))
        top1 = judged.validation.top1_ratio
        return TrialOutcome(top1, *judged.validation.interval_ratio, drop_points=0.0)


def _in_processes(tuning: _Tuning, count: int, progress: Progress) -> None:
    for network, dataset in {id(job.subject.dataset): job.subject for job in tuning.jobs}.values():
        network.prepare(dataset, tuning.jobs[0].recipe)  # once, here, and not by every process
    names = [job.name for job in tuning.jobs]
    pool = Processes(tuning, min(count, len(names)), math.inf, lambda number, _, share: progress(names[number], round(1000 * share), 1000))
    try:
        for number, job in enumerate(tuning.jobs):
            request = TrialRequest(number, REPEAT, job.name, job.entrant.config, TuningChoice(), job.recipe.epochs, job.recipe.seed)
            pool.submit(request)
        left = len(tuning.jobs)
        while left:
            for request, outcome in pool.wait():
                left -= 1
                if not outcome.ok:
                    raise CampaignError(f"tuning {request.origin} failed: {outcome.reason}; mend that, then resume")
    finally:
        pool.close()


def _judged(job: _Job, progress: Callable[[int, int], None]) -> Judged:
    entrant, recipe, place, (network, dataset) = job.entrant, job.recipe, job.place, job.subject
    known = tuned_store.find(place, recipe.seed)
    if known is not None:
        return known
    checkpoint = Checkpoint(place.with_suffix(".checkpoint"), place.name)
    if entrant.criterion:
        compressed = compress(network, dataset, entrant.config, entrant.criterion, recipe, progress, checkpoint)
        model, validation = compressed.model, compressed.validation
    else:
        architecture = network.architecture
        fresh = zoo.build(network.name, architecture.input_shape, architecture.classes, recipe.seed)
        shrunk = surgery.shrink(fresh, architecture, entrant.config)
        model = finetune.finetune(shrunk, dataset, recipe, progress=progress, checkpoint=checkpoint).model
        validation = accuracy.evaluate(model, dataset.validation)
    judged = Judged(recipe.seed, model, validation)
    tuned_store.keep(place, entrant.name, entrant.config, recipe, network, judged)
    checkpoint.discard()
    return judged


def _steps(name: str, progress: Progress) -> Callable[[int, int], None]:
    return lambda done, steps: progress(name, done, steps)
