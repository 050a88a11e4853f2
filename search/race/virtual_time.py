"""Short and full trials side by side on a synthetic problem, in virtual time: what a campaign of hours on several workers chooses.

Nothing is trained and nobody waits. How a short drop follows from the full one is a curve through what two campaigns on ResNet-56 saw
of configurations tuned for a quarter of an epoch and for four (``reports/campaigns/resnet56-*``, held to it by a test).
Every figure that comes of it is SIMULATED.
"""

from __future__ import annotations

import heapq
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.records.pruning_config import PruningConfig
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.campaign.result import CampaignResult
from search.optimizer.random_search import RandomSearch
from search.optimizer.selector import Optimizer
from search.race import synthetic
from search.race.synthetic import SyntheticProblem
from search.records.trial import TrialOutcome, TrialRequest
from search.space.goals import Goal
from search.space.recipe_ranges import NUMBERS, RecipeRanges
from search.space.screened_latency import cost_of
from search.space.space import SearchSpace

SHORT_EPOCHS, FULL_EPOCHS = 0.25, 4.0
GOAL = Goal(1.0)
SHORT_NOISE_POINTS, FULL_NOISE_POINTS = 0.3, 0.15
OVERHEAD_EPOCHS = 0.1  # pruning and judging, as if they were training


def short_drop(full_drop: float) -> float:
    """What a short trial shows of a configuration, in points, without noise: the dense network gains 0.25 by full length and loses 0.56."""
    return max(0.56 + 2.6 * math.sqrt(max(full_drop + 0.25, 0.0)), full_drop)


@dataclass(frozen=True)
class LengthsEvaluate:
    """Noisy drops at both lengths; implements ``Evaluate``."""

    problem: SyntheticProblem
    noise_seed: int = 0

    def __call__(self, trial: TrialRequest, report: object = None) -> TrialOutcome:
        """The drop that training so long would show."""
        true = self.problem.true_drop(trial.config, trial.recipe)
        rng = np.random.default_rng([78, self.noise_seed, trial.number, trial.seed])
        if trial.budget_epochs >= FULL_EPOCHS:
            return synthetic.observed(true, FULL_NOISE_POINTS, rng)
        return synthetic.observed(short_drop(true), SHORT_NOISE_POINTS, rng)


class VirtualPool:
    """Workers on a clock of their own; implements ``Pool``. now_epochs: the time, in epochs of the dense network.

    A trial takes its epochs, the less the smaller its network is.
    """

    def __init__(self, evaluate: LengthsEvaluate, slots: int) -> None:
        self.slots, self.now_epochs = slots, 0.0
        self._evaluate = evaluate
        self._running: list[tuple[float, int, TrialRequest]] = []

    def submit(self, request: TrialRequest) -> None:
        """Begin a trial now."""
        takes = (request.budget_epochs + OVERHEAD_EPOCHS) * (0.2 + 0.8 * ratio(self._evaluate.problem, request.config))
        heapq.heappush(self._running, (self.now_epochs + takes, request.number, request))

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Put the clock forward to the next end of a trial."""
        self.now_epochs, _, request = heapq.heappop(self._running)
        return [(request, self._evaluate(request))]

    def close(self) -> None:
        """Forget what runs."""
        self._running.clear()


@dataclass(frozen=True)
class Played:
    """What a campaign came to. took_epochs: of the dense network, on the virtual clock. near_optimum: known lowest latency ratio."""

    result: CampaignResult
    took_epochs: float
    latency_ratio: float
    true_drop_points: float
    near_optimum: float

    @property
    def over(self) -> float:
        """The choice's latency as a multiple of the near-optimum; that of the dense network where the choice truly misses the limit."""
        return (self.latency_ratio if self.true_drop_points <= GOAL.drop_limit else 1.0) / self.near_optimum


def ratio(problem: SyntheticProblem, config: PruningConfig) -> float:
    """A configuration's latency as a ratio to the dense network."""
    return 1e6 * cost_of(problem.architecture, problem, config) / problem.dense_us


def play(name: str, instance: int, workers: int, trials: int = 60, random: bool = False) -> Played:
    """One campaign with the recipe fixed, as ``--recipe=fixed`` does, by our optimiser or by random search."""
    problem, best = synthetic.problem(name, instance), synthetic.TUNED
    fixed = {number: (getattr(best, number),) * 2 for number in NUMBERS}
    ranges = replace(RecipeRanges((best.criterion,), (best.schedule,)), off_the_shelf=best, **fixed)
    space = SearchSpace(problem.architecture, problem.space().legal_widths, ranges, "layer", ())
    settings = CampaignSettings(
        "virtual", instance, trials, budget_epochs=FULL_EPOCHS, short_epochs=SHORT_EPOCHS, goal=GOAL, finalists=3, workers=workers
    )
    evaluate = LengthsEvaluate(problem, instance)
    pool = VirtualPool(evaluate, workers)
    with tempfile.TemporaryDirectory() as folder:
        searcher = RandomSearch if random else Optimizer
        result = campaign.run(settings, space, problem, evaluate, Path(folder), pool=lambda _: pool, optimizer_class=searcher)
    chosen = result.chosen
    assert chosen is not None, "some trial of full length succeeds"
    truth = problem.true_drop(chosen.config, chosen.recipe)
    return Played(result, pool.now_epochs, ratio(problem, chosen.config), truth, synthetic.NEAR_OPTIMUM[name, instance])
