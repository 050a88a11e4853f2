"""Arrays that need not fit in memory: small ones lie in it, large ones in a file that nobody else sees and that is gone with the process.

The system keeps of a mapped file in memory what is used, as far as there is room: training reads its pictures from disk when they are more.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

IN_MEMORY_BYTES = 1 << 30  # of one array: what is larger goes to the disk of the cache
_SPARE_BYTES = 1 << 30  # of that disk, to be left to others
_CHUNK = 256  # rows that are copied at once


def cache_folder() -> Path:
    """The user's cache, where datasets and other interpreters lie: ``$XDG_CACHE_HOME/espalier``, usually ``~/.cache/espalier``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "espalier"


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
    """An array with no values yet; in memory too, with a warning, where the disk has no room for it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY_BYTES:
        return np.empty(shape, dtype)
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
            raise OSError("no room")
        with tempfile.TemporaryFile(dir=folder) as file:
            os.truncate(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)  # outlives the file, which has no name
    except OSError as error:
        told = f"{size >> 20} MiB of pictures are kept in memory, for {folder} cannot hold them ({error.strerror or error})"
        warnings.warn(f"{told}; make room there, or give a smaller --input-shape", stacklevel=2)
        return np.empty(shape, dtype)
    return np.frombuffer(mapped, dtype).reshape(shape)


def taken(rows: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Copies of those rows, in that order."""
    found = np.asarray(empty((len(numbers), *rows.shape[1:]), np.uint8), np.uint8)
    for start in range(0, len(numbers), _CHUNK):
        found[start : start + _CHUNK] = rows[numbers[start : start + _CHUNK]]
    return found
