"""The bytes of a file that somebody else may have put there: a regular one, of bounded size, or a refusal."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 30  # of one file that is read as text: the largest of ours have some tens of megabytes
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def read(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The file's bytes; OSError where it is none, larger than ``most_bytes``, or a pipe or device, which might never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in its name
        raise OSError(errno.EINVAL, "no file can be called so", str(path)) from error
    found = os.fstat(descriptor)
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'no file')}, not a file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > most_bytes:
            raise OSError(errno.EFBIG, f"it has more than {most_bytes >> 20} MiB", str(path))
        return file.read()


def text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The file as UTF-8; OSError as ``read``, ValueError for other bytes."""
    return read(path, most_bytes).decode("utf-8")
