"""Pictures with a mask each, in the folders that people have them in: which file is whose mask, and what classes its pixels are of.

``PATH/train/images`` and ``PATH/train/masks``, or ``PATH/images/train`` and ``PATH/masks/train``, alike for validation and test; or
``PATH/images`` and ``PATH/masks``, which are divided here. A mask is called as its picture, or with ``_mask`` behind that; its pixels are
class numbers from 0, in one channel or by a palette, 255 for pixels that no class is asked of. Masks of 0 and 255 alone are one class
on a background. ``PATH/classes.txt`` names the classes, one a line; without it they are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.errors import DatasetError
from harness.networks.pictures import decoding, division, image_folder, large_arrays
from harness.networks.pictures.depth import SIXTEEN_BITS
from harness.networks.pictures.division import Division, Given, Labelled, Labels
from harness.networks.pictures.layout import SPLIT_NAMES, SUFFIXES
from harness.networks.pictures.preparing import Preparation
from harness.networks.pictures.resizing import of_size
from harness.networks.pictures.twins import Entry
from harness.networks.tasks import mask_values
from harness.networks.tasks.segmentation import IGNORED

PICTURES = ("images", "image", "imgs", "img", "pictures", "jpegimages")
MASKS = ("masks", "mask", "annotations", "labels", "segmentationclass", "gt")
ENDINGS = ("", "_mask", "-mask", "_masks", "_label", "_labels", "_gt", "_seg")  # of a mask's name, behind its picture's
CLASSES = "classes.txt"
FOREGROUND = ("background", "foreground")

Masks = NDArray[np.uint8]  # N x H x W


@dataclass(frozen=True)
class Pair:
    """A picture and its mask. split: 0 training, or where nothing is divided, 1 validation, 2 test."""

    split: int
    picture: Path
    mask: Path


@dataclass(frozen=True)
class Found:
    """Three splits whose labels are masks, the classes in order, and the brightest value of pictures of more than 8 bits."""

    splits: Division
    classes: tuple[str, ...]
    white: float


def read(path: Path, asked: Preparation, validation_from: str = "train") -> Found:
    """All pictures and masks below ``path``, prepared alike.

    Raises DatasetError, naming the file or folder: no such folders, a picture without a mask, a mask of another size than its picture, in
    colours, or of a class that there is not.
    """
    pairs = listed(path)
    told = decoding.digests([pair.picture for pair in pairs])
    order = sorted(range(len(pairs)), key=lambda at: (pairs[at].split, told[at], pairs[at].picture.name))
    pairs, entries = [pairs[at] for at in order], [Entry(pairs[at].split, told[at], 0, pairs[at].picture) for at in order]
    names = _named(path)
    masks, binary = _masks(path, pairs, asked, len(names))
    names = names or _counted(path, masks, binary)
    pixels, depth = image_folder.pixels(entries, asked)
    contents = np.array([int.from_bytes(entry.digest[:8], "little", signed=True) for entry in entries], np.int64)
    rows = _divided([pair.split for pair in pairs], contents, validation_from)
    train, validation, test = (_taken(np.asarray(pixels), masks, part) for part in (rows.train, rows.validation, rows.test))
    notes = [note.replace(", by class", "") for note in rows.notes]
    notes += [depth.sentence] if depth is not None else []
    notes += [f"masks: {len(names)} classes ({', '.join(names[:4])}{' ...' if len(names) > 4 else ''}), of pixels 0 to {len(names) - 1}"]
    if binary:
        notes[-1] = "masks hold 0 and 255 alone: 255 is taken for the one class on a background"
    return Found(
        Division(train, validation, test, (*notes, *_missing(masks, rows, names), *_unused(pairs))), names, (depth or SIXTEEN_BITS).white
    )


def listed(path: Path) -> list[Pair]:
    """Which file is whose mask; DatasetError where that cannot be told."""
    if not path.is_dir():
        raise DatasetError(f"there is no folder {path}; give a folder with images and masks, or with train, val and test of both")
    places = _places(path)
    if not places:
        raise DatasetError(
            f"{path} holds no folders of pictures and masks; lay them as train/images and train/masks, alike val and test, or as images "
            "and masks"
        )
    return [pair for split, pictures, masks in places for pair in _pairs(split, pictures, masks)]


def sizes(path: Path) -> set[tuple[int, int]]:
    """Width and height of the pictures, of no more than a thousand, evenly chosen."""
    pairs = listed(path)
    return decoding.sizes([pair.picture for pair in pairs[:: -(-len(pairs) // image_folder.LOOKED_AT)]])


def _places(path: Path) -> list[tuple[int, Path, Path]]:
    """Split, folder of pictures, folder of masks."""
    found, lacking = [], []
    for split, names in enumerate(SPLIT_NAMES):
        for inside in (folder for folder in _folders(path) if folder.name.lower() in names):
            if both := _both(inside):
                found.append((split, *both))
            else:
                lacking.append(inside)
    if found and lacking:
        raise DatasetError(f"{lacking[0]} holds no folder of pictures with one of masks beside it; add what is missing, or move it away")
    if found or (both := _both(path)) is None:
        return found
    for split, names in enumerate(SPLIT_NAMES):
        halves = [next((one for one in _folders(half) if one.name.lower() in names), None) for half in both]
        if halves[0] is not None and halves[1] is not None:
            found.append((split, halves[0], halves[1]))
        elif halves[0] is not None or halves[1] is not None:
            raise DatasetError(f"{path} has {names[0]} of pictures or of masks alone; give both")
    return found or [(0, *both)]


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith("."))


def _both(path: Path) -> tuple[Path, Path] | None:
    found = [next((one for one in _folders(path) if one.name.lower() in names), None) for names in (PICTURES, MASKS)]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _pairs(split: int, pictures: Path, masks: Path) -> list[Pair]:
    of_stem = {one.stem: one for one in _images(masks)}
    found: list[Pair] = []
    for picture in _images(pictures):
        if found and found[-1].picture.stem == picture.stem:
            raise DatasetError(
                f"{found[-1].picture} and {picture.name} beside it are called alike: whose the mask is cannot be told; rename one"
            )
        mask = next((of_stem[name] for ending in ENDINGS if (name := picture.stem + ending) in of_stem), None)
        if mask is None:
            raise DatasetError(f"{picture} has no mask in {masks}; add {picture.stem}.png there, or remove the picture")
        found.append(Pair(split, picture, mask))
    if not found:
        raise DatasetError(f"{pictures} holds no pictures ({', '.join(SUFFIXES[:3])} ...); add some, or remove the folder")
    return found


def _images(folder: Path) -> list[Path]:
    """In order; hidden files, as macOS leaves them beside copies, are none."""
    return sorted(one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and not one.name.startswith("."))


def _named(path: Path) -> tuple[str, ...]:
    file = path / CLASSES
    if not file.is_file():
        return ()
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip())
    if not 2 <= len(names) < IGNORED:
        raise DatasetError(f"{file} names {len(names)} classes; name 2 to {IGNORED - 1}, one a line, the background too")
    return names


def _counted(path: Path, masks: Masks, binary: bool) -> tuple[str, ...]:
    if binary:
        return FOREGROUND
    held = masks[masks != IGNORED]
    most = int(held.max()) if held.size else 0
    if most == 0:
        raise DatasetError(f"the masks of {path} hold one class at most; give masks of two classes at least, the background is one")
    return tuple(f"class {number}" for number in range(most + 1))


def _masks(path: Path, pairs: Sequence[Pair], asked: Preparation, classes: int) -> tuple[Masks, bool]:
    """All masks, ``N x H x W``, and whether they held 0 and 255 alone, which are 0 and 1 then. classes: that there are; 0: not known."""
    found = np.asarray(large_arrays.empty((len(pairs), asked.height, asked.width), np.uint8), np.uint8)
    held = mask_values.Conventions()
    for row, pair in enumerate(pairs):
        mask = mask_values.read(pair.mask, pair.picture)
        values = mask.numbers
        wrong = min((one for one in np.unique(values).tolist() if one != IGNORED and not 0 <= one < (classes or IGNORED)), default=None)
        if wrong is not None:
            known = f"{CLASSES} names {classes}" if classes else f"classes are numbered from 0 to {IGNORED - 1}"
            raise DatasetError(f"{pair.mask} holds pixels of class {wrong}, but {known}; mend the mask, or name the class")
        held.add(pair.mask, mask)
        resized = of_size(Image.fromarray(values.astype(np.uint8)), asked.height, asked.width, asked.resize, nearest=True, around=IGNORED)
        found[row] = np.asarray(resized)
    held.check(path, classes)
    binary = held.is_binary and classes in (0, 2)
    if binary:
        found[found == IGNORED] = 1
    return found, binary


def _divided(splits: Sequence[int], contents: NDArray[np.int64], validation_from: str) -> Division:
    """The three splits with row numbers where pixels would be; pictures are of one class here, for a mask has many."""

    def part(split: int) -> Labelled | None:
        rows = np.flatnonzero(np.asarray(splits) == split)
        return Labelled(_as_pixels(rows), np.zeros(len(rows), np.int64), contents[rows]) if len(rows) else None

    train = part(0)
    if train is None:
        raise DatasetError("there are no training pictures; lay them as train/images and train/masks")
    return division.divide(Given(train, part(1), part(2)), division.OF_NO_CLASS, validation_from)


def _taken(pixels: NDArray[np.uint8], masks: Masks, part: Labelled) -> Labelled:
    rows = _as_rows(part)
    return Labelled(large_arrays.taken(pixels, rows), cast(Labels, masks[rows]))


def _as_pixels(rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Row numbers in the place of pixels, ``N x 8 x 1 x 1``: what is divided need not be moved."""
    return rows.astype(np.int64).view(np.uint8).reshape(-1, 8, 1, 1)


