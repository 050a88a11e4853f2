"""What exporting a designed network costs, cut out of the dense export, beside tracing it anew: ResNet-50 on pictures of 224 x 224.

``pytest tests/performance/test_designed_exports.py --benchmark-only -s`` checks the limit and prints the ratio; without that flag
a small network is exported, and only the figures are printed. One thread, seconds of the processor: other programs take no part of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from time import process_time

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from harness.latency.model import design
from harness.networks import groups, zoo
from harness.pruning.shape_exports import ShapeExports
from harness.records.pruning_config import PruningConfig

LEAST_PER_S = 10
DESIGNED, TRACED = 30, 5
ANCHORS = 4  # the first of a design: the dense network, and some with a channel or two


@dataclass(frozen=True)
class Task:
    """A dense network's exports, and the first networks of its design."""

    network: str
    exports: ShapeExports
    configs: tuple[PruningConfig, ...]


@pytest.fixture(scope="module")
def task(request: pytest.FixtureRequest) -> Task:
    name, side = ("torchvision:resnet50", 224) if request.config.getoption("benchmark_only") else ("resnet20", 32)
    model = zoo.build(name, (3, side, side), 10)
    architecture = groups.architecture_of(model, name, (3, side, side), 10)
    return Task(name, ShapeExports(model, architecture), design.design(architecture, ANCHORS + DESIGNED, 0)[ANCHORS:])


@pytest.mark.benchmark(group="a designed network", timer=process_time)
def test_cutting_beside_tracing(task: Task, benchmark: BenchmarkFixture, judged: bool) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        task.exports.export(task.configs[0])  # the dense network is traced, and two that cutting is tried on
        todo = cycle(task.configs)
        cut = benchmark.pedantic(lambda: task.exports.export(next(todo)), rounds=DESIGNED, iterations=1)
        count = TRACED if judged else 1
        traced_s = sum(_seconds(partial(task.exports.traced, config)) for config in task.configs[:count]) / count
    finally:
        torch.set_num_threads(threads)
    assert cut.node_layers
    cut_s = benchmark.stats.stats.mean
    benchmark.extra_info.update(per_s=1 / cut_s, traced_s=traced_s)
    print(f"\n{task.network}: {1 / cut_s:.1f} networks/s cut, {1 / traced_s:.2f}/s traced: {traced_s / cut_s:.0f} times as many")
    if judged:
        assert 1 / cut_s >= LEAST_PER_S


def _seconds(work: Callable[[], object]) -> float:
    begun = process_time()
    work()
    return process_time() - begun
