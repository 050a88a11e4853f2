"""SMAC's parts, replaced: surrogate, acquisition, maximiser and selector, wired into its facade and driven by ask and tell.

Written against SMAC 2.4; the two private attributes touched here (``_get_x_best`` and the intensifier's ``_queue``) are
held by a test. See [Lindauer2022]_.

.. [Lindauer2022] Lindauer et al. SMAC3: A Versatile Bayesian Optimization Package. JMLR 23(54), 2022.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace
from smac import HyperparameterOptimizationFacade, Scenario
from smac.acquisition.function.abstract_acquisition_function import AbstractAcquisitionFunction
from smac.acquisition.maximizer.abstract_acquisition_maximizer import AbstractAcquisitionMaximizer
from smac.initial_design import SobolInitialDesign
from smac.intensifier import Intensifier
from smac.main.config_selector import ConfigSelector
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.model.abstract_model import AbstractModel
from smac.random_design import ProbabilityRandomDesign
from smac.runhistory import TrialInfo, TrialValue
from smac.runhistory.encoder import RunHistoryEncoder
from smac.runhistory.enumerations import StatusType
from threadpoolctl import ThreadpoolController

from harness.files.leftovers import HeldFolder
from search.optimizer import drop_scale
from search.optimizer.acquisition import (
    LEAP,
    feasibility,
    incumbent_drop,
    incumbent_latency,
    known_cost_improvement,
    known_improvement,
    leap_after,
)
from search.optimizer.array_search import ArraySearch, SpaceExhausted
from search.optimizer.drop_scale import DropScale
from search.optimizer.smac_rows import configuration
from search.optimizer.surrogate import DropModel
from search.records.trial import Floats, KnownCost
from search.space.goals import Goal, Reach
from search.space.space import SearchSpace

MAX_PARETO_LIMIT_POINTS = 6.0  # largest random limit; wider drops are of no use to anybody
MIN_PARETO_LIMIT_POINTS = 0.1
USER_LIMIT_SHARE = 0.5  # share of Pareto proposals that keep the user's own limit
# In the middle of a long campaign the posterior's deviation is multiplied by these in turn: with its own deviation alone the
# search settles down where it began, and never learns which groups are cheap.
BOLDNESS = (1.0, 2.0, 3.0)
BOLD_FROM = 30  # evaluated configurations
# Towards the end, savings that are sure count more than large ones: what is found now must still be recommended.
CAUTIOUS_FROM_SHARE, CAUTION = 0.75, 4.0  # share of the planned trials, power of the probability to keep the limit
SIDE_BY_SIDE_APART = 0.05  # mean difference of keep ratios: neighbours that are tried at the same time teach little
_NEVER_REACHED = 10**9  # trials that SMAC may count to: the campaign does the counting


class Surrogate(AbstractModel):  # type: ignore[misc]
    """SMAC's view of ``DropModel``."""

    def __init__(self, configspace: ConfigurationSpace, space: SearchSpace, seed: int, scale: Callable[[], DropScale]) -> None:
        super().__init__(configspace, seed=seed)
        self._space, self._order, self.drops, self._scale = space, space.order(configspace), DropModel(), scale

    def _train(self, X: Floats, Y: Floats) -> Surrogate:  # noqa: N803
        features = self._space.features(np.nan_to_num(X[:, self._order]))
        self.drops.update(features, np.asarray(Y, dtype=np.float64).reshape(-1), self._scale())
        return self

    def _predict(self, X: Floats, covariance_type: str | None = "diagonal") -> tuple[Floats, Floats]:  # noqa: N803
        mean, deviation = self.drops.predict(self._space.features(np.nan_to_num(X[:, self._order])))
        return mean, deviation**2


