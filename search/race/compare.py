"""The comparison: our campaign against honest and well-known alternatives, on equal trials, seeds and first configurations.

Methods: ``espalier`` (a campaign, repetitions counted), ``espalier-guess`` (one that did not look at its groups first),
``espalier-ladder`` (one that begins with the fixed ladder of before), ``espalier-pareto`` (one for the whole front), ``random``
(screened by known latency), ``uniform`` (a person's sweep of keep ratios), ``smac`` (stock SMAC on a penalised cost), ``optuna-tpe``,
``optuna-gp``, ``optuna-nsga2`` (with the package optuna).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UnknownName
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.optimizer import choice
from search.optimizer.seeds import initial_rows, varied_recipe
from search.optimizer.stock_smac import StockSmac
from search.race import plateau, race, replayed
from search.race import plot as race_plot
from search.race import table as race_table
from search.race.race import Arena, Choice, Run
from search.race.synthetic import FULL_EPOCHS, NEAR_OPTIMUM, REACHED_BY_STRATEGIES, SyntheticEvaluate, look, problem
from search.records.trial import MODEL, Floats, Trial, TrialRequest, attempt
from search.report import optuna_export
from search.space.goals import Goal
from search.space.space import SearchSpace

REPEATED = (5, 2)  # of a campaign's trials: finalists and repetitions each
SEEDS = 12
PENALTY_PER_POINT = 0.5  # of the dense latency, for methods that know no constraint
INSTANCES = 5
COUNTS = (30, 60, 100)  # trials at which methods are compared
REDRAWS = 200
SWEEP = (*(round(0.95 - 0.05 * step, 2) for step in range(12)), 0.3)

Method = Callable[[Arena, int, int], "Played"]


@dataclass(frozen=True)
class Played:
    """A method's trials in order, and its recommendations; none: always its best observation."""

    trials: tuple[Trial, ...]
    choices: tuple[Choice, ...] = ()


class _Field:
    """Evaluates rows of an arena, one after the other."""

    def __init__(self, arena: Arena, seed: int) -> None:
        self.arena, self.seed, self.trials = arena, seed, list[Trial]()
        dense = arena.space.encode(arena.space.architecture.dense(), arena.space.start)
        self.dense_cost = float(arena.latency.costs(arena.space.widths(dense[None]))[0])

    def evaluate(self, row: Floats, purpose: str = MODEL) -> Trial:
        """One trial; a crash counts as a drop of 100 points."""
        config, recipe = self.arena.space.decode(row)
        request = TrialRequest(len(self.trials), purpose, "", config, recipe, self.arena.budget_epochs, self.seed)
        outcome = attempt(self.arena.evaluate, request, lambda phase, share: None)
        self.trials.append(Trial(request, outcome, self.seconds(row)))
        return self.trials[-1]

    def seconds(self, row: Floats) -> float:
        """Known latency of one row."""
        return float(self.arena.latency.costs(self.arena.space.widths(row[None]))[0])

    def cost(self, trial: Trial) -> float:
        """Latency ratio plus the penalty of a drop beyond the limit."""
        drop = trial.outcome.drop_points if trial.outcome.ok else 100.0
        return trial.cost / self.dense_cost + PENALTY_PER_POINT * max(0.0, drop - self.arena.goal.drop_limit)


def race_methods(
    arenas: Sequence[Arena], methods: Sequence[str], trials: int, seeds: Sequence[int], path: Path, told: Callable[[Run], None]
) -> tuple[Run, ...]:
    """Run every method on every arena with every seed, leaving out what ``path`` holds already; returns all of them."""
    for name in methods:
        if name not in METHODS:
            raise UnknownName("method", name, METHODS)
    done = {(run.problem, run.instance, run.method, run.seed): run for run in race.read(path)}
    for arena in arenas:
        for seed in seeds:
            for name in methods:
                key = (arena.problem, arena.instance, name, seed)
                if key in done:
                    continue
                began = time.perf_counter()
                played = METHODS[name](arena, trials, seed)
                run = race.run_of(arena, name, seed, played.trials, played.choices, time.perf_counter() - began)
                race.append(path, run)
                done[key] = run
                told(run)
    return tuple(done.values())


