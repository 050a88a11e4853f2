"""Importance: which groups matter, by leaving each one out of the recommended configuration.

The structured surrogate answers what restoring a group would bring back; the known latency what it would cost. Rank
statistics over random samples say much less about layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.latency.explanation.advice import WidthLoss
from harness.records.architecture import Architecture
from search.optimizer.surrogate import DropModel
from search.records.trial import Floats, KnownCost, Trial, TuningChoice
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace

FEWEST_TRIALS = 12  # below, the surrogate says of a single group what its prior says
_ONE = TuningChoice()
FIXED = RecipeRanges(  # of recipes that are not told apart
    (_ONE.criterion,),
    (_ONE.schedule,),
    (_ONE.learning_rate, _ONE.learning_rate),
    (_ONE.weight_decay, _ONE.weight_decay),
    (_ONE.label_smoothing, _ONE.label_smoothing),
    (_ONE.distillation, _ONE.distillation),
)
_Z_975 = 1.96
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


def group_importance(space: SearchSpace, known: KnownCost, trials: Sequence[Trial], row: Floats) -> tuple[GroupImportance, ...]:
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
    saved = space.costs(known, restored) - space.costs(known, pruned)
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


def single_losses(
    architecture: Architecture, trials: Sequence[Trial], widths: Mapping[str, Sequence[int]]
) -> tuple[int, float, tuple[WidthLoss, ...]]:
    """Points lost, by the surrogate, with one group alone at each of its ``widths`` and all others dense.

    Answers how many trials that rests on, their length in epochs, and the losses with their 95 % intervals; no losses where the longest
    trials are fewer than ``FEWEST_TRIALS``, nor at widths narrower than any of them tried. Recipes are taken to be alike: their
    differences count as noise.
    """
    longest = max((one.request.budget_epochs for one in trials if one.outcome.ok), default=0.0)
    usable = [one for one in trials if one.outcome.ok and one.request.budget_epochs == longest]
    if len(usable) < FEWEST_TRIALS:
        return len(usable), longest, ()
    every = {g.name: (*([0] if g.removable else []), *range(g.step, g.channels + 1, g.step)) for g in architecture.groups}
    space = SearchSpace(architecture, every, FIXED)
    known = space.features(np.stack([space.encode(one.request.config, space.start) for one in usable]))
    model = DropModel().update(known, np.asarray([one.outcome.drop_points for one in usable]))
    least = {group.name: min(one.request.config.kept(group.name) for one in usable) for group in architecture.groups}
    cases = [(name, one) for name, wanted in widths.items() for one in wanted if least[name] <= one < architecture.group(name).channels]
    if not cases:
        return len(usable), longest, ()
    cut = np.stack([space.encode(architecture.partial({name: width}), space.start) for name, width in cases])
    dense = np.repeat(space.encode(architecture.dense(), space.start)[None], len(cases), axis=0)
    mean, deviation = model.difference(space.features(cut), space.features(dense))
    losses = tuple(
        WidthLoss(name, width, float(lost), float(lost - _Z_975 * sd), float(lost + _Z_975 * sd))
        for (name, width), lost, sd in zip(cases, mean, deviation, strict=True)
    )
    return len(usable), longest, losses


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
