"""A campaign keeps the file that makes its network, and goes on with it wherever it is resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.errors import CampaignError
from harness.networks import zoo
from harness.networks.own import source
from search.records import kept_source

TEXT = """
from torch import nn

def net(classes, in_chans):
    return nn.Sequential(nn.Conv2d(in_chans, 6, 4), nn.Flatten(), nn.Linear(6, classes))
"""
SHAPE = (1, 4, 4)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file in the user's folder, which is the current one."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "net.py").write_text(TEXT)
    monkeypatch.chdir(home)
    monkeypatch.setattr(source, "_kept", {})
    return home / "net.py"


def width(name: str) -> int:
    first = next(module for module in zoo.build(name, SHAPE, 3).modules() if isinstance(module, nn.Conv2d))
    return first.out_channels


@pytest.mark.parametrize("name", ["net.py:net", "./net.py:net", "../home/net.py:net", "{file}:net"])
def test_the_copy_makes_the_network_elsewhere(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    name, folder, said = name.format(file=file), tmp_path / "campaign", list[str]()
    before = zoo.build(name, SHAPE, 3, seed=2)
    kept_source.lay(folder, name)
    copied = folder / "network" / "net.py"
    assert copied.with_name("net.py.sha256").read_text() == f"{hashlib.sha256(TEXT.encode()).hexdigest()}  net.py\n"
    digest = zoo.source_digest(name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file.unlink()
    kept_source.take(folder, name, said.append)
    again = zoo.build(name, SHAPE, 3, seed=2)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(before.parameters(), again.parameters(), strict=True))
    assert zoo.source_digest(name) == digest, "what is cached under it is found again"
    assert not said


def test_a_file_that_was_changed_does_not_change_the_campaign(file: Path, tmp_path: Path) -> None:
    folder, said = tmp_path / "campaign", list[str]()
    kept_source.lay(folder, "net.py:net")
    file.write_text(TEXT.replace("6", "7"))
    assert width("net.py:net") == 7
    kept_source.take(folder, "net.py:net", said.append)
    assert width("net.py:net") == 6
    assert "has changed since the campaign began" in said[0]


def test_a_copy_that_was_changed_is_refused(file: Path, tmp_path: Path) -> None:
    kept_source.lay(tmp_path, "net.py:net")
    (tmp_path / "network" / "net.py").write_text(TEXT.replace("6", "7"))
    with pytest.raises(CampaignError, match="is not the file that the campaign began with; put it back"):
        kept_source.take(tmp_path, "net.py:net", print)


@pytest.mark.parametrize("name", ["resnet20", "torchvision:resnet18"])
def test_a_network_without_a_file_keeps_none(tmp_path: Path, name: str) -> None:
    kept_source.lay(tmp_path, name)
    kept_source.take(tmp_path, name, print)
    assert not list(tmp_path.iterdir())
