"""The choice: which configuration a campaign recommends, by posterior mean and not by the luckiest observation."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from harness.records.pruning_config import PruningConfig
from search.optimizer import drop_scale
from search.optimizer.drop_scale import DropScale
from search.optimizer.fidelity import Calibration
from search.optimizer.surrogate import DropModel
from search.records.losses.certainty import normal_chance
from search.records.trial import Floats, Trial, TuningChoice
from search.space.goals import Goal
from search.space.space import SearchSpace

HOPEFUL_CHANCE = 0.2  # least probability for a configuration to be worth repeating
SURE_CHANCE = 0.975  # least probability for a configuration to stand in reserve for one that is chosen with less
SAFE_CHANCE = 0.5  # least probability for a short trial to be worth full length when everything faster was found wanting
LEAST_SAVING_RATIO = 0.03  # of the recommended one's cost, for a safe stand-in to be worth full length


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known about one configuration with its recipe after all trials.

    trial: number of its first full-length trial. observed_points: mean of the observed drops. mean_points,
    deviation_points: posterior of the drop on the validation pictures, which repetitions narrow. pictures_points: standard deviation
    between these pictures and all others, which no repetition narrows. observations: evaluations at full length. chance: posterior
    probability that the true drop is within the goal's limit; 1 for the unpruned network, which loses nothing. candidate: whether it may be
    recommended where a lowest cost is sought: pruned, and predicted to cost less than the dense network.
    cost: predicted, of the kind that the campaign lowers.
    """

    trial: int
    config: PruningConfig
    recipe: TuningChoice
    cost: float
    observed_points: float
    mean_points: float
    deviation_points: float
    observations: int
    chance: float
    candidate: bool = True
    pictures_points: float = 0.0

    @property
    def interval_points(self) -> tuple[float, float]:
        """95 % posterior interval of the true drop, in points."""
        margin = 1.96 * math.hypot(self.deviation_points, self.pictures_points)
        return self.mean_points - margin, self.mean_points + margin

    @property
    def curse_points(self) -> float:
        """How much better the observation looks than the posterior mean: the winner's curse."""
        return self.mean_points - self.observed_points


def standings(
    space: SearchSpace,
    trials: Sequence[Trial],
    goal: Goal,
    short: Sequence[Trial] = (),
    relation: Calibration | None = None,
    dense_cost: float = math.inf,
) -> tuple[Standing, ...]:
    """Every configuration that was evaluated at full length (``trials``), fastest first; empty when none was.

    short: trials of the same campaign at a lower fidelity; with ``relation``, what they say about the true drop is
    combined with the few observations at full length, each weighed by its precision. dense_cost: of the dense network, predicted;
    without it, every configuration is a candidate.
    """
    usable, rows, drops = _observed(space, trials)
    if not usable:
        return ()
    members: dict[bytes, list[int]] = {}
    for index, key in enumerate(space.keys(rows)):
        members.setdefault(key, []).append(index)
    firsts = np.asarray([indices[0] for indices in members.values()])
    if relation is None:
        least = min(trial.outcome.deviation_points for trial in usable)
        mean, deviation = posterior(space, rows, drops, rows[firsts], drop_scale.of(goal, pictures_points=least))
    else:
        mean, deviation = _combined(space, usable, rows[firsts], list(members.values()), short, relation)
    pictures = np.asarray([np.mean([usable[index].outcome.deviation_points for index in indices]) for indices in members.values()])
    chances = normal_chance(goal.drop_limit, mean, deviation, pictures)
    found, dense = [], space.architecture.dense()
    for indices, m, s, shared, chance in zip(members.values(), mean, deviation, pictures, chances, strict=True):
        first = usable[indices[0]]
        untouched = first.request.config == dense and first.request.recipe.runs_in == space.start.runs_in
        observed = float(drops[indices].mean())
        found.append(
            Standing(
                first.number,
                first.request.config,
                first.request.recipe,
                first.cost,
                observed,
                float(m),
                float(s),
                len(indices),
                1.0 if untouched else float(chance),
                math.isinf(dense_cost) or (not untouched and first.cost < dense_cost),
                float(shared),
            )
        )
    return tuple(sorted(found, key=lambda standing: (standing.cost, standing.trial)))


