"""The same picture twice is told, by an example of where it lies."""

import shutil
from collections.abc import Callable
from pathlib import Path

from harness.networks import datasets
from harness.networks.datasets import Dataset

Draw = Callable[..., None]


def load(folder: Path) -> Dataset:
    return datasets.load(f"imagefolder:{folder}")


def test_pictures_in_two_splits_are_told(tmp_path: Path, draw: Draw) -> None:
    for place, split in enumerate(("train", "val", "test")):
        draw(tmp_path / split, (9, 9) if split == "train" else (3, 3), place)
    assert not [note for note in load(tmp_path).notes if "too" in note]
    for number in range(3):
        file = tmp_path / "test" / "class-0" / f"000{number}.png"
        shutil.copyfile(tmp_path / "train" / "class-0" / file.name, file)
    shutil.copyfile(tmp_path / "val" / "class-1" / "0000.png", tmp_path / "test" / "class-1" / "0000.png")
    notes = load(tmp_path).notes
    assert any(note.startswith("3 of the 6 test pictures lie in train too (test/class-0/000") for note in notes)
    assert any(note.startswith("1 of the 6 test pictures lies in validation too (test/class-1/0000.png is val/class-1/") for note in notes)


def test_pictures_of_two_classes_are_told(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (9, 9))
    shutil.copyfile(tmp_path / "class-0" / "0003.png", tmp_path / "class-1" / "copy.png")
    found = load(tmp_path)
    assert any(note.startswith("1 picture lies under more than one class (class-0/0003.png is class-1/copy.png)") for note in found.notes)
