"""Every network of the final comparison tuned by one recipe, with one seed or several, each finished one kept on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from harness.errors import HarnessError
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.pipeline import Network, compress
from harness.pruning import saved, surgery
from harness.records import stored_files
from harness.records.accuracy import Accuracy
from harness.training import accuracy, finetune
from harness.training.checkpoint import Checkpoint
from harness.training.recipes import Recipe
from search.entrants import Entrant

FOLDER, JUDGED = "tuned", "judged.json"
Progress = Callable[[str, int, int], None]  # contender, steps done, steps in all


@dataclass(frozen=True)
class Recipes:
    """How the compared networks are tuned, and how the one without inherited weights is trained."""

    tuning: Recipe
    from_scratch: Recipe

    def of(self, entrant: Entrant, seed: int) -> Recipe:
        """The entrant's recipe with its ``seed``-th seed, counted from the recipe's own."""
        recipe = self.tuning if entrant.criterion else self.from_scratch
        return recipe.with_seed(recipe.seed + seed)


@dataclass(frozen=True)
class Judged:
    """One entrant tuned with one seed."""

    seed: int
    model: nn.Module
    validation: Accuracy


@dataclass(frozen=True)
class Tuned:
    """An entrant after the common fine-tuning, once per seed; the first one is what will be deployed."""

    entrant: Entrant
    judged: tuple[Judged, ...]

    @property
    def validation_ratio(self) -> float:
        """Mean validation top-1 over the seeds."""
        return sum(one.validation.top1_ratio for one in self.judged) / len(self.judged)


def tune(
    network: Network, dataset: Dataset, entered: Sequence[Entrant], recipes: Recipes, seeds: int, folder: Path, progress: Progress
) -> list[Tuned]:
    """Tune every entrant alike, with ``seeds`` seeds; the dense network too, so that more training is no advantage.

    folder: the campaign's; what it holds already, from an interrupted comparison, is not tuned again.
    """
    tuned = []
    for entrant in entered:
        judged = []
        for seed in range(seeds):
            name = entrant.name if seeds == 1 else f"{entrant.name}, seed {seed + 1} of {seeds}"
            progress(name, 0, 1)
            judged.append(_judged(network, dataset, entrant, recipes.of(entrant, seed), folder / FOLDER, _steps(name, progress)))
        tuned.append(Tuned(entrant, tuple(judged)))
    return tuned


def _judged(
    network: Network, dataset: Dataset, entrant: Entrant, recipe: Recipe, folder: Path, progress: Callable[[int, int], None]
) -> Judged:
    decisive = (entrant.config.digest, entrant.criterion, recipe.canonical, dataset.digest)
    place = folder / hashlib.sha256("\n".join(decisive).encode()).hexdigest()[:16]
    known = _stored(place, recipe.seed)
    if known is not None:
        return known
    checkpoint = Checkpoint(place.with_suffix(".checkpoint"), place.name)
    if entrant.criterion:
        compressed = compress(network, dataset, entrant.config, entrant.criterion, recipe, progress, checkpoint)
        model, validation = compressed.model, compressed.validation
    else:
        architecture = network.architecture
        fresh = zoo.build(network.name, architecture.input_shape, architecture.classes, recipe.seed)
        shrunk = surgery.shrink(fresh, architecture, entrant.config)
        model = finetune.finetune(shrunk, dataset, recipe, progress=progress, checkpoint=checkpoint).model
        validation = accuracy.evaluate(model, dataset.validation)
    saved.save(place, entrant.config, model, network.name, network.architecture.input_shape, network.architecture.classes)
    document = {"entrant": entrant.name, "recipe": recipe.canonical, "validation": dataclasses.asdict(validation)}
    stored_files.replace(place / JUDGED, json.dumps(document, indent=1).encode())
    checkpoint.discard()
    return Judged(recipe.seed, model, validation)


def _stored(place: Path, seed: int) -> Judged | None:
    """What was tuned before; None when it is missing, or was not written whole."""
    if not (place / JUDGED).is_file():
        return None
    try:
        document = json.loads((place / JUDGED).read_bytes())
        return Judged(seed, saved.load(place), Accuracy(**document["validation"]))
    except (HarnessError, ValueError, KeyError, TypeError):
        return None


def _steps(name: str, progress: Progress) -> Callable[[int, int], None]:
    return lambda done, steps: progress(name, done, steps)
