"""The published configurations have the published sizes."""

from dataclasses import dataclass

import pytest

from harness.networks import groups, zoo
from harness.pruning import off_the_shelf, surgery

IMAGE = (3, 32, 32)


@dataclass(frozen=True)
class Published:
    network: str
    name: str
    million_macs: float | None
    ratio: float


PUBLISHED = [
    Published("resnet56", "filter_rank", 78.9, 1.59),
    Published("resnet56", "filter_rank_v2", 67.8, 1.85),
    Published("resnet20", "agp", None, 1.33),
    Published("resnet20", "agp_4", None, 1.65),
]


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_multiply_accumulates_after_removal_are_the_published_ones(published: Published) -> None:
    model = zoo.build(published.network, IMAGE, 10)
    architecture = groups.architecture_of(model, published.network, IMAGE, 10)
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
    architecture = groups.architecture_of(zoo.build("resnet56", IMAGE, 10), "resnet56", IMAGE, 10)
    first, second = (named.config for named in off_the_shelf.named_configs(architecture))
    wanted = {"layer1.0.conv1": (7, 5), "layer2.1.conv1": (16, 13), "layer3.1.conv1": (58, 52), "layer3.2.conv1": (45, 39)}
    assert {name: (first.kept(name), second.kept(name)) for name in wanted} == wanted
    assert all(first.kept(name) == 32 for name in ("layer2.0.conv1", "layer2.5.conv1", "layer2.8.conv1", "layer2.0.conv2"))


def test_a_network_without_a_publication_gets_width_multipliers() -> None:
    architecture = groups.architecture_of(zoo.build("mobilenetv2", IMAGE, 10), "mobilenetv2", IMAGE, 10)
    assert [named.name for named in off_the_shelf.named_configs(architecture)] == ["uniform_0.75", "uniform_0.5"]
