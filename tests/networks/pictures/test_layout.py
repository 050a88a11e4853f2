"""Which files of a folder are read, as what: nothing that was given is lost, or taken for something else, without a word."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, features

from harness.errors import DatasetError
from harness.networks import datasets
from harness.networks.datasets import Dataset

Draw = Callable[..., None]


def load(folder: Path, **words: object) -> Dataset:
    return datasets.load(f"imagefolder:{folder}", **words)  # type: ignore[arg-type]


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        load(folder)
    told = str(caught.value)
    assert told.isprintable(), "one line"
    return told


def stray(place: Path) -> None:
    Image.new("L", (32, 32), 9).save(place)


@pytest.fixture
def divided(tmp_path: Path, draw: Draw) -> Path:
    """Train and test, each of two classes."""
    draw(tmp_path / "set" / "train", (10, 12), 1)
    draw(tmp_path / "set" / "test", (6, 7), 2)
    return tmp_path / "set"


@pytest.mark.parametrize("names", [("Train", "Test"), ("TRAIN", "TEST"), ("Training", "Testing"), ("Train", "test")], ids="-".join)
def test_names_of_splits_are_known_in_capitals_too(divided: Path, names: tuple[str, str]) -> None:
    before = load(divided)
    for old, new in zip(("train", "test"), names, strict=True):
        (divided / old).rename(divided / f"{old}-renamed")
        (divided / f"{old}-renamed").rename(divided / new)
    assert load(divided).digest == before.digest


@pytest.mark.parametrize("name", ["val", "Valid", "Validation", "dev", "DEV"])
def test_validation_is_known_by_all_its_names(divided: Path, draw: Draw, name: str) -> None:
    draw(divided / name, (4, 4), 3)
    assert len(load(divided).validation) == 8


@pytest.mark.parametrize("places", [("train", "test"), ("train",), ("test",)], ids="-".join)
def test_a_stray_picture_makes_no_class_of_a_split(divided: Path, places: tuple[str, ...]) -> None:
    for place in places:
        stray(divided / place / "lost.png")
    told = refusal(divided)
    assert f"outside class folders ({', '.join(sorted(f'{place}/lost.png' for place in places))}); move" in told
    assert "remove" in told


def test_test_pictures_without_classes_are_told(divided: Path) -> None:
    shutil.rmtree(divided / "test")
    (divided / "test").mkdir()
    for number in range(5):
        stray(divided / "test" / f"{number}.png")
    assert "5 pictures outside class folders (test/0.png, test/1.png, test/2.png and 2 more)" in refusal(divided)


def test_splits_without_any_class_are_no_classes(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (5, 5))
    (tmp_path / "class-0").rename(tmp_path / "Train")
    (tmp_path / "class-1").rename(tmp_path / "Test")
    assert "10 pictures outside class folders (Test/0000.png, " in refusal(tmp_path)


def test_a_class_folder_may_be_called_as_a_picture_is(divided: Path) -> None:
    for split in ("train", "test"):
        (divided / split / "class-0").rename(divided / split / "1.png")
    assert load(divided).class_names == ("1.png", "class-1")


def test_folders_beside_the_splits_are_named(divided: Path, draw: Draw) -> None:
    draw(divided / "extra", (3, 3))
    assert "not read: the folder extra beside train and test" in load(divided).notes


@pytest.mark.parametrize("is_divided", [True, False])
def test_pictures_beside_the_folders_are_counted(divided: Path, is_divided: bool) -> None:
    folder = divided if is_divided else divided / "train"
    before = load(folder)
    for number in range(4):
        stray(folder / f"{number}.png")
    found = load(folder)
    assert found.digest == before.digest
    assert "not read: 4 pictures beside the folders (0.png, 1.png, 2.png and 1 more)" in found.notes


@pytest.mark.parametrize(
    ("suffix", "form"),
    [
        (".jfif", "JPEG"),
        (".JPE", "JPEG"),
        (".pnm", "PPM"),
        pytest.param(".avif", "AVIF", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")),
        pytest.param(".jp2", "JPEG2000", marks=pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow reads no JPEG 2000")),
    ],
)
def test_every_suffix_of_a_readable_format_is_read(divided: Path, suffix: str, form: str) -> None:
    Image.new("RGB", (40, 40), (1, 2, 3)).save(divided / "test" / "class-0" / f"more{suffix}", form)
    assert len(load(divided).test) == 14


def test_pictures_of_other_formats_are_counted(divided: Path) -> None:
    for name in ("a.heic", "b.HEIC", "c.svg"):
        (divided / "train" / "class-0" / name).write_bytes(b"")
    assert "not read: 3 files of a format that Pillow does not read here (.heic, .svg); convert them to PNG" in load(divided).notes
    (divided / "train" / "class-2").mkdir()
    (divided / "test" / "class-2").mkdir()
    (divided / "train" / "class-2" / "a.heic").write_bytes(b"")
    assert "class-2 holds no images" in refusal(divided)


@pytest.mark.timeout(30)
def test_only_regular_files_are_opened(divided: Path) -> None:
    before = load(divided).digest
    os.mkfifo(divided / "train" / "class-0" / "z.png")
    (divided / "train" / "class-1" / "endless.png").symlink_to("/dev/zero")
    found = load(divided)
    assert found.digest == before
    assert "not read: 2 that are no regular files (endless.png, z.png)" in found.notes


def test_linked_pictures_and_classes_are_read_and_deeper_linked_folders_told(divided: Path, tmp_path: Path) -> None:
    before = load(divided).digest
    (divided / "train" / "class-0").rename(tmp_path / "elsewhere")
    (divided / "train" / "class-0").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "0000.png").rename(tmp_path / "one.png")
    (tmp_path / "elsewhere" / "0000.png").symlink_to(tmp_path / "one.png")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    found = load(divided)
    assert found.digest == before
    assert "not read: 1 linked folder below a class (loop)" in found.notes


def test_a_link_that_leads_nowhere_is_told(divided: Path) -> None:
    (divided / "train" / "class-0" / "gone.png").symlink_to(divided / "nowhere.png")
    assert "gone.png is a link that leads nowhere; mend it, or remove it" in refusal(divided)


def test_names_with_line_breaks_are_told_in_one_line(divided: Path) -> None:
    (divided / "train" / "class-0" / "two\nlines.png").write_bytes(b"no picture")
    assert r"two\nlines.png is not a readable image" in refusal(divided)


def test_classes_with_line_breaks_in_notes(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path, (3, 30))
    (tmp_path / "class-0").rename(tmp_path / "class\n0")
    assert all(note.isprintable() for note in load(tmp_path).notes)


@pytest.mark.parametrize("beside", ["nothing", "another set", "another class"])
def test_a_folder_around_a_set_is_told(divided: Path, draw: Draw, beside: str) -> None:
    if beside == "another set":
        shutil.copytree(divided, divided.parent / "other")
    elif beside == "another class":
        draw(divided.parent, (5,))
    told = refusal(divided.parent)
    assert "holds train and test" in told or "holds test and train" in told
    assert f"give {divided.parent / 'other' if beside == 'another set' else divided}" in told


def test_a_folder_around_undivided_classes_is_told(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "set", (5, 5))
    assert f"give {tmp_path / 'set'}" in refusal(tmp_path)


def test_splits_inside_of_classes_are_told(tmp_path: Path, draw: Draw) -> None:
    draw(tmp_path / "cat", (5, 6), 1)
    draw(tmp_path / "dog", (5, 6), 2)
    for name in ("cat", "dog"):
        (tmp_path / name / "class-0").rename(tmp_path / name / "train")
        (tmp_path / name / "class-1").rename(tmp_path / name / "test")
    assert f"put the split outside, as {tmp_path / 'test' / 'cat'}" in refusal(tmp_path)
