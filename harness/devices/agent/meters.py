"""Meters of energy: RAPL by Linux's powercap on processors, INA3221 rails on boards; found, and read where this user may.

RAPL's counters are ``energy_uj`` of the zones called package; they count microjoules up to ``max_energy_range_uj`` and begin again
(Linux, Documentation/power/powercap).
"""

import glob
import os

import host_state
import tegra_state

MICRO = 1e-6
MMIO = "mmio"


class Packages:
    """The energy of all of a machine's packages, everybody's work and idling included. name: what is metered."""

    def __init__(self, zones):
        self.zones = zones
        self.name = "rapl " + "+".join(host_state.read(os.path.join(zone, "name")) or zone for zone in zones)
        self.ranges = [host_state.number(os.path.join(zone, "max_energy_range_uj")) for zone in zones]

    def counts(self):
        """Microjoules that each package counts now; None for one that cannot be read."""
        return [host_state.number(os.path.join(zone, "energy_uj")) for zone in self.zones]

    def joules(self, before, after):
        """Joules between two ``counts``, at most one turn of a counter apart; None where one could not be read, or its range is unknown."""
        spent = 0.0
        for begin, end, full in zip(before, after, self.ranges):
            if begin is None or end is None or (end < begin and full is None):
                return None
            spent += end - begin if end >= begin else end - begin + full
        return spent * MICRO if spent >= 0 else None


def packages(root="/"):
    """The machine's packages as one meter, or None where this user can read not one, or not all of them."""
    zones = readable_zones(root)
    return Packages(zones) if zones and not locked_zones(root) else None


def readable_zones(root="/"):
    """Folders of the packages whose counter this user may read; parts of a package (core, uncore, dram) are within it or beside.

    A package that two drivers tell of (intel-rapl and intel-rapl-mmio) is one, or its energy would count twice.
    """
    found = {}
    for name in sorted(glob.glob(os.path.join(root, "sys/class/powercap/*/name"))):
        zone, told = os.path.dirname(name), host_state.read(name) or ""
        if told.startswith("package") and host_state.number(os.path.join(zone, "energy_uj")) is not None:
            if told not in found or MMIO in os.path.basename(found[told]):
                found[told] = zone
    return [found[told] for told in sorted(found)]


def locked_zones(root="/"):
    """Counters of packages that only root may read."""
    found, readable = [], {host_state.read(os.path.join(zone, "name")) for zone in readable_zones(root)}
    for name in sorted(glob.glob(os.path.join(root, "sys/class/powercap/*/name"))):
        counter = os.path.join(os.path.dirname(name), "energy_uj")
        told = host_state.read(name) or ""
        if told.startswith("package") and told not in readable and os.path.exists(counter) and host_state.number(counter) is None:
            found.append(counter)
    return found


def names(root="/"):
    """``[kind, what it meters, whether it can be read]`` of every meter."""
    found = [["rapl", host_state.read(os.path.join(zone, "name")), True] for zone in readable_zones(root)]
    found += [["rapl", counter, False] for counter in locked_zones(root)]
    return found + [["ina3221", rail, True] for rail, _ in tegra_state.rails_w(root)]
