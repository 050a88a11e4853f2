"""A campaign: ask the optimiser, evaluate, write the journal, tell the optimiser; until the goal's budget is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from harness.errors import CampaignError, UsageError
from harness.records.pruning_config import PruningConfig
from search import choice
from search.array_search import SpaceExhausted
from search.choice import Standing
from search.events import Begun, Ended, Event, Improved, Observer, TrialFinished, TrialProgress, TrialStarted, silent
from search.goals import Goal, check_reachable
from search.journal import Contents, Header, Journal
from search.pool import Here, Pool, Progress
from search.seeds import initial_rows
from search.selector import Optimizer
from search.space import SearchSpace
from search.trial import MODEL, REPEAT, SEED, Evaluate, Floats, KnownLatency, Trial, TrialRequest, TuningChoice
from search.workers import Processes

SMALL_IMPROVEMENT = 0.002  # expected improvement, of the dense latency or in points, below which a proposal counts as hopeless


@dataclass(frozen=True, slots=True)
class CampaignSettings:
    """How a campaign is run; the network, the space and the latencies are given beside it.

    trials: configurations to try, promotions and repetitions aside. seeds: how many of them form the initial design.
    budget_epochs: full-length fine-tuning. hours: stop asking after that long, earlier sessions included; infinite by
    default. patience: stop after so many proposals in a row whose expected improvement is small; 0 for never. finalists,
    repeats: about how many configurations are evaluated how often again, with other seeds, before one is chosen. max_crashes:
    crashed trials in a row after which the campaign stops. measurements, accuracy: digests of the stored latencies and of
    whatever decides an accuracy (dense weights, data, code).
    """

    name: str
    seed: int = 0
    trials: int = 30
    seeds: int = 12
    budget_epochs: float = 2.0
    goal: Goal = field(default_factory=Goal)
    hours: float = math.inf
    patience: int = 0
    finalists: int = 5
    repeats: int = 2
    max_crashes: int = 5
    workers: int = 1
    trial_timeout_s: float = math.inf
    measurements: str = ""
    accuracy: str = ""

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("seeds", 1), ("budget_epochs", 0), ("patience", 0), ("finalists", 0), ("repeats", 0)):
            if not getattr(self, name) >= least:
                raise UsageError(f"{name} is {getattr(self, name)}; give at least {least}")
        for name in ("hours", "max_crashes", "workers", "trial_timeout_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; give more than 0")

    def header(self, space: SearchSpace) -> Header:
        """The first line of this campaign's journal."""
        settings = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.name != "goal")
        goal = self.goal.text
        return Header(self.name, self.seed, goal, settings, space.digest, space.architecture.digest, self.measurements, self.accuracy)


@dataclass(frozen=True)
class CampaignResult:
    """What a campaign found.

    trials: all finished ones, in the order in which they finished. standings: every configuration evaluated at full length,
    fastest first. front: those that none beats in both latency and drop. chosen: the recommendation; None when no trial
    succeeded at full length. stop_reason: why it ended. elapsed_s: all sessions together.
    """

    settings: CampaignSettings
    trials: tuple[Trial, ...]
    imported: tuple[Trial, ...]
    standings: tuple[Standing, ...]
    front: tuple[Standing, ...]
    chosen: Standing | None
    stop_reason: str
    elapsed_s: float
    dense_s: float

    @property
    def searched(self) -> tuple[Trial, ...]:
        """Trials of configurations that were new, without promotions and repetitions."""
        return tuple(trial for trial in self.trials if trial.request.purpose in (SEED, MODEL))


def run(
    settings: CampaignSettings,
    space: SearchSpace,
    latency: KnownLatency,
    evaluate: Evaluate,
    directory: Path,
    observer: Observer = silent,
    *,
    published: Sequence[PruningConfig] = (),
    imported: Sequence[Trial] = (),
    resume: bool = False,
    guard: Callable[[], None] | None = None,
    pool: Callable[[Progress], Pool] | None = None,
) -> CampaignResult:
    """Run a campaign to its end, or go on with an interrupted one.

    directory: of the journal. published: configurations to try early, as they are (``space`` must have been made with them as
    ``exact``). imported: trials of other campaigns with the same accuracy digest. guard: called before every proposal, to
    raise when something under the campaign has changed. pool: makes the place where trials run; by default this process,
    or ``workers`` child processes when there are several or a time limit is set. Raises CampaignError, and whatever
    ``guard`` raises; an interrupted campaign goes on with ``resume``.
    """
    check_reachable(settings.goal, space, latency)
    header = settings.header(space)
    if resume:
        journal, before = Journal.reopen(directory)
        _same_campaign(header, before.header, directory, journal)
    else:
        journal, before = Journal.create(directory, header), Contents(header)
    try:
        running = _Campaign(settings, space, latency, evaluate, journal, before, observer, published, tuple(imported), guard, pool)
        try:
            return running.to_the_end()
        finally:
            running.close()
    finally:
        journal.close()


