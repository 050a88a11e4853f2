"""A Jetson's power mode, changed only on request and put back at the session's end.

nvpmodel's ids do not mean the same on two boards, so names are told beside them. What a killed session left changed is put
back by the next one, from a note beside its lock.
"""

import json
import os
import re
import shutil
import subprocess

import faults
import private_folder
import tegra_state

FORM = re.compile(r"^(\d+)(\+clocks)?$")
TOOL_TIMEOUT_S = 20


class PowerMode:
    """wanted: ``1`` for nvpmodel's id, ``1+clocks`` to fix all clocks with jetson_clocks as well, empty to change nothing."""

    def __init__(self, wanted, directory=None):
        try:
            folder = directory or private_folder.lasting()
        except OSError as error:
            if wanted:
                raise faults.Unusable("%s cannot hold what is to be put back: %s" % (error.filename, error.strerror))
            folder = os.devnull  # in which no note lies
        self.note, self.clocks = os.path.join(folder, "espalier-power-mode.json"), os.path.join(folder, "espalier-clocks.conf")
        self.told = []
        left = self._left_changed()
        if left:
            self.put_back()
            self.told.append(["power mode", "put back to %s, which an interrupted run had changed" % left])
        if wanted:
            self._change(wanted)

    def put_back(self):
        """Restore what was changed; Unusable when the board does not take it. Without a change, nothing."""
        left = self._left_changed()
        if not left:
            return
        if os.path.exists(self.clocks):
            tool(["jetson_clocks", "--restore", self.clocks])
            os.remove(self.clocks)
        tool(["nvpmodel", "-m", identity(left)])
        os.remove(self.note)
        if tegra_state.power_mode() != left:
            raise faults.Unusable("the board is at power mode %s and was at %s; put it back by hand" % (tegra_state.power_mode(), left))

    def _change(self, wanted):
        asked = FORM.match(wanted)
        if not asked:
            raise faults.Unusable("power mode %r is none; give nvpmodel's id, for example 0, or 0+clocks to fix the clocks too" % wanted)
        before = tegra_state.power_mode()
        if not before:
            raise faults.Unusable("nvpmodel tells no power mode here; leave --set-power-mode out")
        with open(self.note, "w") as file:
            json.dump({"before": before}, file)
        try:
            said = tool(["nvpmodel", "-m", asked.group(1)])
            now = tegra_state.power_mode()
            if not now or identity(now) != asked.group(1):
                raise faults.Unusable("nvpmodel left the board at %s: %s; this mode may need root or a reboot" % (now, said or "no reason"))
            if asked.group(2):
                tool(["jetson_clocks", "--store", self.clocks])
                tool(["jetson_clocks"])
        except faults.Unusable:
            self.put_back()
            raise
        clocks = ", clocks fixed" if asked.group(2) else ""
        self.told.append(["power mode", "%s on request%s; was %s and is put back" % (now, clocks, before)])

    def _left_changed(self):
        try:
            with open(self.note) as file:
                return str(json.load(file)["before"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""


def identity(mode):
    """``1`` of ``15W (1)``."""
    return mode.rsplit("(", 1)[1].rstrip(")")


def tool(command):
    """What a tool said, on one line; run by sudo where that asks for no password. Unusable when it is absent or fails."""
    words = command if os.geteuid() == 0 or not shutil.which("sudo") else ["sudo", "-n"] + command
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=TOOL_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise faults.Unusable("cannot run %s (%s); leave --set-power-mode out" % (" ".join(command), error))
    said = " ".join(done.stdout.decode("utf-8", "replace").split())[:300]
    if done.returncode:
        raise faults.Unusable("%s failed: %s; let it run as root, or leave --set-power-mode out" % (" ".join(command), said or "no reason"))
    return said
