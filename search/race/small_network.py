"""A network for pictures of 8 x 8 that is trained in a second, for calibrations of many campaigns; given as ``small_network.py:small``."""

from __future__ import annotations

from torch import nn

WIDTHS = (16, 32, 32)


def small(input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Three convolutions for pictures of 8 x 8."""
    layers: list[nn.Module] = []
    channels = input_shape[0]
    for width, stride in zip(WIDTHS, (1, 2, 1), strict=True):
        layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
