"""A set written as a folder of pictures is the same set when it is read again."""

from collections import Counter
from pathlib import Path

import pytest

from harness.errors import DatasetError, UsageError
from harness.networks import datasets, written_folder
from harness.networks.datasets import Pictures
from harness.networks.pictures import idx_files, preparing
from harness.networks.pictures.division import Labelled

SPLITS = ("train", "validation", "test")


def contents(*parts: Labelled) -> Counter[tuple[bytes, int]]:
    """Every picture with its label, in no order."""
    return Counter((pixels.tobytes(), label) for part in parts for pixels, label in zip(part.pixels, part.labels.tolist(), strict=True))


def read(folder: Path) -> Pictures:
    return datasets.pictures(f"imagefolder:{folder}")


@pytest.mark.parametrize("names", written_folder.NAMES)
def test_digits_come_back_split_by_split(tmp_path: Path, names: str) -> None:
    digits = datasets.pictures("digits")
    assert written_folder.write("digits", tmp_path, names=names) == 1797
    found = read(tmp_path)
    for split in SPLITS:
        assert contents(getattr(found.splits, split)) == contents(getattr(digits.splits, split))
    assert found.class_names == digits.class_names


@pytest.mark.parametrize(
    ("layout", "kept"),
    [("train-test", (("test",), ("train", "validation"))), ("train-val", (("validation",), ("train", "test"))), ("single", (SPLITS,))],
)
def test_digits_in_every_layout(tmp_path: Path, layout: str, kept: tuple[tuple[str, ...], ...]) -> None:
    digits = datasets.pictures("digits")
    written_folder.write("digits", tmp_path, layout=layout, names="shuffled")
    found = read(tmp_path)
    for splits in kept:
        ours, theirs = ([getattr(one.splits, split) for split in splits] for one in (found, digits))
        assert contents(*ours) == contents(*theirs)


@pytest.mark.skipif(not idx_files.DEBIAN_FOLDER.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_fashion_mnist_comes_back_with_its_labels(tmp_path: Path) -> None:
    """All 70,000 pictures are written and read by hand, not here: a part of each split shows the same."""
    fashion = datasets.pictures("fashion-mnist")
    assert written_folder.write("fashion-mnist", tmp_path, limit=300, names="shuffled") == 900
    found = read(tmp_path)
    for split in SPLITS:
        ours, theirs = contents(getattr(found.splits, split)), contents(getattr(fashion.splits, split))
        assert ours <= theirs
        assert Counter(label for _, label in ours.elements()) == dict.fromkeys(range(10), 30)
    assert found.class_names[0] == "0-T-shirt-top", "in order of labels"


def test_shuffled_names_are_the_seeds(tmp_path: Path) -> None:
    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        written_folder.write("digits", tmp_path / place, names="shuffled", limit=20, seed=seed)
    a, b, c = ({str(path.relative_to(tmp_path / place)) for path in (tmp_path / place).rglob("*.png")} for place in "abc")
    assert a == b
    assert not a & c


def test_the_command_line_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["digits", str(tmp_path / "d"), "--layout=single", "--limit=20"]
    assert written_folder.main(words) == 0
    assert f"60 images in {tmp_path / 'd'}; use them by --dataset=imagefolder:{tmp_path / 'd'}" in capsys.readouterr().out
    assert written_folder.main(words) == 2
    assert "holds something already" in capsys.readouterr().err


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match="cannot be written"):
        written_folder.write("digits", tmp_path / "file" / "below", limit=10)
    with pytest.raises(UsageError, match="--layout=flat: choose one of splits"):
        written_folder.write("digits", tmp_path / "d", layout="flat")
    with pytest.raises(UsageError, match="--limit=0"):
        written_folder.write("digits", tmp_path / "d", limit=0)


@pytest.mark.parametrize("words", ["--seed=-1", "--limit=0"])
def test_numbers_out_of_range_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        written_folder.main(["digits", str(tmp_path / "d"), words])
    name, number = words.split("=")
    assert f"argument {name}: {number} is out of range; give a whole number from " in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_pictures_are_written_in_the_size_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert written_folder.main(["digits", str(tmp_path / "large"), "--limit=10", "--input-shape=3x64x48"]) == 0
    found = datasets.pictures(f"imagefolder:{tmp_path / 'large'}", asked=preparing.of_words("64x48"))
    same = datasets.pictures("digits", asked=preparing.of_words("3x64x48"))
    assert found.splits.train.pixels.shape == (10, 3, 64, 48)
    assert contents(found.splits.train) <= contents(same.splits.train)
    assert written_folder.main(["digits", str(tmp_path / "none"), "--input-shape=large"]) == 2
    assert "--input-shape=large" in capsys.readouterr().err
