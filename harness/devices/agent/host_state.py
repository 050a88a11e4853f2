"""The state of a Linux machine from its own files: clocks, temperatures, load, throttling, memory."""

import glob
import os
import resource
import subprocess

ASK_TIMEOUT_S = 5


def snapshot():
    """Clocks in MHz, temperatures in degrees Celsius, load average, governor, throttle events; only what the machine tells."""
    state = {"clocks_mhz": _clocks(), "temperatures_c": _temperatures()}
    load = read("/proc/loadavg")
    if load:
        state["load_average"] = float(load.split()[0])
    governors = sorted({read(path) for path in glob.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")} - {None})
    if governors:
        state["governor"] = ",".join(governors)
    counts = [read(path) for path in glob.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")]
    if any(count is not None for count in counts):
        state["throttle_events"] = sum(int(count) for count in counts if count)
    return state


def favour(nice):
    """Run this thread, and those that it starts, before others' as far as the system allows; returns the niceness it has."""
    try:
        os.nice(nice - os.nice(0))
        with open("/proc/self/autogroup", "w") as file:  # the agent leads a session, which the scheduler may weigh as a whole
            file.write(str(nice))
    except OSError:
        pass  # raising the priority needs rights that most users lack
    return os.nice(0)


def read(path):
    """A small file's text without surrounding space, or None when it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def number(path):
    """A small file's number, or None."""
    try:
        return float(read(path) or "")
    except ValueError:
        return None


def ask(command):
    """A tool's output, empty when it is absent, refuses or takes too long."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=ASK_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def reset_peak_memory():
    """Let the kernel count this process's peak memory afresh, where it allows that."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass  # then the peak is that of the whole process's life, which is still an upper bound


def peak_memory_bytes():
    """Most memory this process held since ``reset_peak_memory``."""
    for line in (read("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _clocks():
    found = []
    for path in sorted(glob.glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")):
        khz = number(path)
        if khz is not None:
            found.append([path.split(os.sep)[5], khz / 1000])
    if found:
        return found
    lines = [line for line in (read("/proc/cpuinfo") or "").splitlines() if line.startswith("cpu MHz")]
    return [["cpu%d" % index, float(line.split(":")[1])] for index, line in enumerate(lines)]


def _temperatures():
    found = []
    for zone in sorted(glob.glob("/sys/class/thermal/thermal_zone[0-9]*")):
        degrees = number(zone + "/temp")
        if degrees is not None:
            found.append([read(zone + "/type") or os.path.basename(zone), degrees / 1000])
    return found
