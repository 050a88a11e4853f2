"""Campaigns on made-up pictures: networks whose true drops are known are tried, judged and chosen from as real ones are.

Drops are those of the synthetic problems; the answers are drawn picture by picture, with a part of the luck that all networks share, for
they inherit the dense network's weights. Everything after the answers is the product's own: the surrogate, the standings, the finalists,
the evidence, the choice. All of it is SIMULATED, and takes a tenth of a second a campaign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from harness.records.accuracy import Accuracy
from harness.records.pruning_config import PruningConfig
from search.optimizer import choice
from search.proof import cross_fit, proof
from search.proof.entrants import Entrant
from search.race.synthetic import TUNED, SyntheticProblem, problem
from search.records.losses.certainty import Evidence, with_folds
from search.records.losses.drop import Paired
from search.records.trial import MODEL, Bools, Floats, Trial, TrialOutcome, TrialRequest
from search.space.goals import Goal

FINALISTS = 3
INSTANCES = 5


@dataclass(frozen=True)
class World:
    """What is made up. pictures: of the validation split, and of every fold. error_ratio: pictures that the dense network gets wrong.

    exchanged_ratio: pictures that a network as good as the dense one loses, and wins as many. shared: part of what decides about a picture
    that all networks have in common. between_points: deviation of the true drops of networks of one configuration.
    """

    pictures: int = 280
    limit_points: float = 1.0
    certainty: float = 0.9
    folds: int = 0
    trials: int = 20
    error_ratio: float = 0.03
    exchanged_ratio: float = 0.008
    shared: float = 0.5
    between_points: float = 0.2


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a campaign chose. true_points: what it really loses; chance: what was said; latency_ratio: of the dense network's.

    naive_points: what the fastest really loses that was seen to keep the limit, which is how one would choose without all this; None where
    none was.
    """

    true_points: float
    chance: float
    latency_ratio: float
    naive_points: float | None


@dataclass(frozen=True)
class _Tried:
    """Networks that were tried, fastest first or not. right: networks x pictures; dense: pictures."""

    configs: tuple[PruningConfig, ...]
    rows: Floats
    seconds: Floats
    true_points: Floats
    right: Bools
    dense: Bools


def campaign(world: World, seed: int) -> Chosen | None:
    """One campaign; None where nothing but the dense network could be chosen."""
    rng, synthetic = np.random.default_rng([31, seed]), problem("vgg", seed % INSTANCES)
    tried = _try(world, synthetic, rng)
    space, goal = synthetic.space(), Goal(world.limit_points, certainty=world.certainty)
    dense_cost = synthetic.dense_us * 1e-6
    found = choice.standings(space, _trials(tried), goal, dense_cost=dense_cost)
    entered = choice.finalists(found, goal, FINALISTS)
    if not entered:
        return None
    candidates = [Entrant(str(one.trial), "candidate", one.config) for one in entered]
    known = {
        str(one.trial): Evidence(Paired.of(tried.right[[one.trial]], tried.dense[None]), curse_points=max(one.curse_points, 0.0))
        for one in entered
    }
    seconds = {str(one.trial): one.cost for one in entered}
    for _ in range(world.folds):
        asked = cross_fit.in_question(candidates, known, seconds, dense_cost, world.limit_points, world.certainty)
        for one in asked:
            known[one.name] = with_folds(known[one.name], [_fold(world, tried.true_points[int(one.name)], rng)])
    chances = {name: one.chance_within(world.limit_points) for name, one in known.items()}
    drops = {name: one.seen_points + one.moved_points for name, one in known.items()}
    name = proof.choose(candidates, drops, chances, seconds, dense_cost, world.certainty, None).name
    return Chosen(float(tried.true_points[int(name)]), chances[name], seconds[name] / dense_cost, _naive(world, tried))


def _try(world: World, synthetic: SyntheticProblem, rng: np.random.Generator) -> _Tried:
    """Networks around ladders of uniform widths, most of them near the limit, as a search finds them."""
    space = synthetic.space()
    keep = np.clip(rng.uniform(0.35, 0.95, (world.trials, 1)) + rng.normal(0, 0.1, (world.trials, space.groups)), 0.1, 1.0)
    rows = np.repeat(space.encode(synthetic.architecture.dense(), TUNED)[None], world.trials, axis=0)
    rows[:, : space.groups] = space.snap(keep)
    configs = tuple(space.decode(row)[0] for row in rows)
    true = np.array([synthetic.true_drop(config, TUNED) for config in configs]) + rng.normal(0, world.between_points, world.trials)
    true = np.minimum(true, 60.0)
    dense = rng.random(world.pictures) >= world.error_ratio
    right = _answers(world, true, dense, rng)
    return _Tried(configs, rows, synthetic.costs(space.widths(rows)), _true_points(world, true), right, dense)


