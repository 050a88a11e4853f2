"""Images in folders, one folder per class: ``PATH/class/*.png``, or the same below ``PATH/train``, ``PATH/val`` and ``PATH/test``.

Pictures come in an order that is decided by the content of their files alone, so that what is drawn from them, and every split that
is cut, is the same for a folder whose files were renamed, moved within their class, or copied elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from harness.errors import DatasetError
from harness.networks.pictures import decoding, picture_cache
from harness.networks.pictures.division import Given, Labelled

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SPLIT_NAMES = (("train", "training"), ("val", "valid", "validation"), ("test", "testing"))
MIN_PER_CLASS = 3  # fewer cannot be split three ways


@dataclass(frozen=True)
class Found:
    """What a folder holds: its classes in order of name, and the pictures of each split, or all as training pictures."""

    classes: tuple[str, ...]
    given: Given


@dataclass(frozen=True, order=True)
class _Entry:
    """One file, in the order that pictures come in: by split, then by content, of twins by label."""

    split: int
    digest: bytes
    label: int
    path: Path


def read(path: Path, side: int, channels: int | None = None) -> Found:
    """All images below ``path``, the shorter side scaled to ``side`` and the centre cut out.

    channels: 3 for RGB, 1 for grey, None for grey where every picture is. Raises DatasetError, naming the file or folder: no such folder,
    a class folder without images, a file that is no image, classes that differ between the splits, too few images in a class.
    """
    try:
        classes, listed = _listed(path)
    except OSError as error:
        raise DatasetError(f"{error.filename} cannot be listed ({error.strerror}); give the folder back its permissions") from error
    told = decoding.digests([file for _, _, file in listed])
    entries = sorted(_Entry(split, digest, label, file) for (split, label, file), digest in zip(listed, told, strict=True))
    return Found(classes, _given(entries, _pixels(entries, side, channels)))


def _listed(path: Path) -> tuple[tuple[str, ...], list[tuple[int, int, Path]]]:
    """The classes, and every image file with the numbers of its split and class; DatasetError, and OSError."""
    if not path.is_dir():
        raise DatasetError(f"there is no folder {path}; give a folder with one folder of images per class")
    folders = [_split_folder(path, names) for names in SPLIT_NAMES]
    divided = [(split, folder) for split, folder in enumerate(folders) if folder is not None]
    if divided and (folders[0] is None or len(divided) < 2):
        held = " and ".join(folder.name for _, folder in divided)
        raise DatasetError(f"{path} holds only {held}; give train and test, train and val, all three, or one folder per class")
    sources, at_least = (divided, 1) if divided else ([(0, path)], MIN_PER_CLASS)
    classes = _classes(sources[0][1])
    for _, folder in sources[1:]:
        if _classes(folder) != classes:
            raise DatasetError(f"{folder} and {sources[0][1]} hold different classes; give both the same class folders")
    return classes, [(split, label, file) for split, folder in sources for label, file in _files(folder, classes, at_least)]


def _split_folder(path: Path, names: Sequence[str]) -> Path | None:
    """The folder of a split by one of its names; a folder that holds images itself is a class that happens to be called so."""
    found = [path / name for name in names if (path / name).is_dir() and not any(map(_is_image, os.listdir(path / name)))]
    if len(found) > 1:
        raise DatasetError(f"{path} holds both {found[0].name} and {found[1].name}; keep one of them")
    return found[0] if found else None


def _classes(path: Path) -> tuple[str, ...]:
    classes = tuple(sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")))
    if len(classes) < 2:
        raise DatasetError(f"{path} holds {len(classes)} class folders; give one folder of images per class, at least two")
    return classes


def _files(path: Path, classes: tuple[str, ...], at_least: int) -> list[tuple[int, Path]]:
    """Every image file with its label."""
    listed = []
    for label, name in enumerate(classes):
        files = list(_images(path / name))
        if not files:
            raise DatasetError(f"class folder {path / name} holds no images ({', '.join(SUFFIXES)}); add some or remove the folder")
        if len(files) < at_least:
            raise DatasetError(f"class folder {path / name} holds {len(files)} images; give at least {at_least} to split them three ways")
        listed += [(label, file) for file in files]
    return listed


def _images(path: Path) -> Iterator[Path]:
    """Every image file below ``path``, hidden ones and hidden folders left out; OSError for a folder that cannot be listed."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if _is_image(name))


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _pixels(entries: Sequence[_Entry], side: int, channels: int | None) -> picture_cache.Rows:
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


def _decoded(name: str, entries: Sequence[_Entry], size: decoding.Size) -> picture_cache.Rows:
    files, told = [entry.path for entry in entries], [entry.digest for entry in entries]
    return picture_cache.make(name, (len(entries), *size.shape), partial(decoding.fill, files=files, expected=told, size=size))


def _name(entries: Sequence[_Entry], side: int, channels: int | None) -> str:
    """What decides the pixels and their order, in short."""
    found = hashlib.blake2b(f"{decoding.VERSION} {side} {channels}".encode(), digest_size=20)
    for entry in entries:
        found.update(entry.split.to_bytes(1, "big") + entry.digest + entry.label.to_bytes(4, "big"))
    return found.hexdigest()


def _given(entries: Sequence[_Entry], pixels: picture_cache.Rows) -> Given:
    labels = np.array([entry.label for entry in entries], np.int64)
    ends = np.searchsorted([entry.split for entry in entries], range(len(SPLIT_NAMES)), side="right")
    starts = (0, *ends[:-1])
    train, validation, test = (Labelled(pixels[start:end], labels[start:end]) for start, end in zip(starts, ends, strict=True))
    return Given(train, validation if len(validation) else None, test if len(test) else None)
