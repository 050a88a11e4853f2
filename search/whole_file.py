"""Writes a text file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import CampaignError


def write(path: Path, content: str) -> Path:
    """A temporary file beside it, flushed, then renamed; CampaignError when the folder does not take it."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        if part.is_file():
            part.unlink()
        raise CampaignError(f"cannot write {path} ({error.strerror}); make room or give the folder back its permissions") from error
    return path
