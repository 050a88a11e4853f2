"""A file that one process holds at a time, taken without following links and without writing anything into it.

The operating system drops the lock with the process that holds it: a file that a killed one left is free.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.05


@dataclass(frozen=True)
class Lock:
    """A lock that is held; children that are forked hold it too."""

    descriptor: int

    def release(self) -> None:
        """Let the next one in."""
        os.close(self.descriptor)


def take(path: Path, wait_s: float = 0.0) -> Lock | None:
    """The lock, None where another process holds it; OSError where ``path`` is a link, has a second name, or is no plain file."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor, end, held = os.open(path, flags, 0o644), time.monotonic() + wait_s, False
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OSError(errno.EINVAL, "it is no file of its own, as a lock must be: remove it", str(path))
        while not (held := _locked(descriptor)) and time.monotonic() < end:
            time.sleep(_POLL_S)
    finally:
        if not held:
            os.close(descriptor)
    return Lock(descriptor) if held else None


def hold(folder: Path) -> Lock:
    """Hold a folder for as long as this process, or a child of it, lives; whoever sweeps leaves it alone."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    _locked(descriptor)
    return Lock(descriptor)


def is_held(folder: Path) -> bool:
    """Whether somebody holds a folder that is ours; also where that cannot be told."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        return os.fstat(descriptor).st_uid != os.geteuid() or not _locked(descriptor)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True
