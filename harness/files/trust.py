"""Which code that came with a folder this user allowed to run, remembered by its SHA-256 outside of every folder.

A campaign's folder, or that of a saved network, is data: it may come from anybody. A file that the user names on a command line is theirs,
and so is the copy that a campaign of theirs keeps of it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from harness.errors import UsageError, one_line
from harness.files import user_folders

_allowed: set[str] = set()  # in this process, by digest
_ask: list[bool] = [True]  # False once --trust was given


def given() -> None:
    """``--trust`` was given: whatever is required from now on in this process is allowed, and remembered."""
    _ask[0] = False


def allow_here(content: bytes) -> None:
    """Allow a file for this process alone: the user named it."""
    _allowed.add(_digest(content))


def allow(content: bytes, path: Path) -> None:
    """Allow a file for good; for this process alone where nothing can be remembered."""
    allow_here(content)
    place = _place(_digest(content))
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(one_line(f"{path.absolute()}").encode(errors="replace") + b"\n")
    except OSError:
        return


def is_allowed(content: bytes) -> bool:
    """Whether a file of this very content may run."""
    digest = _digest(content)
    return digest in _allowed or _place(digest).is_file()


def require(path: Path, content: bytes) -> None:
    """UsageError, saying how to allow it, where the code in ``path``, which a folder brings or names, was not allowed to run."""
    if is_allowed(content):
        return
    if _ask[0]:
        told = f"{path} is code that a folder brings along or names, and was never allowed to run here (SHA-256 {_digest(content)[:16]})"
        raise UsageError(one_line(f"{told}; read it, then allow it: python -m search trust {path}, or --trust in this command"))
    allow(content, path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place(digest: str) -> Path:
    return user_folders.state() / "trusted" / digest
