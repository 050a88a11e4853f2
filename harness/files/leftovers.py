"""What killed processes left behind: swept at the next start, only what is ours and what nobody holds."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import time
import weakref
from pathlib import Path

from harness.files import locks

YOUNG_S = 1.0  # a folder so young may be between being made and being held
YOUNG_FILE_S = 60.0  # a file so young may yet become whole: files are not held
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")  # as ``harness.records.stored_files`` names a file before it is whole


class HeldFolder:
    """A temporary folder, held as long as this process lives, so that the next one sweeps only those of killed processes."""

    def __init__(self, prefix: str) -> None:
        sweep(Path(tempfile.gettempdir()), f"{prefix}*")
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._lock = locks.hold(self.path)
        self._end = weakref.finalize(self, _remove, self.path, self._lock, os.getpid())

    def cleanup(self) -> None:
        """Remove it now."""
        self._end()


def sweep(parent: Path, pattern: str, young_s: float = YOUNG_S) -> tuple[Path, ...]:
    """Remove the folders in ``parent`` of a glob's names that are this user's and held by nobody; returns those."""
    swept = []
    for path in sorted(parent.glob(pattern)):
        try:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or time.time() - found.st_mtime < young_s:
                continue
        except OSError:
            continue  # gone meanwhile
        if not locks.is_held(path):
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path)
    return tuple(swept)


def sweep_files(folder: Path, young_s: float = YOUNG_FILE_S) -> tuple[Path, ...]:
    """Remove files in ``folder``, and further down, that were to become whole and never did; returns those."""
    swept = []
    for path in sorted(folder.rglob(".*.????????")):
        try:
            found = path.lstat()
        except OSError:
            continue
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and time.time() - found.st_mtime >= young_s
        if ours and _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)
            swept.append(path)
    return tuple(swept)


def _remove(path: Path, lock: locks.Lock, owner: int) -> None:
    if os.getpid() == owner:  # a forked child ends without it
        shutil.rmtree(path, ignore_errors=True)
        lock.release()
