"""What a campaign tells while it runs, for whoever draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from search.records.costs.objective import LATENCY, Objective
from search.records.trial import Trial, TrialRequest


@dataclass(frozen=True, slots=True)
class Begun:
    """The campaign is set up. dense_cost: of the dense network, predicted. replayed: trials read from the journal."""

    goal: str
    dimensions: int
    configurations: int
    dense_cost: float
    trials: int
    replayed: int
    objective: Objective = LATENCY


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial runs now. cost: predicted."""

    request: TrialRequest
    cost: float


@dataclass(frozen=True, slots=True)
class TrialProgress:
    """A running trial is in ``phase``, of which ``share`` in [0, 1] is done."""

    number: int
    phase: str
    share: float


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A trial has an outcome. searched: how many of the campaign's ``trials`` are done, promotions and repetitions aside."""

    trial: Trial
    searched: int


@dataclass(frozen=True, slots=True)
class Improved:
    """The best observation so far, for the goal, by what was observed; the final choice is by posterior mean."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line: a relation that was learnt, a goal that looks out of reach."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The campaign stopped because of ``reason``."""

    reason: str


Event = Begun | TrialStarted | TrialProgress | TrialFinished | Improved | Note | Ended
Observer = Callable[[Event], None]


def silent(event: Event) -> None:
    """An observer that looks away."""