def synthetic_race(
    problems: Sequence[str], methods: Sequence[str], trials: int, seeds: Sequence[int], folder: Path, told: Callable[[Run], None]
) -> Path:
    """Race on the synthetic problem with the limit of 1 point; seed s plays instance s mod ``INSTANCES``.

    Leaves ``runs.jsonl`` (from which an interrupted race goes on), ``race.md`` and ``race.svg`` in ``folder``; returns the
    table's path. UnknownName for a problem or method that does not exist.
    """
    stored = folder / "runs.jsonl"
    runs: tuple[Run, ...] = ()
    for seed in seeds:
        arenas = [arena_of(name, seed) for name in problems]
        runs = race_methods(arenas, methods, trials, [seed], stored, told)
    counts = sorted({count for count in COUNTS if count < trials} | {trials})
    table = folder / "race.md"
    note = (
        "SIMULATED: accuracies and latencies of the synthetic problem. Latency as a ratio to the dense network; mean ± deviation. "
        "Near-optimum: the lowest known latency within the limit. Strategies: what four evolution strategies with the noise-free "
        "truth reach in 12,000 steps each.\n\n"
    )
    table.write_text(note + race_table.markdown(race_table.scores(runs, counts)))
    race_plot.draw(runs, folder / "race.svg")
    return table


def arena_of(name: str, seed: int) -> Arena:
    """The problem ``name`` as ``seed`` plays it: a synthetic one with a limit of 1 point, or a stored campaign."""
    if name in replayed.names():
        return replayed.arena(name, seed)
    if name == plateau.NAME:
        return plateau.arena(seed, INSTANCES)
    return synthetic_arena(name, seed % INSTANCES, Goal(1.0), seed)


def synthetic_arena(name: str, instance: int, goal: Goal, noise_seed: int) -> Arena:
    """One instance of the synthetic problem."""
    found = problem(name, instance)
    near, reached = (known.get((name, instance), float("nan")) for known in (NEAR_OPTIMUM, REACHED_BY_STRATEGIES))
    evaluate = SyntheticEvaluate(name, instance, noise_seed)
    seen = look(name, instance, noise_seed)
    return Arena(name, instance, found.space(), found, evaluate, goal, FULL_EPOCHS, found.true_drop, near, reached, seen)


def _espalier(pareto: bool = False, ladder: bool = False, looks: bool = True) -> Method:
    """A campaign whose repetitions count as trials; pareto: for the whole front; ladder, looks: how it begins."""

    def play(arena: Arena, trials: int, seed: int) -> Played:
        finalists, repeats = REPEATED if trials > 4 * REPEATED[0] * REPEATED[1] else (2, 1)
        goal = replace(arena.goal, pareto=pareto)
        settings = CampaignSettings(
            "race",
            seed=seed,
            trials=trials - finalists * repeats,
            budget_epochs=arena.budget_epochs,
            goal=goal,
            finalists=finalists,
            repeats=repeats,
        )
        first = initial_rows(arena.space, arena.latency, (), min(SEEDS, settings.trials), seed) if ladder else ()
        seen = arena.sensitivity if looks else None
        with tempfile.TemporaryDirectory(prefix="espalier-race-") as scratch:
            evaluate = arena.evaluate if ladder or arena.watched is None else arena.watched
            parts = (settings, arena.space, arena.latency, evaluate, Path(scratch) / "race")
            played = campaign.run(*parts, first=first, sensitivity=seen).trials
        counts = [count for count in COUNTS if count < len(played)] + [len(played)]
        return Played(played, tuple(_choice(arena, goal, played[:count]) for count in counts))

    return play


def _choice(arena: Arena, goal: Goal, trials: Sequence[Trial]) -> Choice:
    """What a campaign that has seen ``trials`` recommends."""
    dense = arena.space.encode(arena.space.architecture.dense(), arena.space.start)
    dense_cost = float(arena.latency.costs(arena.space.widths(dense[None]))[0])
    chosen = choice.choose(choice.standings(arena.space, trials, goal, dense_cost=dense_cost), goal)
    places = [place for place, trial in enumerate(trials) if chosen is not None and trial.number == chosen.trial]
    return Choice(len(trials), places[0] if places else -1)


