"""Meters of energy: RAPL by Linux's powercap on processors, INA3221 rails on boards; only found, and read where this user may.

RAPL's counters are ``energy_uj`` of the zones called package (Linux, Documentation/power/powercap).
"""

import glob
import os

import host_state
import tegra_state


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
