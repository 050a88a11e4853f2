"""The ends of a campaign that found nothing within its limit: told apart, with their figures, and with what to do about each.

All crashed, none finished in time, nothing pruned was tried: there is nothing to go on with. All over the limit: there is a trade-off to
compare all the same, and only the limit was missed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import CampaignError
from search.campaign.result import CampaignResult
from search.optimizer.choice import Standing
from search.optimizer.fidelity import promotions_by
from search.records.costs.objective import LATENCY, Objective
from search.records.losses.drop import Drop
from search.records.request import QUANTISED
from search.records.trial import Trial

TOLD_REASONS = 3
RESERVE = 1.1  # of the time that a search is said to need: its trials are not all alike
UNKNOWN_TIMES = 10  # as much time is proposed where not a single trial tells how long one takes
_Z_975 = 1.96
# What differs between crashes of one kind: whatever is quoted, words that hold a digit, paths, dotted and snake-case names.
_NAMES = re.compile(r"'[^']*'|\"[^\"]*\"|\S*\d\S*|\S*/\S+|\w+(?:[._]\w+)+")


@dataclass(frozen=True, slots=True)
class Reason:
    """A kind of crash. text: of the first one, in full. count: how many were alike up to numbers and names."""

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class AllCrashed:
    """No pruned network came through. what: which trials crashed. reasons: the commonest first."""

    name: str
    what: str
    reasons: tuple[Reason, ...]

    @property
    def sentence(self) -> str:
        """A line for each of the commonest reasons, and what to do."""
        told, others = self.reasons[:TOLD_REASONS], self.reasons[TOLD_REASONS:]
        lines = [f"  {one.count} × {one.text}" for one in told]
        if others:
            lines.append(f"  {sum(one.count for one in others)} × for {len(others)} other reason{'s' if len(others) > 1 else ''}")
        todo = "mend the first of these, then start again under another --name: no configuration of a campaign is tried twice"
        return "\n".join((f"{self.what} crashed:", *lines, todo))


@dataclass(frozen=True, slots=True)
class NoneInTime:
    """The time was used up before a pruned network was tuned in full. done: trials, epochs and mean seconds of each length."""

    name: str
    hours: float
    done: tuple[tuple[int, float, float], ...]
    trials: int
    needed_hours: float

    @property
    def sentence(self) -> str:
        """What was done, how long one takes, and the time that all trials would take."""
        told = ", ".join(
            f"{count} trial{'s' if count > 1 else ''} of {epochs:g} epochs ({each:.3g} s each)" for count, epochs, each in self.done
        )
        needed = (
            f"all {self.trials} trials take about {self.needed_hours:g} h"
            if self.done
            else "how long a trial takes is not known yet, give ten times as much"
        )
        return (
            f"the time of {self.hours:g} h was used up before a pruned network was tuned in full; done: {told or 'nothing'}; nothing is "
            f"lost; {needed}: python -m search resume {self.name} --hours={self.needed_hours:g}"
        )


@dataclass(frozen=True, slots=True)
class NothingPruned:
    """Nothing failed, but nothing pruned was tuned in full that could be recommended. what: the case, in words."""

    name: str
    what: str
    trials: int

    @property
    def sentence(self) -> str:
        """The case, and the command that tries more."""
        return f"{self.what}; give more trials: python -m search resume {self.name} --trials={self.trials}"


@dataclass(frozen=True, slots=True)
class AllOverLimit:
    """Every pruned network that was tuned in full loses more than the limit.

    nearest: the least harmed one. tuned: how many there are. dense_cost: of the unpruned network, predicted. dense_lost: what
    that one itself lost by the same tuning; None where it is not known.
    """

    name: str
    limit_points: float
    nearest: Standing
    tuned: int
    epochs: float
    dense_cost: float
    dense_lost: Drop | None
    objective: Objective = LATENCY

    @property
    def sentence(self) -> str:
        """The least drop with its speed-up, what the tuning itself cost, and what would help."""
        found, lost, limit = self.nearest, self.dense_lost, _points(self.limit_points)
        low, high = found.interval_points
        times = f"{found.observations} evaluation{'s' if found.observations > 1 else ''}"
        itself = (
            ""
            if lost is None
            else f"; by tuning alone the unpruned network itself lost {lost.points:.2f} ({lost.low:.2f} to {lost.high:.2f})"
        )
        least = math.ceil(round(10 * found.mean_points, 6)) / 10
        return (
            f"no network found keeps the limit of {limit}: of {self.tuned} pruned and tuned for {self.epochs:g} epochs the least "
            f"harmed lost {found.observed_points:.2f} points in {times} (by all trials together {found.mean_points:.2f}, {low:.2f} to "
            f"{high:.2f}), at {self.objective.reached(self.dense_cost, found.cost)}{itself}; what may help: a longer --budget "
            f"(now {self.epochs:g} epochs), more --trials, or a larger --max-drop (from {least:g})"
        )


End = AllCrashed | NoneInTime | NothingPruned | AllOverLimit


def of(result: CampaignResult, dense_lost: Drop | None = None) -> End | None:
    """How a campaign ended that has nothing within its limit to recommend; None for one that has.

    dense_lost: what the unpruned network lost by a trial's tuning. Where no largest drop is sought, anything chosen will do.
    """
    settings, chosen, name = result.settings, result.chosen, result.settings.name
    if chosen is not None:
        if settings.goal.kind != "max-drop" or chosen.mean_points <= settings.goal.drop_limit:
            return None
        tuned, goal, epochs = sum(one.candidate for one in result.standings), settings.goal, settings.budget_epochs
        return AllOverLimit(name, goal.drop_limit, chosen, tuned, epochs, result.dense_cost, dense_lost, goal.objective)
    pruned = [one for one in result.standings if one.config != result.dense]
    if not pruned and any(trial.outcome.failed for trial in result.trials):
        return _crashed(result)
    if not pruned and len(result.searched) < settings.trials and result.elapsed_s >= settings.hours * 3600:
        return _none_in_time(result)
    more = settings.trials + settings.seeds
    if settings.goal.kind == "max-latency" and result.standings:
        return NothingPruned(
            name, f"none of {_networks(len(result.standings))} tuned in full is predicted to be as fast as asked for", more
        )
    if pruned:
        told, cheaper = _networks(len(pruned), "pruned "), settings.goal.objective.cheaper
        return NothingPruned(name, f"none of {told} tuned in full is predicted to be {cheaper} than the unpruned one", more)
    return NothingPruned(name, f"only the unpruned network was tried in full ({result.stop_reason or 'the search has not ended'})", more)


def refuse(end: End | None) -> None:
    """CampaignError for an end that leaves nothing to go on with."""
    if end is not None and not isinstance(end, AllOverLimit):
        raise CampaignError(end.sentence)


def lost_by_tuning(result: CampaignResult) -> Drop | None:
    """What the unpruned network lost in its longest trials, by the journal; None where it was not tried."""
    tried = [one for one in (*result.imported, *result.trials) if one.outcome.ok and one.request.config == result.dense]
    tried = [one for one in tried if one.request.recipe.precision != QUANTISED]  # that loses by more than the tuning
    if not tried:
        return None
    longest = max(one.request.budget_epochs for one in tried)
    drops = [one.outcome for one in tried if one.request.budget_epochs == longest]
    lost = float(np.mean([one.drop_points for one in drops]))
    margin = _Z_975 * float(np.mean([one.deviation_points for one in drops]))  # the same images each time: no narrower for more seeds
    return Drop(lost, lost - margin, lost + margin)


def all_crashed(name: str, trials: Sequence[Trial], what: str = "") -> AllCrashed:
    """The end of a campaign that has these crashed trials only."""
    return AllCrashed(name, what or f"all {len(trials)} trials", grouped(trial.outcome.reason for trial in trials))


def grouped(reasons: Iterable[str]) -> tuple[Reason, ...]:
    """Reasons that are the same up to numbers and names, told by the first of each, the commonest first."""
    firsts: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for reason in reasons:
        kind = _NAMES.sub("…", reason)
        firsts.setdefault(kind, reason)
        counts[kind] += 1
    return tuple(Reason(firsts[kind], count) for kind, count in counts.most_common())


def _crashed(result: CampaignResult) -> AllCrashed:
    """Of all trials where all crashed, else of pruned networks', else of those at full length."""
    name, least = result.settings.name, result.settings.budget_epochs
    ours = [one for one in result.trials if one.request.config != result.dense]
    in_full = [one for one in ours if one.request.budget_epochs == least]
    cases = ((result.trials, ""), (ours, " of pruned networks"), (in_full, " of pruned networks at full length"))
    for trials, which in cases:
        if trials and all(one.outcome.failed for one in trials):
            return all_crashed(name, trials, f"all {len(trials)} trials{which}")
    crashed = [one for one in result.trials if one.outcome.failed]
    return all_crashed(name, crashed, f"no pruned network was tuned in full, and {len(crashed)} of {len(result.trials)} trials")


