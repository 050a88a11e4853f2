"""What physical removal costs beside torch-pruning's own: ResNet-56, a third of every group's channels by explicit index sets.

``pytest tests/performance/test_removal_speed.py --benchmark-only`` checks the limit; pytest-benchmark's table shows the two
side by side, with their ratio. Without that flag a busy machine may be slow and only the table is printed.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
import torch
import torch_pruning
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from harness.networks import groups, zoo
from harness.pruning import surgery
from harness.records.architecture import Architecture

NETWORK, SHAPE, CLASSES = "resnet56", (3, 32, 32), 10
LIMIT_S = 0.1


@dataclass(frozen=True)
class Task:
    """A dense network, and the channels that leave each of its groups."""

    model: nn.Module
    architecture: Architecture
    leaving: dict[str, list[int]]

    @property
    def kept(self) -> surgery.Kept:
        every = {group.name: range(group.channels) for group in self.architecture.groups}
        return {name: tuple(index for index in channels if index not in self.leaving[name]) for name, channels in every.items()}


@pytest.fixture(scope="module")
def task() -> Task:
    model = zoo.build(NETWORK, SHAPE, CLASSES)
    architecture = groups.architecture_of(model, NETWORK, SHAPE, CLASSES)
    return Task(model, architecture, {group.name: list(range(1, group.channels, 3)) for group in architecture.groups})


@pytest.fixture
def rounds(judged: bool) -> int:
    return 30 if judged else 2


def by_torch_pruning(task: Task) -> nn.Module:
    """A copy of the network, its dependency graph, and one pruning group after the other."""
    model = copy.deepcopy(task.model)
    graph = torch_pruning.DependencyGraph().build_dependency(model, torch.zeros(1, *SHAPE))
    for name, indices in task.leaving.items():
        graph.get_pruning_group(model.get_submodule(name), torch_pruning.prune_conv_out_channels, idxs=indices).prune()
    return model


@pytest.mark.benchmark(group="removal from resnet56")
def test_removal_from_a_known_network_is_fast(task: Task, benchmark: BenchmarkFixture, rounds: int) -> None:
    """As a search calls it: one dense network, many configurations; the copy, all guards and the trial run included."""
    thinned = benchmark.pedantic(surgery.remove, (task.model, task.architecture, task.kept), rounds=rounds, iterations=1, warmup_rounds=1)
    assert thinned.get_submodule("conv1").out_channels == 11
    if rounds > 2:
        assert benchmark.stats.stats.median <= LIMIT_S


@pytest.mark.benchmark(group="removal from resnet56")
def test_removal_by_torch_pruning_alone(task: Task, benchmark: BenchmarkFixture, rounds: int) -> None:
    thinned = benchmark.pedantic(by_torch_pruning, (task,), rounds=rounds, iterations=1, warmup_rounds=1)
    assert thinned.get_submodule("conv1").out_channels == 11


@pytest.mark.benchmark(group="removal from resnet56")
def test_the_first_removal_from_a_network_traces_and_proves_it(task: Task, benchmark: BenchmarkFixture, rounds: int) -> None:
    """A network never seen: its groups are traced, and removal is compared with zeroing, before the channels go."""

    def fresh() -> tuple[tuple[nn.Module, Architecture, surgery.Kept], dict[str, object]]:
        return (copy.deepcopy(task.model), task.architecture, task.kept), {}

    benchmark.pedantic(surgery.remove, setup=fresh, rounds=rounds, iterations=1)
