"""What a Jetson, or a card, tells of its state: rails, clocks, throttling."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from harness.devices.bundle import AGENT_DIRECTORY


@pytest.fixture
def tegra(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("tegra_state")
    for name in ("tegra_state", "host_state"):
        sys.modules.pop(name)


def plant(root: Path, entries: dict[str, str]) -> str:
    for path, text in entries.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + "\n")
    return str(root)


def test_rails_of_jetpack_4_are_milliwatts(tegra: ModuleType, tmp_path: Path) -> None:
    sensor = "sys/bus/i2c/devices/6-0040/iio:device0/"
    entries = {"rail_name_0": "POM_5V_IN", "in_power0_input": "3050", "rail_name_1": "POM_5V_GPU", "in_power1_input": "410"}
    root = plant(tmp_path, {sensor + key: text for key, text in entries.items()})
    assert tegra.rails_w(root) == [["POM_5V_IN", 3.05], ["POM_5V_GPU", 0.41]]
    assert tegra.total_rail(root) == "POM_5V_IN"


def test_rails_of_jetpack_5_are_volts_times_amperes(tegra: ModuleType, tmp_path: Path) -> None:
    sensor = "sys/bus/i2c/devices/1-0040/hwmon/hwmon3/"
    entries = {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "700", "in2_label": "NC", "in2_input": "1", "curr2_input": "1"}
    entries |= {"in7_label": "sum of shunt voltages", "in7_input": "9", "curr7_input": "9"}
    root = plant(tmp_path, {sensor + key: text for key, text in entries.items()})
    assert tegra.rails_w(root) == [["VDD_IN", pytest.approx(3.5)]]


def test_a_boards_state_holds_clock_power_and_throttling(tegra: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"nvpmodel": "NV Power Mode: MAXN\n0\n", "jetson_clocks": "EMC MinFreq=204000000 MaxFreq=1600000000 CurrentFreq=1600000000\n"}
    monkeypatch.setattr(tegra.host_state, "ask", lambda command: answers.get(command[0], ""))
    entries = {"sys/class/devfreq/57000000.gpu/cur_freq": "921600000", "sys/class/hwmon/hwmon1/oc1_event_cnt": "27390"}
    state = tegra.snapshot(plant(tmp_path, entries))
    assert state["power_mode"] == "MAXN (0)"
    assert state["clocks_mhz"] == [["gpu", 921.6], ["emc", 1600.0]]
    assert state["throttle_events"] == 27390


def test_a_cards_state_comes_from_its_own_tool(tegra: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tegra.host_state, "ask", lambda command: "1410, 1512, 41, 66.2, P0\n" if command[0] == "nvidia-smi" else "")
    assert tegra.snapshot(str(tmp_path))["power_w"] == [["card", 66.2]]


def test_a_machine_that_tells_nothing_gives_nothing(tegra: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tegra.host_state, "ask", lambda command: "")
    assert tegra.snapshot(str(tmp_path)) == {}
