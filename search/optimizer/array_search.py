"""ArraySearch: finds the legal configurations with the highest acquisition, on whole matrices instead of objects.

An evolution over rows of the search space: random rows, everything evaluated so far and mutations of it, then some
generations of mutations of the best, and a last look at every single step from the winners. Rows that are evaluated side by side
are kept apart by local penalties as in [Gonzalez2016]_.

.. [Gonzalez2016] González, Dai, Hennig, Lawrence. Batch Bayesian Optimization via Local Penalization. AISTATS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from search.records.trial import Bools, Floats, Ints
from search.space.space import SearchSpace

Value = Callable[[Floats], Floats]
"""Acquisition of n rows, as an n-vector; NaN counts as worthless."""


class SpaceExhausted(Exception):
    """Every legal configuration near the good ones was tried."""


@dataclass(frozen=True, slots=True)
class ArraySearch:
    """Maximiser over the legal rows of ``space``; rows that were evaluated before are never returned.

    challengers: size of the random pool and of the first mutations. generations: rounds of mutation. survivors: rows kept
    per round. apart: mean difference of keep ratios from which two returned rows do not penalise each other; 0: they never do.
    """

    space: SearchSpace
    challengers: int = 600
    generations: int = 5
    survivors: int = 200
    apart: float = 0.0

    def maximize(
        self, value: Value, evaluated: Floats, taken: Iterable[bytes], count: int, rng: np.random.Generator, seeds: Floats
    ) -> Floats:
        """Up to ``count`` different rows, best first; SpaceExhausted when there is none.

        evaluated: rows to start from. taken: keys (``SearchSpace.keys``) of rows that must not come back. seeds: more rows
        worth a look.
        """
        legal_known = evaluated[self.space.legal(evaluated)] if len(evaluated) else evaluated
        parts = [self.random_rows(self.challengers, rng), seeds, legal_known]
        if len(legal_known):
            parts.append(self.mutate(legal_known, self.challengers, rng))
        rows = np.concatenate(parts)
        values = _clean(value(rows))
        for _ in range(self.generations):
            best = np.argsort(-values, kind="stable")[: self.survivors]
            rows, values = rows[best], values[best]
            children = self.mutate(rows[: max(20, self.survivors // 4)], self.challengers // 2, rng)
            rows, values = np.concatenate([rows, children]), np.concatenate([values, _clean(value(children))])
        steps = self.single_steps(rows[np.argsort(-values, kind="stable")[:4]])
        rows, values = np.concatenate([rows, steps]), np.concatenate([values, _clean(value(steps))])
        return self._distinct(rows, values, set(taken), count)

    def random_rows(self, count: int, rng: np.random.Generator) -> Floats:
        """Legal rows: a third of them any widths, a third one ratio per stage, a third around one ratio."""
        space = self.space
        keep = rng.uniform(0.0, 1.0, (count, space.groups))
        third = count // 3
        keep[third : 2 * third] = self._tied(rng.uniform(0.0, 1.0, (third, space.groups)))
        keep[2 * third :] = rng.uniform(0.3, 1.0, (count - 2 * third, 1)) + rng.normal(0.0, 0.12, (count - 2 * third, space.groups))
        if space.moves == "stage":
            keep = self._tied(keep)
        return self._with_recipe(space.snap(keep), count, rng)

    def mutate(self, parents: Floats, count: int, rng: np.random.Generator) -> Floats:
        """Children of random parents: crossover now and then, then some coordinates change, by small or large steps."""
        space, dimensions = self.space, self.space.dimensions
        children = parents[rng.integers(len(parents), size=count)].copy()
        others = parents[rng.integers(len(parents), size=count)]
        crossed = (rng.random((count, 1)) < 0.3) & (rng.random(children.shape) < 0.5)
        children[crossed] = others[crossed]
        most = max(2.0, dimensions / 2)
        marked = rng.random(children.shape) < np.exp(rng.uniform(0.0, math.log(most), (count, 1))) / dimensions
        marked[np.arange(count), rng.integers(dimensions, size=count)] = True
        step = np.exp(rng.uniform(math.log(0.01), math.log(0.3), (count, 1)))
        children[:, : space.groups] = self._moved_widths(children, marked[:, : space.groups], step, rng)
        split = space.groups + len(space.numbers)
        numbers = children[:, space.groups : split] + step * rng.normal(size=(count, len(space.numbers)))
        children[:, space.groups : split] = np.where(
            marked[:, space.groups : split], np.clip(numbers, 0.0, 1.0), children[:, space.groups : split]
        )
        redrawn = (
            np.stack([rng.integers(len(choices), size=count) for choices in space.choices], axis=1)
            if space.choices
            else children[:, split:]
        )
        flipped = marked[:, split:] & (rng.random((count, len(space.choices))) < 0.5)
        children[:, split:] = np.where(flipped, redrawn, children[:, split:])
        return children

    def single_steps(self, rows: Floats) -> Floats:
        """Every row with one group one width narrower or wider, where that is legal."""
        space, found = self.space, []
        for direction in (-1, 1):
            moved = np.repeat(rows, space.groups, axis=0)
            column = np.tile(np.arange(space.groups), len(rows))
            moved[np.arange(len(moved)), column] += direction
            inside = (moved[:, : space.groups] >= 0).all(axis=1) & (moved[:, : space.groups] < space.sizes).all(axis=1)
            found.append(moved[inside])
        steps = np.concatenate(found)
        if space.moves == "stage":
            steps[:, : space.groups] = space.snap(self._tied(self._keep(steps)))
        return steps[space.legal(steps)]

    def _moved_widths(self, children: Floats, marked: Bools, step: Floats, rng: np.random.Generator) -> Ints:
        """Width indices after the marked groups moved by at least one legal width, alone or with their whole stage."""
        space, count = self.space, len(children)
        indices = children[:, : space.groups].astype(np.int64)
        noise = rng.normal(size=indices.shape)
        together = rng.random(count) < {"layer": 0.0, "stage": 1.0, "hier": 0.4}[space.moves]
        for tie in space.ties:
            chosen = together & marked[:, tie].any(axis=1)
            rows = np.flatnonzero(chosen)
            noise[np.ix_(rows, tie)] = noise[rows, tie[0]][:, None]
            marked[np.ix_(rows, tie)] = True
        keep = self._keep(children)
        moved = space.snap(np.clip(keep + step * noise, 0.0, 1.0))
        still = (moved == indices) & (noise != 0.0)
        moved = np.where(still, self._nudged(indices, np.sign(noise)), moved)
        if space.moves == "stage":
            mixed = np.where(marked, (space._widths[np.arange(space.groups), moved] / space.channels), keep)
            return space.snap(self._tied(mixed))
        return np.where(marked, moved, indices)

    def _nudged(self, indices: Ints, direction: Floats) -> Ints:
        """One legal width further, or where it was at the end of the table or next to a width that is not legal."""
        space = self.space
        target = np.clip(indices + direction.astype(np.int64), 0, space.sizes - 1)
        return np.where(space._legal[np.arange(space.groups), target], target, indices)

    def _keep(self, rows: Floats) -> Floats:
        """n x g keep ratios of the searched groups."""
        space = self.space
        return space._widths[np.arange(space.groups), rows[:, : space.groups].astype(np.int64)] / space.channels

    def _tied(self, keep: Floats) -> Floats:
        """The same with one ratio, the mean, for all groups of a tie."""
        tied = keep.copy()
        for tie in self.space.ties:
            tied[:, tie] = keep[:, tie].mean(axis=1, keepdims=True)
        return tied

    def _with_recipe(self, indices: Ints, count: int, rng: np.random.Generator) -> Floats:
        space = self.space
        numbers = rng.uniform(0.0, 1.0, (count, len(space.numbers)))
        categories = [rng.integers(len(choices), size=(count, 1)) for choices in space.choices]
        return np.concatenate([indices, numbers, *categories], axis=1).astype(np.float64)

    def _distinct(self, rows: Floats, values: Floats, taken: set[bytes], count: int) -> Floats:
        order = np.argsort(-values, kind="stable")
        new: list[int] = []
        for index, key in zip(order.tolist(), self.space.keys(rows[order]), strict=True):
            if key not in taken:
                taken.add(key)
                new.append(index)
                if len(new) == count and not self.apart:
                    break
        if not new:
            raise SpaceExhausted
        rows, values = rows[new], values[new]
        chosen = self._penalised(rows, values, count) if self.apart else list(range(len(new)))
        return self.space.rounded(rows[chosen])

    def _penalised(self, rows: Floats, values: Floats, count: int) -> list[int]:
        """Greedily the best value, lowered by the logarithm of the distance to every row chosen before as far as that is too small."""
        keep, left, chosen = self._keep(rows), values.copy(), list[int]()
        for _ in range(min(count, len(rows))):
            chosen.append(int(left.argmax()))
            distance = np.abs(keep - keep[chosen[-1]]).mean(axis=1)
            left = left + np.log(np.clip(distance / self.apart, 1e-9, 1.0))
            left[chosen] = -np.inf
        return chosen


def _clean(values: Floats) -> Floats:
    cleaned: Floats = np.where(np.isnan(values), -1e300, values)
    return cleaned
