"""The course of a campaign: which trial comes next, what is learnt from one that is over, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace

from harness.errors import CampaignError
from search.campaign import ends, notes
from search.campaign.full_length import FullLength
from search.campaign.result import CampaignResult
from search.campaign.settings import CampaignSettings
from search.campaign.state import State
from search.optimizer import fidelity, hopeless
from search.optimizer.array_search import SpaceExhausted
from search.optimizer.fidelity import Calibration
from search.optimizer.selector import Optimizer
from search.records.events import Begun, Ended, Improved, Note, Observer, TrialFinished, TrialProgress, TrialStarted
from search.records.journal import Contents, Journal
from search.records.trial import (
    CRASHED,
    JUDGED,
    MODEL,
    NEW,
    PROMOTE,
    REPEAT,
    SCREEN,
    SEED,
    STOPPED,
    UNNUMBERED,
    Floor,
    KnownCost,
    Trial,
    TrialOutcome,
    TrialRequest,
    crashes_in_a_row,
)
from search.space.space import SearchSpace
from search.workers.pool import Pool

SMALL_IMPROVEMENT = 0.002  # expected improvement, of the dense cost or in points, below which a proposal counts as hopeless
REACH_EVERY = 5  # trials after the initial design between two looks at whether both limits can be kept


class Campaign:
    """A campaign that runs: asks, submits, collects, and tells whoever must know."""

    def __init__(
        self,
        settings: CampaignSettings,
        space: SearchSpace,
        known: KnownCost,
        journal: Journal,
        before: Contents,
        observer: Observer,
        guard: Callable[[], None] | None,
        warm: Collection[bytes] = (),
    ) -> None:
        self.settings, self.space, self.journal, self.observer, self.guard = settings, space, journal, observer, guard
        self.state, self.objective = State(settings, space, known, before), settings.goal.objective
        self.planned: list[TrialRequest] = list(before.running)  # to be run before anything new is asked for
        self.full_length = FullLength(self.state, self.planned, warm)
        self.next_number = before.next_number
        self.ask_s: dict[int, float] = {}
        self.hopeless_in_a_row = 0
        self.warned = False
        self.worst_drop = 0.0

    def attach(self, pool: Pool, optimizer: Optimizer) -> None:
        """Give the campaign its place to run trials and its optimiser, and tell the latter what is known."""
        self.pool, self.optimizer = pool, optimizer
        for trial in self.state.known:
            self._learn(trial)
        for trial in [one for one in self.state.finished if one.outcome.others]:
            self._judged(trial)  # killed between the two lines
        self.optimizer.replayed()
        for request in self.planned:
            if request.purpose in (*NEW, SCREEN):
                self.optimizer.expect(self.state.row(request))
        self._adjust_limit()
        self.planned += self.full_length.promotions()

    def to_the_end(self) -> CampaignResult:
        """All trials, then promotions and repetitions, then the choice."""
        self.state.goes_on()
        goal, space = self.settings.goal, self.space
        size, counts = (space.dimensions, space.configurations), (self.settings.trials, self.state.tried)
        self.observer(Begun(goal.text, *size, self.state.dense_cost, *counts, goal.objective))
        reason = self._search()
        self._conclude()
        self.journal.stopped(reason, self.state.elapsed_s)
        result = self.state.result(reason)
        for told in (notes.time_split(self.state.finished), *notes.finalists(result)):
            self._say(told)
        self.observer(Ended(reason))
        return result

    def progress(self, number: int, phase: str, share: float) -> None:
        """Pass on how far a trial is."""
        self.observer(TrialProgress(number, phase, share))

    def _search(self) -> str:
        """Trials until there is a reason to stop, which is returned; some may be running yet."""
        while True:
            while len(self.state.running) < self.pool.slots:
                if self.planned:
                    self._submit(self.planned.pop(0))
                    continue
                reason = self._why_stop() or self._ask()
                if reason:
                    return reason
            self._collect()

    def _why_stop(self) -> str:
        settings, crashes = self.settings, crashes_in_a_row(self.state.finished)
        if crashes >= settings.max_crashes:
            if crashes == len(self.state.finished):
                raise CampaignError(ends.all_crashed(settings.name, self.state.finished).sentence)
            return f"the last {crashes} trials crashed, the last one with: {self.state.finished[-1].outcome.reason}"
        if self.state.elapsed_s >= settings.asking_ends_s:
            given = "planned" if settings.asking_ends_s < settings.hours * 3600 else f"of {settings.hours:g} h"
            return f"the time {given} is used up"
        asked = sum(one.purpose in (*NEW, SCREEN) for one in self.state.running)
        if self.state.tried + asked >= settings.trials:
            return f"all {settings.trials} trials are done"
        if settings.patience and self.hopeless_in_a_row >= settings.patience:
            noun = self.objective.noun
            return f"{self.hopeless_in_a_row} proposals in a row promised an improvement below {SMALL_IMPROVEMENT:.1%} of the dense {noun}"
        return ""

    def _ask(self) -> str:
        """Begin a new configuration; the reason when there is nothing left to try."""
        if self.guard is not None:
            self.guard()
        began = time.perf_counter()
        try:
            row, is_seed = self.optimizer.ask()
        except SpaceExhausted:
            return "every legal configuration within reach was tried"
        if not is_seed:
            self.hopeless_in_a_row = self.hopeless_in_a_row + 1 if self.optimizer.expected_improvement < SMALL_IMPROVEMENT else 0
        purpose, origin = (SEED, "initial design") if is_seed else (MODEL, f"known {self.objective.noun}, modelled drop")
        config, recipe = self.space.decode(row)
        self.ask_s[self.next_number] = time.perf_counter() - began
        request = TrialRequest(UNNUMBERED, purpose, origin, config, recipe, self.settings.search_epochs, self.settings.seed)
        if self.settings.screen:
            request = replace(request, purpose=SCREEN, origin=f"{purpose}: {origin}", budget_epochs=0.0)
        self._submit(request)
        return ""

    def _submit(self, request: TrialRequest) -> None:
        """Start a trial; one without a number gets the next one and its line in the journal."""
        if request.number == UNNUMBERED:
            request = replace(request, number=self.next_number, floors=self._floors(request))
            self.next_number += 1
            self.journal.started(request, self.state.elapsed_s)
        self.state.running.append(request)
        self.observer(TrialStarted(request, self.state.cost(request)))
        self.pool.submit(request)

    def _floors(self, request: TrialRequest) -> tuple[Floor, ...]:
        """Where a new trial of the search's own length is stopped: only towards a largest drop, and tuned as all others are."""
        tuned_alike = not self.space.numbers and not {*self.space.categories} - {"precision"}
        if request.purpose not in NEW or self.settings.goal.kind != "max-drop" or not tuned_alike:
            return ()
        limit = self.settings.goal.drop_limit + self.full_length.limit_shift
        return hopeless.floors(self.state.finished, limit, request.budget_epochs)

    def _collect(self) -> None:
        """Wait for trials to be over, and take them in."""
        for request, outcome in self.pool.wait():
            self.state.running = [one for one in self.state.running if one.number != request.number]
            trial = self.objective.trial(request, outcome, self.state.cost(request), self.ask_s.pop(request.number, 0.0))
            self.journal.finished(trial, self.state.elapsed_s)
            improved = outcome.ok and self.state.improves(trial)
            self.state.finished.append(trial)
            self._learn(trial)
            self._judged(trial)
            self._plan_after(trial)
            self.observer(TrialFinished(trial, self.state.tried))
            self._warn_of_reach(trial)
            if outcome.status == STOPPED:
                self._say(f"trial {trial.number} ({trial.cost / self.state.dense_cost:.2f} of dense, predicted) {outcome.reason}")
            if improved:
                self.observer(Improved(trial))

    def _judged(self, trial: Trial) -> None:
        """Take in what a tuned network answers in the campaign's other precisions: each is a trial that cost no tuning."""
        request = trial.request
        known = {(one.request.of, one.request.recipe.precision) for one in self.state.finished if one.request.purpose == JUDGED}
        for other in [one for one in trial.outcome.others if (request.number, one.precision) not in known]:
            recipe, origin = replace(request.recipe, precision=other.precision), f"trial {request.number} in {other.precision}"
            judged = replace(request, number=self.next_number, purpose=JUDGED, origin=origin, recipe=recipe, of=request.number, floors=())
            seen = (other.top1_ratio, other.top1_low, other.top1_high, other.drop_points)
            found = self.objective.trial(judged, TrialOutcome(*seen, evaluate_s=other.seconds), self.state.cost(judged))
            self.next_number += 1
            self.journal.finished(found, self.state.elapsed_s)
            self.state.finished.append(found)
            self._learn(found)

    def _plan_after(self, trial: Trial) -> None:
        """What follows from this trial for the others."""
        if trial.request.purpose == PROMOTE:
            self._adjust_limit()
        elif trial.request.purpose in NEW:
            self.planned += self.full_length.promotions()

    def _adjust_limit(self) -> None:
        self._say(self.full_length.adjust_limit())
        self.optimizer.acquisition.limit_shift = self.full_length.limit_shift - self.settings.margin_points

    def _warn_of_reach(self, trial: Trial) -> None:
        """Say once, early, when the trials so far leave little hope of keeping both limits."""
        goal, done = self.settings.goal, self.state.tried
        if goal.max_drop_points is None or goal.max_latency_s is None or self.warned or trial.request.purpose != MODEL:
            return
        if (done - self.settings.first_count) % REACH_EVERY == 0:
            limit = goal.max_drop_points + self.full_length.limit_shift
            warning = self.optimizer.reach(limit, goal.max_latency_s).warning(goal)
            if warning:
                self.warned = True
                self._say(warning)

    def _conclude(self) -> None:
        """Promote the last good short trials, repeat what may be chosen, and look for stand-ins when nothing fast held, or nothing at all.

        No worker waits for another: repetitions begin while the last promotions run.
        """
        full_length = self.full_length
        while True:
            self.planned += full_length.promotions(self.settings.finalists) or self._least_harmed()
            while len(self.state.running) < self.pool.slots:
                request = self.planned.pop(0) if self.planned else full_length.repetition()
                if request is None:
                    break
                self._submit(request)
            if not self.state.running:
                self.planned += full_length.stand_ins()
                if not self.planned:
                    return
                continue
            self._collect()

    def _least_harmed(self) -> list[TrialRequest]:
        """The least harmed short trials at full length, once everything else at full length is over and was in vain."""
        if self.planned or any(one.purpose == PROMOTE for one in self.state.running):
            return []
        due = self.full_length.least_harmed()
        self._say(f"nothing pruned keeps the limit in full yet: the {len(due)} least harmed short trials are tried in full" if due else "")
        return due

    def _learn(self, trial: Trial) -> None:
        """Tell the optimiser, unless the trial says nothing at the length of the search, or a longer one will follow."""
        request, outcome = trial.request, trial.outcome
        if not self.space.covers(request.config, request.recipe):
            return
        if request.purpose == SCREEN:
            self._judge_screen(trial)
        elif self._is_new(request) and request.budget_epochs == self.settings.search_epochs:
            if outcome.ok:
                self.worst_drop = max(self.worst_drop, outcome.drop_points)
                self.optimizer.acquisition.pictures_points = self.state.pictures_points
            drop = {STOPPED: outcome.least_points, CRASHED: self.worst_drop}.get(outcome.status, outcome.drop_points)
            stopped = [replace(request.recipe, precision=one) for one in self.space.ranges.precisions]  # hopeless in all of them
            for recipe in stopped if outcome.status == STOPPED else [request.recipe]:
                self.optimizer.tell(self.state.row(replace(request, recipe=recipe)), drop, crashed=outcome.failed)

    def _is_new(self, request: TrialRequest) -> bool:
        """Whether a trial told something of its row for the first time; what was judged with a repetition did not."""
        tuned = {one.number: one.request.purpose for one in self.state.known} if request.purpose == JUDGED else {}
        return request.purpose in (*NEW, JUDGED) and tuned.get(request.of) != REPEAT

    def _judge_screen(self, trial: Trial) -> None:
        """Go on with a screened configuration that has a chance; else tell what the screen lets expect of it."""
        request, outcome = trial.request, trial.outcome
        known = {one.of for one in self.planned} | {one.request.of for one in self.state.finished if one.request.purpose in NEW}
        if request.number in known:
            return
        if not outcome.ok:
            self.optimizer.tell(self.state.row(request), self.worst_drop, crashed=True)
            return
        screens = [one for one in self.state.finished if one.request.purpose == SCREEN]
        low, high = fidelity.pairs(screens, [one for one in self.state.finished if one.request.purpose in NEW])
        if len(low) >= fidelity.LEAST_PAIRS_TO_SCREEN:
            relation = Calibration.fit(low, high)
            limit = self.settings.goal.drop_limit + self.full_length.limit_shift
            if relation.chance(outcome.drop_points, limit) < fidelity.SCREENED_OUT_BELOW:
                self.optimizer.tell(self.state.row(request), relation.predict(outcome.drop_points)[0])
                return
        purpose, _, origin = request.origin.partition(": ")
        epochs = self.settings.search_epochs
        self.planned.append(replace(request, number=UNNUMBERED, purpose=purpose, origin=origin, budget_epochs=epochs, of=request.number))

    def _say(self, line: str) -> None:
        if line:
            self.observer(Note(line))
