"""``python -m search groups``: groups, branches and what is left alone, for a person who has no device yet."""

from pathlib import Path

import pytest

from search.__main__ import main

FILE = """
import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.first, self.second, self.fc = nn.Conv2d(channels, 6, 3), nn.Conv2d(6, 4, 3), nn.Linear(4, classes)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 6).view(1, -1, 1, 1))

    def forward(self, images):
        return self.fc(self.second(self.first(images) * self.scale).mean((2, 3)))


class Fixed(Scaled):
    def forward(self, images):
        return self.fc((self.second(self.first(images) * self.scale) * torch.ones(1, 4, 1, 1)).mean((2, 3)))


def scaled(input_shape, classes):
    return Scaled(input_shape[0], classes)


def fixed(input_shape, classes):
    return Fixed(input_shape[0], classes)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_groups_and_what_is_left_alone_are_told_with_the_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["groups", f"--network={file}:scaled"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 groups of 4 channels can be pruned" in told
    assert "left alone: the 6 of first, for they meet a parameter or buffer of fixed size" in told


def test_the_groups_of_a_network_of_the_zoo_have_their_branches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["groups", "--network=resnet20"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "12 groups of 448 channels can be pruned and 9 branches can go" in told
    assert "left alone" not in told


@pytest.mark.parametrize("asked", ["resnet2", "fixed"])
def test_what_cannot_be_told_is_refused_in_one_line(asked: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["groups", f"--network={file}:fixed" if asked == "fixed" else f"--network={asked}"]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert ("no channels that can be removed" if asked == "fixed" else "unknown network") in told