def _as_rows(part: Labelled) -> NDArray[np.int64]:
    return np.ascontiguousarray(part.pixels).reshape(-1, 8).view(np.int64)[:, 0]


def _unused(pairs: Sequence[Pair]) -> list[str]:
    """A sentence on masks that no picture is called as."""
    used = {pair.mask for pair in pairs}
    left = [one for folder in sorted({mask.parent for mask in used}) for one in _images(folder) if one not in used]
    return [f"not read: {len(left)} masks of no picture ({left[0].name}{' ...' if len(left) > 1 else ''})"] if left else []


def _missing(masks: Masks, rows: Division, names: Sequence[str]) -> list[str]:
    """A sentence on each split that lacks a class; DatasetError where nothing is asked of one."""
    found = []
    for split, part in (("training", rows.train), ("validation", rows.validation), ("test", rows.test)):
        there = set(np.unique(masks[_as_rows(part)]).tolist())
        if not there - {IGNORED}:
            raise DatasetError(f"the masks of all {split} pictures hold {IGNORED} alone, where no class is asked; give masks of classes")
        if split == "training" and len(there - {IGNORED}) < 2:
            (only,) = there - {IGNORED}
            raise DatasetError(
                f"the masks of all training pictures hold {names[only]} alone; give masks of two classes at least to learn from"
            )
        if lacking := [name for number, name in enumerate(names) if number not in there]:
            found.append(
                f"{split}: no pixel of {', '.join(lacking[:3])}{' and others' if len(lacking) > 3 else ''}, which says nothing of it"
            )
    return found
