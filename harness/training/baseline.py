"""The dense network that everything is compared with: trained once, then read from a cache.

A cached file is named by a digest of all that decides its weights: network, recipe, dataset, and the source of the
code that builds and trains.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

import harness
from harness.errors import UsageError
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.records.stored_files import replace
from harness.training import processor
from harness.training.checkpoint import Checkpoint
from harness.training.finetune import Progress, finetune
from harness.training.recipes import Recipe

CACHE_DIR = Path(".cache/espalier")
_DECIDING_SOURCES = (
    "networks/drawing.py",
    "networks/own/bare.py",
    "networks/own/signature.py",
    "networks/own/source.py",
    "networks/own/torchvision_door.py",
    "networks/resnet_cifar.py",
    "networks/splits.py",
    "networks/tasks/classification.py",
    "networks/tasks/segmentation.py",
    "networks/tasks/task.py",
    "networks/zoo.py",
    "training/augmentation.py",
    "training/finetune.py",
    "training/stepping.py",
)


def dense(
    network: str,
    dataset: Dataset,
    recipe: Recipe,
    cache_dir: Path = CACHE_DIR,
    progress: Progress | None = None,
    weights: Path | None = None,
) -> nn.Module:
    """The network, trained on the dataset by the recipe, in evaluation mode; read from ``cache_dir`` where it lies there.

    weights: take these instead of training. A damaged cache file is trained again; a training that was killed goes on from
    its last minute. Raises what building, training and
    reading weights raise.
    """
    model = zoo.build(network, dataset.input_shape, dataset.classes, recipe.seed, dataset.task)
    if weights is not None:
        zoo.load_weights(model, weights)
        return model
    path = cached_path(network, dataset, recipe, cache_dir)
    if path.is_file():
        try:
            zoo.load_weights(model, path)
            return model
        except UsageError:  # half a file from a full disk: as good as none
            model = zoo.build(network, dataset.input_shape, dataset.classes, recipe.seed, dataset.task)
    checkpoint = Checkpoint(path.with_suffix(".checkpoint"), path.stem)
    trained = finetune(model, dataset, recipe, progress=progress, checkpoint=checkpoint).model
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, safetensors.torch.save({name: tensor.contiguous() for name, tensor in trained.state_dict().items()}))
    checkpoint.discard()
    return trained


def cached_path(network: str, dataset: Dataset, recipe: Recipe, cache_dir: Path = CACHE_DIR) -> Path:
    """Where the trained network lies, or will lie."""
    parts = [network, zoo.source_digest(network), dataset.digest, recipe.canonical, training_digest(recipe)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    plain = "".join(character if character.isalnum() else "-" for character in f"{network}-{dataset.name}")
    return cache_dir / "dense" / f"{plain[-60:]}-{digest}.safetensors"


def training_digest(recipe: Recipe) -> str:
    """What else decides the weights that ``recipe`` gives: our sources that train, torch's version, the precision here."""
    folder = Path(harness.__file__).parent
    sources = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _DECIDING_SOURCES)
    return hashlib.sha256("\n".join([processor.precision(recipe.precision), torch.__version__, *sources]).encode()).hexdigest()
