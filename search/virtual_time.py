"""Short and full trials side by side on a synthetic problem, in virtual time: what a campaign of hours on several workers chooses.

Nothing is trained and nobody waits. How a short drop follows from the full one is a curve through what was measured on ResNet-56 with a
quarter of an epoch and four epochs (Fashion-MNIST, 17 configurations: a full drop of 0.5 points was 2.9 short, one of 0.1 about 2).
Every figure that comes of it is SIMULATED.
"""

from __future__ import annotations

import heapq
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search import campaign, synthetic
from search.campaign import CampaignSettings
from search.goals import Goal
from search.random_search import RandomSearch
from search.recipe_ranges import RecipeRanges
from search.result import CampaignResult
from search.selector import Optimizer
from search.space import SearchSpace
from search.synthetic import SyntheticProblem
from search.trial import TrialOutcome, TrialRequest

SHORT_EPOCHS, FULL_EPOCHS = 0.25, 4.0
GOAL = Goal(1.0)
SHORT_NOISE_POINTS, FULL_NOISE_POINTS = 0.3, 0.15
OVERHEAD_EPOCHS = 0.1  # pruning and judging, as if they were training


def short_drop(full_drop: float) -> float:
    """What a short trial shows of a configuration, in points, without noise."""
    return 0.6 + 3.3 * float(np.sqrt(max(full_drop, 0.0))) + full_drop


@dataclass(frozen=True)
class LengthsEvaluate:
    """Noisy drops at both lengths; implements ``Evaluate``."""

    problem: SyntheticProblem
    noise_seed: int = 0

    def __call__(self, trial: TrialRequest, report: object = None) -> TrialOutcome:
        """The drop that training so long would show."""
        true, is_full = self.problem.true_drop(trial.config, trial.recipe), trial.budget_epochs >= FULL_EPOCHS
        noise = np.random.default_rng([78, self.noise_seed, trial.number, trial.seed]).normal()
        drop = (true if is_full else short_drop(true)) + noise * (FULL_NOISE_POINTS if is_full else SHORT_NOISE_POINTS)
        top1 = float(np.clip(synthetic.DENSE_TOP1 - drop / 100, 0.0, 1.0))
        return TrialOutcome(top1, max(0.0, top1 - 0.003), min(1.0, top1 + 0.003), drop)


class VirtualPool:
    """Workers on a clock of their own; implements ``Pool``. now: the time, in epochs of the dense network.

    A trial takes its epochs, the less the smaller its network is.
    """

    def __init__(self, evaluate: LengthsEvaluate, slots: int) -> None:
        self.slots, self.now = slots, 0.0
        self._evaluate = evaluate
        self._running: list[tuple[float, int, TrialRequest]] = []

    def submit(self, request: TrialRequest) -> None:
        """Begin a trial now."""
        takes = (request.budget_epochs + OVERHEAD_EPOCHS) * (0.2 + 0.8 * ratio(self._evaluate.problem, request))
        heapq.heappush(self._running, (self.now + takes, request.number, request))

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        """Put the clock forward to the next end of a trial."""
        self.now, _, request = heapq.heappop(self._running)
        return [(request, self._evaluate(request))]

    def close(self) -> None:
        """Forget what runs."""
        self._running.clear()


@dataclass(frozen=True)
class Played:
    """What a campaign came to. hours: virtual, in epochs of the dense network. near_optimum: known lowest latency ratio."""

    result: CampaignResult
    hours: float
    latency_ratio: float
    true_drop_points: float
    near_optimum: float

    @property
    def over(self) -> float:
        """The choice's latency as a multiple of the near-optimum; that of the dense network where the choice truly misses the limit."""
        return (self.latency_ratio if self.true_drop_points <= GOAL.drop_limit else 1.0) / self.near_optimum


def ratio(problem: SyntheticProblem, of: TrialRequest) -> float:
    """A configuration's latency as a ratio to the dense network."""
    widths = np.asarray([[of.config.kept(group.name) for group in problem.architecture.groups]], dtype=np.int64)
    return float(problem.microseconds(widths)[0]) / problem.dense_us


def play(name: str, instance: int, workers: int, trials: int = 60, random: bool = False) -> Played:
    """One campaign with the recipe fixed, as ``--recipe=fixed`` does, by our optimiser or by random search."""
    problem, best = synthetic.problem(name, instance), synthetic.TUNED
    only = RecipeRanges((best.criterion,), (best.schedule,))
    fixed = {one: (getattr(best, one),) * 2 for one in ("learning_rate", "weight_decay", "label_smoothing", "distillation")}
    space = SearchSpace(problem.architecture, problem.space().legal_widths, replace(only, off_the_shelf=best, **fixed), "layer", ())
    settings = CampaignSettings(
        "virtual", instance, trials, budget_epochs=FULL_EPOCHS, short_epochs=SHORT_EPOCHS, goal=GOAL, finalists=3, workers=workers
    )
    evaluate = LengthsEvaluate(problem, instance)
    pool = VirtualPool(evaluate, workers)
    with tempfile.TemporaryDirectory() as folder:
        searcher = RandomSearch if random else Optimizer
        result = campaign.run(settings, space, problem, evaluate, Path(folder), pool=lambda _: pool, optimizer_class=searcher)
    chosen = result.chosen
    assert chosen is not None, "the dense network is a choice too"
    request = replace(result.trials[0].request, config=chosen.config)
    truth = problem.true_drop(chosen.config, chosen.recipe)
    return Played(result, pool.now, ratio(problem, request), truth, synthetic.NEAR_OPTIMUM[name, instance])
