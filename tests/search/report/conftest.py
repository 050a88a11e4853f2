"""A rehearsed campaign, its summary, and copies with one file changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.report import summary


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rehearsal.write(tmp_path_factory.mktemp("campaigns") / "one", Rehearsal(simulated=False))


@pytest.fixture(scope="session")
def told(folder: Path) -> summary.Summary:
    return summary.load(folder)


@pytest.fixture
def spoilt(folder: Path, tmp_path: Path) -> Callable[[str, Callable[[Any], object]], Path]:
    """A copy of the campaign, one of whose JSON files was changed."""

    def spoil(name: str, change: Callable[[Any], object]) -> Path:
        copy = tmp_path / "one"
        copy.mkdir()
        for path in folder.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        document = json.loads((copy / name).read_text())
        change(document)
        (copy / name).write_text(json.dumps(document))
        return copy

    return spoil
