"""The operations that an architecture states are those of the exported graph, for every network of ours and for other people's."""

import pytest
from torch import nn

from harness.networks import export, groups, onnx_macs, zoo
from harness.pruning import surgery
from harness.records.layer import LinearShape


def test_known_counts() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 64, 5)).eval()
    assert onnx_macs.macs(export.export(model, (3, 8, 8), "small")) == 3 * 4 * 9 * 64 + 4 * 64 * 5
    assert onnx_macs.macs(export.export(model, (3, 8, 8), "small", batch_size=3)) == 3 * 4 * 9 * 64 + 4 * 64 * 5


def test_a_linear_layer_costs_its_operations_at_every_position() -> None:
    once, often = LinearShape(8, 5), LinearShape(8, 5, positions=7)
    assert (often.macs, often.weight_count, often.key) == (7 * once.macs, once.weight_count, "linear-8-5x7")
    assert once.key == "linear-8-5"


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *((name, 32) for name in zoo.NETWORKS),
        *((f"torchvision:{name}", 64) for name in ("resnet18", "googlenet", "shufflenet_v2_x0_5")),
    ],
)
def test_stated_operations_are_those_of_the_graph(name: str, side: int) -> None:
    shape = (3, side, side)
    model = zoo.build(name, shape, 10)
    architecture = groups.architecture_of(model, name, shape, 10)
    assert architecture.macs(architecture.dense()) == onnx_macs.macs(export.export(model, shape, name))
    config = architecture.uniform(0.6)
    for group in [group.name for group in architecture.groups if group.removable][::2]:
        config = config.with_channels(group, 0)
    smaller = surgery.shrink(model, architecture, config)
    assert architecture.macs(config) == onnx_macs.macs(export.export(smaller, shape, name))
