"""What a folder becomes is decided by its pictures, not by the names of files or by the order in which they lie."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DatasetError
from harness.networks import datasets
from harness.networks.datasets import Dataset

SPLITS = ("train", "validation", "test")
Draw = Callable[..., None]


def load(folder: Path, **words: object) -> Dataset:
    return datasets.load(f"imagefolder:{folder}", **words)  # type: ignore[arg-type]


def shuffled(folder: Path, copy: Path, seed: int) -> Path:
    """The same pictures under other names, written in another order."""
    generator = random.Random(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for file in generator.sample(files, len(files)):
        place = copy / file.parent.relative_to(folder)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place / f"{generator.getrandbits(64):016x}{file.suffix.upper()}")
    return copy


def same(first: Dataset, second: Dataset) -> bool:
    pairs = [(getattr(first, split), getattr(second, split)) for split in SPLITS]
    return first.digest == second.digest and all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in pairs)


@given(sizes=st.lists(st.integers(3, 12), min_size=2, max_size=4), seed=st.integers(0, 99), divided=st.booleans())
def test_names_and_order_of_files_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, draw: Draw, sizes: list[int], seed: int, divided: bool
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for place in (folder / "train", folder / "test") if divided else (folder,):
        draw(place, sizes, seed + len(place.name))
    with pytest.MonkeyPatch.context() as patch:
        before = load(folder)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))  # read, not found in the cache
        assert same(before, load(shuffled(folder, tmp_path_factory.mktemp("copy"), seed)))


def test_classes_are_mixed_in_every_split(tmp_path: Path, draw: Draw) -> None:
    for split in ("train", "val", "test"):
        draw(tmp_path / split, (200, 200, 200), len(split))
    found = load(tmp_path)
    for split in SPLITS:
        head = torch.bincount(getattr(found, split).labels[:150], minlength=3)
        assert head.min() >= 30, "a quarter of a set of three equal classes holds about fifty of each"


def test_twins_with_two_labels_are_in_one_order(tmp_path: Path, draw: Draw) -> None:
    for split in ("train", "val", "test"):
        draw(tmp_path / "a" / split, (5, 5), len(split))
        for number in range(5):
            place = tmp_path / "a" / split
            shutil.copyfile(place / "class-0" / f"{number:04}.png", place / "class-1" / f"twin-{number}.png")
    assert same(load(tmp_path / "a"), load(shuffled(tmp_path / "a", tmp_path / "b", 7)))


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_stays_grey_unless_rgb_is_asked_for(tmp_path: Path, draw: Draw, mode: str) -> None:
    draw(tmp_path, (6, 7), mode=mode)
    grey, rgb = load(tmp_path), load(tmp_path, channels=3)
    assert (grey.input_shape, rgb.input_shape) == ((1, 32, 32), (3, 32, 32))
    assert torch.equal(grey.train.images.expand(-1, 3, -1, -1), rgb.train.images), "the same pictures in the same splits"
    assert same(grey, load(tmp_path, channels=1))


def test_one_coloured_picture_makes_all_rgb(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (70, 70), mode="L")
    Image.new("RGB", (32, 32), (200, 20, 20)).save(tmp_path / "class-1" / "red.png")
    assert load(tmp_path).input_shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("folders", "cut"),
    [
        (("train", "val", "test"), ""),
        (("training", "valid", "testing"), ""),
        (("train", "validation"), "test"),
        (("training", "test"), "validation"),
    ],
)
def test_splits_by_any_of_their_names(tmp_path: Path, draw: Draw, folders: tuple[str, ...], cut: str) -> None:
    for place, name in enumerate(folders):
        draw(tmp_path / name, (10 + place, 20 + place), seed=place)
    found = load(tmp_path)
    given_names = {"train": "train", "training": "train", "test": "test", "testing": "test"}
    for place, name in enumerate(folders):
        split = given_names.get(name, "validation")
        whole = 30 + 2 * place
        assert len(getattr(found, split)) == (whole - whole // 5 if split == "train" and cut else whole)
    assert any(note.startswith(f"{cut}: 6 of the 30 training pictures") for note in found.notes) == bool(cut)
    assert ("validation as given: it must not have been trained on" in found.notes) == (cut != "validation")


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (("train",), "holds only train; give train and test"),
        (("val", "test"), "holds only val and test"),
        (("train", "val", "valid"), "holds both val and valid; keep one"),
    ],
)
def test_other_sets_of_splits_are_refused(tmp_path: Path, draw: Draw, folders: tuple[str, ...], told: str) -> None:
    for name in folders:
        draw(tmp_path / name, (5, 5))
    with pytest.raises(DatasetError, match=told):
        load(tmp_path)


def test_classes_may_be_called_as_splits_are(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (9, 9))
    (tmp_path / "class-0").rename(tmp_path / "valid")
    (tmp_path / "class-1").rename(tmp_path / "invalid")
    assert load(tmp_path).class_names == ("invalid", "valid")


def test_classes_of_very_unequal_size(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (200, 4, 90))
    for source in ("train", "test"):
        found = load(tmp_path, validation_from=source)
        assert all(torch.bincount(getattr(found, split).labels, minlength=3).min() >= 1 for split in SPLITS)
        assert "test: a single picture of class-1, which is right or wrong and says little" in found.notes
    assert found.class_names == ("class-0", "class-1", "class-2")


def test_what_is_hidden_is_left_out_and_subfolders_are_read(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (6, 6))
    before = load(tmp_path).digest
    (tmp_path / "class-0" / "._0000.png").write_bytes(b"what some systems leave beside a picture")
    (tmp_path / "class-0" / ".checkpoints").mkdir()
    (tmp_path / "class-0" / ".checkpoints" / "0000.png").write_bytes(b"")
    (tmp_path / "class-0" / "deeper").mkdir()
    (tmp_path / "class-0" / "0000.png").rename(tmp_path / "class-0" / "deeper" / "0.png")
    assert load(tmp_path).digest == before