def _none_in_time(result: CampaignResult) -> NoneInTime:
    settings = result.settings
    done_ones = [one for one in result.trials if one.outcome.ok and one.tuned]
    timed = [one for one in done_ones if one.outcome.seconds > 0] or done_ones  # the unpruned network was tuned before the search
    done = []
    for epochs in sorted({one.request.budget_epochs for one in timed}):
        seconds = [one.outcome.seconds + one.ask_s for one in timed if one.request.budget_epochs == epochs]
        done.append((len(seconds), epochs, float(np.mean(seconds))))
    if not done:
        return NoneInTime(settings.name, settings.hours, (), settings.trials, _rounded_up(UNKNOWN_TIMES * result.elapsed_s / 3600))
    each = {epochs: seconds for _, epochs, seconds in done}
    short_s = each.get(settings.search_epochs, max(each.values()))
    full_s = each.get(settings.budget_epochs, short_s * settings.longer)
    promoted = 0 if settings.short_epochs is None else promotions_by(settings.trials)
    left_s = ((settings.trials - len(result.searched)) * short_s + promoted * full_s) / settings.workers
    return NoneInTime(
        settings.name, settings.hours, tuple(done), settings.trials, _rounded_up((result.elapsed_s + RESERVE * left_s) / 3600)
    )


def _rounded_up(hours: float) -> float:
    """To two significant digits, never less."""
    if hours <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(hours)) - 1)
    return float(f"{math.ceil(hours / step) * step:.6g}")


def _networks(count: int, kind: str = "") -> str:
    return f"{count} {kind}network{'s' if count > 1 else ''}"


def _points(count: float) -> str:
    """``1 point``, ``0.5 points``."""
    return f"{count:g} {'point' if count == 1 else 'points'}"
