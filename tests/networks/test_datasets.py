"""Datasets are complete, split the same way every time, and a damaged one is told by its file."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DatasetError, UnknownName, UsageError
from harness.networks import datasets, idx_files
from harness.networks.datasets import Pictures
from harness.networks.own import torchvision_door
from harness.networks.pictures.division import Division, Labelled
from harness.networks.pictures.standardising import mean_and_deviation, scale_and_shift

BASELINES = Path(__file__).parent.parent.parent / "reports" / "baselines"
CLASSES = ("ant", "bee")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 20 images: dark ants and bright bees, of several sizes and modes."""
    generator = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        for index in range(20):
            size = (40 + index, 36) if index % 2 else (30, 33)
            pixels = generator.integers(label * 128, label * 128 + 127, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert("L" if index % 3 == 0 else "RGB").save(tmp_path / name / f"{index}.png")
    return tmp_path


def test_digits_are_stratified_normalised_and_the_same_every_time() -> None:
    digits = datasets.load("digits")
    assert (digits.input_shape, digits.classes) == ((1, 32, 32), 10)
    assert [len(split) for split in (digits.train, digits.validation, digits.test)] == [1157, 280, 360]
    assert digits.train.images.dtype == torch.float32
    assert digits.train.labels.dtype == torch.int64
    assert abs(float(digits.train.images.mean())) < 1e-4
    assert abs(float(digits.train.images.std()) - 1) < 1e-3
    for split in (digits.train, digits.validation, digits.test):
        counts = torch.bincount(split.labels, minlength=10) / len(split)
        assert float((counts - 0.1).abs().max()) < 0.01
    assert digits.digest == datasets.load("digits").digest
    assert not digits.mirrored


def test_no_image_is_in_two_splits() -> None:
    digits = datasets.load("digits")
    images = [split.images.flatten(1).numpy().tobytes() for split in (digits.train, digits.validation, digits.test)]
    rows = [{data[start : start + 4096] for start in range(0, len(data), 4096)} for data in images]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


def test_an_unknown_dataset_is_told() -> None:
    with pytest.raises(UnknownName, match="did you mean 'digits'.*imagefolder:PATH"):
        datasets.load("digit")
    with pytest.raises(DatasetError, match="needs a path"):
        datasets.load("imagefolder:")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape) + array.tobytes()


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A small fashion-mnist of 300 + 40 images, one file of each kind unpacked."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 300), ("t10k", 40)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


def test_fashion_mnist_is_read_padded_and_split(fashion: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "VALIDATION_COUNT", 50)
    found = datasets.load("fashion-mnist", fashion)
    assert [len(split) for split in (found.train, found.validation, found.test)] == [250, 50, 40]
    assert found.input_shape == (1, 32, 32)
    edge = found.train.images[:, :, :2]
    assert float(edge.std()) < 1e-4, "the margin is background"
    assert found.mirrored
    assert found.class_names[9] == "Ankle boot"
    assert found.notes == ("validation: 50 of the 300 training pictures, by class",)


def test_foreign_weights_are_judged_on_official_test_images(fashion: Path) -> None:
    found = datasets.load("fashion-mnist", fashion, validation_from="test")
    assert len(found.train) == 300
    assert [torch.bincount(split.labels).tolist() for split in (found.validation, found.test)] == [[2] * 10, [2] * 10]
    assert found.notes == ("validation: 20 of the 40 test pictures, by class",)


def test_stored_results_name_the_division_that_is_made_today() -> None:
    assert datasets.load("digits").digest == "57e4cdc019b48060"


@pytest.mark.skipif(not idx_files.DEBIAN_FOLDER.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_baselines_were_trained_on_todays_fashion_mnist() -> None:
    named = {json.loads(path.read_text())["dataset_digest"] for path in BASELINES.glob("*-fashion-mnist-*.json")}
    assert named == {datasets.load("fashion-mnist").digest}


@given(seed=st.integers(0, 99))
def test_the_order_of_images_does_not_change_a_bit_of_them(seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (2000, 3, 4, 4), dtype=np.uint8)
    order = generator.permutation(2000)
    first, second = (scale_and_shift(*mean_and_deviation(images)) for images in (pixels, pixels[order]))
    assert [array.tobytes() for array in first] == [array.tobytes() for array in second]
    deviation = pixels.std((0, 2, 3), dtype=np.float64)
    assert np.allclose(first[0], 1 / deviation, rtol=1e-6)
    assert np.allclose(first[1], pixels.mean((0, 2, 3)) / deviation, rtol=1e-6)


def test_a_constant_channel_stays_constant() -> None:
    scale, shift = scale_and_shift(*mean_and_deviation(np.full((5, 1, 2, 2), 51, np.uint8)))
    assert scale[0] * 51 == pytest.approx(shift[0])


def test_digits_in_three_channels_and_colours_in_one(fashion: Path) -> None:
    grey, rgb = datasets.load("digits"), datasets.load("digits", channels=3)
    assert torch.equal(grey.test.images.expand(-1, 3, -1, -1), rgb.test.images)
    coloured = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 5), dtype=np.uint8)
    part = Labelled(coloured, np.arange(4))
    turned = datasets._with_channels(Pictures(Division(part, part, part), tuple("abcd"), mirrored=True), 1).splits.train.pixels
    for ours, theirs in zip(turned, coloured, strict=True):
        assert np.array_equal(ours[0], np.asarray(Image.fromarray(theirs.transpose(1, 2, 0)).convert("L")))
    with pytest.raises(UsageError, match="images of 2 channels"):
        datasets.load("digits", channels=2)


