"""One split of a dataset: images as networks take them, with their labels; large ones need not fit in memory."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.networks.pictures import large_arrays

_CHUNK = 256  # images that are copied at once


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


def joined(*parts: tuple[Split, Tensor]) -> Split:
    """The images of these numbers, of one split after the other, as a split of their own."""
    count, shape = sum(len(numbers) for _, numbers in parts), parts[0][0].images.shape[1:]
    images = torch.from_numpy(large_arrays.empty((count, *shape), np.float32))
    start = 0
    for split, numbers in parts:
        for chunk in torch.split(numbers, _CHUNK):
            images[start : start + len(chunk)] = split.images[chunk]
            start += len(chunk)
    return Split(images, torch.cat([split.labels[numbers] for split, numbers in parts]))
