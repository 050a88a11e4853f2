"""Parts of an initial design, and the ladder of them that campaigns began with before they looked at their groups first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.records.pruning_config import PruningConfig
from search.optimizer.width_costs import Costs, guessed
from search.records.trial import Floats, KnownCost, TuningChoice
from search.space.screened_latency import fastest_precision
from search.space.space import SearchSpace

UNIFORM_RATIOS = (0.8, 0.65)
TARGETS = (0.8, 0.6, 0.45)  # of the dense latency, for "prune this next"
VARIED = (1, 2)  # which of these are varied: where a recipe has something to bring back
DISTURBANCE = 0.08  # standard deviation of keep ratios in the seeds that vary others


def initial_rows(space: SearchSpace, known: KnownCost, published: Sequence[PruningConfig], count: int, seed: int) -> list[Floats]:
    """``count`` different rows to begin with, the ladder that ``first_design`` is raced against.

    First come the dense network and the published configurations as they are, then solutions of "prune this next" at
    several latencies, uniform keep ratios and whole branches removed, all with the recipe to begin with; then disturbed
    ones with recipes around it.
    """
    rng = np.random.default_rng([seed, 3])
    anchors = prune_next(space, known, TARGETS)
    rows = [space.encode(config, space.start) for config in (space.architecture.dense(), *published)]
    rows += [with_recipe(space, widths, space.start) for widths in (*anchors, *uniform(space), *without_branches(space))]
    varied = [anchors[place] for place in VARIED if place < len(anchors)] or uniform(space)
    return distinct(space, [*rows, *disturbed(space, varied, 4 * count, rng)])[: max(count, 1)]


def distinct(space: SearchSpace, rows: Sequence[Floats]) -> list[Floats]:
    """The rows without those that stand for the same trial as an earlier one."""
    found: dict[bytes, Floats] = {}
    for row in rows:
        found.setdefault(space.keys(row[None])[0], row)
    return list(found.values())


def uniform(space: SearchSpace) -> list[Floats]:
    """Width rows of one keep ratio for all groups."""
    return [space.snap(np.full((1, space.groups), ratio))[0].astype(np.float64) for ratio in UNIFORM_RATIOS]


def disturbed(space: SearchSpace, varied: Sequence[Floats], count: int, rng: np.random.Generator) -> list[Floats]:
    """``count`` rows around these widths in turn, with recipes around the one to begin with."""
    rows = []
    for place in range(count):
        pruned = space.features(with_recipe(space, varied[place % len(varied)], space.start)[None]).pruned
        widths = space.snap(np.clip(1.0 - pruned + rng.normal(0.0, DISTURBANCE, pruned.shape), 0.0, 1.0))[0]
        rows.append(with_recipe(space, widths.astype(np.float64), varied_recipe(space, space.start, rng)))
    return rows


def prune_next(space: SearchSpace, known: KnownCost, targets: Sequence[float]) -> list[Floats]:
    """Width rows of the walk by guessed costs, one per reached target, a ratio to the dense latency; the mildest first."""
    dense = space.encode(space.architecture.dense(), space.start)
    dense_cost = float(known.costs(space.widths(dense[None]))[0])
    found: list[Floats] = []
    waiting = sorted(targets, reverse=True)
    for row, seconds in walk(space, known, guessed(space)):
        while waiting and seconds <= waiting[0] * dense_cost:
            found.append(row[: space.groups].copy())
            waiting.pop(0)
        if not waiting:
            break
    return found


def walk(space: SearchSpace, known: KnownCost, costs: Costs, least_kept: float = 0.0) -> Iterator[tuple[Floats, float]]:
    """Rows found by removing, again and again, what saves most latency per accuracy that it may cost, with their seconds.

    Ends where nothing saves anything. least_kept: no group keeps a smaller share of its channels, but a branch may go whole.
    """
    row = space.encode(space.architecture.dense(), begin(space, known))
    current_cost = float(space.costs(known, row[None])[0])
    while True:
        narrower = _narrower(space, row)
        if len(narrower) and least_kept:
            pruned = space.features(narrower).pruned
            narrower = narrower[((pruned <= 1 - least_kept) | (pruned == 1)).all(axis=1)]
        if not len(narrower):
            return
        saved = current_cost - space.costs(known, narrower)
        cost = costs(space.features(narrower).pruned) - costs(space.features(row[None]).pruned)
        best = int(np.argmax(saved / np.maximum(cost, 1e-9)))
        if saved[best] <= 0:
            return
        row, current_cost = narrower[best], current_cost - float(saved[best])
        yield row, current_cost


def without_branches(space: SearchSpace) -> list[Floats]:
    """Width rows of the dense network without the last removable branch of every stage, and without every second branch."""
    dense = space.encode(space.architecture.dense(), space.start)[: space.groups]
    stages: dict[str, list[int]] = {}
    for column, name in enumerate(space.names):
        if space.legal_widths[name][0] == 0:
            stages.setdefault(space.architecture.group(name).stage, []).append(column)
    last, every_second = dense.copy(), dense.copy()
    for columns in stages.values():
        last[columns[-1]] = every_second[columns[1::2]] = 0
    return [last, every_second] if stages else []


def _narrower(space: SearchSpace, row: Floats) -> Floats:
    """Every legal row with one group narrower, by any number of steps: a plateau of the staircase must not stop the walk."""
    found = []
    for column in range(space.groups):
        for index in range(int(row[column])):
            child = row.copy()
            child[column] = index
            found.append(child)
    rows = np.asarray(found).reshape(-1, space.dimensions)
    return rows[space.legal(rows)]


def begin(space: SearchSpace, known: KnownCost) -> TuningChoice:
    """The recipe to begin with, in the precision in which the unpruned network is fastest."""
    precision = fastest_precision(space.architecture, known)
    return replace(space.start, precision=precision) if precision in space.ranges.precisions else space.start


def with_recipe(space: SearchSpace, widths: Floats, recipe: TuningChoice) -> Floats:
    """A row of these widths (a row, or its first columns), tuned by ``recipe``."""
    dense = space.encode(space.architecture.dense(), recipe)
    dense[: space.groups] = widths[: space.groups]
    return dense


def snapped(space: SearchSpace, config: PruningConfig, recipe: TuningChoice) -> Floats:
    """The row of a configuration's nearest legal widths, tuned by ``recipe``."""
    keep = np.asarray([config.kept(name) for name in space.names]) / space.channels
    return with_recipe(space, space.snap(keep[None])[0].astype(np.float64), recipe)


def varied_recipe(space: SearchSpace, recipe: TuningChoice, rng: np.random.Generator) -> TuningChoice:
    """A random recipe: learning rate and weight decay near the off-the-shelf ones, everything else uniform."""
    start = space.encode(space.architecture.dense(), recipe)
    for place, name in enumerate(space.numbers):
        column = space.groups + place
        near = rng.normal(start[column], 0.15) if name in ("learning_rate", "weight_decay") else rng.uniform()
        start[column] = float(np.clip(near, 0.0, 1.0))
    for place, choices in enumerate(space.choices):
        start[space.groups + len(space.numbers) + place] = rng.integers(len(choices))
    return space.decode(space.rounded(start[None])[0])[1]
