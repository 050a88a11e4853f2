"""Near-optima of the synthetic problem, found with the noise-free truth: what a race is judged against, never an optimiser's input.

Two of them, because neither is a proof. The first is what four (1+1) evolution strategies of 12,000 evaluations reach over free
channel counts; the second, stricter one what a population over the legal widths reaches in some 250,000. Print both with
``python -m search.race.near_optimum r56 0``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from search.optimizer.array_search import ArraySearch
from search.race.synthetic import TUNED, SyntheticProblem, problem
from search.records.trial import Bools, Floats

STRATEGIES, STEPS = 4, 12_000
MUTATED = 0.15  # chance of every coordinate
FIRST_STEP, LEAST_STEP, LARGEST_STEP = 0.2, 0.03, 0.5
LONGER, SHORTER = 1.3, 0.97  # the step after a success and after a failure
PENALTY = 0.5  # of the dense latency, per point beyond the limit
NARROWEST = 0.1  # keep ratio
CALLS, GENERATIONS, KEPT = 20, 40, 60


def by_strategies(found: SyntheticProblem, limit: float = 1.0, steps: int = STEPS, seed: int = 0) -> float:
    """Lowest latency ratio of a true drop within ``limit`` points that four (1+1) evolution strategies see, side by side."""
    rng, count, groups = np.random.default_rng([found.instance, seed]), STRATEGIES, len(found.channels)
    keep, step = np.full((count, groups), 0.8), np.full((count, 1), FIRST_STEP)
    cost, best = np.full(count, np.inf), 1.0
    for _ in range(steps):
        marked = rng.random((count, groups)) < MUTATED
        marked[np.arange(count), rng.integers(groups, size=count)] |= ~marked.any(axis=1)
        child = np.clip(np.where(marked, keep + step * rng.normal(size=keep.shape), keep), NARROWEST, 1.0)
        latency, drop = _truth(found, child)
        best = min(best, float(np.min(latency, where=drop <= limit, initial=best)))
        child_cost = latency + PENALTY * np.maximum(0.0, drop - limit)
        better: Bools = child_cost <= cost
        keep, cost = np.where(better[:, None], child, keep), np.where(better, child_cost, cost)
        step = np.where(better[:, None], np.minimum(step * LONGER, LARGEST_STEP), np.maximum(step * SHORTER, LEAST_STEP))
    return best


def by_population(found: SyntheticProblem, limit: float = 1.0, calls: int = CALLS, seed: int = 0) -> float:
    """Lowest latency ratio of a true drop within ``limit`` points that a long evolution over the legal widths finds."""
    space, rng = found.space("layer"), np.random.default_rng([found.instance, seed])

    def worth(rows: Floats) -> Floats:
        widths = space.widths(rows)
        latency, drop = found.microseconds(widths) / found.dense_us, found.drops(widths / found.channels, TUNED)
        return np.where(drop <= limit, -latency, -10.0 - drop)

    search, rows, none = ArraySearch(space, generations=GENERATIONS), np.empty((0, space.dimensions)), np.empty((0, space.dimensions))
    for _ in range(calls):
        rows = search.maximize(worth, rows, (), KEPT, rng, none)
    return -float(worth(rows[:1])[0])


def _truth(found: SyntheticProblem, keep: Floats) -> tuple[Floats, Floats]:
    widths = np.maximum(1, np.rint(keep * found.channels)).astype(np.int64)
    return found.microseconds(widths) / found.dense_us, found.drops(keep, TUNED)


def main(words: Sequence[str]) -> None:
    """``NAME INSTANCE``: print both near-optima."""
    found = problem(words[0], int(words[1]))
    print(f"{words[0]} {words[1]}: {by_strategies(found):.4f} by strategies, {by_population(found):.4f} by a population (SIMULATED)")


if __name__ == "__main__":
    main(sys.argv[1:])
