"""Joules around a block are those of the counters between its two ends, also when a counter began anew."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices import replies
from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.frames import Frame
from harness.devices.samples import Turn, latency_of
from harness.errors import DeviceCrashed
from harness.latency.verdict import energy

TIMING = {"rounds": 5, "min_s": 0.0, "warmup_s": 0.0, "warmup_rounds": 7, "pace_s": 0.0}
RANGE_UJ = 262_143_328_850


@pytest.fixture(scope="module")
def agent() -> Iterator[SimpleNamespace]:
    """The shipped modules, imported as the agent does."""
    names = ("meters", "timed_loop", "tegra_state")
    sys.path.insert(0, str(AGENT_DIRECTORY))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(AGENT_DIRECTORY))
        for name in (*names, "host_state"):
            sys.modules.pop(name, None)


@pytest.fixture
def zone(tmp_path: Path) -> Callable[..., Path]:
    def write(folder: str, name: str, energy_uj: int, full_uj: int | None = RANGE_UJ) -> Path:
        place = tmp_path / "sys/class/powercap" / folder
        place.mkdir(parents=True)
        (place / "name").write_text(name + "\n")
        (place / "energy_uj").write_text(f"{energy_uj}\n")
        if full_uj is not None:
            (place / "max_energy_range_uj").write_text(f"{full_uj}\n")
        return place / "energy_uj"

    return write


@given(st.integers(0, RANGE_UJ - 1), st.integers(0, RANGE_UJ - 1))
def test_a_counter_that_began_anew_counts_on(agent: SimpleNamespace, begin: int, spent: int) -> None:
    meter = agent.meters.Packages([])
    meter.ranges = [float(RANGE_UJ)]
    end = (begin + spent) % RANGE_UJ
    assert meter.joules([float(begin)], [float(end)]) == pytest.approx(spent * 1e-6, abs=1e-4)


def test_a_counter_that_fell_and_has_no_range_or_cannot_be_read_tells_nothing(agent: SimpleNamespace) -> None:
    meter = agent.meters.Packages([])
    meter.ranges = [None]
    assert meter.joules([5.0], [7.0]) == pytest.approx(2e-6)
    assert (meter.joules([7.0], [5.0]), meter.joules([None], [5.0]), meter.joules([5.0], [None])) == (None, None, None)


def test_only_the_timed_inferences_are_metered(agent: SimpleNamespace, tmp_path: Path, zone: Callable[..., Path]) -> None:
    counter = zone("intel-rapl:0", "package-0", RANGE_UJ - 8_500_000)  # turns over within the timed inferences
    calls: list[int] = []

    def infer() -> None:
        calls.append(1)
        counter.write_text(f"{(int(counter.read_text()) + 1_000_000) % RANGE_UJ}\n")  # a joule each

    _, facts = agent.timed_loop.run(infer, TIMING, witness=False, meter=agent.meters.packages(str(tmp_path)))
    assert len(calls) == 12
    assert facts["energy_j"] == pytest.approx(5.0)


def test_packages_are_added_up_parts_and_second_tellings_of_one_are_not(
    agent: SimpleNamespace, tmp_path: Path, zone: Callable[..., Path]
) -> None:
    counters = [zone("intel-rapl:0", "package-0", 0), zone("intel-rapl:1", "package-1", 0)]
    others = [zone("intel-rapl:0:0", "core", 0), zone("intel-rapl-mmio:0", "package-0", 0), zone("intel-rapl:2", "psys", 0)]
    meter = agent.meters.packages(str(tmp_path))
    before = meter.counts()
    for counter in (*counters, *others):
        counter.write_text("3000000\n")
    assert meter.name == "rapl package-0+package-1"
    assert meter.joules(before, meter.counts()) == pytest.approx(6.0)
    assert agent.meters.names(str(tmp_path)) == [["rapl", "package-0", True], ["rapl", "package-1", True]]


def test_a_machine_without_a_meter_or_with_a_locked_package_has_none(
    agent: SimpleNamespace, tmp_path: Path, zone: Callable[..., Path]
) -> None:
    assert agent.meters.packages(str(tmp_path)) is None
    _, facts = agent.timed_loop.run(int, TIMING, witness=False, meter=None)
    assert "energy_j" not in facts
    zone("intel-rapl:0", "package-0", 0)
    zone("intel-rapl:1", "package-1", 0).write_text("not a count\n")  # as unreadable as one of root's, to root as well
    assert agent.meters.packages(str(tmp_path)) is None, "half of a machine's energy is no figure"


def test_a_board_is_metered_while_the_inferences_ran(agent: SimpleNamespace) -> None:
    readings = [(0.0, 3.0), (1.0, 3.0), (2.0, 9.0), (3.0, 11.0)]  # idle, reading the engine, then two of inferences
    assert agent.tegra_state.energy_j(readings, 3.0, 1.5) == pytest.approx(15.0)
    assert agent.tegra_state.energy_j([], 3.0, 1.5) is None


def _block(**facts: object) -> replies.Block:
    header = {"warmup_s": 0.0, "warmup_inferences": 0, "steady": True, **facts}
    wall = (200_000_000).to_bytes(8, sys.byteorder) * 2
    return replies.block(Frame(header, (wall, b"", b"")))


def test_what_the_agent_metered_reaches_the_record() -> None:
    latency = latency_of([Turn(_block(energy_j=joules)) for joules in (2.0, 4.0, 3.0)])
    found = energy.per_inference(latency)
    assert found is not None
    assert found.joules == pytest.approx(1.5)
    assert energy.per_inference(latency_of([Turn(_block())])) is None


@pytest.mark.parametrize("told", [-1.0, "much", float("nan")])
def test_an_agent_that_tells_no_energy_is_refused(told: object) -> None:
    with pytest.raises(DeviceCrashed, match="infer"):
        _block(energy_j=told)
