"""A trial's accuracy, obtained for real: prune the dense network, fine-tune it, judge it on the validation split."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import nn

from harness.errors import HarnessError
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import draw
from harness.pipeline import Network, compress
from harness.quantisation import calibration
from harness.quantisation.answering import quantised_network
from harness.records.accuracy import Accuracy
from harness.training import accuracy, finetune, processor
from harness.training.finetune import Looks
from harness.training.processor import Way
from harness.training.recipes import Recipe
from search.records import tuned_store
from search.records.recipe_record import RecipeRecord, Reference
from search.records.request import QUANTISED
from search.records.trial import Floor, InPrecision, Report, TrialOutcome, TrialRequest
from search.records.tuned_store import Judged
from search.workers.sized import AtSize, Sized, at

LOOK_SHARES = (0.25, 0.5)  # of the steps: where a hopeless trial shows itself
LOOK_IMAGES, LEAST_LOOK_IMAGES = 1000, 100
LOOK_COST = 0.05  # of a trial's passes, for all looks together; a step costs three


class _Hopeless(Exception):
    """A trial that stands below its floor."""

    def __init__(self, floor: Floor) -> None:
        super().__init__(floor)
        self.floor = floor


@dataclass
class _Watched:
    """Looks at one fine-tuning: the validation top-1 on its way. pictures: what it is judged by. pays: whether they are enough."""

    pictures: Split
    floors: tuple[Floor, ...]
    pays: bool
    curve: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, trial: TrialRequest, recipe: Recipe, dataset: Dataset) -> _Watched:
        """With as many validation pictures as the trial's own length pays for."""
        passes = 3 * finetune.step_count(recipe, len(dataset.train)) * recipe.batch_size
        count = min(LOOK_IMAGES, len(dataset.validation), int(LOOK_COST * passes / len(LOOK_SHARES)))
        return cls(draw(dataset.validation, max(count, 1)).split, trial.floors, count >= LEAST_LOOK_IMAGES)

    @property
    def looks(self) -> Looks | None:
        """What to give to the fine-tuning."""
        return Looks(LOOK_SHARES, self._look) if self.pays else None

    def _look(self, model: nn.Module, share: float) -> None:
        top1 = accuracy.evaluate(model, self.pictures).top1_ratio
        self.curve.append((share, top1))
        for floor in self.floors:
            if floor.share == share and top1 < floor.top1_ratio:
                raise _Hopeless(floor)


