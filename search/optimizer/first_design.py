"""The first trials: few, and on the way that known latency and expected cost suggest together.

The walk removes, again and again, what saves most latency per accuracy that it may cost; a trial on it where the limit may lie, one
beyond and one before tell the surrogate where it does. Nothing is tried first that cannot keep the limit by what is known. A small
initial design is what few trials ask for: [Jones1998]_'s ten per dimension would leave none, and [Hutter2011]_ spend one in two at most.

.. [Jones1998] D. R. Jones, M. Schonlau, W. J. Welch: Efficient Global Optimization of Expensive Black-Box Functions, sec. 4.2.
   Journal of Global Optimization 13, 1998.
.. [Hutter2011] F. Hutter, H. H. Hoos, K. Leyton-Brown: Sequential Model-Based Optimization for General Algorithm Configuration.
   LION 5, 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.records.pruning_config import PruningConfig
from search.optimizer import seeds, width_costs
from search.optimizer.width_costs import Costs
from search.records.sensitivity_record import Sensitivity
from search.records.trial import Floats, KnownCost
from search.space.goals import Goal
from search.space.space import SearchSpace

SHARE = 3  # of the trials, one in so many is of the initial design, at most
# What halving every width costs after tuning, in points: 1.0 on ResNet-20 (Fashion-MNIST, 4 epochs), 2.5 after a quarter of an epoch,
# 2.4 to 4.3 on the synthetic networks; half and twice as much cost comes with this power of it. The levels allow for errors.
HALVED_POINTS, POWER = 5.0, 1.5
LEVELS = (1.0, 0.5, 2.0)  # expected drops to try, as multiples of the limit: where it may lie, what is likely to keep it, what is not
BEYOND = 2.0  # multiples of the limit, expected, above which nothing is tried first
LEAST_KEPT = 0.25  # of a group, unless its branch goes whole: narrower ones are for the search to find, once it knows something
SIZES_SHARE = 3  # of the initial design, one in so many is the dense network at a further size of the pictures, at most
LATENCY_LEVELS = (1.0, 0.85, 1.15)  # of a latency that must be kept


def count(trials: int, most: int) -> int:
    """How many of ``trials`` the initial design may take: a third, one at least, ``most`` at most."""
    return max(1, min(most, trials // SHARE))


def rows(
    space: SearchSpace,
    known: KnownCost,
    published: Sequence[PruningConfig],
    wanted: int,
    seed: int,
    goal: Goal,
    seen: Sensitivity | None = None,
    warm: Sequence[PruningConfig] = (),
) -> list[Floats]:
    """``wanted`` different rows to begin with, or fewer where no more are hopeful.

    First the dense network, also at further sizes of the pictures, then what is ``warm``, at the first of these sizes, three on the walk,
    one of them at these sizes too, what is warm at the full size, the published configurations, whole branches removed and a mild uniform
    cut, as far as they may keep the limit; then disturbed ones of the walk. warm: what another campaign found, at its nearest legal widths.
    """
    costs = width_costs.of(space, seen)
    most = _cost_of(BEYOND * goal.drop_limit)
    walked = _at_latency(space, known, costs, goal) if goal.kind == "max-latency" else _at_cost(space, known, costs, goal)
    hopeful = [*seeds.without_branches(space), *seeds.uniform(space)]
    if goal.kind != "max-latency":
        hopeful = [widths for widths in hopeful if costs(_pruned(space, widths))[0] <= most]
    begun = seeds.begin(space, known)
    found = [space.encode(space.architecture.dense(), space.start)]
    smaller = [replace(begun, size=size) for size in space.ranges.sizes[1 : 1 + max(1, wanted // SIZES_SHARE)]]
    found += [space.encode(space.architecture.dense(), one) for one in smaller]  # what a size costs, before anything is pruned
    warmed = warm_rows(space, known, warm)
    found += warmed[: len(warm)]
    found += [seeds.with_recipe(space, widths, begun) for widths in walked]
    found += [seeds.with_recipe(space, walked[0], one) for one in smaller if walked]
    found += warmed
    found += [space.encode(config, begun) for config in published]
    found += [seeds.with_recipe(space, widths, begun) for widths in hopeful]
    found += seeds.disturbed(space, walked or seeds.uniform(space), 4 * wanted, np.random.default_rng([seed, 3]))
    return seeds.distinct(space, found)[: max(wanted, 1)]


def warm_rows(space: SearchSpace, known: KnownCost, warm: Sequence[PruningConfig]) -> list[Floats]:
    """What another campaign found, at its nearest legal widths: at the first further size of the pictures, and then at the full one."""
    begun = seeds.begin(space, known)
    sizes = [replace(begun, size=size) for size in space.ranges.sizes[1:2]]
    return [seeds.snapped(space, config, recipe) for recipe in (*sizes, begun) for config in warm]


def _at_cost(space: SearchSpace, known: KnownCost, costs: Costs, goal: Goal) -> list[Floats]:
    """The walk's last rows before each level of expected drop is passed, in the order of ``LEVELS``."""
    limits = {level: _cost_of(level * goal.drop_limit) for level in LEVELS}
    found: dict[float, Floats] = {}
    for row, _ in seeds.walk(space, known, costs, LEAST_KEPT):
        cost = float(costs(_pruned(space, row))[0])
        if cost > max(limits.values()):
            break
        found.update({level: row[: space.groups].copy() for level, limit in limits.items() if cost <= limit})
    return [found[level] for level in LEVELS if level in found]


def _at_latency(space: SearchSpace, known: KnownCost, costs: Costs, goal: Goal) -> list[Floats]:
    """The walk's first rows that are as fast as the goal's latency, in the order of ``LATENCY_LEVELS``."""
    dense = space.encode(space.architecture.dense(), space.start)
    wanted_cost = goal.max_latency_s if goal.max_latency_s is not None else float(known.costs(space.widths(dense[None]))[0])
    found: dict[float, Floats] = {}
    for row, seconds in seeds.walk(space, known, costs, 0.0):
        for level in LATENCY_LEVELS:
            if level not in found and seconds <= level * wanted_cost:
                found[level] = row[: space.groups].copy()
        if len(found) == len(LATENCY_LEVELS):
            break
    return [found[level] for level in LATENCY_LEVELS if level in found]


def _cost_of(points: float) -> float:
    """The cost, 1 where everything is halved, from which so many points of drop are expected."""
    return float((points / HALVED_POINTS) ** (1 / POWER))


def _pruned(space: SearchSpace, widths: Floats) -> Floats:
    """1 x G pruned fractions of the searched groups."""
    return space.features(seeds.with_recipe(space, widths, space.start)[None]).pruned
