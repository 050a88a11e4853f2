"""The user's Distiller, once per run."""

from __future__ import annotations

import pytest

from harness.verification import distiller as door


@pytest.fixture(scope="session")
def distiller(pytestconfig: pytest.Config) -> door.Distiller:
    """A live Distiller; without one the test skips with the line that says how to get it."""
    found = door.find(pytestconfig.getoption("--distiller", None))
    if found is None:
        pytest.skip(f"no live Distiller: {door.HOW_TO_GET}")
    return found
