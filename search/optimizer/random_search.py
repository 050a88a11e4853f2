"""Random search as an honest rival: the same known latencies, the same trials, no model of the accuracy.

[Bergstra2012] J. Bergstra, Y. Bengio: Random Search for Hyper-Parameter Optimization. JMLR 13, 2012.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from search.optimizer.array_search import SpaceExhausted
from search.optimizer.seeds import varied_recipe
from search.optimizer.selector import Optimizer
from search.records.trial import Floats, KnownCost
from search.space.goals import Goal, Reach
from search.space.space import SearchSpace

REDRAWS = 2000  # draws, for one proposal, that may turn out slower than the best network so far
KEEP_RATIOS, SPREAD = (0.35, 0.98), 0.12  # mean share of channels kept, drawn evenly; deviation of the groups around it
NO_BRANCH = 0.1  # share of the draws in which every branch may go with the probability that the draw's mean leaves


class RandomSearch(Optimizer):
    """Draws legal configurations until one is, by known cost, faster than the fastest that kept the limit so far.

    It stands in the optimiser's place: it is asked and told alike, ignores the initial design, and never gives up.
    """

    def __init__(
        self, space: SearchSpace, known: KnownCost, goal: Goal, seed: int, seeds: Sequence[Floats], slots: int, planned: int
    ) -> None:
        super().__init__(space, known, goal, seed, (), slots, planned)
        self._known, self._goal, self._seed = known, goal, seed
        self._taken: set[bytes] = set()
        self._told: list[tuple[float, float]] = []  # cost, drop in points

    @property
    def ceiling(self) -> float:
        """The cost to beat: the goal's own latency, or that of the fastest that kept the limit, by what is known today of short trials."""
        if self._goal.max_latency_s is not None:
            return self._goal.max_latency_s
        limit = self._goal.drop_limit + self.acquisition.limit_shift
        return min((cost for cost, drop_points in self._told if drop_points <= limit), default=math.inf)

    def ask(self) -> tuple[Floats, bool]:
        """The next row, new and, where ``REDRAWS`` draws suffice, faster than what is known to keep the limit.

        SpaceExhausted when no draw is new.
        """
        rng = np.random.default_rng([self._seed, 4, len(self._taken)])
        fastest, least, ceiling = None, math.inf, self.ceiling
        for _ in range(REDRAWS):
            row = self._draw(rng)
            cost = self._cost(row)
            if cost >= least or self.space.keys(row[None])[0] in self._taken:
                continue
            fastest, least = row, cost
            if cost < ceiling:
                break
        if fastest is None:
            raise SpaceExhausted
        self._taken.add(self.space.keys(fastest[None])[0])
        return fastest, False

    def tell(self, row: Floats, drop_points: float, crashed: bool = False) -> None:
        """Remember the row, its cost and its drop."""
        self._taken.add(self.space.keys(row[None])[0])
        if not crashed:
            self._told.append((self._cost(row), drop_points))

    def expect(self, row: Floats) -> None:
        """Nothing is proposed twice, also not what is still running."""
        self._taken.add(self.space.keys(row[None])[0])

    def replayed(self) -> None:
        """Nothing to prepare."""

    @property
    def expected_improvement(self) -> float:
        """Unknown to random search, which therefore never stops early."""
        return 1.0

    def reach(self, limit_points: float, max_latency_s: float) -> Reach:
        """Without a model there is nothing to warn of."""
        return Reach(1.0, math.nan, math.nan)

    def _draw(self, rng: np.random.Generator) -> Floats:
        space = self.space
        mean = rng.uniform(*KEEP_RATIOS)
        keep = np.clip(mean + rng.normal(0.0, SPREAD, (1, space.groups)), 0.0, 1.0)
        if rng.random() < NO_BRANCH:
            keep[0, rng.random(space.groups) > mean] = 0.0
        row = space.encode(space.architecture.dense(), varied_recipe(space, space.start, rng))
        row[: space.groups] = space.snap(keep)[0]
        return row

    def _cost(self, row: Floats) -> float:
        return float(self.space.costs(self._known, row[None])[0])
