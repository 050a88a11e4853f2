"""Engines that a board keeps come back as they were, or not at all."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY

once = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def engine_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("engine_store")
    sys.modules.pop("engine_store")


@once
@given(engine=st.binary(min_size=1, max_size=200), at=st.integers(0, 231), flip=st.integers(1, 255), cut=st.integers(0, 240))
def test_a_kept_engine_comes_back_whole_or_not_at_all(
    engine_store: ModuleType, tmp_path: Path, engine: bytes, at: int, flip: int, cut: int
) -> None:
    store = engine_store.Store(str(tmp_path / "engines"))
    assert store.keep_engine("key", engine) == ""
    assert store.engine("key") == engine
    (file,) = (tmp_path / "engines").iterdir()
    whole = bytearray(file.read_bytes())
    for spoilt in (whole[:at] + bytes([byte ^ flip for byte in whole[at : at + 1]]) + whole[at + 1 :], whole[:cut], whole + b"\0"):
        file.write_bytes(spoilt)
        assert store.engine("key") == (engine if spoilt == whole else None)


def test_the_engines_that_were_not_used_for_longest_go_first(
    engine_store: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_store, "MOST_BYTES", 3 * (32 + 10))
    store = engine_store.Store(str(tmp_path))
    for number in range(3):
        store.keep_engine(str(number), b"0123456789")
        os.utime(tmp_path / f"{number}.engine", (number, number))
    assert store.engine("0") is not None  # used again: now the newest
    store.keep_engine("3", b"0123456789")
    assert sorted(path.stem for path in tmp_path.glob("*.engine")) == ["0", "2", "3"]


def test_a_folder_that_cannot_be_written_in_is_told_and_keeps_nothing(engine_store: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = engine_store.Store(str(tmp_path / "file" / "engines"))
    assert "cannot be written in" in store.keep_engine("key", b"engine")
    assert store.engine("key") is None
    assert engine_store.Store("").keep_engine("key", b"engine") == ""
