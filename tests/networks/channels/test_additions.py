"""Residual branches are found by the graph: whatever the block's class, and nothing that is no branch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.networks import groups, zoo
from harness.networks.branches import remove_branch
from harness.networks.channels.additions import without_addition

MAPS = torch.randn(2, 8, 6, 6)


class Plain(nn.Module):
    """relu(b(a(x)) + shortcut(x)), of the user's own class."""

    def __init__(self, shortcut: nn.Module | None = None, outputs: int = 8, stride: int = 1) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 4, 3, 1, 1), nn.Conv2d(4, outputs, 3, stride, 1)
        self.downsample = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        shortcut = maps if self.downsample is None else self.downsample(maps)
        return torch.relu(shortcut + self.b(torch.relu(self.a(maps))))


class Padded(Plain):
    """A shortcut without parameters: every second position, and zeros for the channels that are new."""

    def __init__(self) -> None:
        super().__init__(None, 16, 2)

    def forward(self, maps: Tensor) -> Tensor:
        found = self.b(torch.relu(self.a(maps)))
        found += functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        return torch.relu(found)


class Twofold(nn.Module):
    """Two layers side by side, of which neither is the shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.a(maps) + self.b(maps)


class Chained(Plain):
    """No path around: the second layer is added to the first one's answer only by way of it."""

    def forward(self, maps: Tensor) -> Tensor:
        return self.b(self.a(maps)) + 1.0


class Deciding(Plain):
    """A forward that looks at its values."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.b(self.a(maps)) if float(maps.sum()) > 0 else maps


@pytest.mark.parametrize("build", [Plain, lambda: Plain(nn.Conv2d(8, 8, 1)), Padded], ids=["identity", "convolution", "slices and padding"])
def test_the_block_without_its_branch_is_the_block_with_the_branch_zeroed(build: Callable[[], Plain]) -> None:
    block = build()
    branched = without_addition(block)
    assert branched is not None
    assert branched.gone == {"a", "b"}
    with torch.no_grad():
        for module in (block.a, block.b):
            module.weight.zero_()
            module.bias.zero_()
        assert torch.equal(branched.shortcut(MAPS.clone()), block(MAPS.clone()))
    assert not any(isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) for module in branched.shortcut.modules())


@pytest.mark.parametrize("build", [Twofold, Chained, Deciding])
def test_what_is_no_branch_stays(build: Callable[[], nn.Module]) -> None:
    assert without_addition(build()) is None


def test_a_removed_branch_leaves_the_rest_of_the_network_alone() -> None:
    model = nn.Sequential(Plain(), Plain(nn.Conv2d(8, 8, 1)))
    remove_branch(model, "1")
    assert isinstance(model[0], Plain)
    assert [name for name, _ in model[1].named_parameters()] == ["downsample.weight", "downsample.bias"]


@pytest.mark.parametrize(
    ("name", "branches"),
    [("torchvision:mnasnet0_5", 10), ("torchvision:regnet_y_400mf", 16), ("torchvision:efficientnet_b0", 9)],
)
def test_branches_of_other_peoples_blocks_can_be_removed(name: str, branches: int) -> None:
    architecture = groups.architecture_of(zoo.build(name, (3, 64, 64), 10), name, (3, 64, 64), 10)
    assert sum(group.removable for group in architecture.groups) == branches
