"""The five ways of pruning that the verification page measures are what they are called."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.devices.measure import Protocol
from harness.networks import groups, zoo
from harness.pruning import latency_effect
from harness.pruning.latency_effect import WAYS
from harness.records.architecture import Architecture


@pytest.fixture(scope="module")
def dense() -> nn.Module:
    return zoo.build("resnet20", (3, 32, 32), 10).eval()


@pytest.fixture(scope="module")
def architecture(dense: nn.Module) -> Architecture:
    return groups.architecture_of(dense, "resnet20", (3, 32, 32), 10)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: module.weight.detach() for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def test_zeroed_networks_keep_every_shape_and_removed_ones_are_smaller(dense, architecture):
    shapes = {name: weight.shape for name, weight in weights(dense).items()}
    made = {way.name: weights(way.make(dense, architecture)) for way in WAYS}
    zeroed, silent, removed, thin, shallow = made.values()
    assert {name: weight.shape for name, weight in zeroed.items()} == shapes
    assert {name: weight.shape for name, weight in silent.items()} == shapes
    assert all(abs(float((weight == 0).float().mean()) - 0.8) < 0.01 for weight in zeroed.values())
    assert removed["layer1.0.conv1"].shape == (8, 16, 3, 3)
    assert thin["conv1"].shape == (8, 3, 3, 3)
    assert sorted(set(shapes) - set(shallow))[:2] == ["layer1.1.conv1", "layer1.1.conv2"]
    assert all(weight.abs().sum() > 0 for weight in weights(dense).values())  # the dense network is left alone


def test_filters_removed_are_those_that_were_zeroed(dense, architecture):
    silent, removed = (weights(WAYS[index].make(dense, architecture))["layer2.1.conv1"] for index in (1, 2))
    kept = silent[silent.flatten(1).abs().sum(1) > 0]
    assert torch.equal(kept, removed)


def test_all_ways_are_measured_in_turns_with_the_dense_network():
    protocol = Protocol(warmup_s=0.0, warmup_rounds=1, rounds=8, blocks=2, min_time_s=0.0, profile_compiles=0)
    baseline, effects = latency_effect.measure(protocol=protocol)
    assert [effect.way for effect in effects] == list(WAYS)
    assert all(len(effect.measurement.latency.block_sizes) == len(baseline.latency.block_sizes) for effect in effects)
    assert not any(effect.reduces_latency for effect in effects)  # two blocks decide nothing, and the verdict says so
