"""The course of a campaign: which trial comes next, what is learnt from one that is over, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from harness.errors import CampaignError
from harness.records.pruning_config import PruningConfig
from search import choice, fidelity, goals, notes
from search.array_search import SpaceExhausted
from search.events import Begun, Ended, Improved, Note, Observer, TrialFinished, TrialProgress, TrialStarted
from search.fidelity import Calibration
from search.journal import Contents, Journal
from search.pool import Pool
from search.result import CampaignResult, dense_widths, rank, result_of, searched
from search.screened_latency import OUT_OF_REACH_S
from search.selector import Optimizer
from search.settings import CampaignSettings
from search.space import SearchSpace
from search.trial import MODEL, NEW, PROMOTE, REPEAT, SCREEN, SEED, Floats, KnownLatency, Trial, TrialRequest, crashes_in_a_row

SMALL_IMPROVEMENT = 0.002  # expected improvement, of the dense latency or in points, below which a proposal counts as hopeless
REACH_EVERY = 5  # trials after the initial design between two looks at whether both limits can be kept
_UNNUMBERED = -1


class Campaign:
    """The state between two trials; everything in it follows from the journal."""

    def __init__(
        self,
        settings: CampaignSettings,
        space: SearchSpace,
        latency: KnownLatency,
        journal: Journal,
        before: Contents,
        observer: Observer,
        guard: Callable[[], None] | None,
    ) -> None:
        self.settings, self.space, self.latency, self.journal, self.observer = settings, space, latency, journal, observer
        self.guard, self.before = guard, before
        self.finished: list[Trial] = list(before.finished)
        self.planned: list[TrialRequest] = list(before.running)  # to be run before anything new is asked for
        self.promoted = {one.of for one in self.planned if one.purpose == PROMOTE}
        self.promoted |= {trial.request.of for trial in fidelity.promoted_of(self.known, settings.budget_epochs)}
        self.next_number = before.next_number
        self.began = time.monotonic()
        self.ask_s: dict[int, float] = {}
        self.running: list[TrialRequest] = []
        self.hopeless = 0
        self.warned = False
        self.worst_drop = 0.0
        self.dense_s = float(latency.seconds(dense_widths(space))[0])

    @property
    def known(self) -> tuple[Trial, ...]:
        """All that is known of accuracies: what other campaigns found, and this one's finished trials."""
        return (*self.before.imported, *self.finished)

    @property
    def short(self) -> list[Trial]:
        """The trials from which promotions are chosen."""
        return [one for one in fidelity.short_of(self.known, self.settings.search_epochs) if one.latency_s < OUT_OF_REACH_S]

    def attach(self, pool: Pool, optimizer: Optimizer) -> None:
        """Give the campaign its place to run trials and its optimiser, and tell the latter what is known."""
        self.pool, self.optimizer = pool, optimizer
        for trial in (*self.before.imported, *self.finished):
            self._learn(trial)
        self.optimizer.replayed()
        for request in self.planned:
            if request.purpose in (*NEW, SCREEN):
                self.optimizer.expect(self._row(request))
        self._adjust_limit()
        self._plan_promotions()

    def to_the_end(self) -> CampaignResult:
        """All trials, then promotions and repetitions, then the choice."""
        self.began = time.monotonic() - self.before.seconds
        done = len(searched(self.finished))
        goal, space = self.settings.goal, self.space
        self.observer(Begun(goal.text, space.dimensions, space.configurations, self.dense_s, self.settings.trials, done))
        reason = self._search()
        self._conclude()
        self.journal.stopped(reason, self.elapsed_s)
        result = self._result(reason)
        for told in (notes.time_split(self.finished), *notes.finalists(result)):
            self._say(told)
        self.observer(Ended(reason))
        return result

    def progress(self, number: int, phase: str, share: float) -> None:
        """Pass on how far a trial is."""
        self.observer(TrialProgress(number, phase, share))

    @property
    def elapsed_s(self) -> float:
        """Seconds of all sessions of the campaign."""
        return time.monotonic() - self.began

    def _search(self) -> str:
        """Trials until there is a reason to stop, which is returned; some may be running yet."""
        while True:
            while len(self.running) < self.pool.slots:
                if self.planned:
                    self._submit(self.planned.pop(0))
                    continue
                reason = self._why_stop() or self._ask()
                if reason:
                    return reason
            self._collect()

    def _why_stop(self) -> str:
        settings, crashes = self.settings, crashes_in_a_row(self.finished)
        if crashes >= settings.max_crashes:
            last = self.finished[-1].outcome.reason
            if crashes == len(self.finished):
                raise CampaignError(f"all of the first {crashes} trials crashed, the last one with: {last}; mend that, then resume")
            return f"the last {crashes} trials crashed, the last one with: {last}"
        if self.elapsed_s >= settings.hours * 3600:
            return f"the time of {settings.hours:g} h is used up"
        asked = sum(one.purpose in (*NEW, SCREEN) for one in self.running)
        if len(searched(self.finished)) + asked >= settings.trials:
            return f"all {settings.trials} trials are done"
        if settings.patience and self.hopeless >= settings.patience:
            return f"{self.hopeless} proposals in a row promised an improvement below {SMALL_IMPROVEMENT:.1%} of the dense latency"
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
            self.hopeless = self.hopeless + 1 if self.optimizer.expected_improvement < SMALL_IMPROVEMENT else 0
        purpose, origin = (SEED, "initial design") if is_seed else (MODEL, "known latency, modelled drop")
        config, recipe = self.space.decode(row)
        self.ask_s[self.next_number] = time.perf_counter() - began
        request = TrialRequest(_UNNUMBERED, purpose, origin, config, recipe, self.settings.search_epochs, self.settings.seed)
        if self.settings.screen:
            request = replace(request, purpose=SCREEN, origin=f"{purpose}: {origin}", budget_epochs=0.0)
        self._submit(request)
        return ""

    def _submit(self, request: TrialRequest) -> None:
        """Start a trial; one without a number gets the next one and its line in the journal."""
        if request.number == _UNNUMBERED:
            request = replace(request, number=self.next_number)
            self.next_number += 1
            self.journal.started(request, self.elapsed_s)
        self.running.append(request)
        self.observer(TrialStarted(request, self._seconds(request.config)))
        self.pool.submit(request)

    def _collect(self) -> None:
        """Wait for trials to be over, and take them in."""
        for request, outcome in self.pool.wait():
            self.running = [one for one in self.running if one.number != request.number]
            trial = Trial(request, outcome, self._seconds(request.config), self.ask_s.pop(request.number, 0.0))
            self.journal.finished(trial, self.elapsed_s)
            improved = outcome.ok and self._improves(trial)
            self.finished.append(trial)
            self._learn(trial)
            self._plan_after(trial)
            self.observer(TrialFinished(trial, len(searched(self.finished))))
            self._say(notes.dense_loss(trial, self.settings, trial.request.config == self.space.architecture.dense()))
            self._warn_of_reach(trial)
            if improved:
                self.observer(Improved(trial))

    def _plan_after(self, trial: Trial) -> None:
        """What follows from this trial for the others."""
        if trial.request.purpose == PROMOTE:
            self._adjust_limit()
        elif trial.request.purpose in NEW:
            self._plan_promotions()

    def _plan_promotions(self, more: int = 0) -> None:
        """As many as the short trials so far are worth, and ``more``: counted from the first, so that resuming adds none.

        The short trials of other campaigns count too. At first a few are planned, to learn what length brings back.
        """
        if self.settings.short_epochs is None:
            return
        due = fidelity.promotions_by(len(self.short)) + more - len(self.promoted)
        if len(self.promoted) < fidelity.FIRST_COUNT and not more:
            due = min(due, fidelity.FIRST_COUNT - len(self.promoted))
        if due > 0:
            self.planned += self._promotions(due)

    def _warn_of_reach(self, trial: Trial) -> None:
        """Say once, early, when the trials so far leave little hope of keeping both limits."""
        goal, done = self.settings.goal, len(searched(self.finished))
        if goal.max_drop_points is None or goal.max_latency_s is None or self.warned or trial.request.purpose != MODEL:
            return
        if (done - self.settings.seeds) % REACH_EVERY == 0:
            limit = goal.max_drop_points + self.optimizer.acquisition.limit_shift
            warning = self.optimizer.reach(limit, goal.max_latency_s).warning(goal)
            if warning:
                self.warned = True
                self._say(warning)

    def _promotions(self, count: int) -> list[TrialRequest]:
        """Requests that bring the best short trials to full length."""
        settings = self.settings
        limit = settings.goal.drop_limit + self.optimizer.acquisition.limit_shift
        chosen = fidelity.due_for_promotion(self.short, self.promoted, limit, count, settings.longer, self._certain_s())
        return self._at_full_length(chosen)

    def _at_full_length(self, short: Sequence[Trial]) -> list[TrialRequest]:
        """Requests that bring these short trials to full length, none of which will be asked for again."""
        self.promoted |= {one.number for one in short}
        return [
            replace(
                one.request,
                number=_UNNUMBERED,
                purpose=PROMOTE,
                origin=f"trial {one.number} at full length",
                budget_epochs=self.settings.budget_epochs,
                of=one.number,
            )
            for one in short
        ]

    def _certain_s(self) -> float:
        """Latency of the fastest that is known to keep the goal's limit; infinite where there is none, or where a front is sought."""
        if self.settings.goal.kind != "max-drop":
            return math.inf
        certain = [one.latency_s for one in self._result("").standings if one.chance >= goals.CHOSEN_CHANCE]
        return min(certain, default=math.inf)

    def _adjust_limit(self) -> None:
        """Let short trials off as much as full length has brought back so far."""
        if self.settings.short_epochs is None:
            return
        low, high = fidelity.pairs(self.short, fidelity.promoted_of(self.known, self.settings.budget_epochs))
        self.optimizer.acquisition.limit_shift = shift = fidelity.limit_shift(
            low, high, self.settings.goal.drop_limit, self.settings.longer
        )
        if len(low) >= 3:
            error = Calibration.fit(low, high).error_points
            told = f"full length brings back {shift:.2f} points near the limit, predicted to {error:.2f}"
            self._say(f"{len(low)} configurations at both lengths: {told}")

    def _conclude(self) -> None:
        """Promote the last good short trials, for only full-length ones can be chosen, and repeat those that may be, with other seeds.

        The luckiest observation must not win. No worker waits for another: repetitions begin while the last promotions run. Where
        repetitions leave only something far slower, safer short trials between are promoted, and repeated, in their turn.
        """
        settings = self.settings
        while True:
            self._plan_promotions(settings.finalists)
            while len(self.running) < self.pool.slots:
                request = self.planned.pop(0) if self.planned else self._repetition()
                if request is None:
                    break
                self._submit(request)
            if not self.running:
                self.planned += self._stand_ins()
                if not self.planned:
                    return
                continue
            self._collect()

    def _stand_ins(self) -> list[TrialRequest]:
        """Full length for the safest saving among short trials, when nothing faster held; at most as many as there were finalists.

        None for a campaign that had come to its end and got no more trials: to resume it changes no choice.
        """
        if self.before.stopped and len(searched(self.finished)) == len(searched(list(self.before.finished))):
            return []
        result = self._result("")
        if self.settings.goal.kind != "max-drop" or result.calibration is None or not self._begun(REPEAT):
            return []
        if self._stand_ins_begun >= self.settings.finalists:
            return []
        certain_s = min(self._certain_s(), self.dense_s)
        found = choice.stand_in(self.space, self.short, self.promoted, self.settings.goal, result.calibration, certain_s)
        return [] if found is None else self._at_full_length([found])

    @property
    def _stand_ins_begun(self) -> int:
        """Promotions that came after the first repetition."""
        first = min((one.number for one in self._begun(REPEAT)), default=math.inf)
        return sum(one.number > first for one in self._begun(PROMOTE))

    def _begun(self, purpose: str) -> list[TrialRequest]:
        """Trials of this campaign for one purpose, running or over."""
        return [one for one in (*self.running, *(trial.request for trial in self.finished)) if one.purpose == purpose]

    def _repetition(self) -> TrialRequest | None:
        """The evaluation, with another seed, that says most about the choice; None when enough were made or none matters."""
        settings = self.settings
        if len(self._begun(REPEAT)) >= (settings.finalists + self._stand_ins_begun) * settings.repeats:
            return None
        known = choice.expecting(self._result("").standings, [one.of for one in self.running if one.purpose == REPEAT])
        standing = choice.next_repetition(known, settings.goal, 1 + settings.repeats)
        if standing is None:
            return None
        seed, origin = settings.seed + standing.observations, f"trial {standing.trial} again"
        return TrialRequest(_UNNUMBERED, REPEAT, origin, standing.config, standing.recipe, settings.budget_epochs, seed, standing.trial)

    def _learn(self, trial: Trial) -> None:
        """Tell the optimiser, unless the trial says nothing at the length of the search, or a longer one will follow."""
        request, outcome = trial.request, trial.outcome
        if not self.space.covers(request.config, request.recipe):
            return
        if request.purpose == SCREEN:
            self._judge_screen(trial)
        elif request.purpose in NEW and request.budget_epochs == self.settings.search_epochs:
            if outcome.ok:
                self.worst_drop = max(self.worst_drop, outcome.drop_points)
            self.optimizer.tell(self._row(request), outcome.drop_points if outcome.ok else self.worst_drop, crashed=not outcome.ok)

    def _judge_screen(self, trial: Trial) -> None:
        """Go on with a screened configuration that has a chance; else tell what the screen lets expect of it."""
        request, outcome = trial.request, trial.outcome
        known = {one.of for one in self.planned} | {one.request.of for one in self.finished if one.request.purpose in NEW}
        if request.number in known:
            return
        if not outcome.ok:
            self.optimizer.tell(self._row(request), self.worst_drop, crashed=True)
            return
        screens = [one for one in self.finished if one.request.purpose == SCREEN]
        low, high = fidelity.pairs(screens, [one for one in self.finished if one.request.purpose in NEW])
        if len(low) >= fidelity.LEAST_PAIRS_TO_SCREEN:
            relation = Calibration.fit(low, high)
            limit = self.settings.goal.drop_limit + self.optimizer.acquisition.limit_shift
            if relation.chance(outcome.drop_points, limit) < fidelity.SCREENED_OUT_BELOW:
                self.optimizer.tell(self._row(request), relation.predict(outcome.drop_points)[0])
                return
        purpose, _, origin = request.origin.partition(": ")
        epochs = self.settings.search_epochs
        self.planned.append(replace(request, number=_UNNUMBERED, purpose=purpose, origin=origin, budget_epochs=epochs, of=request.number))

    def _result(self, reason: str) -> CampaignResult:
        contents = Contents(self.before.header, tuple(self.finished), (), self.before.imported, reason, self.elapsed_s)
        return result_of(self.settings, self.space, self.latency, contents)

    def _say(self, line: str) -> None:
        if line:
            self.observer(Note(line))

    def _row(self, request: TrialRequest) -> Floats:
        return self.space.encode(request.config, request.recipe)

    def _seconds(self, config: PruningConfig) -> float:
        widths = np.asarray([[config.kept(group.name) for group in self.space.architecture.groups]], dtype=np.int64)
        return float(self.latency.seconds(widths)[0])

    def _improves(self, trial: Trial) -> bool:
        """Whether an observation at full length beats all before it, for the goal."""
        least, goal = self.settings.budget_epochs, self.settings.goal
        earlier = [rank(one, goal) for one in self.finished if one.outcome.ok and one.request.budget_epochs >= least]
        return trial.request.budget_epochs >= least and (not earlier or rank(trial, goal) < min(earlier))
