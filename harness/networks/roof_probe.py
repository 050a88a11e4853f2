"""A network whose layers come as near to the machine's arithmetic and memory as a network's layers can: to measure its roofs by.

Wide 3 x 3 convolutions keep the arithmetic busy; a depthwise and narrow 1 x 1 convolutions move far more than they compute.
"""

from __future__ import annotations

from torch import nn

NAME = "roof-probe"
INPUT_SHAPE, CLASSES = (16, 32, 32), 10
_WIDTH, _NARROW = 128, 16


def probe() -> nn.Sequential:
    """The network, with random weights: what it answers does not matter."""
    convolutions = {
        "image": nn.Conv2d(INPUT_SHAPE[0], _WIDTH, 3, padding=1, bias=False),
        "wide": nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False),
        "wide-again": nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False),
        "depthwise": nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, groups=_WIDTH, bias=False),
        "to-narrow": nn.Conv2d(_WIDTH, _NARROW, 1, bias=False),
        "from-narrow": nn.Conv2d(_NARROW, _WIDTH, 1, bias=False),
    }
    network = nn.Sequential()
    for name, convolution in convolutions.items():
        network.add_module(name, convolution)
        network.add_module(f"{name}-norm", nn.BatchNorm2d(convolution.out_channels))
        network.add_module(f"{name}-relu", nn.ReLU())
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("last", nn.Linear(_WIDTH, CLASSES))
    return network.eval()
