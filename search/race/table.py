"""The tables of a race: means over runs by observation, by the noise-free truth, and of what each method recommends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from search.race.race import Run
from search.records.trial import Floats


@dataclass(frozen=True, slots=True)
class Score:
    """A method's means over its runs on one problem; tuples hold one number for each count of trials.

    best, best_spread: mean and standard deviation of the lowest latency observed within the limit. truly_best,
    truly_best_spread: of the lowest latency truly within it. hypervolume, true_hypervolume: by observation and by truth.
    chosen: latency of the recommendation; chosen_ratio: as a multiple of the lowest known latency; reached_ratio: of what
    evolution strategies reached; chosen_truth: its noise-free drop, in points; within: share of runs in which it truly
    keeps the limit.
    """

    problem: str
    method: str
    runs: int
    counts: tuple[int, ...]
    best: tuple[float, ...]
    best_spread: tuple[float, ...]
    truly_best: tuple[float, ...]
    truly_best_spread: tuple[float, ...]
    hypervolume: tuple[float, ...]
    true_hypervolume: tuple[float, ...]
    chosen: tuple[float, ...]
    chosen_ratio: tuple[float, ...]
    reached_ratio: tuple[float, ...]
    chosen_truth: tuple[float, ...]
    within: tuple[float, ...]
    seconds_per_trial: float


def scores(runs: Iterable[Run], counts: Sequence[int]) -> tuple[Score, ...]:
    """Means per problem and method, within each problem the method of the lowest truly feasible latency first."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.problem, run.method), []).append(run)
    found = [_score(problem, method, members, counts) for (problem, method), members in grouped.items()]
    return tuple(sorted(found, key=lambda score: (score.problem, score.truly_best[-1], score.method)))


def _score(problem: str, method: str, members: Sequence[Run], counts: Sequence[int]) -> Score:
    def each(figure: Callable[[Run, int], float]) -> Floats:
        return np.asarray([[figure(run, count) for count in counts] for run in members])

    def mean(figure: Callable[[Run, int], float]) -> tuple[float, ...]:
        return tuple(each(figure).mean(axis=0).tolist())

    def spread(figure: Callable[[Run, int], float]) -> tuple[float, ...]:
        return tuple(each(figure).std(axis=0).tolist())

    return Score(
        problem,
        method,
        len(members),
        tuple(counts),
        mean(Run.best),
        spread(Run.best),
        mean(Run.truly_best),
        spread(Run.truly_best),
        mean(Run.hypervolume),
        mean(Run.true_hypervolume),
        mean(Run.chosen_latency),
        mean(lambda run, count: run.chosen_latency(count) / run.near_optimum),
        mean(lambda run, count: run.chosen_latency(count) / run.reached),
        mean(Run.chosen_truth),
        mean(lambda run, count: float(run.chosen_truth(count) <= run.limit_points)),
        float(np.mean([run.seconds_per_trial for run in members])),
    )


def markdown(found: Sequence[Score]) -> str:
    """The scores as three tables; nothing to show says so."""
    if not found:
        return "no method has run yet\n"
    counts = found[0].counts
    observed = _table(
        [*_at("latency", counts), *_at("HV", counts), "s/trial"],
        [(one, [*_pairs(one.best, one.best_spread), *_plain(one.hypervolume), f"{one.seconds_per_trial:.3f}"]) for one in found],
    )
    true = _table(
        [*_at("true latency", counts), *_at("true HV", counts)],
        [(score, [*_pairs(score.truly_best, score.truly_best_spread), *_plain(score.true_hypervolume)]) for score in found],
    )
    chosen = _table(
        [*_at("chosen", counts), *_at("truly within", counts), *_at("true drop", counts), *_at("x strategies", counts), "x near-optimum"],
        [(score, _chosen(score)) for score in found],
    )
    return (
        "Lowest latency *observed* within the limit after so many trials, and hypervolume (HV) of latency and drop by observation: "
        "flatters whoever was lucky.\n\n"
        + observed
        + "\nThe same by the noise-free truth: the lowest latency among the configurations tried that is *truly* within the limit.\n\n"
        + true
        + "\nWhat a method *recommends* after so many trials: espalier its choice, the others their best observation. A latency whose "
        "recommendation is not truly within the limit is no success.\n\n" + chosen
    )


def _chosen(score: Score) -> list[str]:
    within = [f"{share:.0%}" for share in score.within]
    ratios = ["-" if math.isnan(ratio) else f"{ratio:.2f}" for ratio in (*score.reached_ratio, score.chosen_ratio[-1])]
    return [*_plain(score.chosen), *within, *(f"{drop:.2f}" for drop in score.chosen_truth), *ratios]


def _table(heads: Sequence[str], rows: Sequence[tuple[Score, list[str]]]) -> str:
    heads = ["problem", "method", "runs", *heads]
    lines = ["| " + " | ".join(heads) + " |", "|" + "--|" * len(heads)]
    lines += ["| " + " | ".join([score.problem, score.method, str(score.runs), *cells]) + " |" for score, cells in rows]
    return "\n".join(lines) + "\n"


def _at(name: str, counts: Sequence[int]) -> list[str]:
    return [f"{name}@{count}" for count in counts]


def _pairs(means: Sequence[float], spreads: Sequence[float]) -> list[str]:
    return [f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(means, spreads, strict=True)]


def _plain(means: Sequence[float]) -> list[str]:
    return [f"{mean:.3f}" for mean in means]
