"""Stored files appear whole or not at all, under names that every file system takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import stored_files


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    stored_files.replace(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        stored_files.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_written_is_readable_by_everyone_and_alone_in_its_folder(tmp_path: Path) -> None:
    stored_files.replace(tmp_path / "file", b"content")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["file"]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_a_stem_is_one_plain_file_name(words: list[str]) -> None:
    name = stored_files.stem(*words)
    assert all(one.isascii() and (one.isalnum() or one in ".+-") for one in name)


def test_a_stem_says_its_words() -> None:
    assert stored_files.stem("torchvision:resnet18", "digits", "f32") == "torchvision-resnet18-digits-f32"
