"""A dense network with the pictures of each size among which a campaign chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from harness.errors import HarnessError, UsageError, one_line
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.records.architecture import Architecture


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
    """The network for pictures of ``size``; UsageError, naming it and why, where the network's shape does not allow that."""
    channels, (height, width) = network.architecture.input_shape[0], map(int, size.split("x"))
    try:
        return network.at((channels, height, width))
    except (HarnessError, RuntimeError) as error:
        raise UsageError(f"--input-size: {network.name} does not allow {size}: {one_line(str(error))}; leave that size out") from error
