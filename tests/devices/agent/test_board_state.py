"""What an ARM board tells of its supply and its heat: what slows it now, and what did since it was started."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.session import Device
from harness.records.conditions import Snapshot
from tests.compare.conftest import CONDITIONS
from tests.devices.agent.test_tegra_state import plant

WORDS = ("under-voltage", "arm frequency capped", "throttled", "soft temperature limit")
ADC = "VDD_CORE_A current(7)=2.50000000A\n VDD_CORE_V volt(15)=0.80000000V\n EXT5V_V volt(24)=5.10000000V"


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("board_state")
    for name in ("board_state", "host_state"):
        sys.modules.pop(name)


@pytest.fixture
def vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Function: put a vcgencmd with this answer to get_throttled first on the path; it is a script, run as the real one is."""
    place = tmp_path / "bin" / "vcgencmd"
    place.parent.mkdir()
    monkeypatch.setenv("PATH", str(place.parent), prepend=os.pathsep)

    def answer(throttled: str) -> None:
        answers = {"get_throttled": throttled, "measure_temp": "temp=61.3'C", "pmic_read_adc": ADC}
        lines = [f'{asked}) echo "{told}";;' for asked, told in answers.items()]
        clocks = 'measure_clock) case "$2" in arm) echo "frequency(0)=1500398464";; core) echo "frequency(1)=500000992";; esac;;'
        place.write_text(f'#!/bin/sh\ncase "$1" in\n{chr(10).join([*lines, clocks])}\n*) exit 1;;\nesac\n')
        place.chmod(0o755)

    return answer


@given(bits=st.sets(st.sampled_from([0, 1, 2, 3, 16, 17, 18, 19])), unknown=st.sampled_from([0, 1 << 4, 1 << 20]))
def test_every_bit_is_told_as_now_or_since_boot(bits: set[int], unknown: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(AGENT_DIRECTORY))
        board = importlib.import_module("board_state")
        patch.setattr(
            board.host_state,
            "ask",
            lambda command: f"throttled=0x{sum(1 << bit for bit in bits) + unknown:x}\n" if command[1] == "get_throttled" else "",
        )
        state = board.snapshot("/nowhere")
    assert state["throttling"] == [WORDS[bit] for bit in sorted(bits) if bit < 16]
    assert state["throttled_since_boot"] == [WORDS[bit - 16] for bit in sorted(bits) if bit >= 16]


def test_the_firmwares_tool_tells_clocks_temperature_and_rails(board: ModuleType, vcgencmd: Callable[[str], None], tmp_path: Path) -> None:
    vcgencmd("throttled=0x50005")
    state = board.snapshot(str(tmp_path))
    assert state["throttling"] == ["under-voltage", "throttled"] == state["throttled_since_boot"]
    assert state["clocks_mhz"] == [["arm", 1500.398464], ["core", 500.000992]]
    assert state["temperatures_c"] == [["soc", 61.3]]
    assert state["power_w"] == [["VDD_CORE", pytest.approx(2.0)]]  # the input has a voltage and no current


@pytest.mark.parametrize(
    "answer", ["VCHI initialization failed", "throttled=", "throttled=0xzz", 'error=1 error_msg=\\"Command not registered\\"']
)
def test_a_tool_that_answers_something_else_tells_nothing(
    board: ModuleType, vcgencmd: Callable[[str], None], tmp_path: Path, answer: str
) -> None:
    vcgencmd(answer)
    assert board.snapshot(str(tmp_path)) == {}


def test_where_the_tool_may_not_be_run_the_kernel_tells(board: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board.host_state, "ask", lambda command: "")
    root = plant(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "80008"})
    state = board.snapshot(root)
    assert (state["throttling"], state["throttled_since_boot"]) == (["soft temperature limit"], ["soft temperature limit"])


def test_any_board_tells_what_linux_does_against_heat(board: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board.host_state, "ask", lambda command: "")
    cooling = "sys/class/thermal/cooling_device"
    idle = {cooling + "0/type": "thermal-cpufreq-0", cooling + "0/cur_state": "0", cooling + "0/max_state": "4"}
    fan = {cooling + "1/type": "pwm-fan", cooling + "1/cur_state": "3", cooling + "1/max_state": "4"}
    assert board.snapshot(plant(tmp_path / "cool", idle | fan)) == {"throttling": []}
    hot = board.snapshot(plant(tmp_path / "hot", idle | fan | {cooling + "0/cur_state": "2"}))
    assert hot == {"throttling": ["thermal-cpufreq-0 at 2 of 4"]}
    alarm = board.snapshot(plant(tmp_path / "weak", {"sys/class/hwmon/hwmon0/in0_lcrit_alarm": "1"}))
    assert alarm == {"throttling": ["under-voltage"]}


def test_a_board_is_called_by_its_tree_or_by_its_cores(board: ModuleType, tmp_path: Path) -> None:
    cores = "CPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
    assert (
        board.name(plant(tmp_path / "pi", {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\x00"}))
        == "Raspberry Pi 5 Model B Rev 1.0"
    )
    assert (
        board.name(plant(tmp_path / "cloud", {"proc/cpuinfo": cores * 2 + cores.replace("d0b", "d05")}))
        == "1 × Cortex-A55 and 2 × Cortex-A76"
    )
    assert board.name(plant(tmp_path / "other", {"proc/cpuinfo": "model name : AMD EPYC"})) == ""


def test_a_session_keeps_what_the_board_tells(simulated: Callable[..., Device], vcgencmd: Callable[[str], None]) -> None:
    """Through the real agent; a simulated device is not slowed by the machine that simulates it."""
    vcgencmd("throttled=0x50005")
    with simulated().open() as session:
        assert session.snapshot().throttling is None


MOMENT = Snapshot("2026-11-28T00:00:00+00:00")
WORD = st.lists(st.sampled_from(WORDS), unique=True).map(tuple)


@given(before=WORD, after=WORD, earlier=WORD, new=WORD)
def test_a_measurement_is_throttled_by_what_is_seen_beside_it_or_came_meanwhile(
    before: tuple[str, ...], after: tuple[str, ...], earlier: tuple[str, ...], new: tuple[str, ...]
) -> None:
    """What had occurred before the first snapshot, and not again, says nothing of it."""
    first = Snapshot(MOMENT.taken_at, throttling=before, throttled_since_boot=earlier)
    last = Snapshot(MOMENT.taken_at, throttling=after, throttled_since_boot=(*earlier, *(one for one in new if one not in earlier)))
    told = replace(CONDITIONS, before=first, after=last)
    expected = set(before) | set(after) | (set(new) - set(earlier))
    assert told.throttled is bool(expected)
    assert all(word in told.throttling for word in expected)


def test_numbers_of_throttling_are_said_with_reasons() -> None:
    first, last = (Snapshot(MOMENT.taken_at, throttle_events=count, throttling=(WORDS[0],)) for count in (1, 4))
    assert replace(CONDITIONS, before=first, after=last).throttling == "3 times, under-voltage"
