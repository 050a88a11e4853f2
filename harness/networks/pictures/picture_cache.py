"""Decoded pictures in the user's cache: one array per content, whole or not there, the least recently used ones removed.

A file is the array in numpy's format with the digest of all of it behind, which says that it is whole and undamaged. It is made as a
``.part`` of its full size, and filled in place, so that a set of any size takes no memory; no cache disk is no error.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.files import locks
from harness.networks.pictures import large_arrays
from harness.networks.pictures.large_arrays import cache_folder as cache_folder

MOST_BYTES = 4 << 30  # of all sets together: twenty of 60,000 pictures of 3 x 32 x 32
_SEAL_BYTES = 32
_CHUNK_BYTES = 1 << 22
_ABANDONED_S = 86_400.0  # after which a part or a lock is a killed process's

Rows = NDArray[np.uint8]


def folder() -> Path:
    """Where the sets lie."""
    return cache_folder() / "pictures"


def find(name: str) -> Rows | None:
    """The array called ``name``, read-only and read from disk as it is used; None when it is not there, or damaged."""
    path = _path(name)
    try:
        if not _sealed(path):
            return None
        rows = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):
        return None
    _touch(path)
    return _watched(rows)


def make(name: str, shape: tuple[int, ...], fill: Callable[[Rows], None]) -> Rows:
    """A new array, filled by ``fill`` and kept; for this process alone, with a warning, where the cache cannot hold it."""
    try:
        part, rows = _reserved(name, shape)
    except OSError as error:
        rows = np.asarray(large_arrays.empty(shape, np.uint8), np.uint8)
        fill(rows)
        _warn(error)
        return rows
    try:
        fill(rows)
        _seal(part, _path(name))
    except OSError as error:
        _warn(error)  # the array stays whole: its file has only lost its name
    finally:
        _remove(part)
    return rows


@contextmanager
def alone(name: str) -> Iterator[None]:
    """While it lasts, nobody else makes ``name``: who comes second finds it made. Where there are no locks, both make it."""
    lock = None
    try:
        folder().mkdir(parents=True, exist_ok=True)
        lock = locks.take(_path(name).with_suffix(".lock"), wait_s=math.inf)
    except OSError:
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _warn(error: OSError) -> None:
    why = error.strerror or str(error)
    warnings.warn(f"decoded pictures are not kept in {folder()} ({why}): every start decodes them anew", stacklevel=3)


def _path(name: str) -> Path:
    return folder() / f"{name}.npy"


def _reserved(name: str, shape: tuple[int, ...]) -> tuple[Path, Rows]:
    """A file with the room for all of the array, and the array in it; OSError when there is no such room.

    The room is taken at once: a disk that fills up later would end the process, as the array is mapped.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if size > MOST_BYTES:
        raise OSError(f"{size >> 20} MiB are more than the {MOST_BYTES >> 20} MiB that it may hold")
    folder().mkdir(parents=True, exist_ok=True)
    _make_room(MOST_BYTES - size)
    handle, part = tempfile.mkstemp(dir=folder(), prefix=f"{name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for start in range(0, size, _CHUNK_BYTES):
                file.write(bytes(min(_CHUNK_BYTES, size - start)))
        return Path(part), _watched(np.lib.format.open_memmap(part, mode="r+"))
    except BaseException:
        _remove(Path(part))
        raise


def _watched(rows: np.memmap[Any, Any]) -> Rows:
    if isinstance(rows.base, mmap.mmap):
        large_arrays.watched(rows.base)
    return np.asarray(rows)


def _make_room(most_bytes: int) -> None:
    """Remove the sets used longest ago until the others take ``most_bytes`` at most, and what killed processes left."""
    kept = 0
    for path, found in sorted(_stats(), key=lambda pair: pair[1].st_mtime, reverse=True):
        whole = path.suffix == ".npy"
        kept += found.st_size if whole else 0
        if kept > most_bytes if whole else time.time() - found.st_mtime > _ABANDONED_S:
            _remove(path)


def _stats() -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder().iterdir():
        try:
            yield path, path.stat()
        except OSError:
            continue  # another process removed it


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # in use, where that forbids it; the next set that is made tries again


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        return  # somebody else's, or a read-only disk: used, but not known to be


def _sealed(path: Path) -> bool:
    """Whether the digest at the end of the file is that of all before it; OSError."""
    size = path.stat().st_size - _SEAL_BYTES
    if size <= 0:
        return False
    with open(path, "rb") as file:
        file.seek(size)
        seal = file.read()
    return seal == _digest(path, size)


def _seal(part: Path, path: Path) -> None:
    """Put the digest behind a part and give it its name; OSError."""
    seal = _digest(part, part.stat().st_size)
    with open(part, "ab") as file:
        file.write(seal)
    os.chmod(part, 0o644)  # mkstemp's files are private
    os.replace(part, path)


def _digest(path: Path, size: int) -> bytes:
    """Of the first ``size`` bytes."""
    found = hashlib.blake2b(digest_size=_SEAL_BYTES)
    with open(path, "rb", buffering=0) as file:
        while size and (read := file.read(min(size, _CHUNK_BYTES))):
            found.update(read)
            size -= len(read)
    return found.digest()
