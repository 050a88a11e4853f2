"""Why a disk did not take what was to be written, in words: which path, how much room, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NotWritten(OSError):
    """A file could not be written; it has a path, as errors of writing by themselves have not. needed_bytes: that it takes."""

    def __init__(self, error: OSError, path: Path, needed_bytes: int) -> None:
        super().__init__(error.errno, error.strerror or str(error), str(path))
        self.needed_bytes = needed_bytes


def told(error: OSError, path: Path | None = None, needed_bytes: int | None = None) -> str:
    """What failed, on which path, and for a full disk how much is free there and how much is needed, where that is known."""
    named = path if path is not None else Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
    needed_bytes = error.needed_bytes if isinstance(error, NotWritten) and needed_bytes is None else needed_bytes
    place = "a file" if named is None else str(named)
    if error.errno not in FULL:
        return f"cannot write {place} ({error.strerror or error})" if named is not None else f"a file could not be written ({error})"
    needed = "" if needed_bytes is None else f", of which {_size(needed_bytes)} are needed"
    return f"the disk is full: {place} could not be written ({free(named)}{needed})"


def free(path: Path | None) -> str:
    """How much room is left where ``path`` lies or would lie."""
    for folder in () if path is None else (path, *path.absolute().parents):
        try:
            return f"{_size(shutil.disk_usage(folder).free)} free in {folder}"
        except OSError:
            continue
    return "the disk takes no more"


def lacks(folder: Path, needed_bytes: int) -> str:
    """Why ``needed_bytes`` do not fit where ``folder`` lies or would lie; "" where they do, or nobody can tell."""
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    try:
        left = shutil.disk_usage(there).free
    except OSError:
        return ""
    return "" if left >= needed_bytes else f"{folder} has no room: {_size(left)} free, about {_size(needed_bytes)} needed"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**18 else f"{count / 2**10:.1f} KiB"
