"""A kept set of pictures is what was made, or it is made again; without a disk to keep it on, it is made all the same."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.networks import datasets
from harness.networks.pictures import decoding, picture_cache

SHAPE = (5, 1, 4, 4)


def ramp(rows: np.ndarray) -> None:
    rows[:] = np.arange(rows.size, dtype=np.uint8).reshape(rows.shape)


def never(rows: np.ndarray) -> None:
    raise AssertionError("it was there already")


def files(cache: Path, suffix: str = ".npy") -> list[Path]:
    return sorted(cache.glob(f"*{suffix}"))


def test_what_was_kept_is_found_as_it_was_made(cache: Path) -> None:
    assert picture_cache.find("a") is None
    made = picture_cache.make("a", SHAPE, ramp)
    found = picture_cache.find("a")
    assert found is not None
    assert np.array_equal(found, made)
    assert found.shape == SHAPE
    assert not found.flags.writeable
    assert files(cache, ".part") == []
    assert picture_cache.find("b") is None


def test_an_attempt_that_fails_leaves_nothing(cache: Path) -> None:
    with pytest.raises(AssertionError):
        picture_cache.make("a", SHAPE, never)
    assert list(cache.iterdir()) == []


@given(place=st.floats(0, 0.999), flip=st.integers(0, 255), length=st.none() | st.floats(0, 1))
def test_every_damage_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: float, flip: int, length: float | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("damaged")))
        picture_cache.make("a", SHAPE, ramp)
        file = picture_cache.folder() / "a.npy"
        whole = file.read_bytes()
        damaged = bytearray(whole if length is None else whole[: round(length * len(whole))])
        if damaged:
            damaged[int(place * len(damaged))] ^= flip
        file.write_bytes(damaged)
        assert (picture_cache.find("a") is not None) == (damaged == whole)


def test_the_sets_used_longest_ago_make_room(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_cache, "MOST_BYTES", 3 * 500)
    for age, name in enumerate("abc"):
        picture_cache.make(name, SHAPE, ramp)
        os.utime(cache / f"{name}.npy", (1000 + age, 1000 + age))
    size = (cache / "a.npy").stat().st_size
    monkeypatch.setattr(picture_cache, "MOST_BYTES", 3 * size)
    assert picture_cache.find("a") is not None
    picture_cache.make("d", SHAPE, ramp)
    assert [path.stem for path in files(cache)] == ["a", "c", "d"], "a was used since, b was not"


def test_what_killed_processes_left_goes_with_time(cache: Path) -> None:
    picture_cache.make("a", SHAPE, ramp)
    for name, age_s in (("old.part", 1e6), ("new.part", 0.0)):
        (cache / name).touch()
        past = (cache / name).stat().st_mtime - age_s
        os.utime(cache / name, (past, past))
    picture_cache.make("b", SHAPE, ramp)
    assert [path.name for path in files(cache, ".part")] == ["new.part"]


def unusable(case: str, cache: Path, patch: pytest.MonkeyPatch) -> None:
    if case == "a file in its place":
        cache.parent.write_bytes(b"")
    elif case == "too small":
        patch.setattr(picture_cache, "MOST_BYTES", 10)
    elif case == "full at first":
        patch.setattr(np.lib.format, "write_array_header_1_0", full)
    elif case == "full at last":
        patch.setattr(os, "replace", full)


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("case", ["a file in its place", "too small", "full at first", "full at last"])
def test_without_a_usable_cache_pictures_are_there_all_the_same(
    case: str, cache: Path, tmp_path: Path, draw: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path, (6, 5))
    expected = datasets.load(f"imagefolder:{tmp_path}").digest
    shutil.rmtree(cache.parent)
    unusable(case, cache, monkeypatch)
    with pytest.warns(UserWarning, match="not kept in .*pictures") as warned:
        assert datasets.load(f"imagefolder:{tmp_path}").digest == expected
    assert len(warned) == 1
    assert files(cache) == []
    assert files(cache, ".part") == []


def test_cached_pictures_equal_fresh_ones_and_are_not_decoded_again(
    cache: Path, tmp_path: Path, draw: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path, (9, 8))
    fresh = datasets.load(f"imagefolder:{tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "fill", None)
        cached = datasets.load(f"imagefolder:{tmp_path}")
    assert cached.digest == fresh.digest
    assert (cached.train.images == fresh.train.images).all()
    assert len(files(cache)) == 1
    files(cache)[0].write_bytes(b"damaged")
    assert datasets.load(f"imagefolder:{tmp_path}").digest == fresh.digest
    monkeypatch.setattr(decoding, "fill", None)
    assert datasets.load(f"imagefolder:{tmp_path}").digest == fresh.digest, "the damaged file was made anew"


def test_grey_and_rgb_of_one_folder_are_kept_apart(cache: Path, tmp_path: Path, draw: Callable[..., None]) -> None:
    draw(tmp_path, (6, 6))
    shapes = [datasets.load(f"imagefolder:{tmp_path}", channels=channels).input_shape[0] for channels in (1, 3, None, 1, 3)]
    assert shapes == [1, 3, 3, 1, 3]


def test_processes_that_read_at_once_get_the_same_and_one_of_them_decodes(cache: Path, tmp_path: Path, draw: Callable[..., None]) -> None:
    draw(tmp_path, (150, 150))
    script = (
        "import hashlib, pathlib, sys; from harness.networks.pictures import decoding, image_folder, preparing\n"
        "fill = decoding.fill\n"
        "def told(*words, **named): print('decodes'); fill(*words, **named)\n"
        "decoding.fill = told\n"
        "sys.stdin.readline()\n"
        "found = image_folder.read(pathlib.Path(sys.argv[1]), preparing.Preparation(3))\n"
        "print(hashlib.sha256(found.given.train.pixels.tobytes()).hexdigest())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[0].splitlines() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len({lines[-1] for lines in told}) == 1
    assert sum("decodes" in lines for lines in told) == 1
