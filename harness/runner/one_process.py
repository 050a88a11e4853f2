"""Measuring is one process's work: what runs beside it disturbs it, and pytest-benchmark keeps nothing that a worker measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.runner.elsewhere.suites import PLACES

ADVICE = "measurements in several processes disturb each other, and pytest-benchmark keeps none of them; leave -n out, or give -n 0"


def check(config: pytest.Config) -> None:
    """Refuse, with UsageError, benchmarks asked for by name under xdist."""
    if not _distributes(config):
        return
    for word in config.args:
        path = Path(str(word).partition("::")[0]).absolute()
        if path in PLACES or path.parent in PLACES:
            raise UsageError(f"{word} with -n {config.getoption('numprocesses')}: {ADVICE}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In a worker, which cannot end the run: fail what measures, in words."""
    if hasattr(item.config, "workerinput") and item.path.parent in PLACES:
        raise UsageError(ADVICE)


def _distributes(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput") and bool(config.getoption("numprocesses", None)) and config.getoption("dist", "no") != "no"
