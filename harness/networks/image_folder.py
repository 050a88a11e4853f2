"""Images in folders, one folder per class: ``PATH/class/*.png``, or ``PATH/{train,val,test}/class/*.png``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from harness.errors import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_SPLIT_NAMES = (("train",), ("val", "validation"), ("test",))
MIN_PER_CLASS = 10  # fewer cannot be split three ways

Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]  # N x 3 x side x side, N


@dataclass(frozen=True)
class Found:
    """What a folder holds: its classes in order of name, and either three splits or one set of images."""

    classes: tuple[str, ...]
    splits: tuple[Labelled, Labelled, Labelled] | None
    whole: Labelled | None

    def single(self) -> Labelled:
        """The one set of images; DatasetError when the folder came split."""
        if self.whole is None:
            raise DatasetError("the folder holds train, val and test folders; use those")
        return self.whole


def read(path: Path, side: int) -> Found:
    """All images below ``path``, as RGB, the shorter side scaled to ``side`` and the centre cut out.

    Raises DatasetError, naming the file or folder: no such folder, a class folder without images, a file that is no
    image, classes that differ between the splits, too few images in a class.
    """
    if not path.is_dir():
        raise DatasetError(f"there is no folder {path}; give a folder with one folder of images per class")
    folders = [next((path / name for name in names if (path / name).is_dir()), None) for names in _SPLIT_NAMES]
    present = [folder for folder in folders if folder is not None]
    if not present:
        classes = _classes(path)
        return Found(classes, None, _read(path, classes, side, MIN_PER_CLASS))
    if len(present) < len(folders):
        raise DatasetError(f"{path} holds only {', '.join(f.name for f in present)}; give train, val and test, or one folder per class")
    classes = _classes(present[0])
    for folder in present[1:]:
        if _classes(folder) != classes:
            raise DatasetError(f"{folder} and {present[0]} hold different classes; give both the same class folders")
    train, validation, test = (_read(folder, classes, side, 1) for folder in present)
    return Found(classes, (train, validation, test), None)


def _classes(path: Path) -> tuple[str, ...]:
    classes = tuple(sorted(folder.name for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")))
    if len(classes) < 2:
        raise DatasetError(f"{path} holds {len(classes)} class folders; give one folder of images per class, at least two")
    return classes


def _read(path: Path, classes: tuple[str, ...], side: int, at_least: int) -> Labelled:
    images, labels = [], []
    for label, name in enumerate(classes):
        files = sorted(file for file in (path / name).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise DatasetError(f"class folder {path / name} holds no images ({', '.join(SUFFIXES)}); add some or remove the folder")
        if len(files) < at_least:
            raise DatasetError(f"class folder {path / name} holds {len(files)} images; give at least {at_least} to split them three ways")
        images += [_pixels(file, side) for file in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels, np.int64)


def _pixels(file: Path, side: int) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{file} is not a readable image ({type(error).__name__}); replace or remove it") from error
    scale = side / min(image.size)
    image = image.resize((max(side, round(image.width * scale)), max(side, round(image.height * scale))), Image.Resampling.BILINEAR)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cut = image.crop((left, top, left + side, top + side))
    return np.ascontiguousarray(np.asarray(cut, np.uint8).transpose(2, 0, 1))
