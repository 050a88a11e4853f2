"""What a folder of JPEG files costs at the first start and at every other, beside decoding one file after the other each time.

``pytest tests/performance/test_reading_pictures.py --benchmark-only -s`` reads thousands of files and prints the ratios; without that
flag a few are read. Nothing is asserted of times: how many processors are free decides them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from harness.networks.pictures import image_folder, picture_cache
from harness.networks.pictures.preparing import Preparation

SIDE, CLASSES = 32, 10
SQUARE = Preparation(3, SIDE, SIDE)
ROUNDS = 3


@dataclass(frozen=True)
class Kind:
    """Pictures of one size."""

    name: str
    height: int
    width: int
    count: int


KINDS = (Kind("28 x 28", 28, 28, 6000), Kind("375 x 500", 375, 500, 1500))


def drawn(folder: Path, kind: Kind, count: int) -> Path:
    generator = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class-{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        small.resize((kind.width, kind.height), Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)
    return folder


def one_after_the_other(folder: Path) -> np.ndarray:
    """As pictures were read before there was a cache."""
    found = []
    for file in sorted(folder.rglob("*.jpg")):
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        scale = SIDE / min(image.size)
        image = image.resize((max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale))), Image.Resampling.BILINEAR)
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        cut = image.crop((left, top, left + SIDE, top + SIDE))
        found.append(np.ascontiguousarray(np.asarray(cut, np.uint8).transpose(2, 0, 1)))
    return np.stack(found)


def least_s(work: Callable[[], object], before: Callable[[], object] = int) -> float:
    """The least time of a few, as other programs only add to it."""
    times = []
    for _ in range(ROUNDS):
        before()
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_reading_a_folder_again(
    kind: Kind, benchmark: BenchmarkFixture, judged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = drawn(tmp_path / "pictures", kind, kind.count if judged else 40)
    before_s = least_s(lambda: one_after_the_other(folder))
    first_s = least_s(lambda: image_folder.read(folder, SQUARE), lambda: shutil.rmtree(picture_cache.folder(), ignore_errors=True))
    again_s = least_s(lambda: image_folder.read(folder, SQUARE))
    found = benchmark.pedantic(image_folder.read, (folder, SQUARE), rounds=ROUNDS, iterations=1)
    old = one_after_the_other(folder)
    assert sorted(row.tobytes() for row in found.given.train.pixels) == sorted(row.tobytes() for row in old), "the same pixels"
    benchmark.extra_info.update(before_s=before_s, first_s=first_s, again_s=again_s)
    print(
        f"\n{len(old)} JPEG files of {kind.name}: one after the other {before_s:.2f} s, first start {first_s:.2f} s "
        f"({first_s / before_s:.2f}), every other {again_s:.2f} s ({again_s / before_s:.3f})"
    )
