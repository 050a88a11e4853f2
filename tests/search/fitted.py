"""A network that loses with every channel, made in seconds and without training: its pictures are labelled as it answers them."""

import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from harness.networks import datasets
from harness.networks.pictures import decoding
from harness.pipeline import Network, compress
from harness.records.pruning_config import PruningConfig
from harness.training import recipes

SPLITS = {"train": 400, "val": 280, "test": 200}  # all of the training split recalibrates: whatever the labels, by the same pictures


def fitted_network(folder: Path) -> nn.Module:
    """A ResNet-20 that answers every picture of a new ``folder`` rightly: whichever answer changes without a channel, it is a loss.

    Its last layer separates features that nothing was trained for into ten parts of about equal size, by narrow margins.
    """
    rng = np.random.default_rng(0)
    for split, count in SPLITS.items():
        for number in range(count):
            small = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8), mode="L")
            _save(small.resize((32, 32), Image.Resampling.BICUBIC), folder / split / str(number % 10) / f"{number:03}.png")
    given = datasets.load(f"imagefolder:{folder}")
    torch.manual_seed(0)
    network = Network.by_name("resnet20", given)
    whole = PruningConfig.of("resnet20", {group.name: group.channels for group in network.architecture.groups})
    model = compress(network, given, whole, "l1", recipes.dense_recipe("digits").with_epochs(0)).model.eval()
    features = {split: _features(model, images) for split, images in _images(given)}
    middle, spread = features["train"].mean(dim=0), features["train"].std(dim=0)
    with torch.no_grad():
        model.fc.weight.copy_(torch.randn(10, len(middle)) / spread)
        model.fc.bias.copy_(-model.fc.weight @ middle)
        answers = {split: model.fc(seen).argmax(dim=1).tolist() for split, seen in features.items()}
    for split, labels in answers.items():
        files = sorted((folder / split).glob("*/*.png"), key=lambda file: decoding.digest(file.read_bytes()))  # as a folder is read
        for file, label in zip(files, labels, strict=True):
            shutil.move(file, folder / split / str(label) / f"labelled-{file.name}")
    return model


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _images(given: datasets.Dataset) -> list[tuple[str, torch.Tensor]]:
    return [("train", given.train.images), ("val", given.validation.images), ("test", given.test.images)]


def _features(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    found: list[torch.Tensor] = []
    hook = model.fc.register_forward_hook(lambda _, given, __: found.append(given[0]))
    with torch.no_grad():
        model(images)
    hook.remove()
    return found[0]
