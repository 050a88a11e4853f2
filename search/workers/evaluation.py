"""A trial's accuracy, obtained for real: prune the dense network, fine-tune it, judge it on the validation split."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.networks.datasets import Dataset
from harness.pipeline import Network, compress
from harness.records.accuracy import Accuracy
from harness.training import processor
from harness.training.processor import Way
from harness.training.recipes import Recipe
from search.records import tuned_store
from search.records.recipe_record import RecipeRecord, Reference
from search.records.trial import Report, TrialOutcome, TrialRequest
from search.records.tuned_store import Judged


@dataclass(frozen=True)
class PipelineEvaluate:
    """Runs trials through ``harness.pipeline``; picklable, so that trials may run in other processes.

    record: what a trial does not choose itself, such as batch size and augmentation, and the unpruned network tuned alike, from which
    drops are counted. folder: the campaign's, where networks tuned in full are kept for the final comparison; None to keep none. way: in
    which the campaign trains, wherever a trial runs: a precision is part of an accuracy.
    """

    network: Network
    dataset: Dataset
    record: RecipeRecord
    folder: Path | None = None
    way: Way = field(default_factory=processor.way)

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """Prune, fine-tune, judge; the errors of the rooms below pass through and count as a crashed trial."""
        report("prune", 0.0)
        processor.adopt(self.way)
        recipe, criterion = recipe_of(trial, self.record.recipe), trial.recipe.criterion
        if (reference := self._unpruned(trial, recipe)) is not None:
            return self._outcome(trial, reference.validation)
        place = None
        if self.folder is not None and 0 < trial.budget_epochs == self.record.recipe.epochs:
            place = tuned_store.place(self.folder, trial.config, criterion, recipe, self.dataset)
            known = tuned_store.find(place, trial.seed)
            if known is not None:  # tuned by a campaign that was killed before it could say so
                return self._outcome(trial, known.validation)
        tuned = compress(
            self.network, self.dataset, trial.config, criterion, recipe, lambda done, steps: report("tune", done / max(steps, 1))
        )
        if place is not None:
            judged = Judged(trial.seed, tuned.model, tuned.validation)
            tuned_store.keep(place, f"trial {trial.number}", trial.config, recipe, self.network, judged)
        return self._outcome(trial, tuned.validation, tuned.prune_s, tuned.tune_s, tuned.evaluate_s)

    def _unpruned(self, trial: TrialRequest, recipe: Recipe) -> Reference | None:
        """The unpruned network tuned by this very recipe, which was done before the search."""
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
