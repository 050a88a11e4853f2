"""Datasets by name, in memory, with fixed train, validation and test splits, and what networks are to make of their pictures.

digits (scikit-learn's 1,797 images of 8 x 8, scaled to 32 x 32), fashion-mnist (55,000 + 5,000 + 10,000 images of
28 x 28, or padded to 32 x 32), cifar10 (45,000 + 5,000 + 10,000) and imagefolder:PATH are classified; segmentation:PATH has
a mask for every picture, and task:FILE.py:NAME is whatever a file of the user's says. Splits depend on nothing but the
dataset, and on whether validation images are cut from train or from test, so that figures from different runs are
comparable; validation images are never trained on, test images are read once, at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harness.errors import DatasetError, UnknownName, UsageError, one_line
from harness.networks.own import torchvision_door
from harness.networks.pictures import division, idx_files, image_folder, large_arrays, picture_cache
from harness.networks.pictures.depth import SIXTEEN_BITS
from harness.networks.pictures.division import Division, Given, Labelled
from harness.networks.pictures.preparing import CHANNELS, COVER, MARGIN, SIDE, Preparation
from harness.networks.pictures.resizing import of_size
from harness.networks.pictures.standardising import mean_and_deviation, scale_and_shift
from harness.networks.splits import Dataset as Dataset
from harness.networks.splits import Split as Split
from harness.networks.splits import Standard, StreamedSplit
from harness.networks.tasks import mask_folder, own_data
from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.own_task import OwnTask
from harness.networks.tasks.segmentation import Segmentation
from harness.networks.tasks.task import Task
from harness.records.preprocessing import Preprocessing

VALIDATION_COUNT = 5000  # images taken from the training set of fashion-mnist and cifar10
FASHION_MNIST = "fashion-mnist"
SEGMENTATION, OWN = "segmentation", "task:"  # how names of datasets begin that are no classification
FASHION_MNIST_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CHUNK = 256  # images that are looked at at once


@dataclass(frozen=True)
class Pictures:
    """A dataset as bytes, 0 to 255, before normalisation. white: the brightest value of grey pictures of more than 8 bits.

    task: what the labels mean.
    """

    splits: Division
    class_names: tuple[str, ...]
    mirrored: bool
    white: float = SIXTEEN_BITS.white
    task: Task = CLASSIFICATION


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    channels: int | None = None,
    validation_from: str = "train",
    asked: Preparation | None = None,
) -> Dataset:
    """The dataset called ``name``.

    data_dir: where fashion-mnist and cifar10 lie or are downloaded to (default: the user's cache). channels: 3 makes RGB of
    grey images, 1 grey ones of RGB, None leaves them as they are. validation_from: the split that validation images are cut
    from, where there are none: "train" for a network that is trained here, "test" for one whose weights come from elsewhere
    and may remember every training image. asked: size and standardisation; by default 32 x 32, as all stored results of before, and
    the training images' own mean and deviation. Raises UnknownName, UsageError and DatasetError.
    """
    asked = asked or Preparation()
    asked = replace(asked, channels=asked.channels or channels)
    if name.startswith(OWN):
        return _of_task(name)
    return _normalised(name, pictures(name, data_dir, validation_from=validation_from, asked=asked), asked)


def at_size(full: Dataset, asked: Preparation, size: str, data_dir: Path | None = None, validation_from: str = "train") -> Dataset:
    """The pictures of ``full``, which was loaded as ``asked``, at another ``size`` (``HxW``), in the same splits and order.

    They are standardised by the numbers of ``full``: it is the same network that sees them. Raises as ``load``.
    """
    if size == asked.size or full.preprocessing is None:
        return full
    told = full.preprocessing
    standard = replace(asked.at_size(size), channels=full.input_shape[0], mean=told.mean, std=told.std, standard=told.standard)
    return load(full.name, data_dir, validation_from=validation_from, asked=standard)


def pictures(
    name: str,
    data_dir: Path | None = None,
    *,
    validation_from: str = "train",
    asked: Preparation | None = None,
) -> Pictures:
    """The same before normalisation."""
    division.check(validation_from)
    asked = asked or Preparation()
    if asked.channels not in (None, *CHANNELS):
        raise UsageError(f"images of {asked.channels} channels: choose 1 (grey), 3 (RGB) or 4 (RGB and a fourth band)")
    prefix, _, path = name.partition(":")
    if prefix == "imagefolder":
        if not path:
            raise DatasetError("imagefolder needs a path; give imagefolder:PATH, a folder with one folder of images per class")
        found = image_folder.read(Path(path), asked)
        splits = division.divide(found.given, found.classes, validation_from)
        notes = tuple(map(one_line, (*splits.notes, *found.notes)))
        return Pictures(replace(splits, notes=notes), found.classes, mirrored=True, white=found.white)
    if prefix == SEGMENTATION:
        if not path:
            raise DatasetError("segmentation needs a path; give segmentation:PATH, a folder of pictures and masks")
        masked = mask_folder.read(Path(path), asked, validation_from)
        splits = replace(masked.splits, notes=tuple(map(one_line, masked.splits.notes)))
        return Pictures(splits, masked.classes, mirrored=True, white=masked.white, task=Segmentation(len(masked.classes)))
    if name not in DATASETS:
        raise UnknownName("dataset", name, DATASETS, "or give imagefolder:PATH, segmentation:PATH, or task:FILE.py:NAME")
    if asked.channels == 4:
        raise UsageError(f"{name} has no pictures of 4 channels; give 1 or 3")
    built_in = _of_size(DATASETS[name](data_dir, validation_from), asked, name)
    return built_in if asked.channels is None else _with_channels(built_in, asked.channels)


def _of_task(name: str) -> Dataset:
    """The pictures that a user's own task gives, as it gives them."""
    task = OwnTask.of(name.removeprefix(OWN))
    pairs = own_data.read(task)
    train, validation, test = (Split(images, targets, task) for images, targets in pairs)
    channels, height, width = train.images.shape[1:]
    told = (
        f"pictures: {len(train)} for training, {len(validation)} for validation, {len(test)} for test, as {task.file.path.name} gives them"
    )
    return Dataset(
        name, own_data.digest(pairs, task), (channels, height, width), task.classes, train, validation, test, notes=(one_line(told),)
    )


def _digits(data_dir: Path | None, validation_from: str) -> Pictures:
    from sklearn.datasets import load_digits  # takes as long as half of torch, and other data need none of it

    bunch = load_digits()
    small = torch.from_numpy(bunch.images.astype(np.float32))[:, None] * (255 / 16)  # pixels count 0 to 16
    large = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    whole = Labelled(large.round().clamp(0, 255).to(torch.uint8).numpy(), bunch.target.astype(np.int64))
    rest, test = _published(whole, 360)
    train, validation = _published(rest, 280)
    notes = [division.cut_note("test", 360, len(whole), ""), division.cut_note("validation", 280, len(rest), "other ")]
    notes += [division.unknown_past()] if validation_from == "test" else []
    return Pictures(Division(train, validation, test, tuple(notes)), tuple("0123456789"), mirrored=False)


def _fashion_mnist(data_dir: Path | None, validation_from: str) -> Pictures:
    folder = idx_files.find_fashion_mnist(data_dir)
    train, test = (
        Labelled(idx_files.read(folder, f"{part}-images-idx3-ubyte", 3)[:, None], idx_files.read_labels(folder, part, 10))
        for part in ("train", "t10k")
    )
    return _official(train, test, FASHION_MNIST_CLASSES, validation_from)


def _cifar10(data_dir: Path | None, validation_from: str) -> Pictures:
    folder = data_dir or picture_cache.cache_folder() / "cifar10"
    try:
        parts = [torchvision_door.datasets().CIFAR10(str(folder), train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        told = str(error).splitlines()[0]
        raise DatasetError(f"cifar10 is not in {folder} and cannot be fetched ({told}); put cifar-10-batches-py there") from error
    train, test = (Labelled(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), np.array(part.targets, np.int64)) for part in parts)
    return _official(train, test, CIFAR10_CLASSES, validation_from)


DATASETS: dict[str, Callable[[Path | None, str], Pictures]] = {"digits": _digits, FASHION_MNIST: _fashion_mnist, "cifar10": _cifar10}


def _official(train: Labelled, test: Labelled, class_names: tuple[str, ...], validation_from: str) -> Pictures:
    """A set that is published in two parts, with the validation images cut from one of them."""
    if validation_from == "test":
        return Pictures(division.divide(Given(train, test=test), class_names, validation_from), class_names, mirrored=True)
    rest, validation = _published(train, VALIDATION_COUNT)
    note = division.cut_note("validation", len(validation), len(train), "training ")
    return Pictures(Division(rest, validation, test, (note,)), class_names, mirrored=True)


def _published(part: Labelled, held_count: int) -> tuple[Labelled, Labelled]:
    """What stays and what is held out, each class by its share: the cut that stored results were trained on, and name by its digest."""
    from sklearn.model_selection import train_test_split

    try:
        rest, held = train_test_split(np.arange(len(part)), test_size=held_count, stratify=part.labels, random_state=division.SEED)
    except ValueError as error:
        raise DatasetError(f"the images cannot be split by class ({error}); give at least 10 images of each class") from error
    return part.take(np.sort(rest)), part.take(np.sort(held))


def way_of(name: str, asked: Preparation) -> str:
    """How pictures are resized: fashion-mnist at 32 x 32 is padded, as every stored result of before had it."""
    padded = name == FASHION_MNIST and (asked.height, asked.width, asked.resize) == (SIDE, SIDE, COVER)
    return MARGIN if padded else asked.resize


def _of_size(found: Pictures, asked: Preparation, name: str) -> Pictures:
    """A built-in set's pictures in the size that is asked for."""
    splits, resize = found.splits, way_of(name, asked)

    def sized(part: Labelled) -> Labelled:
        if part.pixels.shape[2:] == (asked.height, asked.width) and resize in (COVER, MARGIN):
            return part
        rows = large_arrays.empty((len(part), part.pixels.shape[1], asked.height, asked.width), np.uint8)
        for row, pixels in zip(rows, part.pixels, strict=True):
            row[:] = [np.asarray(of_size(Image.fromarray(band), asked.height, asked.width, resize)) for band in pixels]
        return Labelled(np.asarray(rows, np.uint8), part.labels)

    train, validation, test = (sized(part) for part in (splits.train, splits.validation, splits.test))
    return replace(found, splits=Division(train, validation, test, splits.notes))


def _with_channels(found: Pictures, channels: int) -> Pictures:
    """Grey as three equal channels, or RGB as its luma by ITU-R BT.601 in Pillow's integers."""

    def converted(part: Labelled) -> Labelled:
        if part.pixels.shape[1] == channels:
            return part
        if channels == 3:
            return Labelled(np.repeat(part.pixels, 3, axis=1), part.labels)
        red, green, blue = (part.pixels[:, channel].astype(np.uint32) for channel in range(3))
        luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
        return Labelled(luma.astype(np.uint8)[:, None], part.labels)

    splits = found.splits
    train, validation, test = (converted(part) for part in (splits.train, splits.validation, splits.test))
    return replace(found, splits=Division(train, validation, test, splits.notes))


def _normalised(name: str, found: Pictures, asked: Preparation) -> Dataset:
    """Every channel with mean 0 and deviation 1 over the training images, or by what is asked for."""
    splits = found.splits
    _, channels, height, width = splits.train.pixels.shape
    digest = hashlib.sha256()
    for part in (splits.train, splits.validation, splits.test):
        digest.update(repr(part.pixels.shape).encode())
        for start in range(0, len(part), _CHUNK):
            digest.update(np.ascontiguousarray(part.pixels[start : start + _CHUNK]).data)
            large_arrays.was_read(part.pixels[start : start + _CHUNK].nbytes)
        digest.update(np.ascontiguousarray(part.labels).data)
    if (standard := asked.standardised(channels)) is not None:
        digest.update(repr(standard).encode())
    mean, std = standard or mean_and_deviation(splits.train.pixels)
    told = Preprocessing((channels, height, width), way_of(name, asked), found.white, mean, std, asked.standard, found.class_names)
    parts = (splits.train, splits.validation, splits.test)
    size = sum(part.pixels.size for part in parts) * np.dtype(np.float32).itemsize
    streams = not large_arrays.fits(size)
    by = Standard(*(torch.from_numpy(factor)[:, None, None] for factor in scale_and_shift(mean, std)))
    train, validation, test = (_scaled(part, found.task, by, streams) for part in parts)
    return Dataset(
        name=name,
        digest=digest.hexdigest()[:16],
        input_shape=(channels, height, width),
        classes=len(found.class_names),
        train=train,
        validation=validation,
        test=test,
        mirrored=found.mirrored,
        class_names=found.class_names,
        notes=(*splits.notes, *([_streamed_note(size)] if streams else [])),
        preprocessing=told,
    )


def _scaled(part: Labelled, task: Task, standard: Standard, streams: bool) -> Split:
    labels = torch.from_numpy(np.array(part.labels))
    streamed = StreamedSplit(part.pixels, labels, standard, task)
    return streamed if streams else Split(streamed.images, labels, task)


def _streamed_note(size: int) -> str:
    bound = large_arrays.bound_bytes() >> 20
    return (
        f"pictures: {size >> 20} MiB in float32 are more than the {bound} MiB of memory that pictures may take here "
        f"({large_arrays.BOUND_VARIABLE} decides otherwise): they are made as they are used, of bytes that may lie on the disk"
    )
