"""Arrays that need not fit in memory: what the bound allows lies in it, the rest in files that nobody else sees, gone with the process.

What of a file was read stays in the system's cache as long as there is room, but it is not held here: pages that were looked at are
given back after a share of the bound.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
import warnings
import weakref
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from harness.errors import UsageError
from harness.files import user_folders

BOUND_VARIABLE = "ESPALIER_PICTURES_MIB"  # inherited by worker processes
FREE_SHARE = 4  # one part in so many of the memory that is free may hold pictures
MOST_BYTES, LEAST_BYTES = 2 << 30, 64 << 20  # of it, unless a person says otherwise
_SPARE_BYTES = 1 << 30  # of the disk, to be left to others
_CHUNK = 256  # rows that are copied at once
_RELEASED_SHARE = 4  # after one part in so many of the bound was read, pages are given back
_held: dict[int, int] = {}  # bytes of arrays in memory
_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_read = [0]  # bytes, since pages were given back


def cache_folder() -> Path:
    """Where datasets are downloaded to: ``$XDG_CACHE_HOME/espalier``, usually ``~/.cache/espalier``."""
    return user_folders.cache()


def bound_bytes() -> int:
    """How much memory the pictures of this process may take; UsageError for a bound that is no whole number of MiB."""
    told = os.environ.get(BOUND_VARIABLE, "")
    if not told:
        return _bound_here()
    if not told.isdecimal() or int(told) < 1:
        raise UsageError(f"{BOUND_VARIABLE}={told!r}: give a whole number of MiB, or leave it out")
    return int(told) << 20


@cache
def _bound_here() -> int:
    return min(MOST_BYTES, max(LEAST_BYTES, _available_bytes() // FREE_SHARE))


def _available_bytes() -> int:
    """Memory that is free for this process, by what the system says, and by the limit of its control group where it has one."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) << 10)
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(found, default=FREE_SHARE * MOST_BYTES)


def fits(size: int) -> bool:
    """Whether so many more bytes may lie in memory."""
    return sum(_held.values()) + size <= bound_bytes()


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
    """An array with no values yet; in memory too, with a warning, where the disk has no room for it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if fits(size):
        return _in_memory(shape, dtype, size)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
            raise OSError("no room")
        with tempfile.TemporaryFile(dir=folder) as file:
            os.truncate(file.fileno(), size)
            mapping = mmap.mmap(file.fileno(), size)  # outlives the file, which has no name
    except OSError as error:
        told = f"{size >> 20} MiB of pictures are kept in memory, for {folder} cannot hold them ({error.strerror or error})"
        warnings.warn(f"{told}; make room there, or give a smaller --input-shape", stacklevel=2)
        return _in_memory(shape, dtype, size)
    _mapped.add(mapping)
    return np.frombuffer(mapping, dtype).reshape(shape)


def _in_memory(shape: tuple[int, ...], dtype: DTypeLike, size: int) -> NDArray[np.generic]:
    made = np.empty(shape, dtype)
    _held[id(made)] = size
    weakref.finalize(made, _held.pop, id(made), None)
    return made


def taken(rows: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Copies of those rows, in that order."""
    found = np.asarray(empty((len(numbers), *rows.shape[1:]), np.uint8), np.uint8)
    for start in range(0, len(numbers), _CHUNK):
        found[start : start + _CHUNK] = rows[numbers[start : start + _CHUNK]]
        was_read(2 * found[start : start + _CHUNK].nbytes)
    return found


def watched(mapping: mmap.mmap) -> None:
    """Pages of this file are given back too."""
    _mapped.add(mapping)


def was_read(size: int) -> None:
    """Whoever goes through a large array says so, chunk by chunk; now and then the pages that it read are given back.

    What they hold stays in the file, and in the system's cache while there is room.
    """
    _read[0] += size
    if _read[0] * _RELEASED_SHARE < bound_bytes() or not hasattr(mmap, "MADV_DONTNEED"):
        return
    _read[0] = 0
    for mapping in _mapped:
        with contextlib.suppress(ValueError, OSError):  # closed meanwhile; or a kind of file that keeps its pages
            mapping.madvise(mmap.MADV_DONTNEED)
