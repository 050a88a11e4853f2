"""Races: what optimisers tried and recommend after so many trials on the same problem, by observation and by truth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from harness.errors import CampaignError, RecordError
from harness.files import json_text, reading
from harness.records.decoding import OrUnknown, decode
from harness.records.pruning_config import PruningConfig
from search.records.sensitivity_record import Sensitivity
from search.records.trial import Evaluate, KnownCost, Trial, TuningChoice
from search.space.goals import Goal
from search.space.space import SearchSpace

WORST_DROP_POINTS = 8.0  # reference point of the hypervolume, with the dense latency


@dataclass(frozen=True)
class Arena:
    """A problem on which methods race.

    truth: noise-free drop in points, where the problem knows it. near_optimum: lowest known latency within the goal, as a
    ratio to the dense network; reached: what plain evolution strategies reach with the truth, a milder mark; neither is a
    number where unknown. sensitivity: what a look at every group shows, for who asks for it. watched: the same
    evaluation, by which hopeless trials are stopped early; None where nobody looks on the way.
    """

    problem: str
    instance: int
    space: SearchSpace
    latency: KnownCost
    evaluate: Evaluate
    goal: Goal
    budget_epochs: float
    truth: Callable[[PruningConfig, TuningChoice], float] | None = None
    near_optimum: float = math.nan
    reached: float = math.nan
    sensitivity: Sensitivity | None = None
    watched: Evaluate | None = None


MaybeNumber = Annotated[float, OrUnknown()]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a method recommends after so many trials. place: of the recommended trial among them; -1 for the dense network."""

    trials: int
    place: int


@dataclass(frozen=True, slots=True)
class Run:
    """One method's trials on one problem, in order.

    latencies: ratios to the dense network. drops: observed, in points; not a number for a crash. truths: noise-free ones.
    choices: recommendations of a method that does not simply recommend its best observation.
    """

    problem: str
    instance: int
    method: str
    seed: int
    latencies: tuple[MaybeNumber, ...]
    drops: tuple[MaybeNumber, ...]
    truths: tuple[MaybeNumber, ...]
    choices: tuple[Choice, ...]
    seconds_per_trial: float
    limit_points: float
    near_optimum: MaybeNumber
    reached: MaybeNumber = math.nan

    def best(self, count: int) -> float:
        """Lowest latency among the first ``count`` trials observed within the limit; 1, the dense network, when there is none below."""
        return self._fastest(self.drops, count)[0]

    def truly_best(self, count: int) -> float:
        """Lowest latency among the first ``count`` trials truly within the limit; 1 when there is none below."""
        return self._fastest(self.truths, count)[0]

    def place(self, count: int) -> int:
        """Place of the trial recommended after ``count`` trials, or all there are; -1 for the dense network, when none seems good."""
        for choice in self.choices:
            if choice.trials == min(count, len(self.latencies)):
                return choice.place
        return self._fastest(self.drops, count)[1]

    def chosen_latency(self, count: int) -> float:
        """Latency ratio of the recommendation after ``count`` trials."""
        place = self.place(count)
        return self.latencies[place] if place >= 0 else 1.0

    def chosen_truth(self, count: int) -> float:
        """Noise-free drop of the recommendation after ``count`` trials, in points."""
        place = self.place(count)
        return self.truths[place] if place >= 0 else 0.0

    def hypervolume(self, count: int) -> float:
        """Share of the area between (1, 8 points) and (0, 0) that the first ``count`` trials dominate, by observation."""
        return dominated(self.latencies[:count], self.drops[:count])

    def true_hypervolume(self, count: int) -> float:
        """The same by noise-free drops."""
        return dominated(self.latencies[:count], self.truths[:count])

    def _fastest(self, drops: Sequence[float], count: int) -> tuple[float, int]:
        within = [(latency, place) for place, latency in enumerate(self.latencies[:count]) if drops[place] <= self.limit_points]
        return min([*within, (1.0, -1)])  # the dense network is always there


def dominated(latencies: Sequence[float], drops: Sequence[float]) -> float:
    """Share of the area between (1, ``WORST_DROP_POINTS``) and (0, 0) that points of latency and drop dominate."""
    area, lowest = 0.0, WORST_DROP_POINTS
    for latency, drop in sorted((latency, max(drop, 0.0)) for latency, drop in zip(latencies, drops, strict=True)):
        if latency < 1.0 and drop < lowest:
            area += (1.0 - latency) * (lowest - drop)
            lowest = drop
    return area / WORST_DROP_POINTS


def run_of(arena: Arena, method: str, seed: int, trials: Sequence[Trial], choices: Sequence[Choice], seconds: float) -> Run:
    """A run from a method's trials."""
    widths = np.asarray([[group.channels for group in arena.space.architecture.groups]], dtype=np.int64)
    dense_cost = float(arena.latency.costs(widths)[0])
    truth = arena.truth
    truths = [math.nan if truth is None else truth(t.request.config, t.request.recipe) for t in trials]
    return Run(
        arena.problem,
        arena.instance,
        method,
        seed,
        tuple(trial.cost / dense_cost for trial in trials),
        tuple(trial.outcome.drop_points for trial in trials),
        tuple(truths),
        tuple(choices),
        seconds / max(len(trials), 1),
        arena.goal.drop_limit,
        arena.near_optimum,
        arena.reached,
    )


def read(path: Path) -> tuple[Run, ...]:
    """The runs stored in a JSON-lines file; a torn last line is left out, a missing file is empty."""
    if not path.exists():
        return ()
    found = []
    try:
        lines = reading.text(path).splitlines()
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path} holds no stored runs ({error}); move it away") from error
    for number, line in enumerate(lines, start=1):
        try:
            fields = json_text.parse(line)
            whole = {"near_optimum": None, **fields} if isinstance(fields, dict) else fields  # runs of before have none
            found.append(decode(Run, whole, "it", "delete the line"))
        except (ValueError, RecordError) as error:
            if number < len(lines):
                raise CampaignError(f"line {number} of {path} is no stored run ({error}); delete that line") from error
    return tuple(found)


def append(path: Path, run: Run) -> None:
    """Add one run to the file, on a line of its own."""
    fields = asdict(run)
    for name in ("latencies", "drops", "truths"):
        fields[name] = [None if math.isnan(one) else round(one, 6) for one in fields[name]]
    for name in ("near_optimum", "reached"):
        fields[name] = None if math.isnan(fields[name]) else fields[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + json.dumps(fields, allow_nan=False) + "\n")
