"""Networks with one awkward place between a stem and a last layer that can be pruned, modelled on what people bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE, CLASSES = (3, 16, 16), 10
Forward = Callable[[Any, Tensor], Tensor]


def block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class Middle(nn.Module):
    """Named layers whose wiring is a function of (layers, maps)."""

    def __init__(self, wiring: Forward, **layers: nn.Module) -> None:
        super().__init__()
        self.wiring = wiring
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, maps: Tensor) -> Tensor:
        return self.wiring(self, maps)


class Around(nn.Module):
    """Stem of 8 channels, the awkward middle, a last layer of 12, the mean, a linear layer."""

    def __init__(self, middle: nn.Module, width: int) -> None:
        super().__init__()
        self.stem, self.middle, self.last, self.fc = block(IMAGE[0], 8), middle, block(width, 12), nn.Linear(12, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.last(self.middle(self.stem(images))).mean([2, 3]))
        return logits


@dataclass(frozen=True)
class Case:
    """One middle. groups: the names that must be found. left_out: name to a part of the reason. branches: that must be removable."""

    name: str
    build: Callable[[], tuple[nn.Module, int]]
    groups: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    branches: tuple[str, ...] = ()


def _attend(net: Any, maps: Tensor) -> Tensor:
    images, channels, height, width = maps.shape
    queries, keys, values = net.qkv(maps).reshape(images, 3, 2, channels // 2, height * width).unbind(1)
    attended = values @ (queries.transpose(-1, -2) @ keys / 3).softmax(-1).transpose(-1, -2)
    return maps + net.out(attended.reshape(images, channels, height, width))


def _pyramid(net: Any, maps: Tensor) -> Tensor:
    first = net.a(maps)
    second = functional.max_pool2d(first, 5, 1, 2)
    return net.b(torch.cat([first, second, functional.max_pool2d(second, 5, 1, 2)], 1))


def _gated(net: Any, maps: Tensor) -> Tensor:
    found = net.a(maps)
    return found * torch.sigmoid(net.up(torch.relu(net.down(found.mean((2, 3), keepdim=True)))))


def _buffered() -> tuple[nn.Module, int]:
    middle = Middle(lambda net, maps: net.b(net.a(maps) * net.scale), a=block(8, 8), b=block(8, 8))
    middle.register_buffer("scale", torch.linspace(0.5, 1.5, 8).view(1, -1, 1, 1))
    return middle, 8


def _standardised() -> tuple[nn.Module, int]:
    class Standardised(nn.Conv2d):
        def forward(self, maps: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return functional.conv2d(maps, weight, self.bias, self.stride, self.padding)

    return nn.Sequential(Standardised(8, 8, 3, padding=1), nn.ReLU()), 8


def _mix(net: Any, maps: Tensor) -> Tensor:
    return maps + net.down(functional.gelu(net.up(maps.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


def _sliced_shortcut(net: Any, maps: Tensor) -> Tensor:
    return torch.relu(net.b(net.a(maps)) + functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)))


def _shifted(net: Any, maps: Tensor) -> Tensor:
    first, second = torch.split(net.a(maps), [4, 8], 1)
    return torch.cat([first * 2, second], 1)


CASES = (
    Case(
        "fused attention",
        lambda: (Middle(_attend, qkv=nn.Conv2d(8, 24, 1), out=nn.Conv2d(8, 8, 1)), 8),
        ("last.0",),
        (("middle.qkv", "divided by view"), ("stem.0", "written into the code")),
    ),
    Case("buffer scale", _buffered, ("stem.0", "middle.b.0", "last.0"), (("middle.a.0", "buffer of fixed size"),)),
    Case(
        "pixel shuffle",
        lambda: (nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.PixelShuffle(2)), 4),
        ("stem.0", "last.0"),
        (("middle.0", "divided by pixel"),),
    ),
    Case("stored split sizes", lambda: (Middle(_shifted, a=block(8, 12)), 12), ("stem.0", "last.0"), (("middle.a.0", "divided by split"),)),
    Case(
        "inner sigmoid",
        lambda: (nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Sigmoid(), block(8, 8)), 8),
        ("stem.0", "middle.2.0", "last.0"),
        (("middle.0", "do not stay zero"),),
    ),
    Case(
        "gate",
        lambda: (Middle(_gated, a=block(8, 8), down=nn.Conv2d(8, 4, 1), up=nn.Conv2d(4, 8, 1)), 8),
        ("stem.0", "middle.a.0", "middle.down", "last.0"),
    ),
    Case(
        "used twice",
        lambda: (Middle(lambda net, maps: net.a(net.a(maps)), a=block(8, 8)), 8),
        ("last.0",),
        (("stem.0", "runs twice"), ("middle.a.0", "runs twice")),
    ),
    Case(
        "channel shuffle",
        lambda: (nn.Sequential(block(8, 8, groups=2), nn.ChannelShuffle(2), block(8, 8, groups=2)), 8),
        ("stem.0", "middle.2.0", "last.0"),
        (("middle.0.0", "grouped convolution"),),
    ),
    Case(
        "transposed convolution",
        lambda: (nn.Sequential(block(8, 8, stride=2), nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(8), nn.ReLU(), block(8, 8)), 8),
        ("stem.0", "middle.4.0", "last.0"),
        (("middle.0.0", "they meet transposed convolution in middle.1"),),
    ),
    Case("standardised weights", _standardised, ("last.0",), (("stem.0", "weights anew"), ("middle.0", "weights anew"))),
    Case(
        "group read several times",
        lambda: (Middle(_pyramid, a=block(8, 8, 1), b=block(24, 8, 1)), 8),
        ("stem.0", "middle.a.0", "middle.b.0", "last.0"),
    ),
    Case(
        "linear layers on maps",
        lambda: (Middle(_mix, up=nn.Linear(8, 16), down=nn.Linear(16, 8)), 8),
        ("stem.0", "middle.up", "last.0"),
        branches=("middle.up",),
    ),
    Case(
        "shortcut of slices and padding",
        lambda: (Middle(_sliced_shortcut, a=block(8, 8), b=nn.Conv2d(8, 16, 3, 2, 1)), 16),
        ("middle.a.0", "last.0"),
        (("stem.0", "fixed size"),),
        ("middle.a.0",),
    ),
    Case(
        "padding by hand",
        lambda: (Middle(lambda net, maps: net.a(functional.pad(maps, (0, 1, 0, 1))), a=nn.Conv2d(8, 8, 3, 2)), 8),
        ("stem.0", "middle.a", "last.0"),
    ),
    Case(
        "written size",
        lambda: (Middle(lambda net, maps: net.b(net.a(maps).reshape(-1, 8, 16, 16)), a=block(8, 8), b=block(8, 8)), 8),
        ("stem.0", "middle.b.0", "last.0"),
        (("middle.a.0", "written into the code"),),
    ),
    Case(
        "layer normalisation",
        lambda: (nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(1, 8), nn.ReLU(), block(8, 8)), 8),
        ("stem.0", "middle.3.0", "last.0"),
        (("middle.0", "meet group norm"),),
    ),
)


def built(case: Case) -> Around:
    """A network around the case, its normalisation away from its first values."""
    torch.manual_seed(0)
    network = Around(*case.build())
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval()
