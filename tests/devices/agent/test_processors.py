"""Which processors a runtime's threads are held to, of machines as Linux describes them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from tests.devices.agent.test_tegra_state import plant


@pytest.fixture(scope="module")
def processors() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(AGENT_DIRECTORY))
        yield importlib.import_module("processors")
    for name in ("processors", "host_state"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("told", "allowed", "chosen"),
    [
        ({}, [0, 1, 2], [0, 1]),
        ({f"cpu{one}/cpu_capacity": "1024" if one > 3 else "380" for one in range(8)}, list(range(8)), [4, 5]),  # a big.LITTLE board
        ({f"cpu{one}/topology/thread_siblings_list": f"{one % 2},{one % 2 + 2}" for one in range(4)}, [0, 1, 2, 3], [0, 1]),
        ({f"cpu{one}/topology/thread_siblings_list": f"{one & 2}-{one | 1}" for one in range(4)}, [0, 1, 2, 3], [0, 2]),
        ({f"cpu{one}/topology/thread_siblings_list": f"{one & 2}-{one | 1}" for one in range(4)}, [1, 2], [1, 2]),
        ({"cpu1/cpufreq/cpuinfo_max_freq": "5000000", "cpu0/cpufreq/cpuinfo_max_freq": "3000000"}, [0, 1], [1, 0]),
        ({"cpu0/topology/thread_siblings_list": "nonsense", "cpu0/cpu_capacity": "?"}, [0, 1], [0, 1]),
        ({}, [3], None),
    ],
    ids=["plain", "big and little", "siblings apart", "siblings beside", "siblings not allowed", "clocks", "nonsense", "too few"],
)
def test_the_fastest_cores_are_taken_one_thread_each(
    told: dict[str, str], allowed: list[int], chosen: list[int] | None, processors: ModuleType, tmp_path: Path
) -> None:
    plant(tmp_path, told)
    assert processors.choose(allowed, 2, str(tmp_path / "cpu%d" / "%s")) == chosen


@given(st.sets(st.integers(0, 63), min_size=1, max_size=8), st.integers(1, 8))
def test_as_many_as_threads_of_those_that_are_allowed(processors: ModuleType, allowed: set[int], threads: int) -> None:
    chosen = processors.choose(sorted(allowed), threads, "/absent/%d/%s")
    assert chosen is None if len(allowed) < threads else len(set(chosen) & allowed) == threads
