"""A built-in dataset as a folder of PNG files: ``python -m harness.networks.written_folder DATASET FOLDER``.

Read again as ``imagefolder:FOLDER`` it has the same pixels, labels and classes, so that whatever is found out about a user's own folder
can be held against what is known of the set itself.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from harness.errors import DatasetError, HarnessError, UsageError
from harness.files import numbers
from harness.networks import datasets
from harness.networks.pictures import division, preparing
from harness.networks.pictures.division import Labelled

LAYOUTS = {  # the folders below FOLDER, and which splits lie in each of them
    "splits": (("train", ("train",)), ("val", ("validation",)), ("test", ("test",))),
    "train-test": (("train", ("train", "validation")), ("test", ("test",))),
    "train-val": (("train", ("train", "test")), ("val", ("validation",))),
    "single": ((".", ("train", "validation", "test")),),
}
NAMES = ("ordered", "shuffled")


def write(
    dataset: str,
    folder: Path,
    *,
    layout: str = "splits",
    names: str = "ordered",
    limit: int | None = None,
    seed: int = 0,
    data_dir: Path | None = None,
    input_shape: str | None = None,
) -> int:
    """Write the images of a dataset, before normalisation, below ``folder``, one folder per class; returns how many.

    names: "shuffled" gives files names of random digits, so that their order says nothing. limit: images of each split at most, each
    class by its share. seed: of the names. input_shape: what they are brought to, as 224x224 or 3x224x224. Raises UnknownName, UsageError,
    and DatasetError also for a folder that holds something.
    """
    for option, given, known in (("layout", layout, tuple(LAYOUTS)), ("names", names, NAMES)):
        if given not in known:
            raise UsageError(f"--{option}={given}: choose one of {', '.join(known)}")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit={limit}: give at least 1")
    if seed < 0:
        raise UsageError(f"--seed={seed}: give at least 0")
    found = datasets.pictures(dataset, data_dir, asked=None if input_shape is None else preparing.of_words(input_shape))
    classes = class_folders(found.class_names)
    generator = np.random.default_rng(seed)
    written = 0
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise DatasetError(f"{folder} holds something already; give a new folder, or empty it")
        for name, splits in LAYOUTS[layout]:
            for split in splits:
                part = _limited(getattr(found.splits, split), limit)
                names_of_files = _file_names(split, len(part), names, generator)
                _write(folder / name, classes, part, names_of_files)
                written += len(part)
    except OSError as error:
        raise DatasetError(f"{folder} cannot be written ({error.strerror}); make room or give another folder") from error
    return written


def class_folders(names: Sequence[str]) -> tuple[str, ...]:
    """Folder names that sort as the labels do: those of the classes where they do, with the label's number in front otherwise."""
    plain = tuple(re.sub(r"[^\w.+-]+", "-", name) for name in names)
    digits = len(str(len(names) - 1))
    return plain if list(plain) == sorted(set(plain)) else tuple(f"{label:0{digits}}-{name}" for label, name in enumerate(plain))


def _limited(part: Labelled, limit: int | None) -> Labelled:
    if limit is None or limit >= len(part):
        return part
    _, held = division.cut(part.labels, limit, left=0)
    return part.take(held)


def _file_names(split: str, count: int, names: str, generator: np.random.Generator) -> Iterable[str]:
    if names == "ordered":
        return [f"{split}-{number:06}.png" for number in range(count)]
    return [f"{generator.bytes(12).hex()}.png" for _ in range(count)]


def _write(folder: Path, classes: Sequence[str], part: Labelled, names: Iterable[str]) -> None:
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for pixels, label, name in zip(part.pixels, part.labels.tolist(), names, strict=True):
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
        image.save(folder / classes[label] / name, compress_level=1)  # many small files: size matters less than time


def main(words: Sequence[str] | None = None) -> int:
    """The command line; exit code 0 only when every file was written."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.networks.written_folder", description="a built-in dataset as a folder of PNG files"
    )
    parser.add_argument("dataset", metavar="DATASET", help=f"one of {', '.join(datasets.DATASETS)}")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where it goes; must be new or empty")
    parser.add_argument("--layout", choices=tuple(LAYOUTS), default="splits", help="the folders below it (default: %(default)s)")
    parser.add_argument("--names", choices=NAMES, default="ordered", help="shuffled: names of random digits (default: %(default)s)")
    parser.add_argument("--limit", type=numbers.option("limit"), metavar="N", help="images of each split at most, by class (default: all)")
    parser.add_argument("--seed", type=numbers.option("seed"), default=0, help="of the shuffled names (default: %(default)s)")
    parser.add_argument("--input-shape", metavar="CxHxW", help="what they are brought to, or 224x224 (default: 32x32)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the dataset lies, if it is not installed")
    asked = parser.parse_args(words)
    try:
        written = write(
            asked.dataset,
            asked.folder,
            layout=asked.layout,
            names=asked.names,
            limit=asked.limit,
            seed=asked.seed,
            data_dir=asked.data,
            input_shape=asked.input_shape,
        )
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{written} images in {asked.folder}; use them by --dataset=imagefolder:{asked.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
