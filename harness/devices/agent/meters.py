"""Meters of energy: RAPL by Linux's powercap on processors, INA3221 rails on boards; only read, and only where this user may.

A RAPL counter counts microjoules and wraps at ``max_energy_range_uj`` (Linux, Documentation/power/powercap); a rail tells watts at a
moment, so its energy is watts times seconds.
"""

import glob
import os

import host_state
import tegra_state

MICRO = 1e-6


class Rapl:
    """Counters of the processors' packages; joules."""

    def __init__(self, root="/"):
        self.zones = readable_zones(root)

    def read(self):
        """A reading of every package in microjoules."""
        return [host_state.number(os.path.join(zone, "energy_uj")) for zone in self.zones]

    def joules(self, before, after):
        """Energy between two readings, wrapped counters mended; None where one was not told."""
        total = 0.0
        for place, zone in enumerate(self.zones):
            early, late = before[place], after[place]
            if early is None or late is None:
                return None
            if late < early:
                late += host_state.number(os.path.join(zone, "max_energy_range_uj")) or 0.0
            total += late - early
        return total * MICRO


def readable_zones(root="/"):
    """Folders of the packages whose counter this user may read; parts of a package (core, uncore, dram) are within it or beside."""
    found = []
    for name in sorted(glob.glob(os.path.join(root, "sys/class/powercap/*/name"))):
        zone = os.path.dirname(name)
        if (host_state.read(name) or "").startswith("package") and host_state.number(os.path.join(zone, "energy_uj")) is not None:
            found.append(zone)
    return found


def locked_zones(root="/"):
    """Packages that have a counter which only root may read."""
    found = []
    for name in sorted(glob.glob(os.path.join(root, "sys/class/powercap/*/name"))):
        counter = os.path.join(os.path.dirname(name), "energy_uj")
        if (host_state.read(name) or "").startswith("package") and os.path.exists(counter) and host_state.number(counter) is None:
            found.append(counter)
    return found


def names(root="/"):
    """``[kind, what it meters, whether it can be read]`` of every meter."""
    found = [["rapl", host_state.read(os.path.join(zone, "name")), True] for zone in readable_zones(root)]
    found += [["rapl", counter, False] for counter in locked_zones(root)]
    return found + [["ina3221", rail, True] for rail, _ in tegra_state.rails_w(root)]
