"""What our suites cannot be measured beside, or without, of pytest's other plugins: refused in words, before anything is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.runner.elsewhere import suites

SEVERAL = "measurements in several processes disturb each other, and pytest-benchmark keeps none of them; leave -n out, or give -n 0"
NO_RECORDER = (
    "our suites record what a device took by pytest-benchmark, which is not loaded; leave -p no:benchmark out; "
    "what runs everything once without measuring is --benchmark-disable"
)
CODSPEED = (
    "CodSpeed times this process, and our samples come from a device's; leave --codspeed out (and CODSPEED_ENV unset) for our suites, "
    "and run them in a step of their own"
)
RECORDER = ("benchmark", "pytest_benchmark.plugin")  # by its entry point, and by -p where entry points are not read


def check(config: pytest.Config) -> None:
    """Refuse, with UsageError, our suites asked for by name where they could not measure; before any option is looked at."""
    named = [str(word) for word in config.args if suites.is_own(Path(str(word).partition("::")[0]).absolute())]
    for why in _reasons(config):
        if named:
            raise UsageError(f"{named[0]}: {why}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse our suites where they were found otherwise, before CodSpeed leaves out what it does not time."""
    if hasattr(config, "workerinput"):  # which cannot end the run: each test says it
        return
    ours = [item for item in items if suites.is_own(item.path)]
    for why in _reasons(config):
        if ours:
            error = UsageError(f"{ours[0].nodeid}: {why}")
            pytest.exit(str(error), returncode=error.exit_code)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In a worker, which cannot end the run: fail what measures, in words."""
    if hasattr(item.config, "workerinput") and suites.is_own(item.path):
        raise UsageError(SEVERAL)


def _reasons(config: pytest.Config) -> Iterator[str]:
    """Why nothing can be measured in this run."""
    asked = config.getoption
    if not hasattr(config, "workerinput") and asked("numprocesses", None) and asked("dist", "no") != "no":
        yield SEVERAL
    if asked("codspeed", False) or (config.pluginmanager.hasplugin("codspeed") and "CODSPEED_ENV" in os.environ):
        yield CODSPEED
    if not any(map(config.pluginmanager.hasplugin, RECORDER)):
        yield NO_RECORDER
