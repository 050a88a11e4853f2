"""Importance: which groups matter, by leaving each one out of the recommended configuration.

The structured surrogate answers what restoring a group would bring back; the known latency what it would cost. Rank
statistics over random samples say much less about layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.space import SearchSpace
from search.surrogate import DropModel
from search.trial import Floats, KnownLatency, Trial, TuningChoice

RECIPE_STEPS = 9  # values of each recipe number that are compared


@dataclass(frozen=True, slots=True)
class GroupImportance:
    """What one group's pruning does in a configuration, all others as they are.

    kept, channels: channels in the configuration and in the dense network. cost_points: drop that its pruning causes, posterior
    mean, with deviation_points. saved_s: predicted seconds that its pruning saves. For a group that is dense both are about
    the next narrower width instead (``hypothetical``).
    """

    group: str
    kept: int
    channels: int
    cost_points: float
    deviation_points: float
    saved_s: float
    hypothetical: bool

    @property
    def saved_s_per_point(self) -> float:
        """Seconds saved per point lost; infinite when pruning it costs nothing."""
        return self.saved_s / self.cost_points if self.cost_points > 0 else float("inf")


@dataclass(frozen=True, slots=True)
class RecipeImportance:
    """How much one part of the recipe moves the drop, in points: the largest minus the smallest posterior mean.

    best: the value with the smallest drop, as text.
    """

    name: str
    range_points: float
    best: str


def group_importance(space: SearchSpace, latency: KnownLatency, trials: Sequence[Trial], row: Floats) -> tuple[GroupImportance, ...]:
    """Every searched group's part in the configuration of ``row``, dearest first. trials: all at one length."""
    model = _model(space, trials)
    dense = space.encode(space.architecture.dense(), space.start)
    pairs = []
    for column in range(space.groups):
        hypothetical = row[column] == dense[column]
        other = row.copy()
        other[column] = _next_legal(space, row, column) if hypothetical else dense[column]
        pairs.append((other, row) if hypothetical else (row, other))
    pruned, restored = (np.asarray(side) for side in zip(*pairs, strict=True))
    mean, deviation = model.difference(space.features(pruned), space.features(restored))
    saved = latency.seconds(space.widths(restored)) - latency.seconds(space.widths(pruned))
    found = [
        GroupImportance(
            name,
            int(space.tables[column][int(row[column])]),
            int(space.channels[column]),
            float(mean[column]),
            float(deviation[column]),
            float(saved[column]),
            bool(row[column] == dense[column]),
        )
        for column, name in enumerate(space.names)
    ]
    return tuple(sorted(found, key=lambda one: (one.hypothetical, -one.cost_points)))


def recipe_importance(space: SearchSpace, trials: Sequence[Trial], row: Floats) -> tuple[RecipeImportance, ...]:
    """Every searched part of the recipe at the configuration of ``row``, most important first."""
    model = _model(space, trials)
    found = []
    for place, name in enumerate((*space.numbers, *space.categories)):
        column = space.groups + place
        values = (
            np.linspace(0, 1, RECIPE_STEPS) if place < len(space.numbers) else np.arange(len(space.choices[place - len(space.numbers)]))
        )
        rows = np.repeat(row[None], len(values), axis=0)
        rows[:, column] = values
        mean, _ = model.predict(space.features(rows))
        recipe: TuningChoice = space.decode(rows[int(mean.argmin())])[1]
        best = getattr(recipe, name)
        found.append(RecipeImportance(name, float(mean.max() - mean.min()), best if isinstance(best, str) else f"{best:.3g}"))
    return tuple(sorted(found, key=lambda one: -one.range_points))


def _model(space: SearchSpace, trials: Sequence[Trial]) -> DropModel:
    usable = [one for one in trials if one.outcome.ok and space.covers(one.request.config, one.request.recipe)]
    rows = np.asarray([space.encode(one.request.config, one.request.recipe) for one in usable])
    return DropModel().update(space.features(rows), np.asarray([one.outcome.drop_points for one in usable]))


def _next_legal(space: SearchSpace, row: Floats, column: int) -> float:
    """Index of the next narrower legal width, or the same when there is none."""
    for index in range(int(row[column]) - 1, -1, -1):
        other = row.copy()
        other[column] = index
        if space.legal(other[None])[0]:
            return float(index)
    return float(row[column])
