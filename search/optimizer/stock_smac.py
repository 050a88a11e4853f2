"""SMAC as it comes, without known latency or constraints: a rival of ours in races.

.. [Lindauer2022] M. Lindauer et al.: SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization. JMLR 23, 2022.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import TrialInfo, TrialValue

from harness.files.leftovers import HeldFolder
from search.optimizer.smac_rows import configuration
from search.records.trial import SEED, Floats
from search.space.space import SearchSpace


class StockSmac:
    """Its random forest and expected improvement on one cost, for use in a ``with`` statement; asked and told in turns.

    first: rows of the space that it tries before any of its own. planned: how many trials there will be.
    """

    def __init__(self, space: SearchSpace, first: Sequence[Floats], planned: int, seed: int) -> None:
        logging.getLogger("smac").setLevel(logging.ERROR)
        configspace = space.configspace(seed)
        known = [configuration(space, configspace, row, SEED) for row in first]
        self._order = space.order(configspace)
        self._scratch = HeldFolder("espalier-smac-")
        scenario = Scenario(configspace, deterministic=True, n_trials=planned + len(known), seed=seed, output_directory=self._scratch.path)
        design = HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=0, max_ratio=1.0, additional_configs=known)
        # It calls its target only when it runs the trials itself, which it is never asked to.
        self._smac = HyperparameterOptimizationFacade(scenario, None, initial_design=design, logging_level=False, overwrite=True)
        self._asked: TrialInfo | None = None

    def __enter__(self) -> StockSmac:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scratch.cleanup()

    def ask(self) -> Floats:
        """The row to evaluate next."""
        self._asked = self._smac.ask()
        return np.asarray(self._asked.config.get_array(), dtype=np.float64)[self._order]

    def tell(self, cost: float) -> None:
        """What the row just asked for costs; the lower, the better."""
        assert self._asked is not None, "tell follows ask"
        self._smac.tell(TrialInfo(self._asked.config, seed=self._asked.seed), TrialValue(cost=cost), save=False)
