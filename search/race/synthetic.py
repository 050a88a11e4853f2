"""A synthetic pruning problem with known answers: microseconds per trial, made to compare optimisers.

Latencies follow a staircase of 4 input and 8 output channels with per-width jitter; drops follow per-group sensitivities,
pair interactions and a penalty near collapse (``r56``, ``vgg``), or hidden cliffs that no trend announces (``r56c``).
Every figure that comes of it is SIMULATED.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UnknownName
from harness.records.architecture import Architecture, ChannelGroup
from harness.records.pruning_config import PruningConfig
from search.records.sensitivity_record import GroupLoss, Sensitivity
from search.records.trial import Floats, Ints, Report, TrialOutcome, TrialRequest, TuningChoice
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace

PROBLEMS = ("r56", "r56c", "vgg")
CRITERIA = ("l1", "l2", "fpgm", "taylor", "bn", "random")
SCHEDULES = ("one-shot", "iterative", "gradual")
FULL_EPOCHS = 27.0
DENSE_TOP1 = 0.93
LOOK_DISTORTION, LOOK_NOISE_POINTS = 0.5, 0.5  # of a look at one group: factor's deviation in logarithms; points
# Lowest latency ratio found for a true drop of at most 1 point with the recipe TUNED, from noise-free evaluations; no proof of an
# optimum. NEAR_OPTIMUM: a population of some 250,000 over legal widths; REACHED_BY_STRATEGIES: four (1+1) strategies of 12,000 over
# free channel counts. ``python -m search.race.near_optimum r56 0`` finds both again.
NEAR_OPTIMUM = {
    ("r56", 0): 0.2563,
    ("r56", 1): 0.2600,
    ("r56", 2): 0.3166,
    ("r56", 3): 0.3448,
    ("r56", 4): 0.3444,
    ("r56c", 0): 0.3861,
    ("r56c", 1): 0.3823,
    ("r56c", 2): 0.4573,
    ("r56c", 3): 0.4202,
    ("r56c", 4): 0.4116,
    ("vgg", 0): 0.1839,
    ("vgg", 1): 0.2138,
    ("vgg", 2): 0.1979,
    ("vgg", 3): 0.2021,
    ("vgg", 4): 0.2356,
}
REACHED_BY_STRATEGIES = {
    ("r56", 0): 0.2855,
    ("r56", 1): 0.2952,
    ("r56", 2): 0.3368,
    ("r56", 3): 0.4065,
    ("r56", 4): 0.3702,
}
_CRITERION_FACTORS = {"l1": 1.0, "l2": 1.02, "fpgm": 0.95, "taylor": 0.86, "bn": 1.06, "random": 1.35}
_SCHEDULE_FACTORS = {"one-shot": 1.06, "iterative": 0.97, "gradual": 0.93}
TUNED = TuningChoice("taylor", "gradual", 10**-1.9, 10**-3.3, 0.08)


@dataclass(frozen=True, slots=True)
class _Conv:
    """A 3x3 convolution: indices of its input (-1: the image) and output group, side of its map."""

    source: int
    target: int
    side: int


@dataclass(frozen=True)
class _Draws:
    """What is random about an instance, drawn in this order for K convolutions and G groups."""

    jitter: Floats  # K x 600, by output channels
    base_us: Floats  # K
    throughput: Floats  # K
    sensitivity: Floats  # G, adding up to 1
    power: Floats  # G
    pairs: Ints  # G x 2 groups
    pair_weight: Floats  # G
    criterion_stage: Floats  # criteria x stages
    cliff_weight: Floats  # G
    cliff_place: Floats  # G, pruned fractions


class SyntheticProblem:
    """One instance; implements ``KnownCost``. name: one of ``PROBLEMS``. instance: which random draw.

    channels: dense channels per group. dense_us: latency of the dense network, in microseconds.
    """

    NAMES: tuple[str, ...] = PROBLEMS
    BLOCKS = 9  # per stage, of a residual network

    def __init__(self, name: str, instance: int) -> None:
        self.name, self.instance = name, instance
        if self.name not in self.NAMES:
            raise UnknownName("synthetic problem", self.name, self.NAMES)
        widths, stages, convs = _vgg() if self.name == "vgg" else _resnet(self.BLOCKS)
        members = [tuple(f"conv{k:02d}" for k, conv in enumerate(convs) if conv.target == i) for i in range(len(widths))]
        groups = tuple(
            ChannelGroup(f"g{i:02d}", w, members[i], False, f"stage{s}") for i, (w, s) in enumerate(zip(widths, stages, strict=True))
        )
        self.architecture = Architecture(f"synthetic-{name}-{instance}", (3, 32, 32), 10, groups, ())
        self.channels, self._stages, self._convs = np.asarray(widths, dtype=np.int64), np.asarray(stages), convs
        self._draws = _draw(name, instance, len(convs), len(widths), max(stages) + 1)
        self.dense_us = float(self.microseconds(self.channels[None])[0])

    def microseconds(self, widths: Ints) -> Floats:
        """Latency of n x G widths, in microseconds."""
        total = np.zeros(len(widths))
        for k, conv in enumerate(self._convs):
            outputs = widths[:, conv.target]
            inputs = np.full(len(widths), 3, dtype=np.int64) if conv.source < 0 else widths[:, conv.source]
            inputs4, outputs8 = -(-inputs // 4) * 4, -(-outputs // 8) * 8
            penalty = np.where(outputs % 8 == 0, 1.0, np.where(outputs % 4 == 0, 1.03, 1.08))
            area = conv.side**2
            used = 1 / (1 + 6 / outputs) * 1 / (1 + 24 / area)
            work = penalty * inputs4 * outputs8 * 9 * area / (8000 * self._draws.throughput[k] * used)
            total += self._draws.base_us[k] + work * (1 + self._draws.jitter[k, outputs]) + 0.002 * outputs * area
        return total

    def costs(self, widths: Ints) -> Floats:
        """Latency of n x G widths, in seconds."""
        return self.microseconds(widths) * 1e-6

    def drop(self, keep: Floats, recipe: TuningChoice, epochs: float = FULL_EPOCHS) -> float:
        """The true, noise-free drop in points at G keep ratios."""
        return float(self.drops(keep[None], recipe, epochs)[0])

    def drops(self, keep: Floats, recipe: TuningChoice, epochs: float = FULL_EPOCHS) -> Floats:
        """The true, noise-free drops in points at n x G keep ratios."""
        damage = self._damage(1.0 - keep, keep, recipe)
        damage *= _CRITERION_FACTORS[recipe.criterion] * _SCHEDULE_FACTORS[recipe.schedule]
        quality = math.exp(-(((math.log10(recipe.learning_rate) + 1.9) / 0.7) ** 2) / 2)
        quality *= math.exp(-(((math.log10(recipe.weight_decay) + 3.3) / 1.2) ** 2) / 2)
        quality *= 1 - 0.3 * (recipe.label_smoothing - 0.08) ** 2 / 0.04
        damage = damage * (1 - 0.72 * quality * (1 - math.exp(-epochs / 6))) + 1.2 * (1 - quality) - 0.25 * quality
        return np.where(damage > 0, 83 * (1 - np.exp(-damage / 83)), damage)

    def true_drop(self, config: PruningConfig, recipe: TuningChoice, epochs: float = FULL_EPOCHS) -> float:
        """The noise-free drop of a configuration, in points."""
        widths = np.asarray([config.kept(group.name) for group in self.architecture.groups])
        return self.drop(widths / self.channels, recipe, epochs)

    def space(self, moves: str = "hier", exact: Sequence[PruningConfig] = ()) -> SearchSpace:
        """The search space: from a tenth of the channels, every width that the staircase rewards and all multiples of 4."""
        legal = {}
        for group in self.architecture.groups:
            floor = math.ceil(0.1 * group.channels)
            legal[group.name] = tuple(w for w in range(floor, group.channels + 1) if w % 4 == 0 or w == group.channels)
        ranges = RecipeRanges(CRITERIA, SCHEDULES)
        return SearchSpace(self.architecture, legal, ranges, moves, exact)

    def _damage(self, pruned: Floats, keep: Floats, recipe: TuningChoice) -> Floats:
        """Drops before tuning, the criterion's and schedule's own factors aside, at n x G fractions."""
        if self.name == "r56c":
            cliffs = self._draws.cliff_weight / (1 + np.exp(-(pruned - self._draws.cliff_place) / 0.05))
            return np.asarray(60 * (1 - np.prod(1 - cliffs, axis=1)) + 2 * pruned.mean(axis=1))
        stage = self._draws.criterion_stage[CRITERIA.index(recipe.criterion)][self._stages]
        first, second = self._draws.pairs.T
        single = 30 * (self._draws.sensitivity * pruned**self._draws.power * stage).sum(axis=1)
        double = 30 * (self._draws.pair_weight * pruned[:, first] * pruned[:, second]).sum(axis=1)
        collapse = 2 * (np.maximum(0.0, (0.25 - keep) / 0.25) ** 2).sum(axis=1)
        return np.asarray(single + double + collapse)


def observed(drop_points: float, deviation_points: float, rng: np.random.Generator) -> TrialOutcome:
    """What a trial tells of a true drop, with normal noise."""
    drop = drop_points + rng.normal(0.0, deviation_points)
    top1 = float(np.clip(DENSE_TOP1 - drop / 100, 0.0, 1.0))
    return TrialOutcome(top1, max(0.0, top1 - 0.0196 * deviation_points), min(1.0, top1 + 0.0196 * deviation_points), float(drop))


def look(name: str, instance: int, seed: int) -> Sensitivity:
    """What a look at every group would show before the first trial: untuned drops at half and a quarter of its width.

    Distorted from group to group as real ones are (rank correlation with tuned drops 0.8 to 0.9), with the noise of few pictures.
    """
    found, rng = problem(name, instance), np.random.default_rng([76, instance, seed])
    groups, recipe = found.architecture.groups, TuningChoice()
    keep = np.ones((1 + 2 * len(groups), len(groups)))
    for place in range(len(groups)):
        keep[1 + 2 * place, place], keep[2 + 2 * place, place] = 0.5, 0.25
    drops = found.drops(keep, recipe, epochs=0.0)
    lost = (drops[1:] - drops[0]).reshape(-1, 2) * rng.lognormal(0.0, LOOK_DISTORTION, (len(groups), 1))
    lost += rng.normal(0.0, LOOK_NOISE_POINTS, lost.shape)
    losses = [
        GroupLoss(group.name, max(1, round(share * group.channels)), float(points))
        for group, pair in zip(groups, lost, strict=True)
        for share, points in zip((0.5, 0.25), pair, strict=True)
    ]
    return Sensitivity(tuple(losses))


@dataclass(frozen=True)
class SyntheticEvaluate:
    """Noisy drops of a synthetic problem; implements ``Evaluate``. noise_seed: of this run's observation noise."""

    name: str
    instance: int
    noise_seed: int = 0

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """The drop with noise of 0.15 points at full length, more when tuned shorter; nothing is trained."""
        epochs = trial.budget_epochs
        true = problem(self.name, self.instance).true_drop(trial.config, trial.recipe, epochs)
        rng = np.random.default_rng([77, self.noise_seed, trial.number, trial.seed])
        deviation = 0.15 * (1 + (FULL_EPOCHS - epochs) / FULL_EPOCHS)
        return observed(true, deviation, rng)


