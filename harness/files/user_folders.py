"""Where this user's own things lie outside of every project: what can be made again, and what must be remembered."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UsageError


def cache() -> Path:
    """``$XDG_CACHE_HOME/espalier``, usually ``~/.cache/espalier``; UsageError where no home is known."""
    return Path(os.environ.get("XDG_CACHE_HOME") or _home("XDG_CACHE_HOME") / ".cache") / "espalier"


def state() -> Path:
    """``$XDG_STATE_HOME/espalier``, usually ``~/.local/state/espalier``; UsageError where no home is known."""
    return Path(os.environ.get("XDG_STATE_HOME") or _home("XDG_STATE_HOME") / ".local" / "state") / "espalier"


def _home(variable: str) -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise UsageError(f"no home folder is known (HOME is not set, nor is this user listed): set HOME, or {variable}") from error
