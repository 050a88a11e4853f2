"""The residual networks for 32 x 32 images of He et al. 2016, sec. 4.2, with projection shortcuts.

[He2016] K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition. CVPR 2016.

Three stages of 16, 32 and 64 channels, ``(depth - 2) / 6`` blocks each. Where the shape changes the shortcut is a 1 x 1
convolution with batch normalisation (option B of the paper); with it ResNet-20 has 272,474 parameters on 3 channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.networks.branches import BranchEnd, Shortcut

STAGE_CHANNELS = (16, 32, 64)
DEPTHS = (20, 32, 44, 56)


class BasicBlock(nn.Module):
    """relu(branch(x) + shortcut(x)); the branch is two 3 x 3 convolutions, each with batch normalisation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, images: Tensor) -> Tensor:
        """``N x in x H x W`` to ``N x out x H/stride x W/stride``."""
        branch = self.relu(self.bn1(self.conv1(images)))
        branch = self.bn2(self.conv2(branch))
        return torch.relu(branch + self.shortcut(images))

    def shortcut(self, images: Tensor) -> Tensor:
        """What is added to the branch."""
        return images if self.downsample is None else self.downsample(images)

    def branch_end(self) -> BranchEnd:
        """The branch's last convolution with its norm."""
        return BranchEnd(self.conv2, self.bn2)

    def without_branch(self) -> nn.Module:
        """What the block becomes when its branch is removed: relu(shortcut(x))."""
        return Shortcut(self.downsample)


class CifarResNet(nn.Module):
    """ResNet of ``depth`` 6n + 2 for small images.

    Layer names: conv1, bn1, layer1.0.conv1, layer1.0.bn1, layer1.0.conv2, ..., layer2.0.downsample.0, ..., fc.
    """

    def __init__(self, depth: int, in_channels: int, classes: int) -> None:
        super().__init__()
        first, *_ = STAGE_CHANNELS
        self.conv1 = nn.Conv2d(in_channels, first, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = self._stages((depth - 2) // 6)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(STAGE_CHANNELS[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stages(blocks: int) -> list[nn.Sequential]:
        stages, width = [], STAGE_CHANNELS[0]
        for index, channels in enumerate(STAGE_CHANNELS):
            first = BasicBlock(width, channels, stride=1 if index == 0 else 2)
            stages.append(nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1))))
            width = channels
        return stages

    def forward(self, images: Tensor) -> Tensor:
        """``N x C x H x W`` images to ``N x classes`` logits."""
        features = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(features), 1))
        return logits
