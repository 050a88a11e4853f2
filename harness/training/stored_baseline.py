"""Trained dense networks to keep: weights with their recipe, accuracies and checksum beside them, so that nobody trains them again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import nn

from harness.errors import RecordError, UsageError, one_line
from harness.files import json_text, reading
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.networks.pictures.preparing import of_words
from harness.networks.weights import weights_file
from harness.records.accuracy import Accuracy
from harness.records.decoding import decode
from harness.records.stored_files import replace, stem
from harness.training import accuracy, baseline
from harness.training.finetune import Progress
from harness.training.recipes import Recipe

SCHEMA = 1
LARGE_BYTES = 2_000_000  # more than that is no file for a version control system


@dataclass(frozen=True)
class StoredBaseline:
    """One trained network on disk. recipe: its canonical text; sha256: of the weights file, "" where that is not known any more."""

    weights: Path
    network: str
    dataset: str
    recipe: str
    validation: Accuracy
    test: Accuracy
    sha256: str


def path_of(folder: Path, network: str, dataset: str, seed: int) -> Path:
    """Where the weights lie; the description has the same name with ``.json``."""
    return folder / f"{stem(network, dataset)}-seed{seed}.safetensors"


def find_or_train(
    folder: Path, network: str, dataset: Dataset, recipe: Recipe, cache_dir: Path, progress: Progress | None = None
) -> StoredBaseline:
    """The stored baseline of this network, dataset and seed, or one trained now by ``recipe``, judged and stored.

    A stored one of another recipe is taken as it is: its description says which. One of which only the description came along, for
    its weights are large, is trained anew and described anew. Raises UsageError when the stored files are damaged, or belong to other
    data; and what training raises.
    """
    path = path_of(folder, network, dataset.name, recipe.seed)
    if path.with_suffix(".json").is_file() and path.is_file():
        return read(path, dataset)
    model = baseline.dense(network, dataset, recipe, cache_dir, progress)
    content = _compact(model)
    weights_file.fill(model, safetensors.torch.load(content), str(path))  # what is judged is what is stored
    validation, test = (accuracy.evaluate(model, split) for split in (dataset.validation, dataset.test))
    stored = StoredBaseline(path, network, dataset.name, recipe.canonical, validation, test, hashlib.sha256(content).hexdigest())
    document = {"schema": SCHEMA, "dataset_digest": dataset.digest, **dataclasses.asdict(stored), "weights": path.name}
    folder.mkdir(parents=True, exist_ok=True)
    replace(path, content)
    replace(path.with_suffix(".json"), (json.dumps(document, indent=1) + "\n").encode())
    return stored


def recipe_of(weights: Path | None) -> Recipe | None:
    """How stored weights were trained, from the description beside them; None where there is none. UsageError when it is broken."""
    description = None if weights is None or "#" in weights.name else weights.with_suffix(".json")
    if description is None or not description.is_file():
        return None
    try:
        return Recipe.of_canonical(str(json_text.read(description)["recipe"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # some other program's file


def is_about(weights: Path, dataset: Dataset) -> bool:
    """Whether the description beside ``weights`` says that they were trained on this dataset's training split."""
    try:
        described(weights, dataset)
    except UsageError:
        return False
    return True


def size_of(weights: Path | None, dataset: str, data_dir: Path | None, texts: Sequence[str]) -> str | None:
    """Which of these sizes (``HxW``) of a built-in dataset's images the weights were trained on, by the description beside them."""
    if weights is None or not weights.with_suffix(".json").is_file():
        return None
    return next((text for text in texts if is_about(weights, datasets.load(dataset, data_dir, asked=of_words(text)))), None)


def _compact(model: nn.Module) -> bytes:
    """The weights as a safetensors file; in half precision where that keeps a file that is to be passed on small."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    whole = bytes(safetensors.torch.save(state))
    if len(whole) <= LARGE_BYTES:
        return whole
    return bytes(safetensors.torch.save({name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}))


def read(path: Path, dataset: Dataset) -> StoredBaseline:
    """A stored baseline, its checksum compared; UsageError, one line, when something is wrong with it."""
    stored = described(path, dataset)
    try:
        found = hashlib.sha256(reading.read(path)).hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error}); restore it, or delete it and its .json to train again") from error
    if found != stored.sha256:
        raise UsageError(
            f"{path} is not the file that {path.with_suffix('.json').name} describes; restore it, or delete both to train again"
        )
    return stored


def described(path: Path, dataset: Dataset) -> StoredBaseline:
    """What the description beside the weights says, which need not be there: how the network was trained, and how good it is.

    UsageError, one line, when the description cannot be read, or is about other data.
    """
    description = path.with_suffix(".json")
    try:
        document: dict[str, Any] = json_text.read(description)
        recipe, network, sha256 = (str(document[key]) for key in ("recipe", "network", "sha256"))
        validation, test = (decode(Accuracy, document[key], key, "train again") for key in ("validation", "test"))
        schema, dataset_digest = document["schema"], document["dataset_digest"]
    except (OSError, ValueError, KeyError, TypeError, RecordError) as error:
        raise UsageError(f"{description} cannot be read ({_why(error)}); delete both it and its weights to train again") from error
    if schema != SCHEMA:
        raise UsageError(
            f"{description} is of schema {one_line(str(schema)[:20])}, this program knows {SCHEMA}; use the Espalier that wrote it"
        )
    if dataset_digest != dataset.digest:
        raise UsageError(f"{path} was trained on other data than {dataset.name} as it is here; delete it to train again")
    return StoredBaseline(path, network, dataset.name, recipe, validation, test, sha256)


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return "it is no description" if isinstance(error, TypeError) else str(error).rpartition("; ")[0] or str(error)