_PROBLEMS: dict[tuple[str, int], SyntheticProblem] = {}


def problem(name: str, instance: int) -> SyntheticProblem:
    """The instance, drawn once per process."""
    if (name, instance) not in _PROBLEMS:
        _PROBLEMS[name, instance] = SyntheticProblem(name, instance)
    return _PROBLEMS[name, instance]


def _resnet(blocks: int) -> tuple[list[int], list[int], list[_Conv]]:
    """Three residual groups, then the interiors of so many blocks per stage, and their convolutions: 30 and 55 for nine."""
    widths, stages = [16, 32, 64], [0, 1, 2]
    convs = [_Conv(-1, 0, 32)]
    for stage in range(3):
        for block in range(blocks):
            widths.append((16, 32, 64)[stage])
            stages.append(stage)
            entry = stage - 1 if block == 0 and stage else stage
            side = 32 >> stage
            convs += [_Conv(entry, 3 + blocks * stage + block, side), _Conv(3 + blocks * stage + block, stage, side)]
    return widths, stages, convs


def _vgg() -> tuple[list[int], list[int], list[_Conv]]:
    """13 groups and as many convolutions, one after the other."""
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    sides = [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2]
    stages = [0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    return widths, stages, [_Conv(i - 1, i, side) for i, side in enumerate(sides)]


def _draw(name: str, instance: int, layers: int, groups: int, stages: int) -> _Draws:
    rng = np.random.default_rng(1000 + instance)
    jitter, base_us, throughput = rng.normal(0, 0.03, (layers, 600)), rng.uniform(3, 6, layers), rng.uniform(0.7, 1.4, layers)
    sensitivity, power = rng.lognormal(0, 0.8, groups), rng.uniform(1.2, 2.6, groups)
    pairs, pair_weight = rng.integers(0, groups, (groups, 2)), rng.exponential(0.5, groups) / groups
    criterion_stage = np.stack([rng.normal(1, 0.06, stages) for _ in CRITERIA])
    if name == "vgg":
        sensitivity[:2] *= 2.5
        sensitivity[8:13] *= 0.35
    else:
        sensitivity[:3] *= 6.0
        sensitivity[3 :: (groups - 3) // 3] *= 2.5
    sensitivity = sensitivity / sensitivity.sum()
    cliffs = np.random.default_rng(5)
    noise, cliff_weight = cliffs.normal(0, 0.1, groups), cliffs.uniform(0.02, 0.25, groups)
    cliff_place = np.clip(0.75 - (0.4 / 6) * groups * sensitivity + noise, 0.15, 0.95)
    return _Draws(jitter, base_us, throughput, sensitivity, power, pairs, pair_weight, criterion_stage, cliff_weight, cliff_place)
