"""A small network as data, and a synthetic problem: what the tests of the search share."""

from dataclasses import replace

import numpy as np
import pytest

from harness.records.architecture import Architecture, ChannelGroup
from search.race.synthetic import SyntheticProblem, problem
from search.space.recipe_ranges import RecipeRanges
from search.space.screened_latency import LatencyByPrecision
from search.space.space import SearchSpace


@pytest.fixture
def architecture() -> Architecture:
    groups = (
        ChannelGroup("conv1", 16, ("conv1",), False, "stem"),
        ChannelGroup("layer1.0.conv1", 16, ("layer1.0.conv1",), True, "layer1"),
        ChannelGroup("layer1.1.conv1", 16, ("layer1.1.conv1",), True, "layer1"),
        ChannelGroup("layer2.0.conv1", 32, ("layer2.0.conv1",), False, "layer2"),
    )
    return Architecture("toy", (3, 32, 32), 10, groups, ())


@pytest.fixture
def space(architecture: Architecture) -> SearchSpace:
    legal = {
        "conv1": (8, 16),
        "layer1.0.conv1": (0, 8, 16),
        "layer1.1.conv1": (0, 4, 8, 16),
        "layer2.0.conv1": (8, 16, 24, 32),
    }
    return SearchSpace(architecture, legal, RecipeRanges(criteria=("l1", "fpgm")))


class LinearLatency:
    """A microsecond per channel."""

    def costs(self, widths: np.ndarray) -> np.ndarray:
        return (1.0 + widths.sum(axis=1)) * 1e-6


@pytest.fixture
def linear_latency() -> LinearLatency:
    return LinearLatency()


class InSteps:
    """Half a microsecond per channel, paid for in eights, and three of overhead: INT8's own staircase."""

    def costs(self, widths: np.ndarray) -> np.ndarray:
        return (3.0 + 0.5 * (-(-widths // 8) * 8).sum(axis=1)) * 1e-6


@pytest.fixture
def joint_latency() -> LatencyByPrecision:
    """f32 and INT8, of which INT8 is faster unless nearly nothing is left."""
    return LatencyByPrecision({"f32": LinearLatency(), "int8": InSteps()})


@pytest.fixture
def joint_space(space: SearchSpace) -> SearchSpace:
    """The same space in two precisions."""
    return SearchSpace(space.architecture, space.legal_widths, replace(space.ranges, precisions=("f32", "int8")))


@pytest.fixture(scope="session")
def vgg() -> SyntheticProblem:
    return problem("vgg", 0)
