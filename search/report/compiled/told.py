"""A finished campaign on compiled cost as figures: what was compiled, what was predicted of it, what was lost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import CampaignError, RecordError
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.compilation import Compilation
from search.records import journal, outcome, recipe_record
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Drop, drop_over_seeds
from search.records.outcome import Contender, Outcome
from search.records.recipe_record import RecipeRecord
from search.records.trial import Trial
from search.report.summary import front
from search.space import compiling
from search.space.compiled_costs import layer_costs
from search.space.compiling import Compiled


@dataclass(frozen=True)
class Entry:
    """One network of the comparison: compiled cost of its widths, and what is known of its accuracy.

    predicted: compiled cost by the model that the search went by. *_drop: None for the dense network.
    """

    contender: Contender
    compiled: Compilation
    predicted: float
    validation_drop: Drop | None
    test_drop: Drop | None
    untouched_drop: Drop | None
    evidence: Evidence | None

    @property
    def name(self) -> str:
        """Of the network."""
        return self.contender.name


@dataclass(frozen=True)
class Told:
    """A finished campaign, whole. known: what its costs were predicted from. stopped: why the search ended."""

    folder: Path
    outcome: Outcome
    known: Compiled
    compared: tuple[Entry, ...]
    trials: tuple[Trial, ...]
    imported: tuple[Trial, ...]
    stopped: str
    recipe: RecipeRecord | None

    @property
    def architecture(self) -> Architecture:
        """Of the network."""
        return self.known.architecture

    @cached_property
    def front(self) -> tuple[int, ...]:
        """Numbers of the trials at the longest budget that no other one beats in both predicted compiled cost and top-1."""
        return front(self.trials)

    def role(self, role: str) -> Entry:
        """The first compared network of a role, which every comparison has."""
        return next(entry for entry in self.compared if entry.contender.role == role)

    @property
    def dense(self) -> Entry:
        """The unpruned network."""
        return self.role("dense")

    @property
    def optimised(self) -> Entry:
        """The campaign's answer."""
        return self.role("optimised")

    @property
    def limit_missed(self) -> bool:
        """Whether a lowest cost within a drop was sought, and nothing found is within it on the validation split."""
        limit, pareto = self.outcome.max_drop_points, dict(self.outcome.settings).get("--pareto") == "True"
        found = [one for one in self.compared if one.contender.role in ("optimised", "candidate")]
        drops = [one.validation_drop.points for one in found if one.contender.config != self.dense.contender.config and one.validation_drop]
        return limit is not None and not pareto and min(drops, default=math.inf) > limit

    def of_dense(self, entry: Entry) -> float:
        """Its compiled cost as a ratio to the unpruned network's, which is 1."""
        return entry.compiled.cost / self.dense.compiled.cost

    def layers(self) -> Iterator[tuple[str, int, int]]:
        """Every layer with its compiled cost in the unpruned and in the optimised network, 0 where it went."""
        names = {site.name for site in self.architecture.layers}
        before, after = (layer_costs(one.compiled, names) for one in (self.dense, self.optimised))
        return ((site.name, before[site.name], after[site.name]) for site in self.architecture.layers)


def load(folder: Path) -> Told:
    """Read a finished campaign; CampaignError, one line, when a part is missing, broken or belongs to something else."""
    told, resuming = outcome.read(folder), f"run: python -m search resume {folder.name}"
    if not (folder / outcome.COMPARED).is_file() or not compiling.is_kept(folder):
        raise CampaignError(f"{folder / outcome.COMPARED} or what it rests on is missing, the campaign is unfinished; {resuming}")
    try:
        kept = benchmark_json.read(folder / outcome.COMPARED)
        by_config = {one.config: one for one in kept.compilations}
        lacking = [one.name for one in told.contenders if one.config not in by_config]
        if lacking or not kept.architectures:
            raise RecordError(f"{folder / outcome.COMPARED} lacks {lacking[0] if lacking else 'its network'}")
        known = compiling.of_folder(folder, kept.architectures[0], told.device)
        predicted = {one.name: known.costs.of(one.config) for one in told.contenders}
    except RecordError as error:
        raise CampaignError(f"{error}; {resuming}") from error
    tried, dense = journal.read(folder), told.contender("dense")
    return Told(
        folder=folder,
        outcome=told,
        known=known,
        compared=tuple(_entry(told, one, dense, by_config[one.config], predicted[one.name]) for one in told.contenders),
        trials=tried.finished,
        imported=tried.imported,
        stopped=tried.stopped,
        recipe=recipe_record.read(folder),
    )


def _entry(told: Outcome, one: Contender, dense: Contender, compiled: Compilation, predicted: float) -> Entry:
    pruned, untouched = one is not dense, told.untouched
    return Entry(
        contender=one,
        compiled=compiled,
        predicted=predicted,
        validation_drop=drop_over_seeds(one.validations, dense.validations, one.paired_validation) if pruned else None,
        test_drop=drop_over_seeds(one.tests, dense.tests, one.paired) if pruned else None,
        untouched_drop=drop_over_seeds(one.tests, [untouched.test], one.paired_untouched) if untouched else None,
        evidence=one.evidence(dense) if pruned else None,
    )
