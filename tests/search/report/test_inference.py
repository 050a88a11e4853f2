"""The script in a campaign's folder prepares a picture as its dataset did, to the last bit, whatever the picture and the way."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from harness.networks import datasets
from harness.networks.pictures.preparing import of_words
from harness.networks.tasks.classification import CLASSIFICATION
from harness.networks.tasks.segmentation import Segmentation
from harness.pruning import saved
from harness.records.pruning_config import PruningConfig
from search.report import inference

MODES = ("RGB", "L", "RGBA", "I;16", "12 bits", "F", "P", "CMYK")
RESIZES = ("cover", "margin", "40", "44x52")


def picture(mode: str, random: np.random.Generator) -> Image.Image:
    height, width = random.integers(8, 80, 2)
    if mode in ("I;16", "12 bits"):
        return Image.fromarray(random.integers(0, 4096 if mode == "12 bits" else 65536, (height, width)).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(random.random((height, width), dtype=np.float32))
    if mode == "RGBA":
        return Image.fromarray(random.integers(0, 256, (height, width, 4), dtype=np.uint8))
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@given(
    mode=st.sampled_from(MODES),
    resize=st.sampled_from(RESIZES),
    shape=st.sampled_from(("32x32", "24x36", "1x20x20", "3x33x17", "4x28x20")),
    standard=st.sampled_from((("data", "data"), ("0.4", "0.25"))),
    seed=st.integers(0, 99),
)
def test_the_script_prepares_as_the_dataset_does(
    tmp_path_factory: pytest.TempPathFactory, mode: str, resize: str, shape: str, standard: tuple[str, str], seed: int
) -> None:
    root, random = tmp_path_factory.mktemp("prepared"), np.random.default_rng(seed)
    suffix = {"F": "tif", "CMYK": "jpg"}.get(mode, "png")
    for split in ("train", "val", "test"):
        for name in "ab":
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                picture(mode, random).save(root / split / name / f"{number}.{suffix}")
    found = datasets.load(f"imagefolder:{root}", asked=of_words(shape, None, resize, *standard))
    assert found.preprocessing is not None
    folder = root / "saved"
    saved.save(folder, PruningConfig.of("none", {}), nn.Linear(1, 1), "none", found.input_shape, 2, found.preprocessing)
    assert saved.describe(folder / "config.json").preprocessing == found.preprocessing
    (folder / inference.SCRIPT).write_text(inference.script())
    prepared = runpy.run_path(str(folder / inference.SCRIPT))["prepared"]
    ours = {prepared(file).tobytes() for file in (root / "test").glob("*/*")}
    assert ours == {image[None].numpy().tobytes() for image in found.test.images}


def test_the_use_is_told_only_where_the_folder_says_it(tmp_path: Path) -> None:
    assert inference.sentences(tmp_path) == (), "a campaign's folder without a network"
    for task, told in ((CLASSIFICATION, ()), (Segmentation(2), (Segmentation(2).outputs_told,))):
        saved.save(tmp_path, PruningConfig.of("none", {}), nn.Linear(1, 1), "none", (1, 8, 8), 2, None, task)
        said = inference.sentences(tmp_path)
        assert len(said) == len(told)
        assert all(words in sentence for words, sentence in zip(told, said, strict=True))
