"""A campaign as an Optuna study, for those who like its dashboard: ``optuna-dashboard sqlite:///study.db``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import CampaignError, UsageError
from search.records.costs.objective import LATENCY, Objective
from search.records.trial import Trial
from search.space.space import SearchSpace


def refuse(path: Path) -> None:
    """UsageError without the package optuna, CampaignError when the file exists: Optuna would mix the studies."""
    imported()
    if path.exists():
        raise CampaignError(f"{path} exists; choose another file, or delete it first")


def export(name: str, trials: Sequence[Trial], space: SearchSpace, path: Path, objective: Objective = LATENCY) -> int:
    """Write the successful trials of a campaign into a new SQLite file; returns how many.

    Values are latency in seconds, or compiled cost in the compiler's own unit, and drop in points; widths and recipe are the
    parameters. Raises what ``refuse`` raises.
    """
    refuse(path)
    optuna = imported()
    path.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name=name, directions=["minimize", "minimize"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(["compiled_cost" if objective.is_compiled else "latency_s", "drop_points"])
    ranges = _distributions(optuna, space)
    usable = [one for one in trials if one.outcome.ok and space.covers(one.request.config, one.request.recipe)]
    for trial in usable:
        recipe = trial.request.recipe
        parameters = {name: trial.request.config.kept(name) for name in space.names}
        parameters |= {name: getattr(recipe, name) for name in (*space.numbers, *space.categories)}
        attributes = {"number": trial.number, "purpose": trial.request.purpose, "budget_epochs": trial.request.budget_epochs}
        values = [trial.cost, trial.outcome.drop_points]
        study.add_trial(optuna.trial.create_trial(params=parameters, distributions=ranges, values=values, user_attrs=attributes))
    return len(usable)


def _distributions(optuna: Any, space: SearchSpace) -> dict[str, Any]:
    kinds = optuna.distributions
    ranges: dict[str, Any] = {
        name: kinds.CategoricalDistribution([int(width) for width in table]) for name, table in zip(space.names, space.tables, strict=True)
    }
    for name, (low, high) in space.ranges.limits:
        if name in space.numbers:
            ranges[name] = kinds.FloatDistribution(low, high, log=low > 0)
    for name, choices in zip(space.categories, space.choices, strict=True):
        ranges[name] = kinds.CategoricalDistribution(list(choices))
    return ranges


def imported() -> Any:
    """The package optuna, silenced; UsageError when it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise UsageError("this needs the package optuna; install it with: pip install 'optuna>=4.0'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
