"""The settings of a campaign, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

from harness.errors import UsageError
from search.optimizer import first_design
from search.records.journal import Header
from search.space.goals import Goal
from search.space.space import SearchSpace

ASKING_SHARE = 0.75  # of the search's time; the rest is for seeing again what may be chosen
LEAST_EPOCHS = 1 / 16  # a trial shorter than that counts as that long


@dataclass(frozen=True, slots=True)
class CampaignSettings:
    """How a campaign is run; the network, the space and the latencies are given beside it.

    trials: configurations to try, promotions and repetitions aside. seeds: how many of them form the initial design, a third at most.
    budget_epochs: full-length fine-tuning. short_epochs: length of the search's trials, of which the best are promoted to full
    length; None for full length throughout. screen: judge every proposal with recalibrated batch norm first, and go on with
    those that have a chance. hours: stop asking after that long, earlier sessions included. patience: stop after so many
    proposals in a row whose expected improvement is small; 0 for never. finalists, repeats: about how many configurations are
    evaluated how often again, with other seeds, before one is chosen. max_crashes: crashed trials in a row after which the
    campaign stops. workers: child processes side by side. trial_timeout_s: per trial. ends_s: of the search, its repetitions
    too; for new trials ``ASKING_SHARE`` of it. measurements, accuracy: digests of the stored latencies and of whatever decides an
    accuracy (dense weights, data, code). margin_points: by how much the search stays below the goal's limit, because the pictures that
    its finalists are judged on tell no more.
    """

    name: str
    seed: int = 0
    trials: int = 30
    seeds: int = 12
    budget_epochs: float = 2.0
    short_epochs: float | None = None
    screen: bool = False
    goal: Goal = field(default_factory=Goal)
    hours: float = math.inf
    patience: int = 0
    finalists: int = 5
    repeats: int = 2
    max_crashes: int = 5
    workers: int = 1
    trial_timeout_s: float = math.inf
    ends_s: float = math.inf
    measurements: str = ""
    accuracy: str = ""
    margin_points: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("seeds", 1), ("budget_epochs", 0), ("patience", 0), ("finalists", 0), ("repeats", 0)):
            if not getattr(self, name) >= least:
                raise UsageError(f"{name} is {getattr(self, name)}; give at least {least}")
        for name in ("hours", "max_crashes", "workers", "trial_timeout_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; give more than 0")
        if self.short_epochs is not None and not 0 <= self.short_epochs < self.budget_epochs:
            raise UsageError(f"short trials of {self.short_epochs} epochs are no shorter than full length, {self.budget_epochs}; give less")
        if self.screen and self.search_epochs <= 0:
            raise UsageError("trials without fine-tuning need no screen before them; leave the screen out, or tune for longer")

    @property
    def asking_ends_s(self) -> float:
        """Seconds of the search after which no new configuration is asked for."""
        return min(self.hours * 3600, ASKING_SHARE * self.ends_s)

    @property
    def first_count(self) -> int:
        """How many trials form the initial design."""
        return first_design.count(self.trials, self.seeds)

    @property
    def search_epochs(self) -> float:
        """Length of the search's own trials."""
        return self.budget_epochs if self.short_epochs is None else self.short_epochs

    @property
    def longer(self) -> float:
        """By what factor full length is longer than the search's own trials."""
        return self.budget_epochs / max(self.search_epochs, LEAST_EPOCHS)

    @property
    def lengths(self) -> tuple[float, ...]:
        """Epochs of every kind of trial."""
        return self.budget_epochs, self.search_epochs, *((0.0,) if self.screen else ())

    def header(self, space: SearchSpace) -> Header:
        """The first line of this campaign's journal."""
        told = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.name != "goal")
        epochs = f"{self.search_epochs:g} of {self.budget_epochs:g} epochs" + (", screened" if self.screen else "")
        digests = (space.digest, space.architecture.digest, self.measurements, self.accuracy)
        return Header(self.name, self.seed, self.goal.text, told, *digests, epochs)
