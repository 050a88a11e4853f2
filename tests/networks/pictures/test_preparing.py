"""Words on a command line become a way of preparing pictures, which is torchvision's where it has one, or are refused in one line."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import UsageError
from harness.networks import datasets
from harness.networks.own import torchvision_door
from harness.networks.pictures import large_arrays
from harness.networks.pictures.preparing import Preparation, of_words
from harness.networks.pictures.resizing import of_size

SIDES, LENGTHS = st.integers(1, 60), st.integers(5, 120)


def noise(width: int, height: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(
    width=st.integers(5, 120),
    height=st.integers(5, 120),
    tall=SIDES,
    wide=SIDES,
    more=st.integers(0, 40),
    both=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_length_or_two_resize_and_crop_as_torchvision_does(
    width: int, height: int, tall: int, wide: int, more: int, both: bool, seed: int
) -> None:
    torchvision_door.torchvision()
    transforms = importlib.import_module("torchvision.transforms")
    sides = (tall + more, wide + more // 2)
    side = max(tall, wide) + more
    theirs = transforms.Compose([transforms.Resize(sides if both else side), transforms.CenterCrop((tall, wide))])
    picture = noise(width, height, seed)
    ours = of_size(picture, tall, wide, f"{sides[0]}x{sides[1]}" if both else str(side))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs(picture)))


@given(width=st.integers(1, 90), height=st.integers(1, 90), tall=SIDES, wide=SIDES, resize=st.sampled_from(["cover", "margin"]))
def test_every_size_is_reached(width: int, height: int, tall: int, wide: int, resize: str) -> None:
    found = np.asarray(of_size(Image.new("L", (width, height), 200), tall, wide, resize))
    assert found.shape == (tall, wide)
    assert set(found.ravel().tolist()) <= ({200} if resize == "cover" else {0, 200})
    if resize == "margin":
        assert (found > 0).any()
        assert width > wide or height > tall or int((found > 0).sum()) == width * height, "never enlarged"


def test_words_are_what_they_say() -> None:
    assert of_words("3x224x192", None, "256", "imagenet", None) == Preparation(
        3, 224, 192, "256", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "imagenet"
    )
    assert of_words("48x64") == Preparation(None, 48, 64)
    assert of_words("48x64", 1).channels == 1
    assert of_words() == Preparation(), "as before there were any"
    assert of_words(mean="0.5", std="0.25,0.25,0.5").standardised(3) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.5))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("224",), "--input-shape=224: give channels, height and width"),
        (("3x0x9",), "--input-shape=3x0x9"),
        (("3x224",), "--input-shape=3x224: give channels, height and width, as 3x224x224"),
        (("7x2",), "at least 8 pixels high and wide"),
        (("2x32x32",), "pictures have 1, 3 or 4 channels"),
        (("3x32x32", 1), "--input-shape=3x32x32 and --channels=1 differ"),
        (("3x32x32", None, "31"), "--resize=31: pictures of 32 x 32 cannot be cut out of it; give at least 32"),
        (("3x32x48", None, "32x40"), "give at least 32x48"),
        (("3x32x32", None, "fit"), "--resize=fit: give cover, margin"),
        (("3x32x32", None, None, "0.5"), "give numbers for both"),
        (("3x32x32", None, None, "imagenet", "0.5"), "for both"),
        (("3x32x32", None, None, "0.5", "0"), "above 0"),
        (("3x32x32", None, None, "127.5", "127.5"), "divide by 255"),
        (("3x32x32", None, None, "x", "0.5"), "--mean=x: give data, imagenet, or numbers"),
        (("3x32x32", None, None, "nan", "0.5"), "--mean=nan"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told) as refused:
        of_words(*words)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_means_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(UsageError, match="--mean=0.485,0.456,0.406 for pictures of 1 channels: give 1 or 1 numbers"):
        datasets.load("digits", asked=of_words("32x32", None, None, "imagenet"))


@pytest.mark.parametrize("shape", ["1x28x28", "1x16x24", "3x40x40"])
def test_a_built_in_set_comes_in_any_size_and_standard(shape: str) -> None:
    found = datasets.load("digits", asked=of_words(shape, None, None, "0.5", "0.25"))
    assert "x".join(map(str, found.input_shape)) == shape
    assert found.preprocessing is not None
    assert found.preprocessing.mean == (0.5,) * found.input_shape[0]
    assert -2.0 <= float(found.train.images.min()) < float(found.train.images.max()) <= 2.0
    assert found.digest != datasets.load("digits", asked=of_words(shape)).digest, "other inputs are other data"
    own = datasets.load("digits", asked=of_words(shape)).train.images
    assert abs(float(own.mean())) < 1e-3
    assert abs(float(own.std()) - 1) < 1e-2


def test_large_arrays_lie_on_the_disk_and_hold_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = datasets.load("digits")
    monkeypatch.setattr(large_arrays, "bound_bytes", lambda: 1000)
    mapped = datasets.load("digits")
    assert mapped.digest == before.digest
    assert (mapped.train.images == before.train.images).all()
    kind = large_arrays.empty((40, 40), np.uint8)
    while isinstance(kind, np.ndarray):
        kind = kind.base  # type: ignore[assignment]
    assert type(kind).__name__ in ("mmap", "memoryview")
    assert not list(cache.parent.glob("tmp*")), "nobody else sees it"


def test_without_room_on_the_disk_they_lie_in_memory_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_arrays, "bound_bytes", lambda: 1000)
    monkeypatch.setattr(large_arrays, "_SPARE_BYTES", 1 << 60)
    with pytest.warns(UserWarning, match="kept in memory.*make room there, or give a smaller --input-shape"):
        assert large_arrays.empty((40, 40), np.uint8).shape == (40, 40)
