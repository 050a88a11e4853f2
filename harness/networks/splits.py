"""A dataset and its splits: images as networks take them, with what they are judged by; large ones are streamed from the disk.

Decoded pictures lie there as bytes, which are standardised as they are used: reading and multiplying them costs a small part of a training
step, so that nothing is read ahead by processes of its own.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.networks.pictures import large_arrays
from harness.networks.pictures.preparing import COVER, Preparation
from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.task import Task
from harness.records.preprocessing import Preprocessing

_CHUNK = 256  # images that are copied at once,
_CHUNK_BYTES = 1 << 25  # or as many as are so large,
_CHUNK_SHARE = 8  # and no more than one part in so many of what pictures may take


@dataclass(frozen=True, eq=False)
class Standard:
    """What bytes are multiplied by and what is taken from them then, each one number per channel (``C x 1 x 1``)."""

    scale: Tensor
    shift: Tensor

    def __call__(self, pixels: NDArray[np.uint8]) -> Tensor:
        """``N x C x H x W`` in float32."""
        return torch.from_numpy(pixels.astype(np.float32)).mul_(self.scale).sub_(self.shift)


@dataclass(frozen=True, eq=False)
class Split:
    """Images ``N x C x H x W`` (float32, normalised) and labels ``N`` (int64); of another task its targets, N first."""

    images: Tensor
    labels: Tensor
    task: Task = CLASSIFICATION

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def strata(self) -> Tensor:
        """The class of every picture (``N``), by which pictures are drawn; one for all where a picture has no class of its own."""
        return self.labels if self.task.name == CLASSIFICATION.name else torch.zeros(len(self.labels), dtype=torch.int64)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels x height x width."""
        return tuple(self.images.shape[1:])

    def taken(self, numbers: Tensor) -> Tensor:
        """The images of these numbers (int64), in that order."""
        return self.images[numbers]

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images in their order, ``size`` at a time."""
        return iter(torch.split(self.images, size))

    @functools.cached_property
    def content_keys(self) -> NDArray[np.uint64]:
        """A number for every image that follows from its values and its label alone (``N``): equal images have equal ones."""
        digests = (hashlib.blake2b(image.tobytes(), digest_size=8, salt=salt).digest() for image, salt in self._pairs())
        return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)

    def _pairs(self) -> Iterator[tuple[NDArray[np.float32], bytes]]:
        return zip((image for batch in self.batches(_CHUNK) for image in batch.contiguous().numpy()), self._salts(), strict=True)

    def _salts(self) -> Iterator[bytes]:
        if self.labels.dim() == 1 and not self.labels.is_floating_point():
            return (str(label).encode() for label in self.labels.tolist())
        return (hashlib.blake2b(target.tobytes(), digest_size=16).digest() for target in self.labels.contiguous().numpy())


class StreamedSplit(Split):
    """A split of which only bytes are kept (``N x C x H x W``), on the disk where they are many."""

    def __init__(self, pixels: NDArray[np.uint8], labels: Tensor, standard: Standard, task: Task = CLASSIFICATION) -> None:
        vars(self).update(_pixels=pixels, labels=labels, _standard=standard, task=task)
        self._pixels: NDArray[np.uint8]
        self._standard: Standard

    @property
    def images(self) -> Tensor:
        """All of them at once, made at every call: in memory where they fit, else in a file."""
        return joined((self, torch.arange(len(self)))).images

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels x height x width."""
        return self._pixels.shape[1:]

    def taken(self, numbers: Tensor) -> Tensor:
        """The images of these numbers (int64), in that order."""
        rows = self._pixels[numbers.numpy()]
        large_arrays.was_read(rows.nbytes)
        return self._standard(rows)

    def batches(self, size: int) -> Iterator[Tensor]:
        """All images in their order, ``size`` at a time at most, so that a batch is small beside what pictures may take."""
        return (self.taken(numbers) for numbers in torch.split(torch.arange(len(self)), min(size, _chunk(self.image_shape))))


@dataclass(frozen=True, eq=False)
class Dataset:
    """One dataset with its three splits.

    digest: first 16 hexadecimal digits of the SHA-256 of all pixels, labels and splits. input_shape: channels x height
    x width. mirrored: whether a flipped image keeps its label, which augmentation needs to know. class_names: in order of
    labels. notes: one sentence on each split that was cut, on each that needs care, and on what is not read or lies there twice.
    preprocessing: what was done to the pictures, for whoever runs the network; None for pictures that were made up.
    """

    name: str
    digest: str
    input_shape: tuple[int, int, int]
    classes: int
    train: Split
    validation: Split
    test: Split
    mirrored: bool = False
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None

    @property
    def task(self) -> Task:
        """What networks are trained for and judged by."""
        return self.train.task

    @property
    def size_sentence(self) -> str:
        """What the pictures were brought to, and how."""
        channels, height, width = self.input_shape
        if self.preprocessing is None and self.task.name != CLASSIFICATION.name:
            return f"pictures are {height} x {width}, as the task gives them"
        resize = COVER if self.preprocessing is None else self.preprocessing.resize
        return Preparation(channels, height, width, resize).sentence


def joined(*parts: tuple[Split, Tensor]) -> Split:
    """The images of these numbers, of one split after the other, as a split of their own."""
    count, shape = sum(len(numbers) for _, numbers in parts), parts[0][0].image_shape
    images = torch.from_numpy(large_arrays.empty((count, *shape), np.float32))
    start = 0
    for split, numbers in parts:
        for chunk in torch.split(numbers, _chunk(shape)):
            images[start : start + len(chunk)] = split.taken(chunk)
            start += len(chunk)
            large_arrays.was_read(len(chunk) * images[0].nbytes)
    return Split(images, torch.cat([split.labels[numbers] for split, numbers in parts]), parts[0][0].task)


def _chunk(image_shape: tuple[int, ...]) -> int:
    size = min(_CHUNK_BYTES, large_arrays.bound_bytes() // _CHUNK_SHARE)
    return max(1, min(_CHUNK, size // (4 * math.prod(image_shape))))
