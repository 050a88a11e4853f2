"""The convolutions and linear layers of a network in the order in which one inference runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.errors import PruningError
from harness.records.architecture import LayerSite

Layer = nn.Conv2d | nn.Linear


@dataclass(frozen=True)
class RunLayer:
    """One layer as it ran: its module path and the height and width of its input map (1 x 1 for a linear layer)."""

    name: str
    module: Layer
    input_size: tuple[int, int]


@contextmanager
def recorded(model: nn.Module) -> Iterator[list[RunLayer]]:
    """Within the block every layer that runs is appended to the list, in order."""
    ran: list[RunLayer] = []
    hooks = [
        module.register_forward_hook(_recorder(name, module, ran))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


def run_once(model: nn.Module, images: Tensor) -> tuple[RunLayer, ...]:
    """The layers that one inference of ``images`` (``N x C x H x W``) runs, in order, a layer used twice twice."""
    with recorded(model) as ran, torch.inference_mode():
        model(images)
    return tuple(ran)


def check_each_once(ran: list[RunLayer]) -> None:
    """Refuse a network that runs one layer twice: its cost could not be told apart. Raises PruningError."""
    seen: set[str] = set()
    for layer in ran:
        if layer.name in seen:
            raise PruningError(f"layer {layer.name} runs twice in one inference; give each use a module of its own")
        seen.add(layer.name)


def is_depthwise(layer: nn.Module) -> bool:
    """Whether ``layer`` filters each channel by itself and keeps their number."""
    return isinstance(layer, nn.Conv2d) and layer.in_channels == layer.groups == layer.out_channels > 1


def site(layer: RunLayer, in_groups: tuple[str, ...], out_group: str | None, spatial_factor: int, branch: str | None) -> LayerSite:
    """The record of a layer at its place in the network; the other arguments are LayerSite's."""
    module = layer.module
    if isinstance(module, nn.Linear):
        return LayerSite(
            layer.name,
            "linear",
            in_groups,
            out_group,
            module.in_features,
            module.out_features,
            spatial_factor=spatial_factor,
            branch=branch,
        )
    depthwise = is_depthwise(module)
    return LayerSite(
        layer.name,
        "conv",
        in_groups,
        out_group,
        module.in_channels,
        module.out_channels,
        kernel_size=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_padding(module),
        dilation=_pair(module.dilation),
        depthwise=depthwise,
        conv_groups=1 if depthwise else module.groups,
        input_size=layer.input_size,
        branch=branch,
    )


def _recorder(name: str, module: Layer, ran: list[RunLayer]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def record(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        size = (int(inputs[0].shape[-2]), int(inputs[0].shape[-1])) if isinstance(module, nn.Conv2d) else (1, 1)
        ran.append(RunLayer(name, module, size))

    return record


def _pair(value: tuple[int, ...]) -> tuple[int, int]:
    return value[0], value[1]


def _padding(module: nn.Conv2d) -> tuple[int, int]:
    if module.padding == "valid":
        return 0, 0
    if isinstance(module.padding, str):  # "same": torch allows it for stride 1 only
        height, width = (dilation * (kernel - 1) // 2 for dilation, kernel in zip(module.dilation, module.kernel_size, strict=True))
        return height, width
    return _pair(module.padding)
