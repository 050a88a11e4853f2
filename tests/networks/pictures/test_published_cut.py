"""The cut by class, and the digits, are scikit-learn's to the last image, which is not imported for them."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from harness.networks.pictures import digits_file, published_cut


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 60), st.integers(0, 2**32 - 1), st.data())
def test_the_same_images_are_held_out_as_by_scikit_learn_or_it_refuses_too(
    counts: list[int], count: int, seed: int, data: st.DataObject
) -> None:
    whole = [label for label, many in enumerate(counts) for _ in range(many)]
    labels = np.array(data.draw(st.permutations(whole)), np.int64)
    try:
        expected = train_test_split(np.arange(len(labels)), test_size=count, stratify=labels, random_state=seed)
    except ValueError:
        with pytest.raises(ValueError, match=r"images are too few|one image alone"):
            published_cut.held_out(labels, count, seed)
        return
    found = published_cut.held_out(labels, count, seed)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.tolist() == sorted(theirs)


def test_the_digits_are_scikit_learns() -> None:
    pixels, digits = digits_file.read()
    theirs = load_digits()
    assert np.array_equal(pixels, theirs.images)
    assert np.array_equal(digits, theirs.target)


def test_datasets_are_read_without_scikit_learn() -> None:
    """It and what it brings along would take as long to import as half of torch, in every process that measures."""
    script = "import sys; from harness.networks import datasets; datasets.load('digits'); print('sklearn' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
