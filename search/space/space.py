"""The search space: every legal pruning configuration with its tuning recipe, as rows of a matrix.

A row is ``[index into the group's widths, per group | unit numbers of the recipe | indices of its categories]``. The
widths themselves are the hyper-parameters, so that every configuration has exactly one row whatever ``--space`` says: that
option (``MOVES``) only decides in which steps the maximiser walks.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, OrdinalHyperparameter, UniformFloatHyperparameter

from harness.errors import HarnessError, UnknownName, UsageError
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from search.records.trial import Bools, Floats, Ints, KnownCost, RunsIn, TuningChoice
from search.space.checked_widths import checked_widths
from search.space.recipe_ranges import LOGARITHMIC, unit_pixels
from search.space.recipe_ranges import RecipeRanges as RecipeRanges
from search.space.screened_latency import as_it_runs

MOVES = ("layer", "stage", "hier")
NUMBER_DIGITS = 6  # unit numbers of a recipe are rounded to these, so that row -> recipe -> row is exact
STEPS = 20  # of every group's fraction, from dense to gone: narrower than most groups' legal widths lie apart
SAME_NUMBER = 1e-3  # unit numbers that round to the same multiple of this are the same trial


@dataclass(frozen=True)
class Features:
    """What the surrogate sees of n rows.

    pruned: n x G pruned fractions. weights: G, the roots of how many layers lose channels with each group, of mean square 1.
    stages: means of the fractions over each of S stages, then the means of their squares, n x 2S, every stage weighed by the
    root of its share of the groups. numbers: n x m unit-scaled recipe numbers, the pictures' size among them. categories: n x q indices.
    """

    pruned: Floats
    weights: Floats
    stages: Floats
    numbers: Floats
    categories: Floats

    def __len__(self) -> int:
        return len(self.pruned)

    @property
    def group_trend(self) -> Floats:
        """n x 2G: every group's fraction and its square, by its weight, scaled so that rows of ones have a squared length of 2."""
        weighted = self.weights / math.sqrt(self.pruned.shape[1])
        return np.concatenate([self.pruned * weighted, self.pruned**2 * weighted], axis=1)

    @cached_property
    def group_steps(self) -> Floats:
        """n x (G x STEPS): the share that every group has gone of each step, by its weight; rows of ones have length 1.

        Products of two rows are, weighed over the groups, the smaller of the two fractions (between steps, its linear
        interpolation): the covariance of a Wiener process in each group.
        """
        begun = np.arange(STEPS) / STEPS
        gone = np.clip((self.pruned[:, :, None] - begun) * STEPS, 0.0, 1.0)
        weighted = self.weights[:, None] / math.sqrt(self.pruned.shape[1] * STEPS)
        return (gone * weighted).reshape(len(self.pruned), -1)

    @property
    def stage_trend(self) -> Floats:
        """n x 2S."""
        return self.stages

    @property
    def whole_trend(self) -> Floats:
        """n x 2: means over all groups."""
        return np.stack([self.pruned.mean(axis=1), (self.pruned**2).mean(axis=1)], axis=1)

    def take(self, rows: Ints | Bools) -> Features:
        """The features of some rows."""
        return Features(self.pruned[rows], self.weights, self.stages[rows], self.numbers[rows], self.categories[rows])


