"""The published configurations have the published sizes, on images of any number of channels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import nn

from harness.networks import groups, zoo
from harness.pruning import off_the_shelf, schedule, surgery
from harness.records.architecture import Architecture

IMAGE = (3, 32, 32)
Image = tuple[int, int, int]


@dataclass(frozen=True)
class Published:
    network: str
    name: str
    million_macs: float | None
    ratio: float


PUBLISHED = [
    Published("resnet56", "filter_rank", 78.9, 1.59),
    Published("resnet56", "filter_rank_v2", 67.8, 1.85),
    Published("resnet56", "channel_rank", 66.6, 1.89),
    Published("resnet20", "agp", None, 1.33),
    Published("resnet20", "agp_4", None, 1.65),
]
NAMES = {
    "resnet20": ["agp", "agp_4"],
    "resnet56": ["channel_rank", "filter_rank", "filter_rank_v2"],
    "mobilenetv2": ["uniform_0.5", "uniform_0.75"],
}


@cache
def described(network: str, image: Image) -> tuple[nn.Module, Architecture]:
    model = zoo.build(network, image, 10)
    return model, groups.architecture_of(model, network, image, 10)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_multiply_accumulates_after_removal_are_the_published_ones(published: Published) -> None:
    model, architecture = described(published.network, IMAGE)
    named = {found.name: found for found in off_the_shelf.named_configs(architecture)}[published.name]
    thinned = surgery.shrink(model, architecture, named.config)
    after = groups.architecture_of(thinned, published.network, IMAGE, 10)
    macs, dense = after.macs(after.dense()), architecture.macs(architecture.dense())
    assert round(dense / macs, 2) == published.ratio
    if published.million_macs is not None:
        assert round(macs / 1e6, 1) == published.million_macs
    assert architecture.macs(named.config) == macs
    assert named.source


def test_kept_filters_are_the_ones_in_the_schedule() -> None:
    _, architecture = described("resnet56", IMAGE)
    named = {found.name: found.config for found in off_the_shelf.named_configs(architecture)}
    first, second = named["filter_rank"], named["filter_rank_v2"]
    wanted = {"layer1.0.conv1": (7, 5), "layer2.1.conv1": (16, 13), "layer3.1.conv1": (58, 52), "layer3.2.conv1": (45, 39)}
    assert {name: (first.kept(name), second.kept(name)) for name in wanted} == wanted
    assert all(first.kept(name) == 32 for name in ("layer2.0.conv1", "layer2.5.conv1", "layer2.8.conv1", "layer2.0.conv2"))


@pytest.mark.parametrize("image", [(1, 28, 28), (1, 32, 32)], ids=["1x28x28", "1x32x32"])
@pytest.mark.parametrize("network", NAMES)
def test_every_published_configuration_runs_on_grey_images(network: str, image: Image) -> None:
    model, architecture = described(network, image)
    found = schedule.off_the_shelf(architecture)
    assert [named.name for named in found] == NAMES[network]
    dense = architecture.macs(architecture.dense())
    for named in found:
        thinned = surgery.shrink(model, architecture, named.config)
        with torch.no_grad():
            assert thinned(torch.zeros(2, *image)).shape == (2, 10)
        assert architecture.macs(named.config) < 0.8 * dense
        assert named.criterion == "l1"


@pytest.mark.parametrize("ratio", off_the_shelf.WIDTH_MULTIPLIERS)
def test_the_uniform_schedules_are_the_width_multipliers(ratio: float) -> None:
    """Every group of MobileNetV2 is named, each at the same share."""
    _, architecture = described("mobilenetv2", IMAGE)
    found = {named.name: named.config for named in schedule.off_the_shelf(architecture)}
    assert found[f"uniform_{ratio:g}"] == architecture.uniform(ratio)


def test_a_network_without_a_publication_gets_width_multipliers() -> None:
    _, architecture = described("resnet20", IMAGE)
    unknown = architecture.with_network("resnet32")
    assert [named.name for named in off_the_shelf.named_configs(unknown)] == ["uniform_0.75", "uniform_0.5"]
