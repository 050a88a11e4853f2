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
from harness.networks.pictures.depth import SIXTEEN_BITS, Depth, of_ranges
from harness.networks.pictures.division import Given, Labelled
from harness.networks.pictures.preparing import Preparation
from harness.networks.pictures.twins import Entry

LOOKED_AT = 1000  # pictures of which the size is looked up


@dataclass(frozen=True)
class Found:
    """What a folder holds: its classes in order of name, and the pictures of each split, or all as training pictures.

    notes: one sentence on each kind of thing that is not read, or lies there twice. white: the brightest value of grey pictures of more
    than 8 bits.
    """

    classes: tuple[str, ...]
    given: Given
    notes: tuple[str, ...] = ()
    white: float = SIXTEEN_BITS.white


def read(path: Path, asked: Preparation) -> Found:
    """All images below ``path``, prepared as asked.

    Of channels that are not asked for: grey where every picture is, else RGB. Raises DatasetError, naming the file or folder: no such
    folder, a class folder without images, a file that is no image, a picture outside class folders that are split, classes that differ
    between the splits, too few images in a class, pictures that are all alike.
    """
    found = _listed(path)
    told = decoding.digests([file.path for file in found.files])
    entries = sorted(Entry(file.split, digest, file.label, file.path) for file, digest in zip(found.files, told, strict=True))
    pixels, depth = _pixels(entries, asked)
    seen = pixels if asked.divided_as is None else _pixels(entries, asked.divided_as)[0]  # the same splits at every size
    alike = twins.by_pixels(entries, seen)
    notes = [*found.notes, *([] if depth is None else [depth.sentence]), *twins.likeness(entries, alike, path), *twins.notes(alike, path)]
    return Found(found.classes, _given(alike, pixels), tuple(notes), (depth or SIXTEEN_BITS).white)


def sizes(path: Path) -> set[tuple[int, int]]:
    """Width and height of the pictures below ``path``, of no more than LOOKED_AT, evenly chosen. Raises DatasetError."""
    files = _listed(path).files
    return decoding.sizes([file.path for file in files[:: -(-len(files) // LOOKED_AT)]])


def _listed(path: Path) -> layout.Layout:
    try:
        return layout.read(path)
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be listed ({error.strerror}); give the folder back its permissions") from error


def _pixels(entries: Sequence[Entry], asked: Preparation) -> tuple[picture_cache.Rows, Depth | None]:
    """The pictures of all entries, ``N x C x H x W``, decoded before, or now; what is white, where they have more than 8 bits."""
    if (kept := picture_cache.find(_name(entries, asked, None))) is not None:
        return kept, None
    try:
        return _of_depth(entries, asked, None), None
    except decoding.Deep:
        depth = of_ranges(decoding.depths([entry.path for entry in entries]))
        return _of_depth(entries, asked, depth), depth


def _of_depth(entries: Sequence[Entry], asked: Preparation, depth: Depth | None) -> picture_cache.Rows:
    name, channels = _name(entries, asked, depth), asked.channels
    with picture_cache.alone(name):
        kept = picture_cache.find(name)
        if kept is not None:
            return kept
        if channels is None:
            try:
                return _decoded(name, entries, _size(asked, 1, depth, strict=True))
            except decoding.Coloured:
                channels = 3
        return _decoded(name, entries, _size(asked, channels, depth))


def _size(asked: Preparation, channels: int, depth: Depth | None, strict: bool = False) -> decoding.Size:
    return decoding.Size(asked.height, channels, strict, asked.width, asked.resize, depth)


def _decoded(name: str, entries: Sequence[Entry], size: decoding.Size) -> picture_cache.Rows:
    files, told = [entry.path for entry in entries], [entry.digest for entry in entries]
    return picture_cache.make(name, (len(entries), *size.shape), partial(decoding.fill, files=files, expected=told, size=size))


def _name(entries: Sequence[Entry], asked: Preparation, depth: Depth | None) -> str:
    """What decides the pixels and their order, in short."""
    told = f"{decoding.VERSION} {asked.height}x{asked.width} {asked.resize} {asked.channels} {depth}"
    found = hashlib.blake2b(told.encode(), digest_size=20)
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
