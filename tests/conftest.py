"""Clean surroundings for what tests start, and hypothesis profiles: ``dev`` explores, ``ci`` repeats; HYPOTHESIS_PROFILE chooses."""

import os
import tempfile

import pytest
from hypothesis import HealthCheck, settings

# Tests start pytest, and programs that start it, as a user would; a run that thinks it is one of many measures nothing.
for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
    del os.environ[name]

_state = tempfile.TemporaryDirectory(prefix="espalier-state-")  # what tests trust, nobody else does
os.environ.setdefault("XDG_STATE_HOME", _state.name)

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


SLOW = ("test_journey", "test_own_pictures", "test_suites", "test_jetson", "test_run", "test_measurements")  # minutes each, whole files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files begin first, or the last of them would be waited for by idle processes (with --no-loadscope-reorder)."""
    order = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: min((order[name] for name in SLOW if item.path.stem.startswith(name)), default=len(SLOW)))
