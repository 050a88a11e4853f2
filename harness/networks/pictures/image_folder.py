"""Images in folders, one folder per class: ``PATH/class/*.png``, or the same below ``PATH/train``, ``PATH/val`` and ``PATH/test``.

Pictures come in an order that is decided by the content of their files alone, so that what is drawn from them, and every split that
is cut, is the same for a folder whose files were renamed, moved within their class, or copied elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from harness.errors import DatasetError
from harness.networks.pictures import decoding, layout, picture_cache, twins
from harness.networks.pictures.division import Given, Labelled
from harness.networks.pictures.twins import Entry


@dataclass(frozen=True)
class Found:
    """What a folder holds: its classes in order of name, and the pictures of each split, or all as training pictures.

    notes: one sentence on each kind of thing that is not read, or lies there twice.
    """

    classes: tuple[str, ...]
    given: Given
    notes: tuple[str, ...] = ()


def read(path: Path, side: int, channels: int | None = None) -> Found:
    """All images below ``path``, the shorter side scaled to ``side`` and the centre cut out.

    channels: 3 for RGB, 1 for grey, None for grey where every picture is. Raises DatasetError, naming the file or folder: no such folder,
    a class folder without images, a file that is no image, a picture outside class folders that are split, classes that differ between the
    splits, too few images in a class.
    """
    try:
        found = layout.read(path)
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be listed ({error.strerror}); give the folder back its permissions") from error
    told = decoding.digests([file.path for file in found.files])
    entries = sorted(Entry(file.split, digest, file.label, file.path) for file, digest in zip(found.files, told, strict=True))
    given = _given(entries, _pixels(entries, side, channels))
    return Found(found.classes, given, (*found.notes, *twins.notes(entries, path)))


def _pixels(entries: Sequence[Entry], side: int, channels: int | None) -> picture_cache.Rows:
    """The pictures of all entries, ``N x C x side x side``: decoded before, or now."""
    name = _name(entries, side, channels)
    kept = picture_cache.find(name)
    if kept is not None:
        return kept
    with picture_cache.alone(name):
        kept = picture_cache.find(name)
        if kept is not None:
            return kept
        if channels is None:
            try:
                return _decoded(name, entries, decoding.Size(side, 1, strict=True))
            except decoding.Coloured:
                channels = 3
        return _decoded(name, entries, decoding.Size(side, channels))


def _decoded(name: str, entries: Sequence[Entry], size: decoding.Size) -> picture_cache.Rows:
    files, told = [entry.path for entry in entries], [entry.digest for entry in entries]
    return picture_cache.make(name, (len(entries), *size.shape), partial(decoding.fill, files=files, expected=told, size=size))


def _name(entries: Sequence[Entry], side: int, channels: int | None) -> str:
    """What decides the pixels and their order, in short."""
    found = hashlib.blake2b(f"{decoding.VERSION} {side} {channels}".encode(), digest_size=20)
    for entry in entries:
        found.update(entry.split.to_bytes(1, "big") + entry.digest + entry.label.to_bytes(4, "big"))
    return found.hexdigest()


def _given(entries: Sequence[Entry], pixels: picture_cache.Rows) -> Given:
    labels, contents = np.array([entry.label for entry in entries], np.int64), twins.contents(entries)
    ends = np.searchsorted([entry.split for entry in entries], range(len(layout.SPLIT_NAMES)), side="right")
    starts = (0, *ends[:-1])
    slices = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    train, validation, test = (Labelled(pixels[part], labels[part], contents[part]) for part in slices)
    return Given(train, validation if len(validation) else None, test if len(test) else None)
