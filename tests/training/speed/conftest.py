"""A cache folder of its own for every test, on a machine that is not busy as far as the probe is told."""

from pathlib import Path

import pytest

from harness.training.speed import answers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(answers, "BUSY_SHARE", 1e9)
    return tmp_path / "cache" / "espalier" / "speed"
