"""A user's file that makes the network, kept in the campaign's folder with its digest, so that the campaign goes on without the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from harness.errors import CampaignError
from harness.files import reading, trust
from harness.networks.own import source
from harness.records import stored_files

FOLDER = source.COPIES


def lay(folder: Path, network: str) -> None:
    """Copy the file behind ``network`` into the campaign's ``folder``, its SHA-256 beside it as ``sha256sum`` writes it."""
    if not source.is_own(network):
        return
    found = source.find(network)
    path = _path(folder, network)
    path.parent.mkdir(parents=True, exist_ok=True)
    trust.allow(found.content, found.path)
    stored_files.replace(path, found.content)
    stored_files.replace(_sum_of(path), f"{hashlib.sha256(found.content).hexdigest()}  {path.name}\n".encode())


def take(folder: Path, network: str, say: Callable[[str], None]) -> None:
    """Make ``network`` by the campaign's copy from now on; said where the user's file is another one now.

    Nothing for a network that needs no file. CampaignError for a copy that was changed; UsageError for code that was never allowed to run,
    the campaign's own or, in a campaign from before there were copies, the file that it names.
    """
    if not source.is_own(network):
        return
    path, content = allowed(folder, network)
    there = source.path_of(network)
    if path == there:
        return
    if there.is_file() and reading.read(there) != content:
        say(f"network: {there} has changed since the campaign began, which goes on with its copy, {path}")
    source.keep_to(network, path)


def allowed(folder: Path, network: str) -> tuple[Path, bytes]:
    """The file that would make the campaign's network, and what is in it; raises as ``take``."""
    path = _path(folder, network)
    if not path.is_file():
        if not source.path_of(network).is_file():
            return source.path_of(network), b""  # whoever needs it will say so
        found = source.find(network)
        trust.require(found.path, found.content)
        return found.path, found.content
    content = reading.read(path)
    told = reading.read(_sum_of(path)).decode(errors="replace").split()[:1] if _sum_of(path).is_file() else []
    if told != [hashlib.sha256(content).hexdigest()]:
        raise CampaignError(f"{path} is not the file that the campaign began with; put it back, or start a new campaign")
    trust.require(path, content)
    return path, content


def _path(folder: Path, network: str) -> Path:
    return folder / FOLDER / source.file_name(network)


def _sum_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
