"""Turns a campaign's events into the bar and the lines that a person sees."""

from __future__ import annotations

from dataclasses import dataclass

from search.display import Bar, Display
from search.events import Begun, Ended, Event, Improved, Note, TrialFinished, TrialProgress, TrialStarted
from search.trial import REPEAT, Trial


@dataclass
class Watch:
    """An observer of one campaign."""

    display: Display
    bar: Bar
    dense_s: float = 0.0
    searched: int = 0
    repeating: bool = False

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        match event:
            case Begun():
                self.dense_s, self.searched = event.dense_s, event.replayed
                self.bar.at(event.replayed, event.trials)
                self.display.say(
                    f"search: {event.goal}; {event.dimensions} dimensions, {event.configurations:.3g} legal configurations; "
                    f"dense predicted at {event.dense_s * 1e6:.1f} µs"
                    + (f"; {event.replayed} trials taken from the journal" if event.replayed else "")
                )
            case TrialStarted():
                self.repeating = event.request.purpose == REPEAT
            case TrialProgress():
                if self.repeating:
                    self.bar.at(self.searched, note=f"repeating the best: {event.phase}")
                else:
                    self.bar.at(self.searched + event.share if event.phase == "tune" else self.searched, note=event.phase)
            case TrialFinished():
                self.searched = event.searched
                self.bar.at(event.searched)
            case Improved():
                self.display.say(f"  {self._told(event.trial)}")
            case Note():
                self.display.say(f"  {event.text}")
            case Ended():
                self.display.say(f"search ended: {event.reason}")

    def _told(self, trial: Trial) -> str:
        outcome = trial.outcome
        return (
            f"trial {trial.number}: predicted {trial.latency_s * 1e6:.1f} µs ({trial.latency_s / self.dense_s:.2f} of dense), "
            f"validation drop {outcome.drop_points:+.2f} points after {trial.request.budget_epochs:g} epochs, {trial.request.origin}"
        )