def test_digits_say_how_they_were_divided() -> None:
    notes = datasets.load("digits", validation_from="test").notes
    assert notes[:2] == ("test: 360 of the 1797 pictures, by class", "validation: 280 of the 1437 other pictures, by class")
    assert "nobody knows" in notes[2]
    assert datasets.load("digits").notes == notes[:2]


@pytest.mark.skipif(not idx_files.DEBIAN_FOLDER.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_complete() -> None:
    folder = idx_files.find_fashion_mnist(None)
    assert idx_files.read(folder, "train-images-idx3-ubyte", 3).shape == (60_000, 28, 28)
    assert np.bincount(idx_files.read_labels(folder, "t10k", 10)).tolist() == [1000] * 10


@given(length=st.integers(0, 60))
def test_every_truncation_of_an_idx_file_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.mktemp("idx")
    whole = idx(np.arange(48, dtype=np.uint8).reshape(3, 4, 4))
    (folder / "part").write_bytes(whole[:length])
    with pytest.raises(DatasetError, match="part.*fetch it again"):
        idx_files.read(folder, "part", 3)


def test_damaged_fashion_mnist_files_are_named(fashion: Path) -> None:
    (fashion / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"x" * 99)[:-4])
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz cannot be read"):
        datasets.load("fashion-mnist", fashion)
    (fashion / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DatasetError, match="does not hold the four files"):
        datasets.load("fashion-mnist", fashion)


def test_labels_beyond_the_classes_are_refused(fashion: Path) -> None:
    (fashion / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(40, 10, np.uint8)))
    with pytest.raises(DatasetError, match="names class 10 of 10"):
        datasets.load("fashion-mnist", fashion)


def test_datasets_that_cannot_be_fetched_say_where_to_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline:
        @staticmethod
        def refuse(*_: object, **__: object) -> None:
            raise OSError("no route to host")

        CIFAR10 = FashionMNIST = refuse

    monkeypatch.setattr(torchvision_door, "datasets", Offline)
    monkeypatch.setattr(idx_files, "DEBIAN_FOLDER", tmp_path / "absent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DatasetError, match="no route to host.*apt-get install dataset-fashion-mnist"):
        datasets.load("fashion-mnist")
    with pytest.raises(DatasetError, match="no route to host.*put cifar-10-batches-py there"):
        datasets.load("cifar10")


def test_a_folder_of_images_is_split_by_class(folder: Path) -> None:
    found = datasets.load(f"imagefolder:{folder}")
    assert (found.input_shape, found.classes) == ((3, 32, 32), 2)
    assert [torch.bincount(split.labels).tolist() for split in (found.train, found.validation, found.test)] == [[13, 13], [3, 3], [4, 4]]
    bright = found.test.images.mean((1, 2, 3)) > 0
    assert torch.equal(bright.long(), found.test.labels), "a label goes with its own image"
    assert found.digest == datasets.load(f"imagefolder:{folder}").digest


def test_a_changed_image_changes_the_digest(folder: Path) -> None:
    before = datasets.load(f"imagefolder:{folder}").digest
    Image.new("RGB", (32, 32), (9, 9, 9)).save(folder / "ant" / "0.png")
    assert datasets.load(f"imagefolder:{folder}").digest != before


def test_split_folders_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "split"
    for part in ("train", "val", "test"):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for index in range(3):
                (root / part / name / f"{index}.png").write_bytes((folder / name / f"{index}.png").read_bytes())
    found = datasets.load(f"imagefolder:{root}")
    assert [len(split) for split in (found.train, found.validation, found.test)] == [6, 6, 6]
    (root / "test" / "cat").mkdir()
    with pytest.raises(DatasetError, match="different classes"):
        datasets.load(f"imagefolder:{root}")


def damage(folder: Path, case: str) -> None:
    if case == "unreadable":
        (folder / "bee" / "3.png").write_bytes(b"no image")
    elif case == "truncated":
        path = folder / "bee" / "3.png"
        path.write_bytes(path.read_bytes()[:200])
    elif case == "empty class":
        (folder / "cat").mkdir()
    elif case == "too few":
        (folder / "cat").mkdir()
        (folder / "cat" / "0.png").write_bytes((folder / "bee" / "0.png").read_bytes())
    elif case == "no images":
        for path in folder.glob("*/*.png"):
            path.unlink()
    elif case == "half split":
        (folder / "train").mkdir()
    elif case == "one class":
        for path in (folder / "bee").iterdir():
            path.unlink()
        (folder / "bee").rmdir()


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("unreadable", r"bee/3\.png is not a readable image"),
        ("truncated", r"bee/3\.png is not a readable image"),
        ("empty class", "cat holds no images"),
        ("too few", "cat holds 1 images; give at least 3"),
        ("no images", "ant holds no images"),
        ("half split", "holds only train"),
        ("one class", "at least two"),
        ("missing", "there is no folder"),
    ],
)
def test_a_damaged_folder_is_told_by_its_file(folder: Path, case: str, told: str) -> None:
    damage(folder, case)
    with pytest.raises(DatasetError, match=told):
        datasets.load(f"imagefolder:{folder / 'nowhere' if case == 'missing' else folder}")
