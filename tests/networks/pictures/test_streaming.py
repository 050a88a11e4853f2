"""Pictures that do not fit in memory: the same inputs, within a bound that is kept and said."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import UsageError
from harness.networks import datasets
from harness.networks.drawing import draw
from harness.networks.pictures import large_arrays
from harness.networks.splits import Split, Standard, StreamedSplit, joined

SIDE, PICTURES = 160, 600  # 44 MiB as bytes, 176 MiB in float32
MIB = 1 << 20
LOOKED = """
import sys
import torch
from harness.networks import datasets
from harness.networks.pictures.preparing import of_words
from harness.training import accuracy, finetune, guidance, recipes
torch.set_num_threads(1)
recipe = recipes.Recipe(epochs=1, learning_rate=1e-3, batch_size=16, calibration_images=64)

def peak_kib():  # ru_maxrss begins with the peak of the process that started this one
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

def use(found):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(found.input_shape[0], 2, 9, 9), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.LazyLinear(found.classes)
    )
    net(torch.zeros(2, *found.input_shape))
    finetune.finetune(net, found, recipe)
    accuracy.evaluate(net, found.test, 16)
    guidance.answers(net, found, True)

use(datasets.load("digits"))  # what torch loads and keeps, whatever the pictures
before = peak_kib()
found = datasets.load("imagefolder:" + sys.argv[1], asked=of_words("3x160x160"))
use(found)
print((peak_kib() - before) >> 10, found.digest, *found.notes)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth pictures of three classes, small as files."""
    made, random = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    for number in range(PICTURES):
        place = made / f"class-{number % 3}"
        place.mkdir(exist_ok=True)
        small = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(place / f"{number}.jpg", quality=80)
    return made


def loaded(folder: Path, bound_mib: int) -> tuple[int, str, str]:
    """MiB by which the peak rose while a process read the folder, trained on it and judged; its digest and its notes."""
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(folder.parent), large_arrays.BOUND_VARIABLE: str(bound_mib), "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", LOOKED, str(folder)], capture_output=True, text=True, check=True, env=surroundings).stdout
    peak, digest, notes = told.split(maxsplit=2)
    return int(peak), digest, notes


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no peak")
def test_the_bound_is_kept_and_said(folder: Path) -> None:
    """What is allowed above the bound is what is at work: a few batches, files that are being decoded."""
    streamed, held = loaded(folder, 16), loaded(folder, 2048)
    assert streamed[0] < 16 + 100 < PICTURES * 3 * SIDE * SIDE * 4 // MIB < held[0]
    assert streamed[1] == held[1], "the same data"
    assert "more than the 16 MiB of memory that pictures may take here" in streamed[2]
    assert "MiB" not in held[2]


@given(data=st.data())
def test_a_streamed_split_is_the_one_in_memory(data: st.DataObject) -> None:
    count, channels = data.draw(st.integers(1, 700)), data.draw(st.sampled_from((1, 3)))
    random = np.random.default_rng(count)
    pixels = random.integers(0, 256, (count, channels, 3, 5), dtype=np.uint8)
    scale, shift = (torch.from_numpy(random.random((channels, 1, 1)).astype(np.float32)) for _ in range(2))
    labels = torch.from_numpy(random.integers(0, 3, count))
    streamed = StreamedSplit(pixels, labels, Standard(scale, shift))
    whole = Split(torch.from_numpy(pixels.astype(np.float32)) * scale - shift, labels)
    assert torch.equal(streamed.images, whole.images)
    assert (len(streamed), streamed.image_shape) == (len(whole), whole.image_shape)
    size = data.draw(st.integers(1, 256))
    for ours, theirs in zip(streamed.batches(size), whole.batches(size), strict=True):
        assert torch.equal(ours, theirs)
    numbers = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=9)))
    assert torch.equal(streamed.taken(numbers), whole.images[numbers])
    assert torch.equal(joined((streamed, numbers), (whole, numbers)).images, torch.cat([whole.images[numbers]] * 2))
    assert (streamed.content_keys == whole.content_keys).all()
    assert torch.equal(draw(streamed, 5).numbers, draw(whole, 5).numbers)


def test_a_built_in_set_is_the_same_when_it_is_streamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = datasets.load("digits")
    monkeypatch.setattr(large_arrays, "bound_bytes", lambda: 1000)
    monkeypatch.setattr(large_arrays, "cache_folder", lambda: tmp_path)
    streamed = datasets.load("digits")
    assert isinstance(streamed.train, StreamedSplit)
    assert streamed.digest == before.digest
    assert torch.equal(streamed.train.images, before.train.images)
    assert streamed.notes[:-1] == before.notes


def test_a_bound_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for told in ("0", "much", "1.5"):
        monkeypatch.setenv(large_arrays.BOUND_VARIABLE, told)
        with pytest.raises(UsageError, match="whole number of MiB"):
            large_arrays.bound_bytes()
    monkeypatch.delenv(large_arrays.BOUND_VARIABLE)
    assert large_arrays.LEAST_BYTES <= large_arrays.bound_bytes() <= large_arrays.MOST_BYTES
    monkeypatch.setattr(large_arrays, "_available_bytes", lambda: 0)
    large_arrays._bound_here.cache_clear()
    assert large_arrays.bound_bytes() == large_arrays.LEAST_BYTES
    large_arrays._bound_here.cache_clear()


def test_memory_that_is_given_back_may_be_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_arrays, "bound_bytes", lambda: sum(large_arrays._held.values()) + 10 * MIB)
    bound = large_arrays.bound_bytes()
    monkeypatch.setattr(large_arrays, "bound_bytes", lambda: bound)
    held = large_arrays.empty((8, MIB), np.uint8)
    assert not large_arrays.fits(8 * MIB)
    del held
    assert large_arrays.fits(8 * MIB)
