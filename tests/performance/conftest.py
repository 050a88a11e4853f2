"""What the benchmarks share."""

import pytest


@pytest.fixture
def judged(request: pytest.FixtureRequest) -> bool:
    """Whether the limits are checked, at full size: with --benchmark-only; otherwise the way is walked, and figures are printed."""
    return bool(request.config.getoption("benchmark_only"))
