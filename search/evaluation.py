"""A trial's accuracy, obtained for real: prune the dense network, fine-tune it, judge it on the validation split."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.networks.datasets import Dataset
from harness.pipeline import Network, compress
from harness.records.accuracy import Accuracy
from harness.training.recipes import Recipe
from search.trial import Report, TrialOutcome, TrialRequest


@dataclass(frozen=True)
class PipelineEvaluate:
    """Runs trials through ``harness.pipeline``; picklable, so that trials may run in other processes.

    recipe: what a trial does not choose itself, such as batch size and augmentation. dense: validation accuracy of
    the dense network, from which drops are counted.
    """

    network: Network
    dataset: Dataset
    recipe: Recipe
    dense: Accuracy

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """Prune, fine-tune, judge; the errors of the rooms below pass through and count as a crashed trial."""
        report("prune", 0.0)
        tuned = compress(
            self.network,
            self.dataset,
            trial.config,
            trial.recipe.criterion,
            recipe_of(trial, self.recipe),
            lambda done, steps: report("tune", done / max(steps, 1)),
        )
        low, high = tuned.validation.interval_ratio
        return TrialOutcome(
            top1_ratio=tuned.validation.top1_ratio,
            top1_low=low,
            top1_high=high,
            drop_points=100 * (self.dense.top1_ratio - tuned.validation.top1_ratio),
            prune_s=tuned.prune_s,
            tune_s=tuned.tune_s,
            evaluate_s=tuned.evaluate_s,
        )


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
