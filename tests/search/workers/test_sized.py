"""The same network at other sizes of the pictures, and what is told of sizes that its shape does not allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.networks import zoo
from harness.pipeline import Network
from search.workers.sized import network_at

NETWORKS = """
import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self, channels, classes, wide):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(wide, classes)


class Skips(Net):
    def forward(self, x):
        x = self.first(x).relu()
        down = self.second(functional.max_pool2d(x, 2)).relu()
        up = functional.interpolate(down, scale_factor=2.0)
        return self.head(torch.cat([x, up], 1).mean((2, 3)))


class Viewed(Net):
    def forward(self, x):
        x = functional.max_pool2d(self.second(self.first(x).relu()).relu(), 4)
        return self.head(x.view(-1, 8 * 6 * 6))


def skips(channels, classes):
    return Skips(channels, classes, 16)


def viewed(channels, classes):
    return Viewed(channels, classes, 8 * 6 * 6)


def flattened(input_shape, classes):
    channels, height, width = input_shape
    return nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * height * width, classes))
"""


def named(folder: Path, factory: str, side: int) -> Network:
    (folder / "nets.py").write_text(NETWORKS)
    name, shape = f"{folder / 'nets.py'}:{factory}", (1, side, side)
    return Network.wrap(name, zoo.build(name, shape, 10), shape, 10)


def refused(network: Network, size: str) -> str:
    with pytest.raises(UsageError, match=f"does not allow {size}: ") as told:
        network_at(network, size)
    assert "\n" not in str(told.value)
    return str(told.value)


def test_where_a_size_will_not_do_those_near_it_that_will_are_told(tmp_path: Path) -> None:
    told = refused(named(tmp_path, "skips", 24), "21x21")
    assert "near it 20x20, 22x22, 18x18, 16x16 would do; give such a one, or leave that size out" in told
    assert "use larger images" not in told, "advice for a network that runs at no size"


def test_a_map_that_is_flattened_by_a_number_takes_the_sizes_that_give_it(tmp_path: Path) -> None:
    told = refused(named(tmp_path, "viewed", 27), "12x12")
    assert "near it 24x24, 25x25, 26x26 would do" in told


@pytest.mark.parametrize(("factory", "side"), [("viewed", 24), ("flattened", 12)])
def test_where_no_size_will_do_it_is_said_why_and_what_to_write(tmp_path: Path, factory: str, side: int) -> None:
    told = refused(named(tmp_path, factory, side), f"{side - 2}x{side - 2}")
    assert f"none would do: what follows its maps is made for {side}x{side}" in told
    assert "nn.AdaptiveAvgPool2d(1)" in told


def test_a_size_that_is_allowed_keeps_the_weights(tmp_path: Path) -> None:
    network = named(tmp_path, "skips", 24)
    smaller = network_at(network, "16x20")
    assert smaller.architecture.input_shape == (1, 16, 20)
    ours, theirs = network.model.state_dict(), smaller.model.state_dict()
    assert all(theirs[name].equal(ours[name]) for name in ours)
