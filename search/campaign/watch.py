"""Turns a campaign's events into the bar and the lines that a person sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from search.records.costs.objective import LATENCY, Objective
from search.records.display import Bar, Display
from search.records.events import Begun, Ended, Event, Improved, Note, TrialFinished, TrialProgress, TrialStarted
from search.records.trial import NEW, PROMOTE, REPEAT, SCREEN, Trial


@dataclass
class _Running:
    """A trial on its way: the phase it is in, and the share of its fine-tuning that is done."""

    purpose: str
    phase: str = "waiting"
    tuned: float = 0.0

    @property
    def words(self) -> str:
        """Why and where."""
        return f"{_WHY.get(self.purpose, '')}{self.phase}"


_WHY = {REPEAT: "again, ", PROMOTE: "at full length, ", SCREEN: "screen, "}


@dataclass
class Watch:
    """An observer of one campaign, with one bar for all of its workers."""

    display: Display
    bar: Bar
    dense_cost: float = 0.0
    objective: Objective = LATENCY
    searched: int = 0
    running: dict[int, _Running] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        match event:
            case Begun():
                self.dense_cost, self.objective, self.searched = event.dense_cost, event.objective, event.replayed
                self.bar.at(event.replayed, event.trials)
                self.display.say(
                    f"search: {event.goal}; {event.dimensions} dimensions, {event.configurations:.3g} legal configurations; "
                    f"{event.objective.begun(event.dense_cost)}"
                    + (f"; {event.replayed} trials taken from the journal" if event.replayed else "")
                )
            case TrialStarted():
                self.running[event.request.number] = _Running(event.request.purpose)
                self._draw()
            case TrialProgress():
                if (running := self.running.get(event.number)) is not None:
                    running.phase, running.tuned = event.phase, event.share if event.phase == "tune" else running.tuned
                    self._draw()
            case TrialFinished():
                self.searched = event.searched
                self.running.pop(event.trial.number, None)
                self._draw()
            case Improved():
                self.display.say(f"  {self._told(event.trial)}")
            case Note():
                self.display.say(f"  {event.text}")
            case Ended():
                self.display.say(f"search ended: {event.reason}")

    def _draw(self) -> None:
        """Half a trial on each of two workers is one trial's worth of the bar."""
        begun = sum(one.tuned for one in self.running.values() if one.purpose in NEW)
        note = " · ".join(f"trial {number} {one.words}" for number, one in sorted(self.running.items()))
        self.bar.at(self.searched + begun, note=note)

    def _told(self, trial: Trial) -> str:
        outcome = trial.outcome
        return (
            f"trial {trial.number}: {self.objective.predicted(trial.cost)} ({trial.cost / self.dense_cost:.2f} of dense), "
            f"validation drop {outcome.drop_points:+.2f} points after {trial.request.budget_epochs:g} epochs, {trial.request.origin}"
            + (f", at {trial.request.recipe.size}" if trial.request.recipe.size else "")
        )