def _answers(world: World, true_points: Floats, dense: Bools, rng: np.random.Generator) -> Bools:
    """Which pictures each network answers rightly, networks x pictures, given which the dense one does."""
    lost, won = _shares(world, true_points)
    luck = math.sqrt(world.shared) * rng.normal(size=dense.size) + math.sqrt(1 - world.shared) * rng.normal(
        size=(len(true_points), dense.size)
    )
    threshold = ndtri(np.where(dense[None], (lost / (1 - world.error_ratio))[:, None], (won / world.error_ratio)[:, None]))
    return np.asarray(dense[None] ^ (luck < threshold))


def _shares(world: World, true_points: Floats) -> tuple[Floats, Floats]:
    """Shares of all pictures that are lost and won; won are at most those that the dense network gets wrong."""
    won = np.minimum(world.exchanged_ratio + np.maximum(-true_points, 0.0) / 100, 0.999 * world.error_ratio)
    return np.maximum(won + true_points / 100, 1e-9), won


def _true_points(world: World, true_points: Floats) -> Floats:
    lost, won = _shares(world, true_points)
    return 100 * (lost - won)


def _fold(world: World, true_points: float, rng: np.random.Generator) -> Paired:
    """Another network of the configuration on other pictures, against another dense one."""
    true = np.array([true_points + rng.normal(0, math.sqrt(2) * world.between_points)])
    dense = rng.random(world.pictures) >= world.error_ratio
    return Paired.of(_answers(world, true, dense, rng), dense[None])


def _trials(tried: _Tried) -> list[Trial]:
    top1 = tried.dense.mean()
    trials = []
    for number, (config, right, seconds) in enumerate(zip(tried.configs, tried.right, tried.seconds, strict=True)):
        seen = Accuracy(int(right.sum()), right.size)
        outcome = TrialOutcome(seen.top1_ratio, *seen.interval_ratio, 100 * float(top1 - seen.top1_ratio))
        trials.append(Trial(TrialRequest(number, MODEL, "", config, TUNED, 27.0, 0), outcome, float(seconds)))
    return trials


def _naive(world: World, tried: _Tried) -> float | None:
    drops = 100 * (tried.dense.mean() - tried.right.mean(axis=1))
    within = np.flatnonzero(drops <= world.limit_points)
    return None if not len(within) else float(tried.true_points[within[np.argmin(tried.seconds[within])]])


def table(world: World, campaigns: int, folds: Sequence[int] = (0, 4), certainties: Sequence[float] = (0.5, 0.9, 0.99)) -> list[str]:
    """How often the true drop of the chosen exceeds the limit, for several certainties and numbers of folds; one line each."""
    lines = [f"SIMULATED, {campaigns} campaigns each, {world.pictures} pictures, limit {world.limit_points:g}, {world.trials} trials"]
    for count in folds:
        for certainty in certainties:
            seen = [campaign(replace(world, folds=count, certainty=certainty), seed) for seed in range(campaigns)]
            chosen = [one for one in seen if one is not None]
            sure = [one for one in chosen if one.chance >= certainty]
            naive = [one.naive_points for one in chosen if one.naive_points is not None]
            judged = f"true drop over the limit in {_over(sure, world):.1%} of them, " if sure else ""
            said = float(np.mean([1 - one.chance for one in chosen]))
            ratio = float(np.median([one.latency_ratio for one in chosen]))
            lines.append(
                f"certainty {certainty:g}, {count} folds: {len(sure)} of {len(seen)} reached it, {judged}of all in "
                f"{_over(chosen, world):.1%} where {said:.1%} was said; latency {ratio:.2f} of dense; the fastest seen within: "
                f"{np.mean([one > world.limit_points for one in naive]):.1%} over"
            )
    return lines


def _over(chosen: Sequence[Chosen], world: World) -> float:
    return float(np.mean([one.true_points > world.limit_points for one in chosen])) if chosen else math.nan
