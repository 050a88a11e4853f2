"""Facts of a machine to checks: fine, worth a look, or in the way, each with what to do."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from harness.doctor.facts import MachineFacts
from harness.records.conditions import DeviceInfo, Snapshot
from harness.records.measurement import CANARY_QUIET_WITHIN

BUSY_PROCESSORS = 0.5  # kept busy by others: on two processors half of the inferences then share theirs
LOOK_AT_BUSY = 0.1
FEW_FAST, MOST_FAST = 0.5, 0.9  # of the spins in the fast state: below, medians are the slow state's; above, nothing shares the processor
STOLEN = 0.02  # of the time, by other guests of the same host
WARM_C = 10.0  # to the limit: a minute of inferences heats a board by as much
MEMORY_BYTES, DISK_BYTES = 256 << 20, 256 << 20  # a network, its copies, a file of measurements
SLOW_USB = 480.0  # megabits a second of USB 2: reading a picture takes longer there than many inferences
PERFORMANCE = "performance"
UNDER_VOLTAGE = "under-voltage"  # as the agent's board_state calls it
UNTOLD_DETAILS = ("agent", "machine", "kind", "energy meter")  # of use to a record, not to a person


class Level(StrEnum):
    """How a check ended; UNTOLD where the machine says nothing."""

    FINE = "ok"
    LOOK = "look"
    BAD = "bad"
    UNTOLD = "-"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. found: what was seen. advice: what to do, empty where there is nothing."""

    name: str
    level: Level
    found: str
    advice: str = ""


def checks(facts: MachineFacts, info: DeviceInfo, state: Snapshot) -> tuple[Check, ...]:
    """All checks of a device that could be opened."""
    opened = (
        Check("runtime", Level.FINE, f"{info.runtime} {info.runtime_version}, Python {info.python}" + _details(info)),
        Check("lock", Level.FINE, "free"),
    )
    if info.simulated:
        return (*opened, Check("machine", Level.FINE, "times are virtual: nothing on this machine changes them"))
    return (
        *opened,
        *_state(facts),
        _others(facts),
        *_clocks(facts, state),
        *_heat(facts, state),
        *_memory(facts),
        *_usb(facts, info),
        _disk(facts),
        _meter(facts, info),
    )


def _details(info: DeviceInfo) -> str:
    return "".join(f", {key} {text}" for key, text in info.details if key not in UNTOLD_DETAILS)