def posterior(space: SearchSpace, rows: Floats, drops: Floats, at: Floats, scale: DropScale | None = None) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the true drop at rows ``at``, given ``drops`` observed at ``rows``. scale: as for ``DropModel``."""
    return DropModel().update(space.features(rows), drops, scale).predict(space.features(at))


def _observed(space: SearchSpace, trials: Sequence[Trial]) -> tuple[list[Trial], Floats, Floats]:
    """The trials from which the model can learn, their rows and their drops in points."""
    usable = [trial for trial in trials if trial.outcome.ok and space.covers(trial.request.config, trial.request.recipe)]
    rows = np.asarray([space.encode(trial.request.config, trial.request.recipe) for trial in usable])
    return usable, rows, np.asarray([trial.outcome.drop_points for trial in usable])


def _combined(
    space: SearchSpace,
    trials: Sequence[Trial],
    at: Floats,
    members: Sequence[Sequence[int]],
    short: Sequence[Trial],
    relation: Calibration,
) -> tuple[Floats, Floats]:
    """Posterior at rows ``at`` with few full-length trials (``members`` of each), from the model of the short ones and the relation."""
    _, rows, drops = _observed(space, short)
    short_mean, _ = posterior(space, rows, drops, at)
    means, deviations = [], []
    for indices, expected_short in zip(members, short_mean, strict=True):
        expected, spread = relation.predict(float(expected_short))
        observed = float(np.mean([trials[index].outcome.drop_points for index in indices]))
        noise = float(np.mean([trials[index].outcome.deviation_points for index in indices])) / math.sqrt(len(indices))
        weight, prior_weight = noise**-2, spread**-2
        means.append((weight * observed + prior_weight * expected) / (weight + prior_weight))
        deviations.append((weight + prior_weight) ** -0.5)
    return np.asarray(means), np.asarray(deviations)


def choose(found: Sequence[Standing], goal: Goal) -> Standing | None:
    """The recommended one: the fastest that keeps the limit with the goal's certainty; None when there is nothing.

    When nothing is that certain, the most certain one of those within the limit by posterior mean; when none is, the least posterior mean:
    far beyond the limit a chance tells the uncertain from the certain, and not who lost least. Never the dense network, which loses nothing
    and saves nothing. For a latency limit: the least posterior mean among those that are fast enough.
    """
    found = _eligible(found, goal)
    if goal.kind == "max-latency":
        limit_s = math.inf if goal.max_latency_s is None else goal.max_latency_s
        fast = [standing for standing in found if standing.cost <= limit_s]
        return min(fast, key=lambda standing: standing.mean_points, default=None)
    certain = [standing for standing in found if standing.chance >= goal.certainty]
    if certain:
        return min(certain, key=lambda standing: standing.cost)
    within = [standing for standing in found if standing.mean_points <= goal.drop_limit]
    if within:
        return max(within, key=lambda standing: (standing.chance, -standing.mean_points))
    return min(found, key=lambda standing: standing.mean_points, default=None)


def next_repetition(found: Sequence[Standing], goal: Goal, observations: int) -> Standing | None:
    """The configuration whose repetition says most about the choice; None when all that matter have ``observations``.

    First the recommended one itself, whose luck is most likely; then whoever may yet replace it, by what it would save
    times its chance to.
    """
    found = _eligible(found, goal)
    chosen = choose(found, goal)
    if chosen is None:
        return None
    if chosen.observations < observations:
        return chosen
    if goal.kind == "max-latency":
        limit_s = math.inf if goal.max_latency_s is None else goal.max_latency_s
        rivals = [(ndtr((chosen.mean_points - one.mean_points) / one.deviation_points), one) for one in found if one.cost <= limit_s]
        least = HOPEFUL_CHANCE
    else:
        rivals = [(one.chance * (chosen.cost - one.cost), one) for one in found if one.chance >= HOPEFUL_CHANCE]
        least = 0.0
    open_rivals = [(worth, one) for worth, one in rivals if worth > least and one.observations < observations and one is not chosen]
    return max(open_rivals, key=lambda rival: (rival[0], -rival[1].trial), default=(0.0, None))[1]


def stand_in(
    space: SearchSpace, short: Sequence[Trial], taken: Collection[int], goal: Goal, relation: Calibration, certain_cost: float
) -> Trial | None:
    """The short trial that is most worth full length where those that were tried first turned out to be too bold; None when none is.

    By what it would save on ``certain_cost``, the cost of the fastest that is sure to keep the limit, times its chance to keep it.
    short: with its trials numbered as in ``taken``, which were at full length already.
    """
    usable, rows, drops = _observed(space, short)
    if not usable:
        return None
    expected, _ = posterior(space, rows, drops, rows)
    chances = [relation.chance(float(drop), goal.drop_limit) for drop in expected]
    worthy = [
        (chance * (certain_cost - trial.cost), trial)
        for trial, chance in zip(usable, chances, strict=True)
        if trial.number not in taken and chance >= SAFE_CHANCE and trial.cost < (1 - LEAST_SAVING_RATIO) * certain_cost
    ]
    return max(worthy, key=lambda one: (one[0], -one[1].number), default=(0.0, None))[1]


def expecting(found: Sequence[Standing], running: Sequence[int]) -> tuple[Standing, ...]:
    """The standings with every repetition that is under way (of the trials ``running``) counted, so that none is begun twice."""
    return tuple(replace(one, observations=one.observations + running.count(one.trial)) for one in found)


def finalists(found: Sequence[Standing], goal: Goal, count: int) -> tuple[Standing, ...]:
    """The ``count`` configurations that may be chosen: the recommended one, then by what each may save on it times its chance to.

    For a latency limit by posterior drop. Those that are slower than the recommended one, which can only stand in for it, come last.
    """
    found = _eligible(found, goal)
    chosen = choose(found, goal)
    if goal.kind == "max-latency":
        limit_s = math.inf if goal.max_latency_s is None else goal.max_latency_s
        others = sorted((one for one in found if one.cost <= limit_s), key=lambda one: one.mean_points)
    else:
        hopeful = [one for one in found if one.chance >= HOPEFUL_CHANCE]
        base_cost = math.inf if chosen is None else chosen.cost
        faster = sorted((one for one in hopeful if one.cost < base_cost), key=lambda one: -one.chance * (base_cost - one.cost))
        others = [*faster, *sorted((one for one in hopeful if one.cost >= base_cost), key=lambda one: one.cost)]
    ranked = [one for one in (chosen, *others) if one is not None]
    return tuple(dict.fromkeys(ranked))[:count]


def reserve(found: Sequence[Standing], goal: Goal) -> Standing | None:
    """The fastest that keeps the drop's limit with ``SURE_CHANCE``; None where the recommended one does, or where there is none."""
    found = _eligible(found, goal)
    chosen = choose(found, goal)
    if chosen is None or goal.kind == "max-latency" or chosen.chance >= SURE_CHANCE:
        return None
    return min((one for one in found if one.chance >= SURE_CHANCE), key=lambda one: one.cost, default=None)


def front(found: Sequence[Standing]) -> tuple[Standing, ...]:
    """Those that no other beats in both cost and posterior mean drop, fastest first."""
    kept: list[Standing] = []
    for standing in sorted(found, key=lambda one: (one.cost, one.mean_points)):
        if not kept or standing.mean_points < kept[-1].mean_points:
            kept.append(standing)
    return tuple(kept)


def _eligible(found: Sequence[Standing], goal: Goal) -> Sequence[Standing]:
    """Those that may be recommended: where a lowest cost is sought, only what is pruned and saves something."""
    return [one for one in found if one.candidate] if goal.kind == "max-drop" else found
