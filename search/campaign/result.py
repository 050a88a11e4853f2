"""The result of a campaign: everything that its journal says, and the choice made from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.records.pruning_config import PruningConfig
from search.campaign.settings import CampaignSettings
from search.optimizer import choice
from search.optimizer.choice import Standing
from search.optimizer.fidelity import LEAST_PAIRS_TO_FIT, Calibration, pairs, promoted_of, short_of
from search.records.journal import Contents
from search.records.trial import NEW, SCREEN, Ints, KnownCost, Trial
from search.space.goals import Goal
from search.space.space import SearchSpace


@dataclass(frozen=True)
class CampaignResult:
    """What a campaign found.

    trials: all finished ones, in the order in which they finished. imported: of other campaigns. standings: every
    configuration evaluated at full length, fastest first. front: those that none beats in both cost and drop. chosen: the
    recommendation; None when nothing that may be recommended was tuned in full. stop_reason: why it ended. elapsed_s: all sessions
    together. calibration: from short to full length, where both were tried. dense: the unpruned configuration; without it, every one
    counts as pruned.
    """

    settings: CampaignSettings
    trials: tuple[Trial, ...]
    imported: tuple[Trial, ...]
    standings: tuple[Standing, ...]
    front: tuple[Standing, ...]
    chosen: Standing | None
    stop_reason: str
    elapsed_s: float
    dense_cost: float
    calibration: Calibration | None = None
    dense: PruningConfig | None = None

    @property
    def searched(self) -> tuple[Trial, ...]:
        """One trial per configuration that was new: promotions, repetitions and screens that led to a trial left out."""
        return searched(self.trials)

    @property
    def epochs(self) -> float:
        """Fine-tuning epochs spent in all."""
        return sum(trial.request.budget_epochs for trial in self.trials if trial.tuned)

    @property
    def chosen_meets_goal(self) -> bool:
        """Whether the recommendation keeps all limits of the goal by posterior mean and predicted cost."""
        if self.chosen is None:
            return False
        goal = self.settings.goal
        fast = goal.max_latency_s is None or self.chosen.cost <= goal.max_latency_s
        return fast and (goal.max_drop_points is None or self.chosen.mean_points <= goal.max_drop_points)


def searched(trials: tuple[Trial, ...] | list[Trial]) -> tuple[Trial, ...]:
    """One trial per configuration that was new."""
    followed = {trial.request.of for trial in trials if trial.request.purpose in NEW}
    return tuple(trial for trial in trials if trial.request.purpose in NEW or _screened_out(trial, followed))


def _screened_out(trial: Trial, followed: set[int]) -> bool:
    return trial.request.purpose == SCREEN and trial.outcome.ok and trial.number not in followed


def result_of(settings: CampaignSettings, space: SearchSpace, known: KnownCost, contents: Contents) -> CampaignResult:
    """The result as far as a journal tells it, without running anything."""
    everything = (*contents.imported, *contents.finished)
    full = [trial for trial in everything if trial.request.budget_epochs == settings.budget_epochs and settings.goal.in_reach(trial.cost)]
    short = short_of(everything, settings.search_epochs)
    relation = None
    if settings.short_epochs is not None:
        low, high = pairs(short, promoted_of(full, settings.budget_epochs))
        relation = Calibration.fit(low, high) if len(low) >= LEAST_PAIRS_TO_FIT else None
    dense_cost = float(known.costs(dense_widths(space))[0])
    judged = [one for one in everything if not one.tuned and one.request.budget_epochs == settings.search_epochs]
    learnt_from = [*short, *judged] if settings.short_epochs is not None else ()
    found = choice.standings(space, full, settings.goal, learnt_from, relation, dense_cost)
    return CampaignResult(
        settings,
        contents.finished,
        contents.imported,
        found,
        choice.front(found),
        choice.choose(found, settings.goal),
        contents.stopped,
        contents.seconds,
        dense_cost,
        relation,
        space.architecture.dense(),
    )


def dense_widths(space: SearchSpace) -> Ints:
    """The dense network as one row of widths."""
    return np.asarray([[group.channels for group in space.architecture.groups]], dtype=np.int64)


def rank(trial: Trial, goal: Goal) -> tuple[float, float]:
    """Smaller is better, by observation: first by how much the limit is missed, then what is minimised."""
    if goal.kind == "max-latency":
        limit_s = math.inf if goal.max_latency_s is None else goal.max_latency_s
        return max(0.0, trial.cost - limit_s), trial.outcome.drop_points
    return max(0.0, trial.outcome.drop_points - goal.drop_limit), trial.cost
