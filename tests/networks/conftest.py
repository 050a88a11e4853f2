"""A cache of the tests' own, and made-up folders of pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Sizes = Sequence[int]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "espalier" / "pictures"


@pytest.fixture(scope="session")
def draw() -> Callable[..., None]:
    """Function: write pictures below a folder, so many per class; their brightness tells the class, their noise one from another."""

    def write(folder: Path, sizes: Sizes, seed: int = 0, mode: str = "RGB", suffix: str = ".png") -> None:
        generator = np.random.default_rng(seed)
        for label, count in enumerate(sizes):
            place = folder / f"class-{label}"
            place.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 20, (8, 8, 3), dtype=np.uint8)
                picture = Image.fromarray(noise + np.uint8(label * 200 // len(sizes))).resize((40, 36))
                picture.convert(mode).save(place / f"{number:04}{suffix}")

    return write