def fast_ratio(spins_s: tuple[float, ...]) -> float:
    """Share of equal pieces of work done in the machine's fast state, within a tenth of what the quickest tenth took."""
    quick = sorted(spins_s)[: max(1, len(spins_s) // 10)]
    limit_s = statistics.median(quick) * (1 + CANARY_QUIET_WITHIN)
    return sum(one <= limit_s for one in spins_s) / len(spins_s)


def _state(facts: MachineFacts) -> Iterator[Check]:
    if facts.spins_s:
        ratio = fast_ratio(facts.spins_s)
        level = Level.BAD if ratio < FEW_FAST else Level.LOOK if ratio < MOST_FAST else Level.FINE
        told = f"{ratio:.0%} of {len(facts.spins_s)} equal pieces of work in its fast state"
        own = _busy_processors(facts) > LOOK_AT_BUSY or not facts.virtual
        end = "end what runs beside it (below)" if own else "its host's other guests share it: take a dedicated one"
        advice = f"{end}, or measure in turns: pytest bench/test_regression.py --against=FILE.onnx" if level is not Level.FINE else ""
        yield Check("machine state", level, told, advice)
    if facts.smt is None:
        yield Check("SMT", Level.UNTOLD, "not told")
    else:
        advice = "echo off | sudo tee /sys/devices/system/cpu/smt/control"
        yield Check("SMT", Level.LOOK, "on: siblings share a core", advice) if facts.smt else Check("SMT", Level.FINE, "off")
    if facts.stolen_ratio is not None and facts.virtual:
        level = Level.LOOK if facts.stolen_ratio > STOLEN else Level.FINE
        advice = "a dedicated machine, or measure in turns" if level is Level.LOOK else ""
        yield Check("virtual machine", level, f"its host took {facts.stolen_ratio:.1%} of the time", advice)
    if facts.quota_events is not None:
        level = Level.BAD if facts.quota_events else Level.FINE
        advice = "raise the container's limit of processors (docker --cpus, cpu.max)" if facts.quota_events else ""
        yield Check("container quota", level, f"stopped {facts.quota_events} times in a second", advice)


def _others(facts: MachineFacts) -> Check:
    names = ", ".join(f"{one.name} ({one.pid}) {one.processors:.0%}" for one in facts.others)
    busy = _busy_processors(facts)
    level = Level.BAD if busy > BUSY_PROCESSORS else Level.LOOK if busy > LOOK_AT_BUSY else Level.FINE
    told = f"{busy:.1f} of {facts.processors} processors busy" + (f": {names}" if names else "")
    return Check("other load", level, told, "end them, or wait" if level is not Level.FINE else "")


def _busy_processors(facts: MachineFacts) -> float:
    """How many processors others keep busy; of all that is busy, our own work is one."""
    return max(facts.others_processors, (facts.busy_processors or 0.0) - 1.0)


def _clocks(facts: MachineFacts, state: Snapshot) -> Iterator[Check]:
    if facts.governor is None:
        yield Check("governor", Level.UNTOLD, "not told" + (", as in most virtual machines" if facts.virtual else ""))
    elif facts.governor == PERFORMANCE:
        yield Check("governor", Level.FINE, facts.governor)
    else:
        yield Check("governor", Level.LOOK, facts.governor, "sudo cpupower frequency-set -g performance")
    if facts.turbo is None:
        yield Check("turbo", Level.UNTOLD, "not told")
    elif facts.turbo:
        how = "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (or echo 0 into …/cpufreq/boost)"
        yield Check("turbo", Level.LOOK, "on: clocks follow heat and load", how)
    else:
        yield Check("turbo", Level.FINE, "off")
    if state.clocks_mhz:
        clocks = [mhz for _, mhz in state.clocks_mhz]
        yield Check("clocks", Level.FINE, f"{min(clocks):.0f} to {max(clocks):.0f} MHz")
    else:
        yield Check("clocks", Level.UNTOLD, "not told")
    if state.power_mode is not None:
        yield Check("power mode", Level.FINE, f"{state.power_mode}; pytest bench/ --set-power-mode=ID measures in another")


def _heat(facts: MachineFacts, state: Snapshot) -> Iterator[Check]:
    if state.temperatures_c:
        name, hottest = max(state.temperatures_c, key=lambda one: one[1])
        margin = facts.heat_margin_c
        hot = margin is not None and margin < WARM_C
        told = f"{hottest:.0f} °C ({name})" + (f", {margin:.0f} degrees below its limit" if margin is not None else "")
        yield Check("temperature", Level.BAD if hot else Level.FINE, told, "let it cool, or give it a fan" if hot else "")
    else:
        yield Check("temperature", Level.UNTOLD, "not told")
    yield _throttling(facts, state)


def _throttling(facts: MachineFacts, state: Snapshot) -> Check:
    """What slows the device now is in the way; what did since it was started may come back as soon as it works."""
    count, now, before = facts.throttled_events, state.throttling, state.throttled_since_boot
    if count is None and now is None:
        return Check("throttling", Level.UNTOLD, "not told")
    if count or now:
        told = ", ".join([*([f"{count} times in a second"] if count else []), *(now or ())])
        return Check("throttling", Level.BAD, f"now: {told}", _against(now or ()))
    if before:
        again = "; started anew it tells whether that comes back"
        return Check("throttling", Level.LOOK, f"none now; since it was started: {', '.join(before)}", _against(before) + again)
    return Check("throttling", Level.FINE, "none now" if before is None else "none since it was started")


def _against(reasons: tuple[str, ...]) -> str:
    heat = "cool it, or choose a lower power mode"
    return f"a stronger supply and a short cable; then {heat}" if UNDER_VOLTAGE in reasons else heat


def _memory(facts: MachineFacts) -> Iterator[Check]:
    free, used = facts.memory_free_bytes, facts.swap_used_bytes
    if free is not None:
        short = free < MEMORY_BYTES
        yield Check("memory", Level.BAD if short else Level.FINE, f"{_size(free)} free", "end what holds it" if short else "")
    if facts.swapped_pages:
        yield Check(
            "swap", Level.BAD, f"{facts.swapped_pages} pages moved within a second", "end what holds the memory, or: sudo swapoff -a"
        )
    elif used is None:
        yield Check("swap", Level.UNTOLD, "not told")
    else:
        advice = "sudo swapoff -a, where memory is enough without" if used else ""
        yield Check("swap", Level.LOOK if used else Level.FINE, f"{_size(used)} used, nothing moves" if used else "none used", advice)


def _usb(facts: MachineFacts, info: DeviceInfo) -> Iterator[Check]:
    if info.runtime != "myriad":
        return
    if not facts.sticks:
        yield Check("USB", Level.UNTOLD, "no stick is seen")
    for port, speed in facts.sticks:
        slow = speed <= SLOW_USB
        advice = "put it into a blue port, without a hub, by a USB 3 cable" if slow else ""
        yield Check("USB", Level.LOOK if slow else Level.FINE, f"port {port}, {speed:.0f} Mbit/s", advice)


def _disk(facts: MachineFacts) -> Check:
    short = facts.disk_free_bytes < DISK_BYTES
    return Check("disk", Level.BAD if short else Level.FINE, f"{_size(facts.disk_free_bytes)} free", "make room" if short else "")


def _meter(facts: MachineFacts, info: DeviceInfo) -> Check:
    if info.runtime == "myriad":
        return Check("energy meter", Level.UNTOLD, "no meter: a stick has none")
    readable = [one for one in facts.meters if one.readable]
    if readable:
        return Check("energy meter", Level.FINE, ", ".join(f"{one.kind} {one.name}" for one in readable))
    if facts.meters:
        counters = " ".join(one.name for one in facts.meters)
        return Check("energy meter", Level.LOOK, "rapl, which only root may read", f"sudo chmod a+r {counters}")
    return Check("energy meter", Level.UNTOLD, "no meter")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
