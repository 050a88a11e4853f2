"""State of an NVIDIA board or card: power mode, clocks, rails, throttling; only what can be read without changing anything.

Paths and rail names as documented by NVIDIA for JetPack 4 (iio) and JetPack 5 and newer (hwmon).
"""

import glob
import os
import re

import host_state

TOTAL_RAILS = ("VDD_IN", "POM_5V_IN")  # the rail before all others; the rest are parts of it
MILLI = 1000.0


def snapshot(root="/"):
    """Power mode, GPU clock, watts per rail and over-current events; keys that the board does not tell are absent."""
    state = {}
    mode = power_mode()
    if mode:
        state["power_mode"] = mode
    clocks = _clocks(root)
    if clocks:
        state["clocks_mhz"] = clocks
    rails = rails_w(root)
    if rails:
        state["power_w"] = rails
    counters = glob.glob(os.path.join(root, "sys/class/hwmon/hwmon*/oc*_event_cnt"))
    events = [host_state.number(path) for path in counters]
    if any(count is not None for count in events):
        state["throttle_events"] = int(sum(count for count in events if count is not None))
    return state or _card()


def power_mode():
    """``MAXN (0)`` by nvpmodel, or None; ids do not mean the same on two boards, so the name is kept beside them."""
    lines = host_state.ask(["nvpmodel", "-q"]).splitlines()
    for number, line in enumerate(lines):
        if "NV Power Mode:" in line:
            identity = lines[number + 1].strip() if number + 1 < len(lines) else "?"
            return "%s (%s)" % (line.split(":", 1)[1].strip(), identity)
    return None


def rails_w(root="/"):
    """``[rail, watts]`` of the INA3221 sensors."""
    found = []
    for label in sorted(glob.glob(os.path.join(root, "sys/bus/i2c/devices/*/iio:device*/rail_name_[0-9]"))):
        milliwatts = host_state.number(os.path.join(os.path.dirname(label), "in_power%s_input" % label[-1]))
        if milliwatts is not None:
            found.append([host_state.read(label), milliwatts / MILLI])
    for label in sorted(glob.glob(os.path.join(root, "sys/bus/i2c/devices/*/hwmon/hwmon*/in[0-9]_label"))):
        place, channel = os.path.dirname(label), os.path.basename(label)[2]
        millivolts, milliamperes = host_state.number(place + "/in%s_input" % channel), host_state.number(place + "/curr%s_input" % channel)
        name = host_state.read(label)
        if channel != "7" and name != "NC" and millivolts is not None and milliamperes is not None:
            found.append([name, millivolts * milliamperes / MILLI / MILLI])
    return found


def total_rail(root="/"):
    """The board's input rail by its name, or None."""
    rails = dict(rails_w(root))
    return next((name for name in TOTAL_RAILS if name in rails), None)


def energy_j(readings, end_s, seconds):
    """Joules of ``seconds`` of inferences that ended at ``end_s``, by ``(moment, watts)`` readings; None without one in that time.

    A reading stands for as long as the inferences last: what the board drew before them, while an engine was read, is left out.
    """
    inside = [watts for moment, watts in readings if end_s - seconds <= moment <= end_s]
    return sum(inside) / len(inside) * seconds if inside else None


def model(root="/"):
    """The board's or the card's name."""
    board = host_state.read(os.path.join(root, "proc/device-tree/model"))
    if board and ("NVIDIA" in board or "Jetson" in board):
        return board.strip("\x00 \n")
    return host_state.ask(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).strip().split("\n")[0]


def software(root="/"):
    """``[key, text]`` pairs that name the board's system software."""
    release = host_state.read(os.path.join(root, "etc/nv_tegra_release"))
    return [["l4t", release.split("\n")[0].lstrip("# ")]] if release else []


def _clocks(root):
    found = []
    for path in sorted(glob.glob(os.path.join(root, "sys/class/devfreq/*/cur_freq"))):
        name = os.path.basename(os.path.dirname(path))
        hertz = host_state.number(path)
        if hertz and re.search(r"gpu|gv11b|ga10b|gp10b|gm20b", name):
            found.append(["gpu", hertz / 1e6])
    for line in host_state.ask(["jetson_clocks", "--show"]).splitlines():  # needs root; without it the GPU's clock alone is told
        current = re.match(r"(EMC|GPU) .*CurrentFreq=(\d+)", line)
        if current and not (current.group(1) == "GPU" and found):
            scale = 1e6 if int(current.group(2)) > 1e5 else 1.0
            found.append([current.group(1).lower(), int(current.group(2)) / scale])
    return found


def _card():
    query = "clocks.sm,clocks.mem,temperature.gpu,power.draw,pstate"
    line = host_state.ask(["nvidia-smi", "--query-gpu=" + query, "--format=csv,noheader,nounits"]).strip().split("\n")[0]
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 5:
        return {}
    try:
        sm, memory, degrees, watts = (float(part) for part in parts[:4])
    except ValueError:
        return {}
    clocks = [["gpu", sm], ["memory", memory]]
    return {"clocks_mhz": clocks, "temperatures_c": [["gpu", degrees]], "power_w": [["card", watts]], "power_mode": parts[4]}