@dataclass(frozen=True)
class PipelineEvaluate:
    """Runs trials through ``harness.pipeline``; picklable, so that trials may run in other processes.

    record: what a trial does not choose itself, such as batch size and augmentation, and the unpruned network tuned alike, from which
    drops are counted. folder: the campaign's, where networks tuned in full are kept for the final comparison; None to keep none. way: in
    which the campaign trains, wherever a trial runs: a precision is part of an accuracy. precisions: what networks may run in, where the
    campaign chooses among several: what was tuned once is judged in each. device: by whose arithmetic, where it is at hand. in_float:
    layers that INT8 leaves so. sized: network and data at the further sizes of the pictures; a trial is tuned and judged at its own.
    """

    network: Network
    dataset: Dataset
    record: RecipeRecord
    folder: Path | None = None
    way: Way = field(default_factory=processor.way)
    precisions: tuple[str, ...] = ()
    device: str = "cpu"
    in_float: tuple[str, ...] = ()
    sized: Sized = field(default_factory=dict)

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """Prune, fine-tune, judge; the errors of the rooms below pass through and count as a crashed trial."""
        report("prune", 0.0)
        processor.adopt(self.way)
        recipe, criterion = recipe_of(trial, self.record.recipe), trial.recipe.criterion
        network, dataset = self._at(trial)
        if QUANTISED not in self.precisions and (reference := self._unpruned(trial, recipe)) is not None:
            return self._in_precisions(trial, None, self._outcome(trial, reference.validation))
        place = None
        if self.folder is not None and 0 < trial.budget_epochs == self.record.recipe.epochs:
            place = tuned_store.place(self.folder, trial.config, criterion, recipe, dataset)
            known = tuned_store.find(place, trial.seed)
            if known is not None:  # tuned by a campaign that was killed before it could say so
                return self._in_precisions(trial, known.model, self._outcome(trial, known.validation))
        watched, began = _Watched.of(trial, recipe, dataset), time.perf_counter()
        parts = (network, dataset, trial.config, criterion, recipe)
        try:
            tuned = compress(*parts, lambda done, steps: report("tune", done / max(steps, 1)), looks=watched.looks)
        except _Hopeless as hopeless:
            return TrialOutcome.stopped(hopeless.floor, tuple(watched.curve), trial.budget_epochs, time.perf_counter() - began)
        if place is not None:
            judged = Judged(trial.seed, tuned.model, tuned.validation)
            self._keep(place, trial, recipe, network, judged)
        outcome = self._outcome(trial, tuned.validation, tuned.prune_s, tuned.tune_s, tuned.evaluate_s)
        return self._in_precisions(trial, tuned.model, replace(outcome, curve=tuple(watched.curve)))

    def _keep(self, place: Path, trial: TrialRequest, recipe: Recipe, network: Network, judged: Judged) -> None:
        try:
            tuned_store.keep(place, f"trial {trial.number}", trial.config, recipe, network, judged)
        except OSError:  # a full disk says nothing of this configuration: the journal will end the campaign, and the comparison tunes anew
            return

    def _in_precisions(self, trial: TrialRequest, model: nn.Module | None, found: TrialOutcome) -> TrialOutcome:
        """What the tuned ``model`` answers in the trial's own precision, with what it answers in all others.

        The others float as f32 does: what they answer otherwise is below what the pictures tell, and the final comparison judges it.
        """
        if not self.precisions:
            return found
        seen = {precision: replace(found, evaluate_s=0.0) for precision in self.precisions}
        if QUANTISED in seen and model is not None:
            seen[QUANTISED] = self._in_int8(trial, model)
        ours = seen.pop(trial.recipe.precision)
        others = tuple(
            InPrecision(name, one.top1_ratio, one.top1_low, one.top1_high, one.drop_points, one.evaluate_s)
            for name, one in seen.items()
            if one.ok
        )
        spent_s = found.evaluate_s + ours.evaluate_s
        return replace(ours, prune_s=found.prune_s, tune_s=found.tune_s, evaluate_s=spent_s, curve=found.curve, others=others)

    def _in_int8(self, trial: TrialRequest, model: nn.Module) -> TrialOutcome:
        """Quantised and judged; a network that cannot be is a crashed trial of this precision alone."""
        began, dataset = time.perf_counter(), self._at(trial).dataset
        try:
            images = calibration.of(dataset, seed=trial.seed)
            name = f"trial {trial.number}"
            quantised = quantised_network(model, dataset.input_shape, name, images, self.device, self.in_float)
            validation = accuracy.evaluate(quantised, dataset.validation)
        except HarnessError as error:
            return TrialOutcome.crashed(str(error), time.perf_counter() - began)
        return self._outcome(trial, validation, evaluate_s=time.perf_counter() - began)

    def _at(self, trial: TrialRequest) -> AtSize:
        return at(self.network, self.dataset, self.sized, trial.recipe.size)

    def _unpruned(self, trial: TrialRequest, recipe: Recipe) -> Reference | None:
        """The unpruned network tuned by this very recipe, at the full size, which was done before the search."""
        if self._at(trial).network is not self.network:
            return None
        reference = self.record.of_length(trial.budget_epochs)
        is_dense = trial.config == self.network.architecture.dense()
        return reference if is_dense and recipe == self.record.recipe.with_epochs(trial.budget_epochs) else None

    def _outcome(
        self, trial: TrialRequest, validation: Accuracy, prune_s: float = 0.0, tune_s: float = 0.0, evaluate_s: float = 0.0
    ) -> TrialOutcome:
        drop_points = 100 * (self.record.reference(trial.budget_epochs).top1_ratio - validation.top1_ratio)
        return TrialOutcome(validation.top1_ratio, *validation.interval_ratio, drop_points, prune_s, tune_s, evaluate_s)


def recipe_of(trial: TrialRequest, base: Recipe) -> Recipe:
    """The fine-tuning that a trial asks for, on top of what all trials share."""
    return replace(
        base,
        epochs=trial.budget_epochs,
        learning_rate=trial.recipe.learning_rate,
        weight_decay=trial.recipe.weight_decay,
        label_smoothing=trial.recipe.label_smoothing,
        distillation=trial.recipe.distillation,
        seed=trial.seed,
    )
