"""A folder that belongs to this user alone, for notes and locks: no other user can put a link, a pipe or a folder in a file's place.

As platformdirs' user_runtime_dir has it, which is not on a device: ``$XDG_RUNTIME_DIR``, or ``/run/user/UID``.
"""

import errno
import os
import stat
import tempfile


def runtime():
    """The folder that lasts as long as this user is logged in, or longer; None where there can be none."""
    base = os.environ.get("XDG_RUNTIME_DIR") or "/run/user/%d" % os.geteuid()
    for make in (lambda: _own(os.path.join(base, "espalier")), lasting):
        try:
            return make()
        except OSError:
            continue
    return None


def lasting():
    """The folder that lasts until the machine starts again; OSError where another user has put something in its place."""
    return _own(os.path.join(tempfile.gettempdir(), "espalier-%d" % os.geteuid()))


def open_own(path):
    """A descriptor of the file, made where there was none; OSError for a link, a second name, a pipe, or another user's file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        os.close(descriptor)
        raise OSError(errno.EPERM, "it is no file of this user alone; remove it", path)
    return descriptor


def _own(path):
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(errno.EPERM, "it is no folder of this user alone; remove it", path)
    return path
