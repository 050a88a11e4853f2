"""Grey pictures of more than 8 bits keep their shades, whatever of their range is used; pictures that are all alike are no data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DatasetError
from harness.networks import datasets


def write(folder: Path, make: Callable[[np.ndarray], np.ndarray], suffix: str = "png", count: int = 12) -> Path:
    """Pictures of two classes, of which ``make(shades)`` makes what is stored; shades: 36 x 40 between 0 and 1."""
    random = np.random.default_rng(0)
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(make(random.random((36, 40)))).save(folder / label / f"{number}.{suffix}")
    return folder


@given(bits=st.integers(8, 16), is_float=st.booleans(), white=st.sampled_from([1.0, 255.0]))
def test_shades_are_told_apart_whatever_part_of_the_range_is_used(
    tmp_path_factory: pytest.TempPathFactory, bits: int, is_float: bool, white: float
) -> None:
    root = tmp_path_factory.mktemp("depth")
    if is_float:
        write(root, lambda shades: (shades * white).astype(np.float32), "tif")
    else:
        write(root, lambda shades: (shades * ((1 << bits) - 1)).astype(np.uint16))
    found = datasets.pictures(f"imagefolder:{root}")
    eight = datasets.pictures(f"imagefolder:{write(root.parent / f'{root.name}-8', lambda shades: (shades * 255).astype(np.uint8))}")
    shades, expected = (np.sort(one.splits.train.pixels.ravel()).astype(float) for one in (found, eight))
    most = 255 / 2 if not is_float and bits % 2 else 3  # of 9 bits no format knows: they are 10, and half as bright
    assert np.abs(shades - expected).mean() < most
    assert len(set(shades.tolist())) > 60
    assert any("is taken for white" in note for note in found.splits.notes)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda shades: (shades - 0.5).astype(np.float32), r"holds values between -0\.\d+ and 0\.\d+: no telling what is white"),
        (lambda shades: (shades * 1e6).astype(np.float32), "no telling what is white; save grey pictures in 8 or 16 bits"),
        (lambda shades: np.where(shades > 0.9, np.nan, shades).astype(np.float32), "between nan and nan"),
        (lambda shades: (shades * 70_000 + 1).astype(np.int32), "no telling what is white"),
    ],
    ids=["below 0", "a million", "no number", "17 bits"],
)
def test_shades_without_a_white_are_refused_in_one_line(tmp_path: Path, make: Callable[[np.ndarray], np.ndarray], told: str) -> None:
    with pytest.raises(DatasetError, match=told) as refused:
        datasets.load(f"imagefolder:{write(tmp_path, make, 'tif')}")
    assert "\n" not in str(refused.value)


def test_floating_point_beside_whole_numbers_is_refused(tmp_path: Path) -> None:
    write(tmp_path, lambda shades: (shades * 65535).astype(np.uint16))
    Image.fromarray(np.ones((36, 40), np.float32) / 3).save(tmp_path / "a" / "float.tif")
    with pytest.raises(DatasetError, match=r"float\.tif is floating point, .* is not"):
        datasets.load(f"imagefolder:{tmp_path}")


def test_pictures_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    write(tmp_path, lambda shades: np.full((36, 40), 7, np.uint8))
    with pytest.raises(DatasetError, match="all 24 pictures below .* are alike as they are read"):
        datasets.load(f"imagefolder:{tmp_path}")


def test_many_files_that_are_few_pictures_are_told(tmp_path: Path) -> None:
    def make(shades: np.ndarray) -> np.ndarray:
        wide = np.full((36, 90), 200 if shades[0, 0] > 0.5 else 10)
        wide[:, :8] = shades[:, :8] * 255  # which is cut off
        return wide.astype(np.uint8)

    for split in ("train", "val", "test"):
        write(tmp_path / split, make)
    notes = " ".join(datasets.load(f"imagefolder:{tmp_path}").notes)
    assert "different files are" in notes
    assert "different pictures as they are read" in notes


def test_a_picture_stored_anew_in_another_format_is_a_copy(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write(tmp_path / split, lambda shades: (shades * 255).astype(np.uint8))
        shift = {"train": 0, "val": 1, "test": 2}[split]
        for file in (tmp_path / split).glob("*/*.png"):
            Image.fromarray(np.roll(np.asarray(Image.open(file)), shift, 1)).save(file)
    assert not [note for note in datasets.load(f"imagefolder:{tmp_path}").notes if "too" in note]
    Image.open(tmp_path / "train" / "a" / "3.png").save(tmp_path / "test" / "a" / "copy.bmp")
    notes = datasets.load(f"imagefolder:{tmp_path}").notes
    assert any(note.startswith("1 of the 25 test pictures lies in train too (test/a/copy.bmp is train/a/3.png)") for note in notes), notes
