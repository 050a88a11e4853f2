"""The doctor says of every device what is in the way and what to do, within the columns there are, and ends as it found."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.measure import Protocol, Subject, measure
from harness.devices.probe import probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import DeviceSpec, find
from harness.doctor import facts as machine
from harness.doctor.__main__ import lines, main, verdict
from harness.doctor.checks import Check, Level, checks, fast_ratio
from harness.doctor.examination import Examination, examine, note_unready
from harness.doctor.facts import MachineFacts, Meter, Process
from harness.pages import tables
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import DeviceInfo, Snapshot
from tests.devices.agent.test_example import example

INFO = DeviceInfo("cpu", "openvino", "1", "a chip", "host", "3.11")
STICK = replace(INFO, name="ncs2", runtime="myriad")
STATE = Snapshot("2026-11-28T00:00:00+00:00", clocks_mhz=(("cpu0", 2000.0),), temperatures_c=(("cpu", 50.0),))
FINE = MachineFacts(
    processors=2,
    virtual=False,
    disk_free_bytes=1 << 33,
    spins_s=(1e-3,) * 100,
    busy_processors=1.0,
    governor="performance",
    turbo=False,
    smt=False,
    heat_margin_c=40.0,
    throttled_events=0,
    memory_free_bytes=1 << 33,
    swap_used_bytes=0,
    meters=(Meter("rapl", "package-0", True),),
)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeviceSpec:
    """A device that no other process waits for, in the working directory's table."""
    table = f"[tool.espalier.devices.mine]\nruntime = 'simulated'\nresource = 'doctor-{os.getpid()}'\n"
    (tmp_path / "pyproject.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    return find("mine")


def levels(facts: MachineFacts, info: DeviceInfo = INFO, state: Snapshot = STATE) -> dict[str, Level]:
    return {one.name: one.level for one in checks(facts, info, state)}


def test_a_machine_in_order_is_ready() -> None:
    assert set(levels(FINE).values()) == {Level.FINE}


@pytest.mark.parametrize(
    ("changed", "name", "level"),
    [
        ({"governor": "powersave"}, "governor", Level.LOOK),
        ({"turbo": True}, "turbo", Level.LOOK),
        ({"smt": True}, "SMT", Level.LOOK),
        ({"heat_margin_c": 3.0}, "temperature", Level.BAD),
        ({"throttled_events": 2}, "throttling", Level.BAD),
        ({"others_processors": 0.9, "others": (Process(7, "make", 0.9),)}, "other load", Level.BAD),
        ({"others_processors": 0.2}, "other load", Level.LOOK),
        ({"busy_processors": 1.9}, "other load", Level.BAD),
        ({"spins_s": (1e-3,) * 30 + (1.6e-3,) * 70}, "machine state", Level.BAD),
        ({"spins_s": (1e-3,) * 80 + (1.6e-3,) * 20}, "machine state", Level.LOOK),
        ({"virtual": True, "stolen_ratio": 0.2}, "virtual machine", Level.LOOK),
        ({"quota_events": 3}, "container quota", Level.BAD),
        ({"swapped_pages": 9}, "swap", Level.BAD),
        ({"swap_used_bytes": 1 << 30}, "swap", Level.LOOK),
        ({"memory_free_bytes": 1 << 20}, "memory", Level.BAD),
        ({"disk_free_bytes": 1 << 20}, "disk", Level.BAD),
        ({"meters": (Meter("rapl", "/sys/x/energy_uj", False),)}, "energy meter", Level.LOOK),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_one_thing_out_of_order_is_named_with_what_to_do(changed: dict[str, object], name: str, level: Level) -> None:
    found = {one.name: one for one in checks(replace(FINE, **changed), INFO, STATE)}
    assert found[name].level is level
    assert found[name].advice
    assert {other for other, one in found.items() if one.level is not Level.FINE} == {name}


def test_what_a_machine_does_not_tell_is_said_and_stands_in_nobodys_way() -> None:
    silent = MachineFacts(2, True, 1 << 33, (1e-3,) * 10)
    found = checks(silent, INFO, Snapshot(STATE.taken_at))
    assert {one.name for one in found if one.level is Level.UNTOLD} >= {"governor", "turbo", "temperature", "throttling", "energy meter"}
    assert not [one for one in found if one.level is Level.BAD]


def test_what_was_in_the_way_is_kept_with_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    busy = replace(FINE, others_processors=1.2, others=(Process(7, "cc1", 1.2),), governor="powersave", heat_margin_c=None)
    seen: list[MachineFacts] = [busy, FINE]
    monkeypatch.setattr(machine, "examine", lambda session, spin_s: seen.pop(0))
    network, unready = probe(width=4, side=8), []
    subject = Subject("probe", "d" * 16, None, network.onnx, "a" * 64)
    with example().open() as session:
        for _ in range(2):
            note_unready(session)
            measurement = measure(session, subject, Protocol(0.0, 1, 2, 0.0, 1, profile_compiles=0))
            path = tmp_path / "measured.json"
            benchmark_json.write(path, BenchmarkFile((measurement,), ()))
            unready.append(dict(benchmark_json.read(path).measurements[0].conditions.unready))
    assert unready[0] == {"other load": "bad: 1.2 of 2 processors busy: cc1 (7) 120%", "governor": "look: powersave"}
    assert unready[1] == {}
    assert "other load bad: 1.2 of 2 processors busy" in tables.text(
        [tables.networks([replace(measurement, conditions=replace(measurement.conditions, unready=tuple(unready[0].items())))])], 200
    )


def test_a_simulated_device_is_not_looked_at(own: DeviceSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "examine", lambda session, spin_s: pytest.fail("it was looked at"))
    with Device(own, Quarantine()).open() as session:
        note_unready(session)
        assert session.unready == ()


def test_a_slow_port_and_a_missing_meter_of_a_stick_are_told() -> None:
    found = {one.name: one for one in checks(replace(FINE, sticks=(("1-2", 480.0),)), STICK, STATE)}
    assert found["USB"].level is Level.LOOK
    assert "no meter" in found["energy meter"].found
    assert levels(replace(FINE, sticks=(("2-1", 5000.0),)), STICK)["USB"] is Level.FINE


def test_the_fast_state_is_a_tenth_of_the_quickest() -> None:
    assert fast_ratio((1.0,) * 9 + (2.0,)) == 0.9
    assert fast_ratio((1.0, 1.05, 1.2)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_lines_keep_to_the_columns(columns: int) -> None:
    long = Check("other load", Level.BAD, "word " * 40, "do this " * 30)
    told = list(lines(Examination("cpu", "this machine", "openvino, " + "chip " * 30, (long,)), columns))
    assert max(map(len, told)) <= max(60, columns)
    assert any("do: " in line for line in told)


def test_a_device_in_use_says_by_whom_and_is_not_ready(own: DeviceSpec) -> None:
    with Device(own, Quarantine()).open():
        found = examine(own, spin_s=0.0)
    assert not found.ready
    assert found.here
    assert "is in use by" in found.checks[0].found
    assert "close its session first" in found.checks[0].advice


def test_absent_devices_count_only_where_they_were_named() -> None:
    ready = Examination("cpu", "here", "x", ())
    absent = Examination("ncs2", "here", "x", (), here=False)
    toy = Examination("simulated", "here", "x", (), simulated=True)
    assert verdict([ready, absent, toy], named=False) == 0
    assert verdict([ready, absent], named=True) == 1
    assert verdict([absent, toy], named=False) == 1
    assert verdict([toy], named=True) == 0


def test_the_command_line_ends_with_what_was_found(own: DeviceSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--device=mine", f"--json={tmp_path / 'doctor.json'}"]) == 0
    assert "mine: ready" in capsys.readouterr().out
    assert json.loads((tmp_path / "doctor.json").read_text())["devices"][0]["ready"] is True
    assert main(["--device=simulatd"]) == 2
    assert "did you mean 'simulated'?" in capsys.readouterr().err
    assert main(["--device=mine", "--json=/no/where.json"]) == 2
