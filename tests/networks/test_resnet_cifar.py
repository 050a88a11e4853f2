"""The residual networks have the sizes that their publication gives."""

from dataclasses import dataclass

import pytest
import torch

from harness.networks import groups, zoo

IMAGE = (3, 32, 32)


@dataclass(frozen=True)
class Published:
    network: str
    parameters: int
    million_macs: float


@pytest.mark.parametrize(
    "published",
    [Published("resnet20", 272_474, 40.81), Published("resnet32", 466_906, 69.12), Published("resnet56", 855_770, 125.75)],
    ids=lambda published: published.network,
)
def test_parameters_and_multiply_accumulates_are_the_published_ones(published: Published) -> None:
    """[He2016]_ table 6 (0.27 M, 0.46 M, 0.85 M), with projection shortcuts."""
    model = zoo.build(published.network, IMAGE, 10)
    architecture = groups.architecture_of(model, published.network, IMAGE, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == published.parameters
    assert architecture.macs(architecture.dense()) / 1e6 == pytest.approx(published.million_macs, abs=0.01)


def test_layers_carry_the_customary_names() -> None:
    names = set(dict(zoo.build("resnet20", IMAGE, 10).named_modules()))
    assert {"conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1", "layer1.0.conv2", "layer2.0.downsample.0", "fc"} <= names
    assert "layer1.0.downsample" not in names


def test_one_channel_images_are_taken_too() -> None:
    model = zoo.build("resnet20", (1, 28, 28), 7)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 7)


def test_a_block_without_its_branch_is_its_shortcut() -> None:
    block = zoo.build("resnet20", IMAGE, 10).get_submodule("layer2.0")
    images = torch.randn(2, 16, 8, 8)
    assert torch.equal(block.without_branch()(images), torch.relu(block.downsample(images)))
