"""Writes a text of a campaign whole or not at all, and says in one line why it cannot."""

from __future__ import annotations

from pathlib import Path

from harness.errors import CampaignError
from harness.records import stored_files


def write(path: Path, content: str) -> Path:
    """Write ``content``, also into a folder that is not there yet; CampaignError when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored_files.replace(path, content.encode())
    except OSError as error:
        raise CampaignError(f"cannot write {path} ({error.strerror}); make room or give the folder back its permissions") from error
    return path
