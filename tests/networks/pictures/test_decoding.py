"""Whatever a picture's format and depth, its pixels come out in 8 bits and one size; whatever a file holds, at worst one line is said."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DatasetError
from harness.networks.pictures import decoding
from harness.networks.pictures.decoding import Coloured, Size

RAMP = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 63  # 16 bits, all of their range
GREY, RGB = Size(32, 1), Size(32, 3)


def decoded(content: bytes, folder: Path, size: Size) -> np.ndarray:
    file = folder / "picture"
    file.write_bytes(content)
    rows = np.zeros((1, *size.shape), np.uint8)
    decoding.fill(rows, [file], [decoding.digest(content)], size)
    return rows[0]


def encoded(picture: Image.Image, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def shades(mode: str) -> Image.Image:
    """The ramp in a mode of Pillow's."""
    if mode == "I;16":
        return Image.fromarray(RAMP)
    return Image.fromarray((RAMP >> 8).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "RGB", "RGBA", "P"])
def test_the_same_shades_in_every_mode_are_the_same_pixels(tmp_path: Path, mode: str) -> None:
    content = encoded(shades(mode))
    assert np.array_equal(decoded(content, tmp_path, GREY)[0], RAMP >> 8)
    assert np.array_equal(decoded(content, tmp_path, RGB), np.stack([RAMP >> 8] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_pictures_count_as_grey(tmp_path: Path, mode: str) -> None:
    decoded(encoded(shades(mode)), tmp_path, Size(32, 1, strict=True))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_others_do_not(tmp_path: Path, mode: str) -> None:
    with pytest.raises(Coloured):
        decoded(encoded(shades(mode)), tmp_path, Size(32, 1, strict=True))


@given(width=st.integers(1, 90), height=st.integers(1, 90), shade=st.integers(0, 255))
def test_every_shape_is_cut_to_one(tmp_path_factory: pytest.TempPathFactory, width: int, height: int, shade: int) -> None:
    found = decoded(encoded(Image.new("L", (width, height), shade)), tmp_path_factory.mktemp("shape"), RGB)
    assert found.shape == (3, 32, 32)
    assert set(found.ravel().tolist()) == {shade}


@given(
    form=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]),
    end=st.floats(0, 1),
    places=st.lists(st.floats(0, 0.999), max_size=3),
    byte=st.integers(0, 255),
)
def test_a_damaged_file_is_told_in_one_line_if_it_cannot_be_read(
    tmp_path_factory: pytest.TempPathFactory, form: str, end: float, places: list[float], byte: int
) -> None:
    damaged = bytearray(encoded(shades("RGB"), form))
    for place in places:
        damaged[int(place * len(damaged))] = byte
    told = ""
    try:
        decoded(bytes(damaged[: round(end * len(damaged))]), tmp_path_factory.mktemp("damaged"), RGB)
    except DatasetError as error:
        told = str(error)
    assert not told or "picture is not a readable image" in told
    assert "\n" not in told


@pytest.mark.parametrize("values", [np.full((32, 32), 70_000, np.int32), np.full((32, 32), 0.5, np.float32)], ids=["32 bits", "float"])
def test_shades_without_a_known_white_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(DatasetError, match="not a readable image"):
        decoded(encoded(Image.fromarray(values), "TIFF"), tmp_path, GREY)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(encoded(shades("L")))
    before = decoding.digests([file])
    file.write_bytes(encoded(Image.new("L", (32, 32))))
    with pytest.raises(DatasetError, match=r"picture\.png was changed while it was read"):
        decoding.fill(np.zeros((1, 1, 32, 32), np.uint8), [file], before, GREY)
