"""Why an ARM board runs slower than it could: its supply and its heat, by Raspberry Pi's firmware and by Linux.

[RaspberryPi-vcgencmd] Raspberry Pi documentation, Raspberry Pi OS, vcgencmd: get_throttled (bits 0 to 3 now, 16 to 19 since boot),
measure_temp, measure_clock; pmic_read_adc on a Raspberry Pi 5. The kernel tells the same bits in the attribute ``get_throttled`` of its
firmware driver, where vcgencmd may not be run (it needs the group video).
[Linux-thermal] Linux, Documentation/driver-api/thermal/sysfs-api.rst: a cooling device of the kind cpufreq above state 0 caps the clock.
"""

import glob
import os
import re

import host_state

TOOL = "vcgencmd"
SINCE_BOOT = 16  # bits higher: what is told there has occurred since the board was started
BITS = ((0, "under-voltage"), (1, "arm frequency capped"), (2, "throttled"), (3, "soft temperature limit"))
FIRMWARE = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
UNDER_VOLTAGE = "under-voltage"
# Implementer and part of a core (MIDR_EL1) to Arm's name, as in Linux, arch/arm64/include/asm/cputype.h.
PARTS = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse N1",
    ("0x41", "0xd40"): "Neoverse V1",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd49"): "Neoverse N2",
    ("0x41", "0xd4f"): "Neoverse V2",
}


def snapshot(root="/"):
    """``throttling`` now and ``throttled_since_boot``, each a list of reasons; clocks and rails of the firmware; absent is not told."""
    state = {}
    bits = throttled_bits(root)
    if bits is not None:
        state["throttling"] = [words for bit, words in BITS if bits >> bit & 1]
        state["throttled_since_boot"] = [words for bit, words in BITS if bits >> (bit + SINCE_BOOT) & 1]
    alarms = [host_state.read(path) for path in glob.glob(os.path.join(root, "sys/class/hwmon/hwmon*/in0_lcrit_alarm"))]
    if bits is None and any(alarm in ("0", "1") for alarm in alarms):
        state["throttling"] = [UNDER_VOLTAGE] if "1" in alarms else []
    capped = _cooling(root)
    if capped is not None:
        state["throttling"] = state.get("throttling", []) + capped
    if bits is not None:
        state.update(_firmware())
    return state


def throttled_bits(root="/"):
    """The bit field of ``get_throttled``, by vcgencmd or by the kernel; None where neither tells."""
    told = re.search(r"throttled=0x([0-9a-fA-F]{1,8})\b", host_state.ask([TOOL, "get_throttled"]))
    texts = [told.group(1)] if told else [host_state.read(path) for path in glob.glob(os.path.join(root, FIRMWARE))]
    for text in texts:
        try:
            return int(text or "", 16)
        except ValueError:
            continue
    return None


def name(root="/"):
    """The board by its device tree, else the kinds of its cores; empty on what is no ARM board."""
    board = host_state.read(os.path.join(root, "proc/device-tree/model"))
    if board:
        return board.strip("\x00 \n")
    told = host_state.read(os.path.join(root, "proc/cpuinfo")) or ""
    pairs = re.findall(r"^CPU implementer\s*: (\S+)$.*?^CPU part\s*: (\S+)$", told, re.MULTILINE | re.DOTALL)
    kinds = [PARTS.get(pair, "core %s:%s" % pair) for pair in pairs]
    return " and ".join("%d × %s" % (kinds.count(kind), kind) for kind in sorted(set(kinds)))


def _cooling(root):
    """What the kernel does against heat, by cooling devices that cap a processor's clock; None where there is none."""
    found, told = [], False
    for place in sorted(glob.glob(os.path.join(root, "sys/class/thermal/cooling_device[0-9]*"))):
        kind, state = host_state.read(place + "/type") or "", host_state.number(place + "/cur_state")
        if "cpufreq" not in kind or state is None:
            continue
        told = True
        if state > 0:
            most = host_state.number(place + "/max_state")
            found.append("%s at %d%s" % (kind, state, "" if most is None else " of %d" % most))
    return found if told else None


def _firmware():
    """Clocks that really run, in MHz (cpufreq tells the one asked for), the chip's temperature, and watts of a Raspberry Pi 5's rails."""
    state, clocks = {}, []
    for clock in ("arm", "core"):
        told = re.search(r"frequency\(\d+\)=(\d+)", host_state.ask([TOOL, "measure_clock", clock]))
        if told:
            clocks.append([clock, int(told.group(1)) / 1e6])
    heat = re.search(r"temp=(-?\d+(?:\.\d+)?)'C", host_state.ask([TOOL, "measure_temp"]))
    amperes, volts = {}, {}
    for line in host_state.ask([TOOL, "pmic_read_adc"]).splitlines():
        told = re.match(r"\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]\s*$", line)
        if told:
            (amperes if told.group(2) == "A" else volts)[told.group(1)] = float(told.group(3))
    if clocks:
        state["clocks_mhz"] = clocks
    if heat:
        state["temperatures_c"] = [["soc", float(heat.group(1))]]
    rails = [[rail, amperes[rail] * volts[rail]] for rail in amperes if rail in volts]
    if rails:
        state["power_w"] = rails
    return state
