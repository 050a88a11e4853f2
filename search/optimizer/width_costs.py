"""What narrower groups may cost in accuracy, before any trial: a guess by their share of the layers, and what a look at each showed.

On 120 trials each of ResNet-20 and ResNet-56 the guess alone ranks nearly as well as the look alone or better, and both together
best (``reports/learnt.md``): one group's loss, untuned, says which group is harmless; how losses add up it does not say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from search.records.sensitivity_record import Sensitivity
from search.records.trial import Floats
from search.space.space import SearchSpace

Costs = Callable[[Floats], Floats]
"""What n x G pruned fractions may cost, as an n-vector; 1 is what halving every group may."""

LINEAR = 0.05  # of the pruned fraction, beside its square: the first channels are not quite free
LOOK_WEIGHT = 0.25  # of what was seen against what is guessed, both 1 where everything is halved
LEAST_POINTS = 1.0  # lost in all by halving every group in turn: less tells no group from another


def guessed(space: SearchSpace) -> Costs:
    """The squared pruned fraction of every group, times the layers that lose channels with it."""
    layers = np.asarray([len(space.architecture.group(name).members) for name in space.names], dtype=np.float64)
    layers /= (0.25 + LINEAR * 0.5) * layers.sum()
    return lambda pruned: np.asarray((pruned**2 + LINEAR * pruned) @ layers)


def of(space: SearchSpace, seen: Sensitivity | None) -> Costs:
    """Guess and look together; the guess alone where nothing was seen, or too little to tell groups apart."""
    guess = guessed(space)
    if seen is None:
        return guess
    curves = [_curve(seen, name, channels) for name, channels in zip(space.names, space.channels, strict=True)]

    def looked(pruned: Floats) -> Floats:
        squares = pruned**2
        return np.asarray(sum(np.interp(squares[:, column], *curve) for column, curve in enumerate(curves)))

    halved = float(looked(np.full((1, space.groups), 0.5))[0])
    if halved < LEAST_POINTS:
        return guess
    return lambda pruned: np.asarray((guess(pruned) + LOOK_WEIGHT * looked(pruned) / halved) / (1 + LOOK_WEIGHT))


def _curve(seen: Sensitivity, name: str, channels: float) -> tuple[Floats, Floats]:
    """Squared pruned fractions, rising, and the points lost there: never fewer than by pruning less."""
    points = sorted([(0.0, 0.0), *(((1 - one.channels / channels) ** 2, one.points) for one in seen.losses if one.group == name)])
    squares, lost = np.asarray(points, dtype=np.float64).T
    return squares, np.maximum.accumulate(lost)
