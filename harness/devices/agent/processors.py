"""Which of a machine's processors a runtime's threads are held to: its fastest ones, one of every core before any second one."""

import os

import host_state

PLACE = "/sys/devices/system/cpu/cpu%d/%s"
SPEEDS = ("cpu_capacity", "cpufreq/cpuinfo_max_freq")  # the first on ARM, where cores are of two kinds, the second elsewhere


def pin(threads):
    """Hold the calling thread to one processor; the numbers of as many as ``threads``, it first, or None where none is held.

    Which ones OpenVINO takes, too. More threads than processors are left to the system, and so are all where it cannot be asked.
    """
    try:
        chosen = choose(sorted(os.sched_getaffinity(0)), threads)
        if chosen:
            os.sched_setaffinity(0, chosen[:1])
    except (AttributeError, OSError):
        return None
    return chosen


def choose(allowed, threads, place=PLACE):
    """``threads`` of the processors that are ``allowed``, in their order; None where they are too few."""
    if len(allowed) < threads:
        return None
    return sorted(allowed, key=lambda processor: (_is_second(processor, allowed, place), -_speed(processor, place), processor))[:threads]


def _is_second(processor, allowed, place):
    """Whether a core's other thread, of a lower number, may run there too."""
    told = host_state.read(place % (processor, "topology/thread_siblings_list")) or ""
    siblings = set()
    for part in told.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            siblings.update(range(int(first), int(last or first) + 1))
    return min(siblings.intersection(allowed), default=processor) < processor


def _speed(processor, place):
    told = [host_state.number(place % (processor, name)) for name in SPEEDS]
    return next((speed for speed in told if speed), 0.0)
