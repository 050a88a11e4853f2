"""A dense network with the pictures of each size among which a campaign chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.errors import HarnessError, UsageError, one_line
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.networks.pictures.preparing import LEAST_SIDE
from harness.pipeline import Network
from harness.records.architecture import Architecture

MOST_TRIED = 24  # sizes around one that is refused: a second or two for a large network
MOST_TOLD = 4


class AtSize(NamedTuple):
    """The dense network and its pictures, at one size."""

    network: Network
    dataset: Dataset


Sized = Mapping[str, AtSize]
"""By the size's name (``HxW``), the full one left out."""


def at(network: Network, dataset: Dataset, sized: Sized, size: str) -> AtSize:
    """The network and its pictures at ``size``; as they are at the full one, which has no name, or its own."""
    return sized[size] if size and size != size_of(network.architecture) else AtSize(network, dataset)


def size_of(architecture: Architecture) -> str:
    """Height and width of the pictures that it is for."""
    _, height, width = architecture.input_shape
    return f"{height}x{width}"


def network_at(network: Network, size: str) -> Network:
    """The network for pictures of ``size``; UsageError, naming it and why, where the network's shape does not allow that.

    What sizes around it would do is tried then, and told.
    """
    channels, (height, width) = network.architecture.input_shape[0], map(int, size.split("x"))
    try:
        return network.at((channels, height, width))
    except (HarnessError, RuntimeError) as error:
        why = one_line(str(error)).partition("; ")[0]  # what follows is advice for a network that runs at no size
        raise UsageError(f"--input-size: {network.name} does not allow {size}: {why}; {_instead(network, height, width)}") from error


def _instead(network: Network, height: int, width: int) -> str:
    """What to do: the sizes around ``height`` x ``width`` that the network's shape allows, or how it would allow any."""
    full = size_of(network.architecture)
    tried = _around(network.architecture, height, width)
    allowed = [one for one in tried if _allows(network, one)][:MOST_TOLD]
    if allowed:
        told = ", ".join(f"{high}x{wide}" for high, wide in allowed)
        return f"near it {told} {'would do' if len(allowed) > 1 else 'would do alone'}; give such a one, or leave that size out"
    return (
        f"of {len(tried)} sizes around it none would do: what follows its maps is made for {full}. Average over the maps before they are "
        "flattened (nn.AdaptiveAvgPool2d(1), or x.mean((2, 3))), and any size goes; else leave that size out"
    )


def _around(architecture: Architecture, height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the same shape from half of it to the full one, the nearest first."""
    _, *full = architecture.input_shape
    sides = sorted(range(max(LEAST_SIDE, height // 2), max(height, full[0]) + 1), key=lambda side: abs(side - height))
    each = dict.fromkeys((side, max(LEAST_SIDE, round(side * width / height))) for side in sides)
    return [one for one in each if one not in ((height, width), tuple(full))][:MOST_TRIED]


def _allows(network: Network, size: tuple[int, int]) -> bool:
    """Whether the network is built, answers one picture of ``size``, and takes the weights."""
    try:
        zoo.rebuilt(network.name, network.model, (network.architecture.input_shape[0], *size), network.architecture.classes)
    except (HarnessError, RuntimeError):
        return False  # which is the answer
    return True
