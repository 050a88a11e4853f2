"""Measuring is one process's work: what runs beside it disturbs it, and pytest-benchmark keeps nothing that a worker measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import UsageError

FOLDER = "bench"
ADVICE = "measurements in several processes disturb each other, and pytest-benchmark keeps none of them; leave -n out, or give -n 0"


def check(config: pytest.Config) -> None:
    """Refuse, with UsageError, benchmarks asked for by name under xdist."""
    if not _distributes(config):
        return
    for word in config.args:
        path = Path(str(word).partition("::")[0])
        if FOLDER in (path.name, path.parent.name):
            raise UsageError(f"{word} with -n {config.getoption('numprocesses')}: {ADVICE}")


def refuse(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """In a worker, which cannot end the run: fail what measures, in words."""
    if hasattr(config, "workerinput"):
        for item in items:
            if item.path.parent.name == FOLDER:
                item.add_marker(pytest.mark.usefixtures("no_measuring_here"))


def _distributes(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput") and bool(config.getoption("numprocesses", None)) and config.getoption("dist", "no") != "no"


@pytest.fixture(name="no_measuring_here", scope="session")
def _no_measuring_here() -> None:
    """Nothing is measured in a worker."""
    raise UsageError(ADVICE)
