"""A user's file is imported once, told about by its own line, and taken from a copy where one was kept."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.errors import PruningError, UsageError
from harness.files import trust
from harness.networks import zoo
from harness.networks.own import source
from harness.pipeline import Network
from harness.pruning import saved

SHAPE = (1, 16, 16)
TEXT = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn

@dataclass
class Widths:
    first: int = 8

class Net(nn.Module):
    def __init__(self, num_classes=10, in_chans=3):
        super().__init__()
        self.first = nn.Conv2d(in_chans, Widths().first, 3)
        self.second = nn.Conv2d(8, 8, 3)
        self.last = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.last(self.second(self.first(x).relu()).relu().mean((2, 3)))

def constant(classes, in_chans):
    return nn.Sequential(nn.Conv2d(in_chans, 8, 3), Fixed(), nn.Linear(8 * 14 * 14, classes))

class Fixed(nn.Module):
    def forward(self, x):
        return x.view(-1, 8 * 14 * 14)

made = Net(4, 1)

def stops():
    raise SystemExit(1)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(TEXT)
    return path


def test_a_class_and_a_network_are_as_good_as_a_function(file: Path) -> None:
    for name in ("Net", "made"):
        assert zoo.build(f"{file}:{name}", SHAPE, 4)(torch.zeros(2, *SHAPE)).shape == (2, 4)
    first, second = (zoo.build(f"{file}:made", SHAPE, 4) for _ in range(2))
    assert first is not second


def test_a_file_that_ends_the_program_does_not(file: Path) -> None:
    with pytest.raises(UsageError, match=r"failed with SystemExit: 1 \(mine.py, line \d+: raise SystemExit"):
        zoo.build(f"{file}:stops", SHAPE, 4)


def test_a_number_of_channels_in_the_code_is_told_with_its_line_and_what_helps(file: Path) -> None:
    with pytest.raises(PruningError, match=r"mine.py, line \d+: return x.view\(-1, 8 \* 14 \* 14\).*flatten\(1\)") as failure:
        Network.wrap("mine", zoo.build(f"{file}:constant", SHAPE, 4), SHAPE, 4)
    assert "keep more channels" not in str(failure.value)


def test_a_network_of_a_users_class_can_be_sent_to_another_process(file: Path, tmp_path: Path) -> None:
    network = Network.wrap(f"{file}:Net", zoo.build(f"{file}:Net", SHAPE, 4, seed=3), SHAPE, 4)
    sent = tmp_path / "network.pickle"
    sent.write_bytes(pickle.dumps(network))
    file.unlink()
    code = (
        f"import pickle, torch; network = pickle.load(open({str(sent)!r}, 'rb')); "
        "print(network.model(torch.ones(1, 1, 16, 16)).sum().item())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), timeout=100)
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) == pytest.approx(network.model(torch.ones(1, *SHAPE)).sum().item(), rel=1e-5)


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_copy_beside_a_saved_network_is_taken(file: Path, tmp_path: Path) -> None:
    name, folder = f"{file}:Net", tmp_path / "saved"
    network = Network.wrap(name, zoo.build(name, SHAPE, 4, seed=1), SHAPE, 4)
    saved.save(folder, network.architecture.dense(), network.model, name, SHAPE, 4)
    (folder / source.COPIES).mkdir()
    copied = file.rename(folder / source.COPIES / file.name)
    images = torch.randn(2, *SHAPE)
    with pytest.raises(UsageError, match="never allowed to run here"):
        saved.load(folder)
    trust.allow_here(copied.read_bytes())
    with torch.no_grad():
        torch.testing.assert_close(saved.load(folder)(images), network.model(images))
    assert source.kept(name) is None, "nothing is left behind"
    with pytest.raises(UsageError, match="there is no file"):
        zoo.build(name, SHAPE, 4)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_a_file_may_import_torchvision_beside_a_cpu_torch(tmp_path: Path, package: str) -> None:
    pytest.importorskip(package, exc_type=ImportError) if package == "timm" and not _has("timm") else None
    body = {
        "torchvision": "    return torchvision.models.resnet18(num_classes=num_classes)\n",
        "timm": "    return timm.create_model('resnet10t', num_classes=num_classes)\n",
    }
    path = tmp_path / "theirs.py"
    path.write_text(f"import {package}\n\ndef net(num_classes):\n{body[package]}")
    code = f"from harness.networks import zoo; print(type(zoo.build({str(path)!r} + ':net', (3, 32, 32), 5)).__name__)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "ResNet"


def _has(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def test_a_module_of_other_content_is_another_module(file: Path) -> None:
    before = zoo.build(f"{file}:Net", SHAPE, 4)
    file.write_text(TEXT.replace("first: int = 8", "first: int = 6").replace("Conv2d(8, 8, 3)", "Conv2d(6, 8, 3)"))
    after = zoo.build(f"{file}:Net", SHAPE, 4)
    assert isinstance(before.first, nn.Conv2d)
    assert (before.first.out_channels, after.first.out_channels) == (8, 6)
