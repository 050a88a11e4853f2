"""The pictures of a dataset at another size: the same ones, in the same splits, standardised by the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.networks import datasets
from harness.networks.pictures import preparing

COUNT = 12  # of each of two classes


def write(folder: Path, scaled: int = 16) -> None:
    """Pictures of two classes, each in two files that differ in one pixel, which no smaller size tells apart."""
    random = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for number in range(COUNT // 2):
            pixels = np.kron(random.integers(0, 128, (4, 4)) + 100 * label, np.ones((scaled // 4, scaled // 4))).astype(np.uint8)
            for copy in range(2):
                pixels[0, 0] += copy
                Image.fromarray(pixels).save(folder / name / f"{number}-{copy}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("pictures")
    write(home)
    return f"imagefolder:{home}"


def test_pictures_that_a_smaller_size_makes_alike_are_divided_as_at_the_full_one(folder: str) -> None:
    asked = preparing.of_words("16x16")
    full, small = datasets.load(folder, asked=asked), datasets.load(folder, asked=preparing.of_words("8x8"))
    there = datasets.at_size(full, asked, "8x8")
    assert "copies of a picture together" in " ".join(small.notes), "by itself, it would be divided otherwise"
    for name in ("train", "validation", "test"):
        ours, theirs = getattr(there, name), getattr(full, name)
        assert torch.equal(ours.labels, theirs.labels)
        shrunk = torch.nn.functional.avg_pool2d(theirs.images, 2)
        assert (ours.images - shrunk).abs().mean(dim=(1, 2, 3)).max() < 0.15, "picture by picture the same"
    assert there.preprocessing is not None
    assert full.preprocessing is not None
    assert (there.preprocessing.mean, there.preprocessing.std) == (full.preprocessing.mean, full.preprocessing.std)
    assert there.preprocessing.input_shape == (1, 8, 8)
    assert there.digest != full.digest
    assert datasets.at_size(full, asked, "16x16") is full


@settings(max_examples=8, deadline=None)
@given(height=st.integers(8, 40), width=st.integers(8, 40))
def test_a_built_in_set_keeps_its_splits_and_its_standardisation_at_every_size(height: int, width: int) -> None:
    asked = preparing.of_words()
    full = datasets.load("digits", asked=asked)
    there = datasets.at_size(full, asked, f"{height}x{width}")
    assert there.input_shape == (1, height, width)
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(there, name).labels, getattr(full, name).labels)
    told = there.preprocessing
    assert told is not None
    given_alike = preparing.of_words(f"{height}x{width}", mean=repr(told.mean[0]), std=repr(told.std[0]))
    again = datasets.load("digits", asked=given_alike)
    assert torch.equal(again.test.images, there.test.images)
    assert again.digest == there.digest