def random_screened(arena: Arena, trials: int, seed: int) -> Played:
    """Random configurations, redrawn until their known latency beats the best feasible one: the honest baseline."""
    field, space, rng = _Field(arena, seed), arena.space, np.random.default_rng([seed, 4])
    best_s = field.dense_cost
    for _ in range(trials):
        for _ in range(REDRAWS):
            keep = rng.uniform(0.35, 0.98) + rng.normal(0.0, 0.12, (1, space.groups))
            row = space.encode(space.architecture.dense(), varied_recipe(space, space.start, rng))
            row[: space.groups] = space.snap(np.clip(keep, 0.0, 1.0))[0]
            if field.seconds(row) < best_s:
                break
        trial = field.evaluate(row)
        if trial.outcome.ok and trial.outcome.drop_points <= arena.goal.drop_limit:
            best_s = min(best_s, trial.cost)
    return Played(tuple(field.trials))


def uniform_sweep(arena: Arena, trials: int, seed: int) -> Played:
    """One keep ratio for all groups, from 0.95 down, with the recipe to begin with."""
    field, space = _Field(arena, seed), arena.space
    for keep in SWEEP[:trials]:
        row = space.encode(space.architecture.dense(), space.start)
        row[: space.groups] = space.snap(np.full((1, space.groups), keep))[0]
        field.evaluate(row)
    return Played(tuple(field.trials))


def stock_smac(arena: Arena, trials: int, seed: int) -> Played:
    """SMAC's own random forest and expected improvement on the penalised cost, from the same first configurations."""
    field, space = _Field(arena, seed), arena.space
    with StockSmac(space, initial_rows(space, arena.latency, (), SEEDS, seed), trials, seed) as smac:
        for _ in range(trials):
            smac.tell(field.cost(field.evaluate(smac.ask())))
    return Played(tuple(field.trials))


def _optuna(sampler: Callable[[Any, int], Any], front: bool) -> Method:
    """A method that lets Optuna propose; ``front``: two objectives instead of a penalised or constrained one."""

    def play(arena: Arena, trials: int, seed: int) -> Played:
        optuna = optuna_export.imported()
        field, space = _Field(arena, seed), arena.space
        directions = ["minimize", "minimize"] if front else ["minimize"]
        study = optuna.create_study(directions=directions, sampler=sampler(optuna, seed))
        for row in initial_rows(space, arena.latency, (), SEEDS, seed):
            study.enqueue_trial({name: _parameter(space, name, row[column]) for column, name in enumerate(_names(space))})
        for _ in range(trials):
            asked = study.ask()
            row = np.asarray([_suggested(space, asked, column, name) for column, name in enumerate(_names(space))], dtype=np.float64)
            done = field.evaluate(space.rounded(row[None])[0])
            drop = done.outcome.drop_points if done.outcome.ok else 100.0
            asked.set_user_attr("excess", drop - arena.goal.drop_limit)
            ratio = done.latency_s / field.dense_cost
            study.tell(asked, [ratio, drop] if front else (ratio if sampler is _gp else field.cost(done)))
        return Played(tuple(field.trials))

    return play


def _tpe(optuna: Any, seed: int) -> Any:
    return optuna.samplers.TPESampler(multivariate=True, n_startup_trials=20, seed=seed)


def _gp(optuna: Any, seed: int) -> Any:
    return optuna.samplers.GPSampler(seed=seed, constraints_func=lambda trial: (trial.user_attrs.get("excess", 0.0),))


def _nsga2(optuna: Any, seed: int) -> Any:
    return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)


def _names(space: SearchSpace) -> tuple[str, ...]:
    return (*space.names, *space.numbers, *space.categories)


def _parameter(space: SearchSpace, name: str, coordinate: float) -> Any:
    return int(coordinate) if name not in space.numbers else float(coordinate)


def _suggested(space: SearchSpace, trial: Any, column: int, name: str) -> float:
    if column < space.groups:
        return float(trial.suggest_int(name, 0, int(space.sizes[column]) - 1))
    if name in space.numbers:
        return float(trial.suggest_float(name, 0.0, 1.0))
    choices = space.choices[space.categories.index(name)]
    return float(trial.suggest_categorical(name, list(range(len(choices)))))


METHODS: dict[str, Method] = {
    "espalier": _espalier(),
    "espalier-guess": _espalier(looks=False),
    "espalier-ladder": _espalier(ladder=True),
    "espalier-pareto": _espalier(pareto=True),
    "random": random_screened,
    "uniform": uniform_sweep,
    "smac": stock_smac,
    "optuna-tpe": _optuna(_tpe, front=False),
    "optuna-gp": _optuna(_gp, front=False),
    "optuna-nsga2": _optuna(_nsga2, front=True),
}
