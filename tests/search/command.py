"""The command line as a user types it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def search(*words: str, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if path is None else {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), *sys.path])}
    command = [sys.executable, "-m", "search", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=500, env=environment)


@contextmanager
def away(path: Path) -> Iterator[None]:
    """A file that is not there for a while."""
    elsewhere = path.rename(path.with_name(f"{path.name}.away"))
    try:
        yield
    finally:
        elsewhere.rename(path)


def without_int8(home: Path) -> str:
    """The simulated device by a file of one's own, to which no quantised networks are given: they would be a third of a tiny campaign."""
    runtime = Path(__file__).parents[2] / "harness" / "devices" / "agent" / "simulated_runtime.py"
    table = f'[tool.espalier.devices.simulated]\nruntime = "{runtime}"\noptions = {{ kind = "ncs2", noise = 0.01 }}\n'
    (home / "pyproject.toml").write_text(table)
    return "--device=simulated"
