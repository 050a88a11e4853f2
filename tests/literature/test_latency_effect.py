"""The ways of pruning that the verification page measures are what they are called, and every method comes to one of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.devices.measure import Protocol
from harness.networks import groups, zoo
from harness.records.architecture import Architecture
from harness.verification import latency_effect
from harness.verification.ways import MASKED, SHALLOWER, SMALLER, WAYS, ZEROED_RATIO, ZEROS, Way
from tests.literature.claims import CLAIMS
from tests.literature.laws.laws import LAWS

# What the literature's tests also look at, and what chooses no weights by itself.
CHOOSING_NOTHING = {"sensitivity analysis", "schedules", "learning rates", "checkpoints"}

Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    return zoo.build("resnet20", (3, 32, 32), 10).eval()


@pytest.fixture(scope="module")
def architecture(dense: nn.Module) -> Architecture:
    return groups.architecture_of(dense, "resnet20", (3, 32, 32), 10)


@pytest.fixture(scope="module")
def made(dense: nn.Module, architecture: Architecture) -> dict[str, Weights]:
    return {way.name: weights(way.make(dense, architecture)) for way in WAYS}


def weights(model: nn.Module) -> Weights:
    return {name: module.weight.detach() for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def zero_share(found: Weights) -> float:
    return sum(int((weight == 0).sum()) for weight in found.values()) / sum(weight.numel() for weight in found.values())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_way_leaves_what_it_says(way: Way, dense, architecture, made) -> None:
    shapes = {name: weight.shape for name, weight in weights(dense).items()}
    found = made[way.name]
    if way.leaves in (ZEROS, MASKED):
        assert {name: weight.shape for name, weight in found.items()} == shapes
    if way.leaves == ZEROS:
        assert zero_share(found) == pytest.approx(ZEROED_RATIO, abs=0.08)
    if way.leaves == MASKED:
        assert int((found["layer2.1.conv1"].flatten(1).abs().sum(1) == 0).sum()) == 16
    if way.leaves == SMALLER:
        assert found.keys() == shapes.keys()
        assert 0 < found["layer2.1.conv1"].shape[0] <= 20 < 32
        assert zero_share(found) == 0
    if way.leaves == SHALLOWER:
        assert sorted(set(shapes) - set(found))[:2] == ["layer1.1.conv1", "layer1.1.conv2"]
    assert all(weight.abs().sum() > 0 for weight in weights(dense).values())  # the dense network is left alone


def test_blocks_are_eight_consecutive_channels(made) -> None:
    weight = made["80% of the weights, in blocks"]["layer2.1.conv1"]
    zero = (weight == 0).unflatten(1, (-1, 8))
    assert bool((zero.all(2) == zero.any(2)).all())
    assert 0.7 < float(zero.float().mean()) < 0.9


def test_filters_removed_are_those_that_were_zeroed(made) -> None:
    silent, removed = made["half of the interior filters, masked"]["layer2.1.conv1"], made["half of the interior filters by L1"]
    kept = silent[silent.flatten(1).abs().sum(1) > 0]
    assert torch.equal(kept, removed["layer2.1.conv1"])
    assert torch.equal(made["the same in steps"]["layer2.1.conv1"], kept)  # nothing was trained in between


def test_every_method_of_the_literature_comes_to_a_measured_network() -> None:
    judged = {entry.method for entry in (*CLAIMS, *LAWS)}
    measured = {method.split(" (")[0] for way in WAYS for method in way.methods}
    assert judged - measured == CHOOSING_NOTHING


def test_ways_are_measured_in_turns_with_the_dense_network() -> None:
    protocol = Protocol(warmup_s=0.0, warmup_rounds=1, rounds=8, blocks=2, min_time_s=0.0, profile_compiles=0)
    baseline, effects = latency_effect.measure(protocol=protocol, ways=(WAYS[0], WAYS[-1]))
    assert [effect.way for effect in effects] == [WAYS[0], WAYS[-1]]
    assert all(len(effect.measurement.latency.block_sizes) == len(baseline.latency.block_sizes) for effect in effects)
    assert not any(effect.reduces_latency for effect in effects)  # two blocks decide nothing, and the verdict says so


def test_measuring_for_the_page_does_not_stop_before_it_can_decide() -> None:
    assert latency_effect.BLOCKS.precision_target is None
    assert latency_effect.BLOCKS.blocks >= 20
