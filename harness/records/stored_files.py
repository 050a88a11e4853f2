"""How everything that is stored is named and written: plain names, and files that appear whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from harness.files.disk import NotWritten


def stem(*words: str) -> str:
    """One plain file name of several words, without path separators: ``torchvision:resnet18`` and ``digits`` give one name."""
    return "-".join(re.sub(r"[^A-Za-z0-9.+]+", "-", word).strip("-") for word in words)


def sync(folder: Path) -> None:
    """Make the names of new files in ``folder`` durable, as their bytes are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, or a crash, sees the old file or the new one, never a part; OSError."""
    try:
        _replace(path, content)
    except OSError as error:
        raise NotWritten(error, path, len(content)) from error


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's files are private
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
