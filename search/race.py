"""Races: what optimisers reach after so many trials on the same problem, scored by observation and, where known, by truth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from harness.errors import CampaignError
from harness.records.pruning_config import PruningConfig
from search.goals import Goal
from search.space import SearchSpace
from search.trial import Evaluate, KnownLatency, Trial, TuningChoice

WORST_DROP_POINTS = 8.0  # reference point of the hypervolume, with the dense latency


@dataclass(frozen=True)
class Arena:
    """A problem on which methods race.

    truth: noise-free drop in points, where the problem knows it. near_optimum: lowest known latency within the goal, as a
    ratio to the dense network; reached: what plain evolution strategies reach with the truth, a milder mark; neither is a
    number where unknown.
    """

    problem: str
    instance: int
    space: SearchSpace
    latency: KnownLatency
    evaluate: Evaluate
    goal: Goal
    budget_epochs: float
    truth: Callable[[PruningConfig, TuningChoice], float] | None = None
    near_optimum: float = math.nan
    reached: float = math.nan


@dataclass(frozen=True, slots=True)
class Run:
    """One method's trials on one problem, in order.

    latencies: ratios to the dense network. drops: observed, in points; not a number for a crash. truths: noise-free ones.
    chosen: place of the recommended trial; -1 when the method recommends its best observation.
    """

    problem: str
    instance: int
    method: str
    seed: int
    latencies: tuple[float, ...]
    drops: tuple[float, ...]
    truths: tuple[float, ...]
    chosen: int
    seconds_per_trial: float
    limit_points: float
    near_optimum: float
    reached: float = math.nan

    def best(self, count: int) -> float:
        """Lowest latency among the first ``count`` trials observed within the limit; 1 when there is none."""
        pairs = zip(self.latencies[:count], self.drops[:count], strict=True)
        return min((latency for latency, drop in pairs if drop <= self.limit_points), default=1.0)

    @property
    def recommended(self) -> int:
        """Place of the trial that the method recommends; -1 for the dense network, when nothing was within the limit."""
        if self.chosen >= 0:
            return self.chosen
        within = [(latency, place) for place, latency in enumerate(self.latencies) if self.drops[place] <= self.limit_points]
        return min(within, default=(1.0, -1))[1]

    @property
    def chosen_latency(self) -> float:
        """Latency ratio of the recommendation."""
        return self.latencies[self.recommended] if self.recommended >= 0 else 1.0

    @property
    def chosen_truth(self) -> float:
        """Noise-free drop of the recommendation, in points."""
        return self.truths[self.recommended] if self.recommended >= 0 else 0.0

    def hypervolume(self, count: int) -> float:
        """Share of the area between (1, 8 points) and (0, 0) that the first ``count`` trials dominate, by observation."""
        points = sorted((lat, max(drop, 0.0)) for lat, drop in zip(self.latencies[:count], self.drops[:count], strict=True))
        area, lowest = 0.0, WORST_DROP_POINTS
        for latency, drop in points:
            if latency < 1.0 and drop < lowest:
                area += (1.0 - latency) * (lowest - drop)
                lowest = drop
        return area / WORST_DROP_POINTS


@dataclass(frozen=True, slots=True)
class Score:
    """A method's means over its runs on one problem.

    best, best_spread: mean and standard deviation of the lowest observed latency at each count of trials. hypervolume: at
    each count. chosen_ratio: recommended latency / near-optimum; reached_ratio: / what evolution strategies reached. within: share
    of runs whose recommendation truly keeps the limit. chosen_truth: its mean noise-free drop, in points.
    """

    problem: str
    method: str
    runs: int
    counts: tuple[int, ...]
    best: tuple[float, ...]
    best_spread: tuple[float, ...]
    hypervolume: tuple[float, ...]
    chosen_latency: float
    chosen_ratio: float
    reached_ratio: float
    chosen_truth: float
    within: float
    seconds_per_trial: float


def run_of(arena: Arena, method: str, seed: int, trials: Sequence[Trial], chosen: int, seconds: float) -> Run:
    """A run from a method's trials."""
    widths = np.asarray([[group.channels for group in arena.space.architecture.groups]], dtype=np.int64)
    dense_s = float(arena.latency.seconds(widths)[0])
    truth = arena.truth
    truths = [math.nan if truth is None else truth(t.request.config, t.request.recipe) for t in trials]
    return Run(
        arena.problem,
        arena.instance,
        method,
        seed,
        tuple(trial.latency_s / dense_s for trial in trials),
        tuple(trial.outcome.drop_points for trial in trials),
        tuple(truths),
        chosen,
        seconds / max(len(trials), 1),
        arena.goal.drop_limit,
        arena.near_optimum,
        arena.reached,
    )


def scores(runs: Iterable[Run], counts: Sequence[int]) -> tuple[Score, ...]:
    """Means per problem and method, the best method first within each problem."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.problem, run.method), []).append(run)
    found = []
    for (problem, method), members in grouped.items():
        best = np.asarray([[run.best(count) for count in counts] for run in members])
        volume = np.asarray([[run.hypervolume(count) for count in counts] for run in members])
        found.append(
            Score(
                problem,
                method,
                len(members),
                tuple(counts),
                tuple(best.mean(axis=0).tolist()),
                tuple(best.std(axis=0).tolist()),
                tuple(volume.mean(axis=0).tolist()),
                float(np.mean([run.chosen_latency for run in members])),
                float(np.mean([run.chosen_latency / run.near_optimum for run in members])),
                float(np.mean([run.chosen_latency / run.reached for run in members])),
                float(np.mean([run.chosen_truth for run in members])),
                float(np.mean([run.chosen_truth <= run.limit_points for run in members])),
                float(np.mean([run.seconds_per_trial for run in members])),
            )
        )
    return tuple(sorted(found, key=lambda score: (score.problem, score.best[-1])))


def markdown(found: Sequence[Score]) -> str:
    """The scores as a table; an empty one says so."""
    if not found:
        return "no method has run yet\n"
    counts = found[0].counts
    heads = ["problem", "method", "runs", *(f"latency@{count}" for count in counts), *(f"HV@{count}" for count in counts)]
    heads += ["chosen", "x near-optimum", "x strategies", "true drop", "truly within", "s/trial"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "--|" * len(heads)]
    for score in found:
        cells = [score.problem, score.method, str(score.runs)]
        cells += [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(score.best, score.best_spread, strict=True)]
        cells += [f"{volume:.3f}" for volume in score.hypervolume]
        cells += [f"{score.chosen_latency:.3f}", f"{score.chosen_ratio:.2f}", f"{score.reached_ratio:.2f}", f"{score.chosen_truth:.2f}"]
        cells += [f"{score.within:.0%}", f"{score.seconds_per_trial:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def read(path: Path) -> tuple[Run, ...]:
    """The runs stored in a JSON-lines file; a torn last line is left out, a missing file is empty."""
    if not path.exists():
        return ()
    found = []
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            sequences = {name: tuple(math.nan if one is None else one for one in fields[name]) for name in ("latencies", "drops", "truths")}
            marks = {name: math.nan if fields.get(name) is None else fields[name] for name in ("near_optimum", "reached")}
            found.append(Run(**{**fields, **sequences, **marks}))
        except (ValueError, TypeError, KeyError) as error:
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
