"""What decides whether a Linux machine is fit to measure on, from its own files; nothing is changed, what it does not tell is absent.

Two looks lie a moment apart, and in between a fixed piece of work is timed again and again: what shares this processor slows it.
"""

import glob
import os
import shutil
import time

import host_state
import meters

SPIN_COUNT, SPIN_S = 4000, 1.0  # a piece of work of a tenth of a millisecond or so, for a second
MOST_PROCESSES = 3  # told of those that compute
MYRIAD_VENDOR = "03e7"


def examine(root="/", spin_s=SPIN_S):
    """Facts by name; root: where the system's files are."""
    system = _System(root)
    before = system.counters()
    begin = time.time()
    spins = spin(spin_s)
    passed_s = max(time.time() - begin, 1e-3)
    after = system.counters()
    found = system.standing()
    found["spins_s"] = spins
    found.update(system.passed(before, after, passed_s))
    found["meters"] = meters.names(root)
    return found


def spin(duration_s):
    """Seconds that a fixed piece of work took, again and again."""
    found, end = [], time.perf_counter() + duration_s
    while time.perf_counter() < end:
        begin, total = time.perf_counter(), 0
        for number in range(SPIN_COUNT):
            total += number * number
        found.append(time.perf_counter() - begin)
    return found


class _System:
    def __init__(self, root):
        self.root = root

    def path(self, *words):
        return os.path.join(self.root, *words)

    def text(self, *words):
        return host_state.read(self.path(*words))

    def counters(self):
        """What counts up: processor times in ticks, swapped pages, throttling, each process's time."""
        fields = [line.split() for line in (self.text("proc/stat") or "").splitlines() if line.startswith("cpu ")]
        pages = dict(line.split()[:2] for line in (self.text("proc/vmstat") or "").splitlines() if line.startswith("pswp"))
        quota = dict(line.split()[:2] for line in (self.text("sys/fs/cgroup/cpu.stat") or "").splitlines() if len(line.split()) == 2)
        throttles = [
            host_state.number(one) for one in glob.glob(self.path("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count"))
        ]
        return {
            "stat": [int(tick) for tick in fields[0][1:9]] if fields else [],
            "swapped": sum(int(count) for count in pages.values()),
            "throttled": sum(count for count in throttles if count is not None) if throttles else None,
            "quota": int(quota["nr_throttled"]) if "nr_throttled" in quota else None,
            "processes": self.processes(),
        }

    def processes(self):
        """``{pid: (name, ticks)}`` of all but this one."""
        found = {}
        for place in glob.glob(self.path("proc/[0-9]*/stat")):
            line = host_state.read(place)
            if not line or ")" not in line:
                continue
            pid, name, rest = (
                int(line.split(None, 1)[0]),
                line[line.index("(") + 1 : line.rindex(")")],
                line[line.rindex(")") + 2 :].split(),
            )
            if pid != os.getpid():
                found[pid] = (name, int(rest[11]) + int(rest[12]))
        return found

    def passed(self, before, after, seconds):
        """What happened between two looks."""
        found = {"swapped_pages": after["swapped"] - before["swapped"]}
        if before["stat"] and after["stat"]:
            ticks = [after["stat"][place] - early for place, early in enumerate(before["stat"])]
            total = sum(ticks)
            if total > 0:
                found["busy_processors"] = (total - ticks[3] - ticks[4]) / total * os.cpu_count()
                found["stolen_ratio"] = ticks[7] / total
        for key in ("throttled", "quota"):
            if before[key] is not None and after[key] is not None:
                found[key + "_events"] = int(after[key] - before[key])
        tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        used = []
        for pid, (name, ticks) in after["processes"].items():
            ratio = (ticks - before["processes"].get(pid, (name, ticks))[1]) * tick_s / seconds
            if ratio >= 0.05:
                used.append([pid, name, ratio])
        found["others"] = sorted(used, key=lambda one: -one[2])[:MOST_PROCESSES]
        found["others_processors"] = sum(one[2] for one in used)
        return found

    def standing(self):
        """What stands as it is."""
        found = {"processors": os.cpu_count()}
        governors = sorted(
            {host_state.read(one) for one in glob.glob(self.path("sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"))} - {None}
        )
        if governors:
            found["governor"] = ", ".join(governors)
        turbo, boost = self.text("sys/devices/system/cpu/intel_pstate/no_turbo"), self.text("sys/devices/system/cpu/cpufreq/boost")
        if turbo in ("0", "1"):
            found["turbo"] = turbo == "0"
        elif boost in ("0", "1"):
            found["turbo"] = boost == "1"
        smt = self.text("sys/devices/system/cpu/smt/active")
        if smt in ("0", "1"):
            found["smt"] = smt == "1"
        found["virtual"] = " hypervisor" in (self.text("proc/cpuinfo") or "")
        found.update(self.memory())
        found["disk_free_bytes"] = shutil.disk_usage(self.path("tmp") if os.path.isdir(self.path("tmp")) else self.root).free
        heat = self.margin()
        if heat is not None:
            found["heat_margin_c"] = heat
        found["sticks"] = self.sticks()
        return found

    def memory(self):
        lines = dict(line.split(":", 1) for line in (self.text("proc/meminfo") or "").splitlines() if ":" in line)
        sizes = {key: int(text.split()[0]) * 1024 for key, text in lines.items() if text.split() and text.split()[0].isdigit()}
        found = {}
        if "MemAvailable" in sizes:
            found["memory_free_bytes"] = sizes["MemAvailable"]
        if "SwapTotal" in sizes:
            found["swap_used_bytes"] = sizes["SwapTotal"] - sizes.get("SwapFree", 0)
        return found

    def margin(self):
        """Degrees left to the lowest limit at which a zone throttles or stops; None where none is told."""
        margins = []
        for zone in glob.glob(self.path("sys/class/thermal/thermal_zone[0-9]*")):
            now = host_state.number(zone + "/temp")
            for kind in glob.glob(zone + "/trip_point_*_type"):
                limit = host_state.number(kind[: -len("type")] + "temp")
                if host_state.read(kind) in ("passive", "hot", "critical") and now is not None and limit:
                    margins.append((limit - now) / 1000)
        return min(margins) if margins else None

    def sticks(self):
        """``[USB port, megabits a second]`` of every Myriad stick."""
        found = []
        for vendor in sorted(glob.glob(self.path("sys/bus/usb/devices/*/idVendor"))):
            if host_state.read(vendor) == MYRIAD_VENDOR:
                place = os.path.dirname(vendor)
                found.append([os.path.basename(place), host_state.number(place + "/speed") or 0.0])
        return found
