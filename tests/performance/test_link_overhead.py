"""What the link costs beside the work: a round trip, and the way of a large model.

``pytest tests/performance/test_link_overhead.py --benchmark-only`` checks the limits; without that flag a busy machine may
be slow and only the table is printed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.devices.bundle import bundle
from harness.devices.link import Link
from harness.devices.spec import DeviceSpec

ROUND_TRIP_LIMIT_S = 200e-6
MODEL_BYTES = 100 << 20
MODEL_LIMIT_BYTES_S = 200e6


@pytest.fixture
def link() -> Iterator[Link]:
    link = Link(DeviceSpec("test", "simulated"))
    link.boot(bundle("simulated").serve)
    yield link
    link.close()


def test_a_round_trip_is_short(link: Link, benchmark: BenchmarkFixture, judged: bool) -> None:
    benchmark.pedantic(link.request, ("echo", {}, (b"x",)), rounds=2000 if judged else 200, iterations=1, warmup_rounds=100)
    if judged:
        assert benchmark.stats.stats.median <= ROUND_TRIP_LIMIT_S


def test_a_large_model_is_sent_fast(link: Link, benchmark: BenchmarkFixture, judged: bool) -> None:
    """Sent as an unknown request, which is refused only after all of it has arrived."""
    model = np.random.default_rng(0).bytes(MODEL_BYTES)
    benchmark.pedantic(link.request, ("swallow", {}, (model,)), rounds=7 if judged else 1, iterations=1, warmup_rounds=1)
    if judged:
        assert benchmark.stats.stats.median <= MODEL_BYTES / MODEL_LIMIT_BYTES_S
