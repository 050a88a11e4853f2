"""What is known between two trials of a campaign; all of it follows from the journal and from what runs."""

from __future__ import annotations

import math
import time

from search.campaign.result import CampaignResult, dense_widths, rank, result_of, searched
from search.campaign.settings import CampaignSettings
from search.optimizer import fidelity
from search.records.journal import Contents
from search.records.trial import Floats, KnownCost, Trial, TrialRequest
from search.space.screened_latency import cost_of
from search.space.space import SearchSpace


class State:
    """The trials of a campaign, over and running, and what they say together.

    before: the journal as it was opened. finished: this campaign's trials in the order in which they finished. running: begun, not over.
    """

    def __init__(self, settings: CampaignSettings, space: SearchSpace, known: KnownCost, before: Contents) -> None:
        self.settings, self.space, self.known_cost, self.before = settings, space, known, before
        self.finished: list[Trial] = list(before.finished)
        self.running: list[TrialRequest] = []
        self.dense_cost = float(known.costs(dense_widths(space))[0])
        self.began = time.monotonic()

    @property
    def known(self) -> tuple[Trial, ...]:
        """All that is known of accuracies: what other campaigns found, and this one's finished trials."""
        return (*self.before.imported, *self.finished)

    @property
    def short(self) -> list[Trial]:
        """The trials from which promotions are chosen."""
        return [one for one in fidelity.short_of(self.known, self.settings.search_epochs) if self.settings.goal.in_reach(one.cost)]

    @property
    def pictures_points(self) -> float:
        """The least that the number of validation pictures leaves open of any trial's top-1, in points; 0 where nothing is known."""
        return min((one.outcome.deviation_points for one in self.known if one.outcome.ok), default=0.0)

    @property
    def tried(self) -> int:
        """Configurations that were new and are over."""
        return len(searched(self.finished))

    @property
    def has_new_trials(self) -> bool:
        """Whether a configuration was tried since the journal was opened."""
        return self.tried > len(searched(self.before.finished))

    @property
    def elapsed_s(self) -> float:
        """Seconds of all sessions of the campaign."""
        return time.monotonic() - self.began

    @property
    def certain_cost(self) -> float:
        """Cost of the fastest that is known to keep the goal's limit; infinite where there is none, or where a front is sought."""
        if self.settings.goal.kind != "max-drop":
            return math.inf
        certain = [one.cost for one in self.result().standings if one.chance >= self.settings.goal.certainty]
        return min(certain, default=math.inf)

    def goes_on(self) -> None:
        """Let the clock run, from where earlier sessions left it."""
        self.began = time.monotonic() - self.before.seconds

    def result(self, reason: str = "") -> CampaignResult:
        """The result as if the campaign ended now, for ``reason``."""
        contents = Contents(self.before.header, tuple(self.finished), (), self.before.imported, reason, self.elapsed_s)
        return result_of(self.settings, self.space, self.known_cost, contents)

    def begun(self, purpose: str) -> list[TrialRequest]:
        """Trials of this campaign for one purpose, running or over."""
        return [one for one in (*self.running, *(trial.request for trial in self.finished)) if one.purpose == purpose]

    def row(self, request: TrialRequest) -> Floats:
        """A trial's configuration and recipe as a row of the space."""
        return self.space.encode(request.config, request.recipe)

    def cost(self, request: TrialRequest) -> float:
        """Known cost of what a trial is about."""
        return cost_of(self.space.architecture, self.known_cost, request.config, *request.recipe.runs_in)

    def improves(self, trial: Trial) -> bool:
        """Whether an observation at full length beats all finished ones, for the goal."""
        least, goal = self.settings.budget_epochs, self.settings.goal
        earlier = [rank(one, goal) for one in self.finished if one.outcome.ok and one.request.budget_epochs >= least]
        return trial.request.budget_epochs >= least and (not earlier or rank(trial, goal) < min(earlier))
