"""Image classification datasets by name, in memory, with fixed train, validation and test splits.

digits (scikit-learn's 1,797 images of 8 x 8, scaled to 32 x 32), fashion-mnist (55,000 + 5,000 + 10,000 images of
28 x 28, padded to 32 x 32), cifar10 (45,000 + 5,000 + 10,000) and imagefolder:PATH. Splits depend on nothing but the
dataset, so that figures from different runs are comparable; validation images are never trained on, test images are
read once, at the end.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from harness.errors import DatasetError, UnknownName
from harness.networks import idx_files, image_folder, torchvision_door

SIDE = 32  # height and width that every built-in dataset is brought to
VALIDATION_COUNT = 5000  # images taken from the training set of fashion-mnist and cifar10
_SPLIT_SEED = 20170401


@dataclass(frozen=True, eq=False)
class Split:
    """Images ``N x C x H x W`` (float32, normalised) and labels ``N`` (int64)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def content_keys(self) -> NDArray[np.uint64]:
        """A number for every image that follows from its values and its label alone (``N``): equal images have equal ones."""
        digests = (hashlib.blake2b(image.tobytes(), digest_size=8, salt=str(label).encode()) for image, label in self._pairs())
        return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="<u8").astype(np.uint64)

    def _pairs(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        return zip(self.images.contiguous().numpy(), self.labels.tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One dataset with its three splits.

    digest: first 16 hexadecimal digits of the SHA-256 of all pixels, labels and splits. input_shape: channels x height
    x width. mirrored: whether a flipped image keeps its label, which augmentation needs to know.
    """

    name: str
    digest: str
    input_shape: tuple[int, int, int]
    classes: int
    train: Split
    validation: Split
    test: Split
    mirrored: bool = False


Pixels = NDArray[np.uint8]  # N x C x H x W
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class _Raw:
    """Pixels 0-255 and labels per split, before normalisation."""

    train: tuple[Pixels, Labels]
    validation: tuple[Pixels, Labels]
    test: tuple[Pixels, Labels]
    classes: int
    mirrored: bool


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The dataset called ``name``.

    data_dir: where fashion-mnist and cifar10 lie or are downloaded to (default: the user's cache). Raises UnknownName
    and DatasetError.
    """
    prefix, _, path = name.partition(":")
    if prefix == "imagefolder":
        if not path:
            raise DatasetError("imagefolder needs a path; give imagefolder:PATH, a folder with one folder of images per class")
        return _finished(name, _from_folder(Path(path)))
    if name not in DATASETS:
        raise UnknownName("dataset", name, DATASETS, "or give imagefolder:PATH")
    return _finished(name, DATASETS[name](data_dir))


def _digits(data_dir: Path | None) -> _Raw:
    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    small = torch.from_numpy(bunch.images.astype(np.float32))[:, None] * (255 / 16)  # pixels count 0 to 16
    large = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    pixels = large.round().clamp(0, 255).to(torch.uint8).numpy()
    rest, test = _stratified(labels, 360)
    train, validation = _stratified(labels[rest], 280)
    return _Raw(
        (pixels[rest][train], labels[rest][train]),
        (pixels[rest][validation], labels[rest][validation]),
        (pixels[test], labels[test]),
        10,
        mirrored=False,
    )


def _fashion_mnist(data_dir: Path | None) -> _Raw:
    folder = idx_files.find_fashion_mnist(data_dir)
    margin = ((0, 0), (0, 0), (2, 2), (2, 2))  # 28 x 28 to 32 x 32
    train, test = (
        (np.pad(idx_files.read(folder, f"{part}-images-idx3-ubyte", 3)[:, None], margin), idx_files.read_labels(folder, part, 10))
        for part in ("train", "t10k")
    )
    return _with_validation(train, test, mirrored=True)


def _cifar10(data_dir: Path | None) -> _Raw:
    folder = data_dir or idx_files.cache_folder() / "cifar10"
    try:
        parts = [torchvision_door.datasets().CIFAR10(str(folder), train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        told = str(error).splitlines()[0]
        raise DatasetError(f"cifar10 is not in {folder} and cannot be fetched ({told}); put cifar-10-batches-py there") from error
    train, test = ((np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), np.array(part.targets, np.int64)) for part in parts)
    return _with_validation(train, test, mirrored=True)


def _from_folder(path: Path) -> _Raw:
    found = image_folder.read(path, SIDE)
    if found.splits is not None:
        train, validation, test = found.splits
        return _Raw(train, validation, test, len(found.classes), mirrored=True)
    pixels, labels = found.single()
    share = max(len(found.classes), len(labels) // 5)
    rest, held_out = _stratified(labels, share)
    if len(rest) < 2 * len(found.classes):
        raise DatasetError(f"{path} has too few images per class to split; give at least 10 per class, or train, val and test folders")
    fitted, checked = _stratified(labels[rest], max(len(found.classes), len(rest) // 5))
    return _Raw(
        (pixels[rest][fitted], labels[rest][fitted]),
        (pixels[rest][checked], labels[rest][checked]),
        (pixels[held_out], labels[held_out]),
        len(found.classes),
        mirrored=True,
    )


DATASETS: dict[str, Callable[[Path | None], _Raw]] = {"digits": _digits, "fashion-mnist": _fashion_mnist, "cifar10": _cifar10}


def _with_validation(train: tuple[Pixels, Labels], test: tuple[Pixels, Labels], mirrored: bool) -> _Raw:
    pixels, labels = train
    rest, held = _stratified(labels, VALIDATION_COUNT)
    return _Raw((pixels[rest], labels[rest]), (pixels[held], labels[held]), test, 10, mirrored)


def _stratified(labels: Labels, held_count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to keep and ``held_count`` indices held out, each class by its share, both ascending."""
    try:
        rest, held = train_test_split(np.arange(len(labels)), test_size=held_count, stratify=labels, random_state=_SPLIT_SEED)
    except ValueError as error:
        raise DatasetError(f"the images cannot be split by class ({error}); give at least 10 images of each class") from error
    return np.sort(rest), np.sort(held)


def _finished(name: str, raw: _Raw) -> Dataset:
    digest = hashlib.sha256()
    for pixels, labels in (raw.train, raw.validation, raw.test):
        digest.update(repr(pixels.shape).encode())
        digest.update(np.ascontiguousarray(pixels).data)
        digest.update(np.ascontiguousarray(labels).data)
    sample = raw.train[0]
    axes = (0, 2, 3)
    mean = sample.mean(axes, dtype=np.float64) / 255
    deviation = sample.std(axes, dtype=np.float64) / 255
    deviation[deviation < 1e-6] = 1.0  # a constant channel stays constant
    train, validation, test = (_normalised(pixels, labels, mean, deviation) for pixels, labels in (raw.train, raw.validation, raw.test))
    channels, height, width = sample.shape[1:]
    return Dataset(name, digest.hexdigest()[:16], (channels, height, width), raw.classes, train, validation, test, raw.mirrored)


def _normalised(pixels: Pixels, labels: Labels, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> Split:
    images = torch.from_numpy(np.ascontiguousarray(pixels)).float()
    scale = torch.from_numpy(1 / (255 * deviation)).float()[:, None, None]
    shift = torch.from_numpy(mean / deviation).float()[:, None, None]
    return Split(images.mul_(scale).sub_(shift), torch.from_numpy(np.ascontiguousarray(labels)))
