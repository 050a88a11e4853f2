"""A problem with real curves: a stored campaign's trials, joined to a surface that any configuration can be asked about.

Latency is the predictor over measured networks, legal widths are its own, and drops are the posterior mean of every real trial of one
length, on a scale that tames broken networks; noise is what the validation split's size explains. What lies between and beyond the trials
is the model's word, and the model is of the kind that our own search uses: methods without it are at a disadvantage here, two designs
before the same search are not. What a look at each group shows was found on the campaign's own dense network and pictures.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import CampaignError
from harness.records import benchmark_json
from harness.records.pruning_config import PruningConfig
from search.optimizer.surrogate import DropModel
from search.race.race import Arena
from search.race.synthetic import observed
from search.records import journal, sensitivity_record
from search.records.outcome import MEASUREMENTS
from search.records.trial import NEW, Floats, Report, Trial, TrialOutcome, TrialRequest, TuningChoice
from search.space import legal_widths, measurements
from search.space.goals import Goal
from search.space.recipe_ranges import NUMBERS, RecipeRanges
from search.space.space import SearchSpace
from search.workers.sized import size_of

CAMPAIGNS, LOOKS = Path("reports/campaigns"), Path("reports/compare/looks")
RIVAL = "-random"  # random search's campaign on the same network adds its trials
LIMIT_POINTS = 2.5  # of a short trial's drop: a quarter of an epoch brings back 1.5 to 2.5 points less than four
INSTANCES = 5  # each leaves out another fifth of the trials
DENSE_TOP1, IMAGES = 0.92, 5000
MOST_POINTS = 80.0
# How far a trial is behind its end on the way, where nothing was recorded: made up. Points, and share of the drop; what looks scatter by.
SHARES, BEHIND_POINTS, BEHIND_SHARE, ON_THE_WAY_POINTS = (0.25, 0.5), 5.0, 0.5, 1.5


@dataclass(frozen=True)
class Replay:
    """Noisy drops of one surface; implements ``Evaluate``. watched: also shows where a trial stands on its way, and is stopped there."""

    space: SearchSpace
    model: DropModel
    noise_seed: int
    watched: bool = False

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """The drop with the noise of so many validation pictures."""
        true = self.truth(trial.config, trial.recipe)
        rng = np.random.default_rng([79, self.noise_seed, trial.number, trial.seed])
        top1 = float(np.clip(DENSE_TOP1 - true / 100, 0.05, 0.99))
        found = observed(true, 100 * math.sqrt(top1 * (1 - top1) / IMAGES), rng)
        if not self.watched:
            return found
        curve: list[tuple[float, float]] = []
        for share in SHARES:
            behind = (BEHIND_POINTS + BEHIND_SHARE * max(true, 0.0)) * (1 - share) + rng.normal(0.0, ON_THE_WAY_POINTS)
            curve.append((share, float(np.clip(top1 - behind / 100, 0.05, 0.99))))
            for floor in trial.floors:
                if floor.share == share and curve[-1][1] < floor.top1_ratio:
                    return TrialOutcome.stopped(floor, tuple(curve), trial.budget_epochs)
        return replace(found, curve=tuple(curve))

    def truth(self, config: PruningConfig, recipe: TuningChoice) -> float:
        """The drop without noise, in points."""
        row = self.space.encode(config, recipe)
        mean, _ = self.model.predict(self.space.features(row[None]))
        return float(np.clip(np.expm1(mean[0]) if mean[0] > 0 else mean[0], -1.0, MOST_POINTS))


def names() -> tuple[str, ...]:
    """The stored campaigns that can be replayed from here: those with a look at their groups."""
    return tuple(sorted(path.stem for path in LOOKS.glob("*.json") if (CAMPAIGNS / path.stem / journal.FILE).is_file()))


def arena(name: str, noise_seed: int) -> Arena:
    """The stored campaign ``name`` as a problem; seed s leaves out another fifth of its trials, s mod ``INSTANCES``.

    CampaignError where a part of it is missing.
    """
    folder, instance = CAMPAIGNS / name, noise_seed % INSTANCES
    contents = journal.read(folder)
    kept_files = benchmark_json.read(folder / MEASUREMENTS)
    architecture, trials = kept_files.architecture(contents.header.architecture), _trials(folder)
    by_size = {size_of(one): one for one in (architecture, *kept_files.architectures)}
    tried = {one.request.recipe.size for one in trials}
    sizes = tuple(size for size in by_size if size in tried) or ("",)  # the full one first
    stored = measurements.read(folder / MEASUREMENTS, architecture, "f32", sizes=[by_size[size] for size in sizes[1:]])
    legal = legal_widths.of(stored.predictor, stored.file.measurements).by_group()
    recipe = trials[0].request.recipe
    fixed = {number: (getattr(recipe, number),) * 2 for number in NUMBERS}
    ranges = RecipeRanges((recipe.criterion,), (recipe.schedule,), off_the_shelf=recipe, sizes=sizes, **fixed)
    space = SearchSpace(architecture, legal, ranges, "layer")
    known = space.including(trial.request.config for trial in trials)
    kept = [one for one in trials if _fifth(one.request.config) != instance]
    rows = np.asarray([known.encode(one.request.config, replace(recipe, size=one.request.recipe.size)) for one in kept])
    drops = np.asarray([one.outcome.drop_points for one in kept], dtype=np.float64)
    model = DropModel().update(known.features(rows), _tamed(drops))
    replay = Replay(known, model, noise_seed)
    latency = stored.known
    seen = sensitivity_record.read(LOOKS, f"{name}.json")
    if seen is None:
        raise CampaignError(f"{LOOKS / name}.json is missing: nothing was seen of the groups of {name}; choose one of {', '.join(names())}")
    epochs = trials[0].request.budget_epochs
    parts = (name, instance, space, latency, replay, Goal(LIMIT_POINTS), epochs, replay.truth)
    return Arena(*parts, sensitivity=seen, watched=replace(replay, watched=True))


def _trials(folder: Path) -> list[Trial]:
    """All real trials of the commonest length, of the campaign and of its rival."""
    found: list[Trial] = []
    for path in (folder, folder.with_name(folder.name + RIVAL)):
        if (path / journal.FILE).is_file():
            found += [one for one in journal.read(path).finished if one.outcome.ok and one.request.purpose in NEW]
    shortest = min(one.request.budget_epochs for one in found)
    return [one for one in found if one.request.budget_epochs == shortest]


def _fifth(config: PruningConfig) -> int:
    return hashlib.sha256(config.canonical.encode()).digest()[0] % INSTANCES


def _tamed(drops: Floats) -> Floats:
    return np.asarray(np.where(drops > 0, np.log1p(np.maximum(drops, 0.0)), drops))
