"""One user of a device at a time, by an advisory lock on the device's own host.

The operating system drops the lock with the process that holds it, so a lock file whose holder died is free: its text
is only what the next one reads to say who was there.
"""

import fcntl
import json
import os
import re
import time


def take(directory, resource, who):
    """``(descriptor, None)`` when the lock was free or stale, else ``(None, who holds it)``."""
    path = os.path.join(directory, "espalier-%s.lock" % re.sub(r"[^A-Za-z0-9_.-]", "_", resource))
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(descriptor, 4096, 0)
        os.close(descriptor)
        return None, _holder(text)
    note = dict(who, agent_pid=os.getpid(), since=time.strftime("%Y-%m-%d %H:%M:%S"))
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode("utf-8"), 0)
    except OSError:
        pass  # another user's file or a full disk: the lock itself holds, only its note is missing
    return descriptor, None


def _open(path):
    for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError:
            continue
        if flags & os.O_CREAT:
            os.fchmod(descriptor, 0o666)  # the umask must not keep other users from waiting for the device
        return descriptor
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _holder(text):
    try:
        note = json.loads(text.decode("utf-8"))
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
