"""What a machine's files say of its readiness is read as the kernel documents it; what they do not say is absent."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.session import Device, Quarantine
from harness.devices.spec import parse
from harness.doctor import facts as machine


@pytest.fixture(scope="module")
def agent() -> ModuleType:
    """The shipped module, imported as the agent does."""
    sys.path.insert(0, str(AGENT_DIRECTORY))
    try:
        spec = importlib.util.spec_from_file_location("readiness", AGENT_DIRECTORY / "readiness.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(AGENT_DIRECTORY))
    return module


@pytest.fixture
def write(tmp_path: Path):
    def write_file(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")

    return write_file


def test_a_machine_that_tells_everything(agent: ModuleType, tmp_path: Path, write) -> None:
    for index, governor in enumerate(["powersave", "performance"]):
        write(f"sys/devices/system/cpu/cpu{index}/cpufreq/scaling_governor", governor)
    write("sys/devices/system/cpu/intel_pstate/no_turbo", "0")
    write("sys/devices/system/cpu/smt/active", "1")
    write("sys/class/thermal/thermal_zone0/temp", "91000")
    write("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive")
    write("sys/class/thermal/thermal_zone0/trip_point_0_temp", "95000")
    write("sys/class/thermal/thermal_zone0/trip_point_1_type", "active")
    write("sys/class/thermal/thermal_zone0/trip_point_1_temp", "40000")
    write("sys/bus/usb/devices/1-2/idVendor", "03e7")
    write("sys/bus/usb/devices/1-2/speed", "480")
    write("sys/bus/usb/devices/1-1/idVendor", "1d6b")
    write("proc/meminfo", "MemAvailable:  1024 kB\nSwapTotal:   100 kB\nSwapFree:    60 kB")
    write("proc/cpuinfo", "flags : fpu hypervisor sse")
    write("sys/class/powercap/intel-rapl:0/name", "package-0")
    write("sys/class/powercap/intel-rapl:0/energy_uj", "12")
    write("sys/class/powercap/intel-rapl:0:0/name", "core")
    write("sys/class/powercap/intel-rapl:0:0/energy_uj", "5")
    facts = machine.parsed(agent.examine(str(tmp_path), spin_s=0.0))
    assert (facts.governor, facts.turbo, facts.smt, facts.virtual) == ("performance, powersave", True, True, True)
    assert facts.heat_margin_c == 4.0, "a fan's trip point is no limit"
    assert facts.sticks == (("1-2", 480.0),)
    assert (facts.memory_free_bytes, facts.swap_used_bytes) == (1 << 20, 40 << 10)
    assert [(one.kind, one.name, one.readable) for one in facts.meters] == [("rapl", "package-0", True)]


def test_a_machine_that_tells_nothing(agent: ModuleType, tmp_path: Path) -> None:
    facts = machine.parsed(agent.examine(str(tmp_path), spin_s=0.0))
    told = (facts.governor, facts.turbo, facts.smt, facts.heat_margin_c, facts.throttled_events, facts.stolen_ratio, facts.swap_used_bytes)
    assert told == (None,) * 7
    assert (facts.meters, facts.sticks) == ((), ())


def test_what_passed_between_two_looks(agent: ModuleType) -> None:
    looked = {"stat": [0] * 8, "swapped": 5, "throttled": 3, "quota": 0, "processes": {7: ("sh", 10), 8: ("make", 0)}}
    later = dict(looked, stat=[50, 0, 25, 100, 0, 0, 0, 25], swapped=9, throttled=4, quota=2, processes={7: ("sh", 10), 8: ("make", 10**6)})
    found = agent._System("/").passed(looked, later, 1.0)
    assert found["stolen_ratio"] == 25 / 200
    assert (found["swapped_pages"], found["throttled_events"], found["quota_events"]) == (4, 1, 2)
    assert [one[:2] for one in found["others"]] == [[8, "make"]]


def test_a_real_device_is_examined_by_its_agent(tmp_path: Path) -> None:
    table = {"runtime": "simulated", "resource": f"readiness-{os.getpid()}"}
    with Device(parse("simulated", table, tmp_path / "pyproject.toml"), Quarantine()).open() as session:
        facts = machine.examine(session, spin_s=0.01)
    assert facts.processors >= 1
    assert min(facts.spins_s) > 0
