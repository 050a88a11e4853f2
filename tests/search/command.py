"""The command line as a user types it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch

from harness.networks import zoo

OWN_RUNTIME = "own_runtime.py"


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


SMALL = '''
"""Two convolutions, for pictures of any size and any channels."""
from torch import nn


def small(input_shape, classes):
    def layer(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()

    return nn.Sequential(*layer(input_shape[0], 16), *layer(16, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes))
'''


def small_network(home: Path) -> tuple[str, str]:
    """The words for a network of two convolutions with weights, laid in ``home``: a campaign about it is mostly imports."""
    (home / "small.py").write_text(SMALL)
    model = zoo.build(f"{home / 'small.py'}:small", (1, 16, 16), 10, seed=1)
    safetensors.torch.save_file(model.state_dict(), home / "dense.safetensors")
    return "--network=small.py:small", "--weights=dense.safetensors"


def own_device(home: Path) -> str:
    """The simulated device by a file of one's own, to which no quantised networks are given: they would be a third of a tiny campaign."""
    runtime = home / OWN_RUNTIME
    runtime.write_bytes((Path(__file__).parents[2] / "harness" / "devices" / "agent" / "simulated_runtime.py").read_bytes())
    table = f'[tool.espalier.devices.simulated]\nruntime = "{runtime}"\noptions = {{ kind = "ncs2", noise = 0.01 }}\n'
    (home / "pyproject.toml").write_text(table)
    return "--device=simulated"