def result_of(settings: CampaignSettings, space: SearchSpace, latency: KnownLatency, contents: Contents) -> CampaignResult:
    """The result as far as a journal tells it, without running anything."""
    full = [t for t in (*contents.imported, *contents.finished) if t.request.budget_epochs >= settings.budget_epochs]
    found = choice.standings(space, full, settings.goal)
    dense_s = float(latency.seconds(_dense_widths(space))[0])
    chosen = choice.choose(found, settings.goal)
    front = choice.front(found)
    return CampaignResult(settings, contents.finished, contents.imported, found, front, chosen, contents.stopped, contents.seconds, dense_s)


def _same_campaign(ours: Header, theirs: Header, directory: Path, journal: Journal) -> None:
    differing = theirs.differences(ours)
    if differing:
        journal.close()
        told = ", ".join(
            f"{name} ({getattr(theirs, name) or 'none'} in the journal, {getattr(ours, name) or 'none'} now)" for name in differing
        )
        raise CampaignError(
            f"the campaign in {directory} was made with another {told}; put back what it was made with, "
            f"or start a new one from its trials with: python -m search fork {directory.name}"
        )


def _dense_widths(space: SearchSpace) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.asarray([[group.channels for group in space.architecture.groups]], dtype=np.int64)


class _Campaign:
    """The state between two trials."""

    def __init__(
        self,
        settings: CampaignSettings,
        space: SearchSpace,
        latency: KnownLatency,
        evaluate: Evaluate,
        journal: Journal,
        before: Contents,
        observer: Observer,
        published: Sequence[PruningConfig],
        imported: tuple[Trial, ...],
        guard: Callable[[], None] | None,
        pool: Callable[[Progress], Pool] | None,
    ) -> None:
        self.settings, self.space, self.latency, self.journal, self.observer = settings, space, latency, journal, observer
        self.guard = guard
        self.finished: list[Trial] = list(before.finished)
        self.imported = before.imported or imported
        if not before.imported:
            for trial in imported:
                journal.imported(trial)
        self.requeue = list(before.running)
        self.next_number = before.next_number
        self.earlier_s, self.began = before.seconds, time.monotonic()
        self.ask_s: dict[int, float] = {}
        self.hopeless = 0
        self.worst_drop = 0.0
        self.dense_s = float(latency.seconds(_dense_widths(space))[0])
        self.pool: Pool = (pool or _local_pool(settings, evaluate))(lambda *progress: self.tell_observer(TrialProgress(*progress)))
        self.in_flight = 0
        seeds = initial_rows(space, latency, published, min(settings.seeds, settings.trials), settings.seed)
        self.optimizer = Optimizer(space, latency, settings.goal, settings.seed, seeds, self.pool.slots)
        self._replay()

    def to_the_end(self) -> CampaignResult:
        """All trials, then the repetitions, then the choice."""
        self.began = time.monotonic() - self.earlier_s
        searched = len(self._searched())
        goal, space = self.settings.goal, self.space
        self.tell_observer(Begun(goal.text, space.dimensions, space.configurations, self.dense_s, self.settings.trials, searched))
        reason = self._search()
        self._repeat_finalists()
        self.journal.stopped(reason, self.elapsed_s)
        self.tell_observer(Ended(reason))
        contents = Contents(self.journal_header, tuple(self.finished), (), self.imported, reason, self.elapsed_s)
        return result_of(self.settings, self.space, self.latency, contents)

    @property
    def journal_header(self) -> Header:
        """The first line of the journal."""
        return self.settings.header(self.space)

    @property
    def elapsed_s(self) -> float:
        """Seconds of all sessions of the campaign."""
        return time.monotonic() - self.began

    def tell_observer(self, event: Event) -> None:
        """Pass an event on."""
        self.observer(event)

    def close(self) -> None:
        """Stop what still runs."""
        self.pool.close()
        self.optimizer.close()

    def _search(self) -> str:
        """Trials until there is a reason to stop, which is returned."""
        reason = ""
        while True:
            while self.in_flight < self.pool.slots and not reason:
                reason = self._why_stop()
                if not reason:
                    reason = self._start_next()
            if not self.in_flight:
                return reason
            self._collect()

    def _why_stop(self) -> str:
        settings, crashes = self.settings, self._crashes_in_a_row()
        if crashes >= settings.max_crashes:
            last = self.finished[-1].outcome.reason
            if crashes == len(self.finished):
                raise CampaignError(f"all of the first {crashes} trials crashed, the last one with: {last}; mend that, then resume")
            return f"the last {crashes} trials crashed, the last one with: {last}"
        if self.elapsed_s >= settings.hours * 3600:
            return f"the time of {settings.hours:g} h is used up"
        if len(self._searched()) + self.in_flight >= settings.trials and not self.requeue:
            return f"all {settings.trials} trials are done"
        if settings.patience and self.hopeless >= settings.patience:
            return f"{self.hopeless} proposals in a row promised an improvement below {SMALL_IMPROVEMENT:.1%} of the dense latency"
        return ""

    def _start_next(self) -> str:
        """Begin one trial; the reason when there is nothing left to try."""
        if self.requeue:
            self._submit(self.requeue.pop(0))
            return ""
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
        self._begin(purpose, origin, config, recipe, self.settings.seed)
        return ""

    def _begin(self, purpose: str, origin: str, config: PruningConfig, recipe: TuningChoice, seed: int, of: int = -1) -> None:
        request = TrialRequest(self.next_number, purpose, origin, config, recipe, self.settings.budget_epochs, seed, of)
        self.next_number += 1
        self.journal.started(request, self.elapsed_s)
        self._submit(request)

    def _submit(self, request: TrialRequest) -> None:
        self.in_flight += 1
        self.tell_observer(TrialStarted(request, self._seconds(request.config)))
        self.pool.submit(request)

    def _collect(self) -> None:
        for request, outcome in self.pool.wait():
            self.in_flight -= 1
            trial = Trial(request, outcome, self._seconds(request.config), self.ask_s.pop(request.number, 0.0))
            self.journal.finished(trial, self.elapsed_s)
            improved = outcome.ok and self._improves(trial)
            self.finished.append(trial)
            if request.purpose in (SEED, MODEL):
                self._learn(trial)
            self.tell_observer(TrialFinished(trial, len(self._searched())))
            if improved:
                self.tell_observer(Improved(trial))

    def _repeat_finalists(self) -> None:
        """Evaluate those that may be chosen again, with other seeds: the luckiest observation must not win."""
        settings = self.settings
        spent = sum(trial.request.purpose == REPEAT for trial in self.finished)
        while self.requeue:
            self._submit(self.requeue.pop(0))
            spent += 1
            self._collect()
        while spent < settings.finalists * settings.repeats:
            contents = Contents(self.journal_header, tuple(self.finished), (), self.imported)
            found = result_of(settings, self.space, self.latency, contents).standings
            standing = choice.next_repetition(found, settings.goal, 1 + settings.repeats)
            if standing is None:
                return
            seed = settings.seed + standing.observations
            self._begin(REPEAT, f"trial {standing.trial} again", standing.config, standing.recipe, seed, standing.trial)
            spent += 1
            self._collect()

    def _replay(self) -> None:
        """Tell the optimiser what the journal holds, and what is in flight."""
        for trial in (*self.imported, *self.finished):
            if trial.request.purpose in (SEED, MODEL) and self.space.fits(trial.request.config):
                self._learn(trial)
        self.optimizer.replayed()
        for request in self.requeue:
            if request.purpose in (SEED, MODEL):
                self.optimizer.expect(self._row(request))

    def _learn(self, trial: Trial) -> None:
        if trial.outcome.ok:
            self.worst_drop = max(self.worst_drop, trial.outcome.drop_points)
            self.optimizer.tell(self._row(trial.request), trial.outcome.drop_points)
        else:
            self.optimizer.tell(self._row(trial.request), self.worst_drop, crashed=True)

    def _row(self, request: TrialRequest) -> Floats:
        return self.space.encode(request.config, request.recipe)

    def _seconds(self, config: PruningConfig) -> float:
        widths = np.asarray([[config.kept(group.name) for group in self.space.architecture.groups]], dtype=np.int64)
        return float(self.latency.seconds(widths)[0])

    def _searched(self) -> list[Trial]:
        return [trial for trial in self.finished if trial.request.purpose in (SEED, MODEL)]

    def _crashes_in_a_row(self) -> int:
        count = 0
        for trial in reversed(self.finished):
            if trial.outcome.ok:
                break
            count += 1
        return count

    def _improves(self, trial: Trial) -> bool:
        """Whether the observation beats all before it, for the goal."""
        earlier = [_rank(one, self.settings.goal) for one in self.finished if one.outcome.ok]
        return not earlier or _rank(trial, self.settings.goal) < min(earlier)


def _local_pool(settings: CampaignSettings, evaluate: Evaluate) -> Callable[[Progress], Pool]:
    if settings.workers > 1 or settings.trial_timeout_s < math.inf:
        return lambda progress: Processes(evaluate, settings.workers, settings.trial_timeout_s, progress)
    return lambda progress: Here(evaluate, progress)


def _rank(trial: Trial, goal: Goal) -> tuple[float, float]:
    """Smaller is better: first whether and by how much the limit is missed, then what is minimised."""
    if goal.kind == "max-latency":
        limit_s = math.inf if goal.max_latency_s is None else goal.max_latency_s
        return max(0.0, trial.latency_s - limit_s), trial.outcome.drop_points
    return max(0.0, trial.outcome.drop_points - goal.drop_limit), trial.latency_s
