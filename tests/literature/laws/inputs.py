"""What hypothesis draws for the laws: weights with ties and zeros, counts, schedules, small networks."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.literature.laws.subjects import Block


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@st.composite
def vectors(draw: st.DrawFn) -> Tensor:
    """1 to 40 weights: noise, or quarters between -1 and 1, so that equal magnitudes and zeros are common."""
    size = draw(st.integers(2, 40))
    if draw(st.booleans()):
        return noise(draw(st.integers(0, 10_000)), size)
    return torch.tensor(draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))) / 4


@st.composite
def kernels(draw: st.DrawFn, filters: int = 1, channels: int = 1) -> Tensor:
    """Convolution weights of 1 to 8 filters, sometimes with equal, opposite or all-zero filters."""
    shape = (draw(st.integers(filters, 8)), draw(st.integers(channels, 6)), *[draw(st.sampled_from((1, 3)))] * 2)
    weight = noise(draw(st.integers(0, 10_000)), *shape)
    kind = draw(st.sampled_from(("noise", "spikes", "outlier", "ties", "zeros", "all equal")))
    if kind == "ties" and shape[0] > 1:
        weight[1:] = weight[:1].abs() * torch.sign(weight[1:])
        weight[-1] *= 2
    elif kind == "spikes":  # every other filter is one large weight: its absolute sum says less, its Euclidean norm more
        weight[::2].flatten(1)[:, 1:] = 0
        weight[::2].flatten(1)[:, 0] *= 3
    elif kind == "outlier":  # one filter far away moves the mean, not the median
        weight[-1] *= 20
    elif kind == "zeros":
        weight[draw(st.integers(0, shape[0] - 1))] = 0
    elif kind == "all equal":
        weight = torch.full(shape, 0.5)
    return weight


@st.composite
def kernels_and_count(draw: st.DrawFn, dim: int = 0) -> tuple[Tensor, int]:
    weight = draw(kernels())
    return weight, draw(st.integers(0, weight.shape[dim]))


@st.composite
def vectors_and_count(draw: st.DrawFn) -> tuple[Tensor, int]:
    weight = draw(vectors())
    return weight, draw(st.integers(0, len(weight)))


@st.composite
def networks_and_count(draw: st.DrawFn) -> tuple[list[Tensor], int]:
    """Weights of 2 to 4 layers of different scale, without ties."""
    seed = draw(st.integers(0, 10_000))
    layers = [noise(seed + number, 3 + number, 4) * (number + 1) for number in range(draw(st.integers(2, 4)))]
    return layers, draw(st.integers(0, sum(layer.numel() for layer in layers)))


@st.composite
def gradual_steps(draw: st.DrawFn) -> tuple[float, float, int, int]:
    initial = draw(st.floats(0, 0.8))
    final = initial + draw(st.floats(0.05, 0.2))
    steps = draw(st.integers(1, 40))
    return initial, final, draw(st.integers(0, steps)), steps


@st.composite
def surgeries(draw: st.DrawFn) -> tuple[Tensor, Tensor, float, float]:
    weight = draw(vectors())
    mask = torch.tensor(draw(st.lists(st.sampled_from((0.0, 1.0)), min_size=len(weight), max_size=len(weight))))
    low = draw(st.sampled_from((0.25, 0.5)))
    return weight, mask, low, low + draw(st.sampled_from((0.25, 0.5)))


@st.composite
def rnn_schedules(draw: st.DrawFn) -> tuple[int, int, int, int, float, int, float]:
    start = draw(st.integers(0, 3))
    ramp = start + draw(st.integers(1, 6))
    end = ramp + draw(st.integers(2, 10))
    return draw(st.integers(start, end - 1)), start, ramp, end, draw(st.floats(0.01, 0.3)), draw(st.integers(1, 3)), draw(st.floats(1, 2))


@st.composite
def blocks(draw: st.DrawFn, norm: bool) -> Block:
    """A trained-looking conv - (norm) - relu - conv network in evaluation mode, with images and labels."""
    torch.manual_seed(draw(st.integers(0, 10_000)))
    filters = draw(st.integers(2, 6))
    model = nn.Sequential(
        nn.Conv2d(3, filters, 3, padding=1, bias=norm and draw(st.booleans())),
        nn.BatchNorm2d(filters, eps=draw(st.sampled_from((1e-5, 10.0)))) if norm else nn.Identity(),
        nn.ReLU(),
        nn.Conv2d(filters, 4, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 0, 1)
            nn.init.normal_(module.bias, 0, 0.5)
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return Block(model.eval(), torch.randn(6, 3, 6, 6), torch.arange(6) % 3)


@st.composite
def blocks_and_count(draw: st.DrawFn, norm: bool) -> tuple[Block, int]:
    block = draw(blocks(norm))
    return block, draw(st.integers(1, block.filters.out_channels - 1))


@st.composite
def convolutions_with_norm(draw: st.DrawFn) -> tuple[Tensor, Tensor | None, nn.BatchNorm2d]:
    weight = noise(draw(st.integers(0, 10_000)), draw(st.integers(1, 5)), draw(st.integers(1, 4)), 3, 3)
    torch.manual_seed(draw(st.integers(0, 10_000)))
    norm = nn.BatchNorm2d(len(weight), eps=draw(st.sampled_from((1e-5, 0.1)))).eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.1, 3)
    return weight, torch.randn(len(weight)) if draw(st.booleans()) else None, norm
