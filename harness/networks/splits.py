"""One split of a dataset: images as networks take them, with their labels; large ones are streamed from the disk, batch by batch.

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
    """Images ``N x C x H x W`` (float32, normalised) and labels ``N`` (int64)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

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
        digests = (hashlib.blake2b(image.tobytes(), digest_size=8, salt=str(label).encode()) for image, label in self._pairs())
        return np.frombuffer(b"".join(digest.digest() for digest in digests), dtype="<u8").astype(np.uint64)

    def _pairs(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        images = (image for batch in self.batches(_CHUNK) for image in batch.contiguous().numpy())
        return zip(images, self.labels.tolist(), strict=True)


class StreamedSplit(Split):
    """A split of which only bytes are kept (``N x C x H x W``), on the disk where they are many."""

    def __init__(self, pixels: NDArray[np.uint8], labels: Tensor, standard: Standard) -> None:
        vars(self).update(_pixels=pixels, labels=labels, _standard=standard)
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
    return Split(images, torch.cat([split.labels[numbers] for split, numbers in parts]))


def _chunk(image_shape: tuple[int, ...]) -> int:
    size = min(_CHUNK_BYTES, large_arrays.bound_bytes() // _CHUNK_SHARE)
    return max(1, min(_CHUNK, size // (4 * math.prod(image_shape))))
