"""One trtexec after the other, each in a process group of its own that ends with the agent."""

import ctypes
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time

import faults
import trtexec_files

PLACES = ("/usr/src/tensorrt/bin/trtexec", "/usr/local/tensorrt/bin/trtexec", "/opt/tensorrt/bin/trtexec")
WATCH_PERIOD_S = 0.05
FOLDER = "espalier-trtexec-"
DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


class Trtexec:
    """path: the program. flags: what its help lists. release: ``(8, 5, 2)`` or None. directory: for its files, until ``close``."""

    def __init__(self, wanted):
        self.path = _find(wanted)
        _sweep()
        self.directory = tempfile.mkdtemp(prefix="%s%d-" % (FOLDER, os.getpid()))
        _, help_text = self.run(["--help"])
        self.flags, self.release = trtexec_files.flags(help_text), trtexec_files.version(help_text)
        if "onnx" not in self.flags or "exportTimes" not in self.flags:
            raise faults.Unavailable("%s --help lists no --onnx; give the path of TensorRT's trtexec" % self.path)

    def close(self):
        """Remove the directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, arguments, while_running=None):
        """``(exit code, log)`` of one trtexec; it ends with the agent, and with it everything that it started."""
        log_path = os.path.join(self.directory, "log")
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                [self.path] + arguments,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                cwd=self.directory,
            )
            try:
                while while_running is not None and process.poll() is None:
                    while_running()
                    time.sleep(WATCH_PERIOD_S)
                rc = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        with open(log_path, errors="replace") as log:
            return rc, log.read()

    def must(self, arguments, while_running=None):
        """The log of one trtexec that has to succeed."""
        rc, log = self.run(arguments, while_running)
        if rc or not trtexec_files.passed(log):
            raise RuntimeError("trtexec failed: %s" % trtexec_files.complaints(log)[:600])
        return log


def _find(wanted):
    """The path of trtexec: as given, on the search path, or where JetPack and the archives put it."""
    places = [str(wanted)] if wanted else [shutil.which("trtexec")] + list(PLACES)
    for place in places:
        if place and os.access(os.path.expanduser(place), os.X_OK):
            return os.path.expanduser(place)
    looked = ", ".join(place for place in places if place)
    raise faults.Unavailable("no trtexec at %s; install libnvinfer-bin, or set options = { trtexec = PATH }" % looked)


def _sweep():
    """Remove what agents that were killed have left."""
    for path in glob.glob(os.path.join(tempfile.gettempdir(), FOLDER + "*")):
        pid = os.path.basename(path)[len(FOLDER) :].split("-")[0]
        try:
            ours = os.lstat(path).st_uid == os.geteuid()
        except OSError:  # another agent was quicker
            continue
        if ours and not (pid.isdigit() and os.path.exists("/proc/" + pid)):
            shutil.rmtree(path, ignore_errors=True)


def _die_with_parent():
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
