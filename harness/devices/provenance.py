"""What is recorded of the host with every measurement: package versions and the product's commit."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("espalier", "torch", "torch-pruning", "onnx", "numpy", "openvino", "pytest", "pytest-benchmark", "smac")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """versions: ``(package, version)`` pairs. git_commit: 12 digits, with ``+`` when the tree was changed, else ``unknown``."""

    versions: tuple[tuple[str, str], ...]
    git_commit: str


@functools.cache
def host_facts() -> HostFacts:
    """The installed versions of the packages that matter to a measurement, and the commit of this checkout."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append((package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional package that is absent cannot have taken part
    return HostFacts(tuple(versions), _commit(Path(__file__).parents[2]))


def _commit(directory: Path) -> str:
    if not (directory / ".git").exists():
        return "unknown"
    commit = _git(directory, "rev-parse", "--short=12", "HEAD")
    return commit + ("+" if commit != "unknown" and _git(directory, "status", "--porcelain", "--untracked-files=no") else "")


def _git(directory: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