class SearchSpace:
    """Legal widths per group and ranges of the recipe.

    legal: ascending widths per group; the dense width must be among them, 0 only for a removable group. exact: more
    configurations that can be encoded (published ones, whose widths may not be legal); the search itself never proposes a
    width that is not legal. Raises UsageError or UnknownName for widths that do not fit the architecture.
    """

    def __init__(
        self,
        architecture: Architecture,
        legal: Mapping[str, Sequence[int]],
        ranges: RecipeRanges | None = None,
        moves: str = "hier",
        exact: Iterable[PruningConfig] = (),
    ) -> None:
        if moves not in MOVES:
            raise UnknownName("search space", moves, MOVES)
        self.architecture, self.moves = architecture, moves
        self.ranges = ranges if ranges is not None else RecipeRanges()
        self._exact = exact = tuple(exact)
        for name in legal:
            architecture.group(name)
        self.legal_widths: dict[str, tuple[int, ...]] = {g.name: checked_widths(g, legal) for g in architecture.groups}
        tables = {g.name: tuple(sorted({*self.legal_widths[g.name], *(c.kept(g.name) for c in exact)})) for g in architecture.groups}
        for config in exact:
            architecture.check(config)
        self.names = tuple(g.name for g in architecture.groups if len(tables[g.name]) > 1)
        if not self.names:
            raise UsageError("no group has more than one legal width, there is nothing to search; measure more widths of the staircase")
        self.tables = tuple(np.asarray(tables[name], dtype=np.int64) for name in self.names)
        self.channels = np.asarray([architecture.group(name).channels for name in self.names], dtype=np.float64)
        self.start = self.ranges.start
        self.numbers = tuple(name for name, (low, high) in self.ranges.limits if low < high)
        self.categories = tuple(name for name, choices in self.ranges.choices if len(choices) > 1)
        self.choices = tuple(choices for _, choices in self.ranges.choices if len(choices) > 1)
        self._prepare()

    def _prepare(self) -> None:
        """Padded tables for vectorised look-ups, and the ties of groups that a stage-wise move changes together."""
        longest = max(len(table) for table in self.tables)
        self._widths = np.stack([np.pad(table, (0, longest - len(table)), mode="edge") for table in self.tables])
        legal = [np.isin(table, self.legal_widths[name]) for name, table in zip(self.names, self.tables, strict=True)]
        self._legal = np.stack([np.pad(mask, (0, longest - len(mask)), constant_values=False) for mask in legal])
        self.sizes = np.asarray([len(table) for table in self.tables], dtype=np.int64)
        self._columns = np.asarray([[g.name for g in self.architecture.groups].index(name) for name in self.names])
        self._dense = np.asarray([g.channels for g in self.architecture.groups], dtype=np.int64)
        for column, group in enumerate(self.architecture.groups):
            if group.name not in self.names:
                self._dense[column] = self.legal_widths[group.name][0]
        found = [self.architecture.group(name) for name in self.names]
        layers = np.asarray([len(group.members) for group in found], dtype=np.float64)
        self._weights = np.sqrt(layers / layers.mean())  # a residual stream feeds many layers, and costs accordingly more
        ties = [(group.stage, group.removable, len(group.members) > 1) for group in found]
        self.ties = tuple(np.asarray([i for i, tie in enumerate(ties) if tie == one]) for one in dict.fromkeys(ties))

        self._stage_means = np.zeros((len(self.names), len(self.ties)))
        for place, tie in enumerate(self.ties):
            self._stage_means[tie, place] = math.sqrt(len(tie) / len(self.names)) / len(tie)

    def including(self, configs: Iterable[PruningConfig]) -> SearchSpace:
        """The same space, which can encode these configurations too: other campaigns' legal widths may not be legal here."""
        return SearchSpace(self.architecture, self.legal_widths, self.ranges, self.moves, (*self._exact, *configs))

    @property
    def groups(self) -> int:
        """How many groups are searched: the first columns of a row."""
        return len(self.names)

    @property
    def dimensions(self) -> int:
        """Length of a row."""
        return len(self.names) + len(self.numbers) + len(self.categories)

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of everything that defines the rows."""
        ranges = asdict(self.ranges)
        for several, one in (("precisions", "precision"), ("sizes", "size")):
            if len(ranges[several]) == 1:
                del ranges[several], ranges["off_the_shelf"][one]  # which spaces of before had not, and rows do not show
        document = [self.architecture.digest, list(zip(self.names, map(list, self.tables), strict=True)), ranges, self.moves]
        return hashlib.sha256(json.dumps(document, default=int).encode()).hexdigest()[:16]

    @property
    def configurations(self) -> int:
        """Number of legal width combinations, recipes aside."""
        return math.prod(int(mask.sum()) for mask in self._legal)

    def widths(self, rows: Floats) -> Ints:
        """n x G channels kept, in the order of ``architecture.groups``."""
        indices = rows[:, : self.groups].astype(np.int64)
        widths = np.tile(self._dense, (len(rows), 1))
        widths[:, self._columns] = self._widths[np.arange(self.groups), indices]
        return widths

    def costs(self, known: KnownCost, rows: Floats) -> Floats:
        """Known cost of n rows, each in the precision and at the size that it runs in."""
        widths, found = self.widths(rows), np.empty(len(rows))
        precisions, sizes = self._chosen("precision", rows), self._chosen("size", rows)
        for precision, size in sorted(set(zip(precisions.tolist(), sizes.tolist(), strict=True))):
            ours = (precisions == precision) & (sizes == size)
            runs_in = RunsIn(self.ranges.precisions[precision], self.ranges.sizes[size])
            found[ours] = as_it_runs(known, runs_in).costs(widths[ours])
        return found

    def legal(self, rows: Floats) -> Bools:
        """Which rows keep a legal width in every group."""
        indices = rows[:, : self.groups].astype(np.int64)
        return np.asarray(self._legal[np.arange(self.groups), indices].all(axis=1))

    def features(self, rows: Floats) -> Features:
        """What the surrogate sees; pruned fractions come from the widths, so that equal networks look equal."""
        pruned = 1.0 - self.widths(rows)[:, self._columns] / self.channels
        split = self.groups + len(self.numbers)
        stages = np.concatenate([pruned @ self._stage_means, pruned**2 @ self._stage_means], axis=1)
        numbers, categories = rows[:, self.groups : split], rows[:, split:]
        if "size" in self.categories:  # known by its pixels: 28 x 28 is nearer to 32 x 32 than 16 x 16 is
            place = self.categories.index("size")
            pixels = unit_pixels(self.ranges.sizes)[categories[:, place].astype(np.int64)]
            numbers, categories = np.column_stack([numbers, pixels]), np.delete(categories, place, axis=1)
        return Features(pruned, self._weights, stages, numbers, categories)

    def snap(self, keep: Floats) -> Ints:
        """n x g indices of the legal widths nearest to n x g keep ratios (ties to the narrower)."""
        distance = np.abs(keep[:, :, None] - (self._widths / self.channels[:, None])[None])
        distance[:, ~self._legal] = np.inf
        nearest: Ints = distance.argmin(axis=2)
        return nearest

    def rounded(self, rows: Floats) -> Floats:
        """The rows with the recipe's numbers on their grid."""
        return np.round(rows, NUMBER_DIGITS)

    def keys(self, rows: Floats) -> list[bytes]:
        """Equal for rows that stand for the same trial: same widths and categories, recipe numbers equal to 1e-3."""
        split = self.groups + len(self.numbers)
        rounded = np.concatenate([rows[:, : self.groups], np.rint(rows[:, self.groups : split] / SAME_NUMBER), rows[:, split:]], axis=1)
        return [row.tobytes() for row in np.ascontiguousarray(rounded.astype(np.int32))]

    def encode(self, config: PruningConfig, recipe: TuningChoice) -> Floats:
        """The row of a configuration; UsageError when one of its widths or recipe values is outside the space."""
        self.architecture.check(config)
        row: list[float] = [self._index(name, table, config.kept(name)) for name, table in zip(self.names, self.tables, strict=True)]
        row += [round(self.ranges.unit(name, getattr(recipe, name)), NUMBER_DIGITS) for name in self.numbers]
        for name, choices in self.ranges.choices:
            if getattr(recipe, name) not in choices:
                raise UnknownName(name, getattr(recipe, name), choices)
            if name in self.categories:
                row.append(choices.index(getattr(recipe, name)))
        for name, (low, high) in self.ranges.limits:
            if low == high != getattr(recipe, name):
                raise UsageError(f"{name} {getattr(recipe, name):g} is outside the search space; it is fixed at {low:g}")
        return np.asarray(row, dtype=np.float64)

    def decode(self, row: Floats) -> tuple[PruningConfig, TuningChoice]:
        """The configuration and the recipe of one row."""
        widths = self.widths(row[None])[0]
        config = PruningConfig.of(
            self.architecture.network, {g.name: int(w) for g, w in zip(self.architecture.groups, widths, strict=True)}
        )
        changed: dict[str, Any] = {name: self.ranges.number(name, row[self.groups + i]) for i, name in enumerate(self.numbers)}
        for i, (name, choices) in enumerate(zip(self.categories, self.choices, strict=True)):
            changed[name] = choices[int(row[self.groups + len(self.numbers) + i])]
        return config, TuningChoice(**{**asdict(self.start), **changed})

    def covers(self, config: PruningConfig, recipe: TuningChoice) -> bool:
        """Whether a configuration with its recipe has a row."""
        try:
            self.encode(config, recipe)
        except HarnessError:
            return False
        return True

    def configspace(self, seed: int = 0) -> ConfigurationSpace:
        """The same space for SMAC: one ordinal hyper-parameter per group, floats and categories of the recipe."""
        space = ConfigurationSpace(seed=seed)
        for name, table in zip(self.names, self.tables, strict=True):
            space.add(OrdinalHyperparameter(name, [int(width) for width in table], default_value=int(table[-1])))
        for name in self.numbers:
            low, high = getattr(self.ranges, name)
            space.add(UniformFloatHyperparameter(name, low, high, log=name in LOGARITHMIC))
        for name, choices in zip(self.categories, self.choices, strict=True):
            space.add(CategoricalHyperparameter(name, list(choices)))
        return space

    def order(self, configspace: ConfigurationSpace) -> Ints:
        """Column of ``configspace``'s vectors that holds column i of our rows; ConfigSpace sorts as it likes."""
        listed = list(configspace.keys())
        return np.asarray([listed.index(name) for name in (*self.names, *self.numbers, *self.categories)])

    def _chosen(self, name: str, rows: Floats) -> Ints:
        """Which choice of a category n rows make; the first where there is but one."""
        if name not in self.categories:
            return np.zeros(len(rows), dtype=np.int64)
        return rows[:, self.groups + len(self.numbers) + self.categories.index(name)].astype(np.int64)

    def _index(self, name: str, table: Ints, kept: int) -> int:
        found = np.flatnonzero(table == kept)
        if not len(found):
            raise UsageError(f"{kept} channels of {name} are not in this search space; choose one of {', '.join(map(str, table))}")
        return int(found[0])
