"""The first trials: the dense network, published configurations, uniform ratios, and what known latency alone suggests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.records.pruning_config import PruningConfig
from search.records.trial import Floats, KnownLatency, TuningChoice
from search.space.space import SearchSpace

UNIFORM_RATIOS = (0.8, 0.65)
TARGETS = (0.8, 0.6, 0.45)  # of the dense latency, for "prune this next"
VARIED = (1, 2)  # which of these are varied: where a recipe has something to bring back
DISTURBANCE = 0.08  # standard deviation of keep ratios in the seeds that vary others


def initial_rows(space: SearchSpace, latency: KnownLatency, published: Sequence[PruningConfig], count: int, seed: int) -> list[Floats]:
    """``count`` different rows to begin with.

    First come the dense network and the published configurations as they are, then solutions of "prune this next" at
    several latencies, uniform keep ratios and whole branches removed, all with the recipe to begin with; then disturbed
    ones with recipes around it.
    """
    rng = np.random.default_rng([seed, 3])
    anchors = prune_next(space, latency, TARGETS)
    uniform = [space.snap(np.full((1, space.groups), ratio))[0].astype(np.float64) for ratio in UNIFORM_RATIOS]
    rows = [space.encode(config, space.start) for config in (space.architecture.dense(), *published)]
    rows += [_with_recipe(space, widths, space.start) for widths in (*anchors, *uniform, *without_branches(space))]
    varied = [anchors[place] for place in VARIED if place < len(anchors)] or uniform
    for place in range(4 * count):
        pruned = space.features(_with_recipe(space, varied[place % len(varied)], space.start)[None]).pruned
        disturbed = space.snap(np.clip(1.0 - pruned + rng.normal(0.0, DISTURBANCE, pruned.shape), 0.0, 1.0))[0]
        rows.append(_with_recipe(space, disturbed.astype(np.float64), varied_recipe(space, space.start, rng)))
    distinct: dict[bytes, Floats] = {}
    for row in rows:
        distinct.setdefault(space.keys(row[None])[0], row)
    return list(distinct.values())[: max(count, 1)]


def prune_next(space: SearchSpace, latency: KnownLatency, targets: Sequence[float]) -> list[Floats]:
    """Width rows found by removing, again and again, what saves most latency per accuracy that it may cost.

    What it may cost, before any trial, is guessed: the squared pruned fraction of every group, times the layers that lose
    channels with it. Returns one row (widths only) per reached target, a ratio to the dense latency.
    """
    layers = np.asarray([len(space.architecture.group(name).members) for name in space.names], dtype=np.float64)
    row = space.encode(space.architecture.dense(), space.start)
    dense_s = current_s = float(latency.seconds(space.widths(row[None]))[0])
    found: list[Floats] = []
    waiting = sorted(targets, reverse=True)
    while waiting:
        narrower = _narrower(space, row)
        if not len(narrower):
            break
        saved = current_s - latency.seconds(space.widths(narrower))
        before, after = space.features(row[None]).pruned, space.features(narrower).pruned
        cost = (after**2 + 0.05 * after - before**2 - 0.05 * before) @ layers
        best = int(np.argmax(saved / np.maximum(cost, 1e-9)))
        if saved[best] <= 0:
            break
        row, current_s = narrower[best], current_s - float(saved[best])
        while waiting and current_s <= waiting[0] * dense_s:
            found.append(row[: space.groups].copy())
            waiting.pop(0)
    return found


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


def _with_recipe(space: SearchSpace, widths: Floats, recipe: TuningChoice) -> Floats:
    dense = space.encode(space.architecture.dense(), recipe)
    dense[: space.groups] = widths[: space.groups]
    return dense


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
