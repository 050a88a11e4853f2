"""The architecture of a rehearsed campaign: a residual network as data, without building one."""

from __future__ import annotations

from harness.records.architecture import Architecture, ChannelGroup, LayerSite

_STAGES = ((16, 32), (32, 16), (64, 8))  # channels, side of the map


def architecture(network: str, blocks: int) -> Architecture:
    """A residual network of three stages with ``blocks`` blocks each, on 1 x 32 x 32 images of 10 classes."""
    groups = [ChannelGroup("conv1", 16, ("conv1", *(f"layer1.{b}.conv2" for b in range(blocks))), False, "layer1")]
    layers = [_conv("conv1", (), "conv1", 1, 16, 32)]
    trunk, width = "conv1", 16
    for stage, (channels, side) in enumerate(_STAGES, start=1):
        for block in range(blocks):
            name, first = f"layer{stage}.{block}", block == 0 and stage > 1
            stride, before = (2, trunk) if first else (1, trunk)
            branch = None if first else f"{name}.conv1"
            if first:
                trunk = f"{name}.conv2"
                members = (*(f"layer{stage}.{b}.conv2" for b in range(blocks)), f"{name}.downsample.0")
                groups.append(ChannelGroup(trunk, channels, members, False, f"layer{stage}"))
                layers.append(_conv(f"{name}.downsample.0", (before,), trunk, width, channels, side * 2, 2, 1))
            groups.append(ChannelGroup(f"{name}.conv1", channels, (f"{name}.conv1",), not first, f"layer{stage}"))
            layers.append(_conv(f"{name}.conv1", (before,), f"{name}.conv1", width, channels, side * stride, stride, branch=branch))
            layers.append(_conv(f"{name}.conv2", (f"{name}.conv1",), trunk, channels, channels, side, branch=branch))
            width = channels
    layers.append(LayerSite("fc", "linear", (trunk,), None, width, 10))
    return Architecture(network, (1, 32, 32), 10, tuple(groups), tuple(layers))


def _conv(
    name: str, inputs: tuple[str, ...], out: str, wide_in: int, wide_out: int, side: int, stride: int = 1, kernel: int = 3,
    branch: str | None = None,
) -> LayerSite:  # fmt: skip
    padding = (kernel // 2, kernel // 2)
    return LayerSite(
        name, "conv", inputs, out, wide_in, wide_out, (kernel, kernel), (stride, stride), padding, input_size=(side, side), branch=branch
    )
