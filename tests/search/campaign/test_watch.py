"""One display for all workers: what a person sees of a campaign is the sum of what its trials tell."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from harness.records.architecture import Architecture
from search.campaign.watch import Watch
from search.records.display import Bar, Display
from search.records.events import Begun, Event, TrialFinished, TrialProgress, TrialStarted
from search.records.trial import MODEL, REPEAT, Trial, TrialOutcome, TrialRequest, TuningChoice


@dataclass
class Drawn:
    """A bar that remembers where it is."""

    done: float = 0.0
    note: str = ""

    def at(self, done: float, total: float | None = None, note: str | None = None) -> None:
        self.done, self.note = done, self.note if note is None else note


@dataclass
class Said:
    """A display that remembers what it said."""

    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)


def started(architecture: Architecture, number: int, purpose: str = MODEL) -> TrialStarted:
    return TrialStarted(TrialRequest(number, purpose, "", architecture.dense(), TuningChoice(), 1.0, 0), 1e-3)


def finished(start: TrialStarted, searched: int) -> TrialFinished:
    return TrialFinished(Trial(start.request, TrialOutcome(0.9, 0.89, 0.91, 1.0), 1e-3), searched)


def shown(*events: Event) -> Drawn:
    bar = Drawn()
    watch = Watch(cast(Display, Said()), cast(Bar, bar))
    for event in (Begun("", 3, 10, 1e-3, 9, 2), *events):
        watch(event)
    return bar


def test_the_bar_adds_up_what_all_workers_have_done(architecture: Architecture) -> None:
    first, second = started(architecture, 4), started(architecture, 5)
    bar = shown(first, second, TrialProgress(4, "tune", 0.5), TrialProgress(5, "tune", 0.25))
    assert bar.done == pytest.approx(2.75)
    assert bar.note == "trial 4 tune · trial 5 tune"
    after = shown(first, second, TrialProgress(4, "tune", 0.5), TrialProgress(5, "tune", 1.0), finished(second, 3))
    assert after.done == pytest.approx(3.5)
    assert after.note == "trial 4 tune"


def test_a_trial_that_is_being_judged_does_not_move_the_bar_back(architecture: Architecture) -> None:
    bar = shown(started(architecture, 4), TrialProgress(4, "tune", 1.0), TrialProgress(4, "evaluate", 0.0))
    assert bar.done == pytest.approx(3.0)


def test_repetitions_are_no_progress_of_the_search_and_are_told(architecture: Architecture) -> None:
    bar = shown(started(architecture, 4, REPEAT), TrialProgress(4, "tune", 0.5))
    assert bar.done == pytest.approx(2.0)
    assert bar.note == "trial 4 again, tune"


def test_progress_of_a_trial_that_is_over_is_ignored(architecture: Architecture) -> None:
    start = started(architecture, 4)
    late = shown(start, finished(start, 3), TrialProgress(4, "tune", 0.5))
    assert (late.done, late.note) == (3.0, "")
