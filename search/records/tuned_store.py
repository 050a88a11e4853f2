"""Tuned networks kept on disk, each under everything that decides it: what was tuned once is not tuned again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from harness.errors import HarnessError
from harness.files import json_text
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.pruning import saved
from harness.records import stored_files
from harness.records.accuracy import Accuracy
from harness.records.decoding import decode
from harness.records.pruning_config import PruningConfig
from harness.training.recipes import Recipe

FOLDER, JUDGED = "tuned", "judged.json"


@dataclass(frozen=True)
class Judged:
    """One network tuned with one seed."""

    seed: int
    model: nn.Module
    validation: Accuracy


def place(folder: Path, config: PruningConfig, criterion: str, recipe: Recipe, dataset: Dataset) -> Path:
    """Where the result of a tuning lies under a campaign's ``folder``; criterion: "" for weights that were not inherited."""
    decisive = (config.digest, criterion, recipe.canonical, dataset.digest)
    return folder / FOLDER / hashlib.sha256("\n".join(decisive).encode()).hexdigest()[:16]


def find(place: Path, seed: int) -> Judged | None:
    """What was tuned before; None when it is missing, or was not written whole."""
    if not (place / JUDGED).is_file():
        return None
    try:
        document = json_text.read(place / JUDGED)
        return Judged(seed, saved.load(place), decode(Accuracy, document["validation"], "validation"))
    except (HarnessError, OSError, ValueError, KeyError, TypeError):
        return None


def keep(place: Path, name: str, config: PruningConfig, recipe: Recipe, network: Network, found: Judged) -> None:
    """Keep a tuned network of ``network``'s architecture; what says that it is whole is written last."""
    architecture = network.architecture
    saved.save(place, config, found.model, network.name, architecture.input_shape, architecture.classes)
    document = {"entrant": name, "recipe": recipe.canonical, "validation": dataclasses.asdict(found.validation)}
    stored_files.replace(place / JUDGED, json.dumps(document, indent=1).encode())
