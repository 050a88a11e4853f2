"""Whatever a picture's format and depth, its pixels come out in 8 bits and one size; whatever a file holds, at worst one line is said."""

import io
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

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


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 1), (3, 2_000_001)], ids=str)
def test_a_long_thin_picture_takes_little_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    picture = Image.new("L", size, 9)
    picture.paste(200, (size[0] // 2 - 2, size[1] // 2 - 2, size[0] // 2 + 3, size[1] // 2 + 3))
    found = decoded(encoded(picture), tmp_path, GREY)
    assert set(found.ravel()[:2].tolist()) == {200}, "of the centre"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


@given(width=st.integers(1, 400), height=st.integers(1, 400), seed=st.integers(0, 9))
def test_pictures_of_ordinary_shapes_are_scaled_whole(tmp_path_factory: pytest.TempPathFactory, width: int, height: int, seed: int) -> None:
    """Nothing of how a long picture is treated touches these: the plain computation, to the last bit."""
    if not 1 / 200 < width / height < 200:
        width = height
    picture = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8))
    scale = 32 / min(width, height)
    scaled = picture.resize((max(32, round(width * scale)), max(32, round(height * scale))), Image.Resampling.BILINEAR)
    left, top = (scaled.width - 32) // 2, (scaled.height - 32) // 2
    expected = np.asarray(scaled.crop((left, top, left + 32, top + 32)))
    assert np.array_equal(decoded(encoded(picture), tmp_path_factory.mktemp("shape"), GREY)[0], expected)


@pytest.mark.parametrize("place", ["load", "resize"])
def test_a_picture_without_memory_for_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    content = encoded(Image.new("L", (50, 60)))
    monkeypatch.setattr(PngImagePlugin.PngImageFile if place == "load" else Image.Image, place, refuse)
    with pytest.raises(DatasetError, match="picture takes more memory than there is; make it smaller, or remove it"):
        decoded(content, tmp_path, GREY)


@pytest.mark.parametrize("most", [400, 700])
def test_a_picture_that_is_too_large_is_told_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    content = encoded(Image.new("L", (32, 32)))
    if most == 400:
        with pytest.raises(DatasetError, match="picture is too large .*make it smaller"):
            decoded(content, tmp_path, GREY)
    else:
        with pytest.warns(Image.DecompressionBombWarning):
            decoded(content, tmp_path, GREY)
