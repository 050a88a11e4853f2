"""How a campaign's networks are tuned and what the drops refer to, on disk: ``recipe.json`` in the campaign's folder.

Schema history
1  2026-11  first; campaigns of before have no such file: theirs count drops from the untouched dense network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from harness.files.numbers import EPOCHS, SECONDS, Range
from harness.records.accuracy import Accuracy
from harness.training.recipes import Recipe
from search.records import whole_file
from search.records.losses.drop import Drop, Paired
from search.records.trial import Trial

SCHEMA = 1
FILE = "recipe.json"
PROBED, GIVEN, TABLE, INHERITED = "probed", "given", "table", "inherited"


@dataclass(frozen=True, slots=True)
class Probed:
    """One recipe that was tried. unpruned, pruned: accuracies after it; harm: what the unpruned network lost by it."""

    recipe: Recipe
    unpruned: Accuracy
    pruned: Accuracy
    harm: Drop


@dataclass(frozen=True, slots=True)
class Longer:
    """A learning rate that was tried at length on a heavily pruned network: for how many epochs, and its accuracy after it."""

    learning_rate: Annotated[float, Range(0, 100)]
    epochs: Annotated[float, EPOCHS]
    pruned: Accuracy


@dataclass(frozen=True, slots=True)
class Reference:
    """The unpruned network tuned for ``epochs``: what trials of that length are compared with.

    validation: its accuracy. harm: the validation images that it lost against the untouched dense network.
    """

    epochs: Annotated[float, EPOCHS]
    validation: Accuracy
    harm: Paired


@dataclass(frozen=True)
class RecipeRecord:
    """The recipe that all networks of a campaign are tuned by, and the unpruned network tuned alike.

    recipe: for a full-length trial, with the campaign's seed. source: ``PROBED``; ``GIVEN`` by option; ``TABLE``, where trainings are too
    short to choose by; ``INHERITED`` from the campaign that was forked. tried: what the choice rests on; seconds, trials_worth: what it
    cost. references: per length; none for a campaign that counts drops from ``untouched``, as those of before do. untouched:
    validation accuracy of the dense network as it is. splits: the same on every split. path: points that it loses on the validation
    pictures by the way that trials take, by step. drawn: which pictures stood for the training split, by purpose.
    longer: learning rates tried at length, where trials are short and what is promoted is not.
    """

    recipe: Recipe
    untouched: Accuracy
    source: str = TABLE
    tried: tuple[Probed, ...] = ()
    seconds: Annotated[float, SECONDS] = 0.0
    trials_worth: Annotated[float, Range(0, 1e9)] = 0.0
    references: tuple[Reference, ...] = ()
    splits: tuple[tuple[str, Accuracy], ...] = ()
    path: tuple[tuple[str, Drop], ...] = ()
    drawn: tuple[tuple[str, str], ...] = ()
    longer: tuple[Longer, ...] = ()

    @property
    def counts_alike(self) -> bool:
        """Whether drops refer to the unpruned network tuned alike; else to the untouched one."""
        return bool(self.references)

    def of_length(self, epochs: float) -> Reference | None:
        """The unpruned network tuned for so long; None where it was not."""
        return next((one for one in self.references if one.epochs == epochs), None)

    def reference(self, epochs: float) -> Accuracy:
        """Validation accuracy that the drops of trials of this length are counted from."""
        found = self.of_length(epochs)
        return self.untouched if found is None else found.validation

    def restated(self, trials: Iterable[Trial]) -> tuple[Trial, ...]:
        """Other campaigns' trials with their drops counted as this one counts them."""
        return tuple(
            replace(one, outcome=replace(one.outcome, drop_points=100 * (self.reference(one.request.budget_epochs).top1_ratio - found)))
            if math.isfinite(found := one.outcome.top1_ratio)
            else one
            for one in trials
        )


def read(folder: Path) -> RecipeRecord | None:
    """The record in a campaign's folder; None where there is none. CampaignError, one line, when it is broken or newer."""
    path = folder / FILE
    if not path.is_file():
        return None
    return whole_file.read(path, RecipeRecord, SCHEMA, "restore it from a copy, or start the campaign again")


def write(folder: Path, record: RecipeRecord) -> Path:
    """Keep it, whole or not at all."""
    return whole_file.write(folder / FILE, json.dumps({"schema": SCHEMA, **asdict(record)}, indent=1))
