"""The NCS2's interpreter for tests of its real compiler: made once, in the user's cache, skipped with the reason where it cannot be."""

from __future__ import annotations

import pytest
from filelock import FileLock

from harness.devices import environment
from harness.errors import DeviceUnavailable


@pytest.fixture(scope="session")
def ncs2_environment() -> None:
    """``python -m harness.devices.environment ncs2``, where a Python 3.6 to 3.9 and a package index are there."""
    recipe = environment.RECIPES["ncs2"]
    recipe.directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(recipe.directory.with_suffix(".lock")):  # tests may run in several processes
        try:
            environment.create(recipe)
        except DeviceUnavailable as reason:
            pytest.skip(str(reason))