class KnownCostImprovement(AbstractAcquisitionFunction):  # type: ignore[misc]
    """SMAC's view of the acquisition; ``value`` works on rows of the search space instead of Configurations."""

    def __init__(self, space: SearchSpace, known: KnownCost, goal: Goal, seed: int, planned: int) -> None:
        super().__init__()
        self._space, self._known, self._goal, self._seed, self._planned = space, known, goal, seed, planned
        dense = space.encode(space.architecture.dense(), space.start)
        self.dense_cost = float(known.costs(space.widths(dense[None]))[0])
        self.limit = goal.drop_limit
        self._max_ratio = goal.max_latency_s / self.dense_cost if goal.max_latency_s is not None else math.inf
        self.limit_shift = 0.0  # points by which short trials look worse than full ones
        self.pictures_points = 0.0  # standard deviation of a top-1 that the validation pictures' number leaves
        self.best: float | None = None
        self.boldness = self.caution = 1.0
        self.leap = LEAP

    def _update(self, **kwargs: Any) -> None:
        configspace = self.model._configspace
        rows = np.nan_to_num(np.asarray(kwargs["X"]))[:, self._space.order(configspace)]
        mean, deviation = self.model.drops.predict(self._space.features(rows))
        latency = self.ratios(rows)
        cautious = len(rows) >= CAUTIOUS_FROM_SHARE * self._planned and self._goal.kind == "max-drop"
        self.boldness = BOLDNESS[len(rows) % len(BOLDNESS)] if len(rows) >= BOLD_FROM and not cautious else 1.0
        self.caution = CAUTION if cautious else 1.0
        if self._goal.kind == "max-latency":
            self.best = incumbent_drop(mean, latency, self._max_ratio)
            return
        self.limit = self._goal.drop_limit + self.limit_shift
        rng = np.random.default_rng([self._seed, len(rows), 1])
        if self._goal.kind == "pareto" and rng.random() >= USER_LIMIT_SHARE:
            self.limit = float(rng.uniform(MIN_PARETO_LIMIT_POINTS, MAX_PARETO_LIMIT_POINTS)) + self.limit_shift
        self.best = incumbent_latency(mean, deviation, latency, self.limit, self._goal.certainty)
        within = feasibility(mean, deviation, self.limit) >= math.log(self._goal.certainty)
        self.leap = LEAP if len(rows) >= BOLD_FROM else leap_after(within, latency)

    def scale(self) -> DropScale:
        """What drops are modelled on: points up to a few times the widest limit that proposals are made for."""
        widest = MAX_PARETO_LIMIT_POINTS if self._goal.kind == "pareto" else 0.0
        return drop_scale.of(self._goal, self.limit_shift, widest, self.pictures_points)

    def ratios(self, rows: Floats) -> Floats:
        """Latency of every row as a ratio to the dense network."""
        ratios: Floats = self._space.costs(self._known, rows) / self.dense_cost
        return ratios

    def value(self, rows: Floats) -> Floats:
        """Acquisition of rows of the search space, as bold or cautious as it is time for."""
        return self._valued(rows, self.boldness, self.caution, self.leap)

    def plain_value(self, rows: Floats) -> Floats:
        """Acquisition of rows of the search space by definition: the logarithm of the expected improvement."""
        return self._valued(rows, 1.0, 1.0, 1.0)

    def _valued(self, rows: Floats, boldness: float, caution: float, leap: float) -> Floats:
        mean, deviation = self.model.drops.predict(self._space.features(rows))
        deviation = deviation * boldness
        if self._goal.kind == "max-latency":
            return known_cost_improvement(mean, deviation, self.ratios(rows), self._max_ratio, self.best)
        if self.best is not None:  # what is asked for may be tried at once, however far it lies
            leap = max(leap, 1 - self._max_ratio / self.best)
        return known_improvement(mean, deviation, self.ratios(rows), self.limit, self.best, caution, leap)

    def _compute(self, X: Floats) -> Floats:  # noqa: N803
        return self.value(np.nan_to_num(X)[:, self._space.order(self.model._configspace)])[:, None]


class LegalMaximizer(AbstractAcquisitionMaximizer):  # type: ignore[misc]
    """SMAC's view of ``ArraySearch``."""

    def __init__(self, configspace: ConfigurationSpace, space: SearchSpace, search: ArraySearch, count: int, seed: int) -> None:
        super().__init__(configspace, challengers=search.challengers, seed=seed)
        self._space, self._search, self._count = space, search, count
        self.last_value = 0.0  # acquisition of the last call's best candidate, neither bold nor cautious

    def _maximize(self, previous_configs: list[Configuration], n_points: int) -> list[tuple[float, Configuration]]:
        order = self._space.order(self._configspace)
        evaluated = np.asarray([config.get_array() for config in previous_configs], dtype=np.float64).reshape(-1, len(order))[:, order]
        rng = np.random.default_rng([self._seed, len(previous_configs), 2])
        keys = self._space.keys(evaluated) if len(evaluated) else []
        value = self._acquisition_function.value
        rows = self._search.maximize(value, evaluated, keys, self._count, rng, np.empty((0, self._space.dimensions)))
        values = value(rows)
        self.last_value = float(self._acquisition_function.plain_value(rows[:1])[0])
        found = [configuration(self._space, self._configspace, row, "model") for row in rows]
        return list(zip(values.tolist(), found, strict=True))


class FastSelector(ConfigSelector):  # type: ignore[misc]
    """SMAC's selector with one prediction for all observed configurations instead of one each."""

    def _get_x_best(self, X: Floats) -> tuple[Floats, float]:  # noqa: N803
        mean, _ = self._model.predict_marginalized(X)
        best = int(mean[:, 0].argmin())
        return X[best], float(mean[best, 0])


