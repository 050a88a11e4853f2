"""A synthetic problem with the shape of easy pictures: no group matters until most of the network is gone, and then everything is lost.

ResNet-20 on digits is of this kind: it answers alike from its full width down to a tenth of its latency, and soon beyond that loses 20 to
80 points; validation has 280 pictures, so that most drops are exactly 0 and none is finer than 0.36 points. Every figure that comes of it
is SIMULATED.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.records.accuracy import Accuracy
from harness.records.pruning_config import PruningConfig
from search.race.race import Arena
from search.race.synthetic import SyntheticProblem
from search.records.sensitivity_record import GroupLoss, Sensitivity
from search.records.trial import Floats, Ints, Report, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal
from search.space.recipe_ranges import NUMBERS, RecipeRanges
from search.space.space import SearchSpace

NAME, EPOCHS = "r20d", 2.0
CRITERIA = ("l1", "l2", "fpgm", "bn-scale")
IMAGES, DENSE_CORRECT = 280, 279
PLATEAU_POINTS, CLIFF_POINTS = 0.3, 80.0  # lost by the end of the plateau, and beyond it where nothing is left
ENDS = (0.60, 0.80)  # share of the network gone, weighed by sensitivity, at which the plateau ends
LUCK = 0.1  # share of the networks that answer the dense network's one mistake
# Lowest latency ratio within 1 point that ``near_optimum.by_population`` finds.
NEAR_OPTIMUM: dict[int, float] = {}


class Plateau(SyntheticProblem):
    """ResNet-20 with a plateau; which channels are chosen, and how they are tuned, does not matter."""

    NAMES, BLOCKS = (NAME,), 3

    def __init__(self, instance: int) -> None:
        super().__init__(NAME, instance)
        self._end = float(np.random.default_rng([81, instance]).uniform(*ENDS))

    def microseconds(self, widths: Ints) -> Floats:
        """Latency of n x G widths, in microseconds: steps of 4 channels, and a small part that no width changes."""
        total = np.zeros(len(widths))
        for k, conv in enumerate(self._convs):
            outputs = -(-widths[:, conv.target] // 4) * 4
            inputs = 4 if conv.source < 0 else -(-widths[:, conv.source] // 4) * 4
            total += self._draws.base_us[k] + inputs * outputs * 9 * conv.side**2 / (8000 * self._draws.throughput[k])
        return total

    def drops(self, keep: Floats, recipe: TuningChoice, epochs: float = EPOCHS) -> Floats:
        """The true, noise-free drops in points at n x G keep ratios."""
        gone = (1.0 - keep) @ self._draws.sensitivity
        beyond = np.maximum(0.0, (gone - self._end) / (1.0 - self._end))
        return np.asarray(PLATEAU_POINTS * np.minimum(gone / self._end, 1.0) ** 2 + CLIFF_POINTS * beyond)

    def space(self, moves: str = "layer", exact: Sequence[PruningConfig] = ()) -> SearchSpace:
        """All multiples of 4; of the recipe only the criterion is searched, as campaigns do."""
        legal = {g.name: tuple(range(4, g.channels + 1, 4)) for g in self.architecture.groups}
        start = TuningChoice()
        fixed = {number: (getattr(start, number),) * 2 for number in NUMBERS}
        return SearchSpace(self.architecture, legal, RecipeRanges(CRITERIA, (start.schedule,), off_the_shelf=start, **fixed), moves, exact)


@dataclass(frozen=True)
class FewPictures:
    """Answers of ``IMAGES`` pictures; implements ``Evaluate``."""

    problem: Plateau
    noise_seed: int = 0

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """Each picture is lost with the chance that the true drop says; nothing is trained."""
        true = self.problem.true_drop(trial.config, trial.recipe)
        rng = np.random.default_rng([82, self.noise_seed, trial.number, trial.seed])
        correct = DENSE_CORRECT - int(rng.binomial(DENSE_CORRECT, true / 100)) + int(rng.random() < LUCK)
        seen = Accuracy(correct, IMAGES)
        return TrialOutcome(seen.top1_ratio, *seen.interval_ratio, 100 * (DENSE_CORRECT - correct) / IMAGES)


def arena(noise_seed: int, instances: int) -> Arena:
    """The problem as ``noise_seed`` plays it, with a limit of 1 point; a look at its groups shows nothing."""
    found = Plateau(noise_seed % instances)
    seen = Sensitivity(tuple(GroupLoss(one.name, one.channels // 2, 0.0) for one in found.architecture.groups))
    evaluate = FewPictures(found, noise_seed)
    near = NEAR_OPTIMUM.get(found.instance, math.nan)
    return Arena(NAME, found.instance, found.space(), found, evaluate, Goal(1.0), EPOCHS, found.true_drop, near, sensitivity=seen)
