"""Numbers that the papers predict for the recorded experiments, from ``references`` on the same seeded inputs."""

from __future__ import annotations

from typing import Any

import torch

from harness.pruning.schedule import LearningRate
from tests.literature import references
from tests.literature.probes.experiment import SmallCNN, reseed


def close(found: float, expected: float, tolerance: float = 1e-3) -> bool:
    return abs(found - expected) <= tolerance * max(1.0, abs(expected))


def all_close(found: list[float], expected: list[float], tolerance: float = 1e-3) -> bool:
    return len(found) == len(expected) and all(map(close, found, expected, [tolerance] * len(found)))


def share_masked(mask: torch.Tensor) -> float:
    return round(1 - float(mask.float().mean()), 3)


def magnitude_shares() -> dict[str, float]:
    reseed(0)
    thresholds = {"conv1.weight": 0.1}
    return {
        name: share_masked(references.magnitude_mask(weight, thresholds.get(name, 0.05))) for name, weight in SmallCNN().named_parameters()
    }


def gaussian_share() -> float:
    reseed(0)
    weight = torch.randn(10000)
    return share_masked(references.magnitude_mask(weight, references.sensitivity_threshold(weight, 0.5)))


def growing_surgery() -> list[float]:
    """Splicing with a sensitivity of 0.1 that grows by half of itself an epoch."""
    reseed(0)
    weight = torch.randn(2000)
    size = weight.abs()
    mean, deviation = float(size.mean()), float(size.std())
    mask, found = torch.ones(2000), []
    for epoch in range(3):
        base = mean + deviation * 0.1 * (0.5 * epoch + 1)
        mask = references.surgery_mask(weight, mask, 0.9 * base, 1.1 * base)
        found.append(round(1 - float(mask.mean()), 4))
    return found


def agp(initial: float, final: float, steps: int) -> list[float]:
    return [references.agp_sparsity(initial, final, step, steps) for step in range(steps + 1)]


def rates(class_name: str, **arguments: Any) -> list[float]:
    rate = LearningRate(class_name, tuple(arguments.items()), 0, 5)
    return [rate.at(epoch, 1.0) for epoch in range(1, 6)]