class Optimizer:
    """SMAC behind ask and tell, in rows of the search space.

    seeds: rows to evaluate first, in this order. slots: how many trials may be in flight. planned: trials in all. Never
    writes outside a temporary directory, never asks on the terminal and leaves the root logger alone.
    """

    def __init__(
        self,
        space: SearchSpace,
        known: KnownCost,
        goal: Goal,
        seed: int,
        seeds: Sequence[Floats],
        slots: int = 1,
        planned: int = 100,
    ) -> None:
        self.space, self._blas = space, ThreadpoolController()
        self._trial_seed = 0  # SMAC draws one for all trials of a deterministic scenario; tells must carry the same
        self._configspace = space.configspace(seed)
        self._scratch = HeldFolder("espalier-smac-")
        logging.getLogger("smac").setLevel(logging.ERROR)
        scenario = Scenario(
            self._configspace,
            objectives="drop",
            deterministic=True,
            crash_cost=100.0,
            n_trials=_NEVER_REACHED,
            seed=seed,
            output_directory=self._scratch.path,
        )
        batch = slots
        self.acquisition = KnownCostImprovement(space, known, goal, seed, planned)
        search = ArraySearch(space, apart=SIDE_BY_SIDE_APART if slots > 1 else 0.0)
        self.maximizer = LegalMaximizer(self._configspace, space, search, max(8, batch), seed)
        self.surrogate = Surrogate(self._configspace, space, seed, self.acquisition.scale)
        first = [self._configuration(row, "seed") for row in seeds]
        self._smac = HyperparameterOptimizationFacade(
            scenario,
            None,
            model=self.surrogate,
            runhistory_encoder=RunHistoryEncoder(scenario),
            acquisition_function=self.acquisition,
            acquisition_maximizer=self.maximizer,
            config_selector=FastSelector(scenario, retrain_after=batch),
            random_design=ProbabilityRandomDesign(0.0, seed=seed),
            initial_design=SobolInitialDesign(scenario, n_configs=0, max_ratio=1.0, additional_configs=first),
            intensifier=Intensifier(scenario, max_config_calls=1, max_incumbents=1),
            logging_level=False,
            overwrite=True,
        )

    def ask(self) -> tuple[Floats, bool]:
        """The next row to evaluate, and whether it is a seed; SpaceExhausted when every legal one was tried."""
        try:
            with self._blas.limit(limits=1, user_api="blas"):  # small matrices: more threads only wait for each other
                info = self._smac.ask()
        except (StopIteration, ConfigurationSpaceExhaustedException) as error:
            raise SpaceExhausted from error
        self._trial_seed = int(info.seed)
        row = np.asarray(info.config.get_array(), dtype=np.float64)[self.space.order(self._configspace)]
        is_seed = info.config.origin == "seed"
        if not is_seed and not self.space.legal(row[None])[0]:
            raise SpaceExhausted  # SMAC fills up with random rows, legal or not, when the maximiser finds too few
        return row, is_seed

    def tell(self, row: Floats, drop_points: float, crashed: bool = False) -> None:
        """Add an observation; a crashed trial comes with the worst drop seen, so that the model turns away from it."""
        status = StatusType.CRASHED if crashed else StatusType.SUCCESS
        info = TrialInfo(self._configuration(row, "told"), seed=self._trial_seed)
        self._smac.tell(info, TrialValue(cost=drop_points, time=0.0, status=status), save=False)

    @property
    def expected_improvement(self) -> float:
        """Of the last model-based proposal: share of the dense latency (or points of drop) times the chance to keep the limit."""
        return math.exp(min(self.maximizer.last_value, 50.0)) if self.acquisition.best is not None else 1.0

    def reach(self, limit_points: float, max_latency_s: float) -> Reach:
        """How likely a drop within ``limit_points`` at ``max_latency_s`` is; call after the first model-based proposal."""
        ratio, drops = max_latency_s / self.acquisition.dense_cost, self.surrogate.drops

        def chance_within(rows: Floats) -> Floats:
            mean, deviation = drops.predict(self.space.features(rows))
            excess = np.maximum(self.acquisition.ratios(rows) - ratio, 0.0)
            return np.where(excess > 0, -1e6 * (1.0 + excess), feasibility(mean, deviation, limit_points))

        seen = np.asarray([config.get_array() for config in self._smac.runhistory.get_configs()], dtype=np.float64)
        rows = seen[:, self.space.order(self._configspace)]
        rng = np.random.default_rng([len(rows), 5])
        best = ArraySearch(self.space).maximize(chance_within, rows, (), 1, rng, rows[:0])
        mean, _ = drops.predict(self.space.features(best))
        known, _ = drops.predict(self.space.features(rows))
        fastest = self.acquisition.ratios(rows)[known <= limit_points].min(initial=math.inf) * self.acquisition.dense_cost
        return Reach(float(np.exp(chance_within(best)[0])), float(mean[0]), float(fastest) if math.isfinite(fastest) else math.nan)

    def expect(self, row: Floats) -> None:
        """Announce a trial that is in flight although this optimizer did not ask for it."""
        self._smac.runhistory.add_running_trial(TrialInfo(self._configuration(row, "told"), seed=self._trial_seed))

    def replayed(self) -> None:
        """Call once after telling old trials: keeps the intensifier from queueing every one of them again."""
        best = self._smac.intensifier.get_incumbents()
        if best:
            self._smac.intensifier._queue = [(best[0], 1)]

    def close(self) -> None:
        """Remove the temporary directory."""
        self._scratch.cleanup()

    def _configuration(self, row: Floats, origin: str) -> Configuration:
        return configuration(self.space, self._configspace, row, origin)
