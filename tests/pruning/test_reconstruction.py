"""Layers behind removed channels are solved anew: exactly where that is possible, as closely as a line can elsewhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.networks import groups, zoo
from harness.pruning import reconstruction, surgery
from harness.records.architecture import Architecture
from harness.training.finetune import recalibrate

SHAPE = (1, 12, 12)


class Chain(nn.Sequential):
    """Two convolutions and a linear layer; the first one's channels 4 to 7 are channels 0 to 3 again."""

    def __init__(self, kernel: int = 3, stride: int = 1) -> None:
        first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 6, kernel, stride, kernel // 2)
        with torch.no_grad():
            first.weight[4:] = first.weight[:4]
            first.bias[4:] = first.bias[:4]
        super().__init__(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))


def described(model: nn.Module) -> Architecture:
    return groups.architecture_of(model, "chain", SHAPE, 3)


def keeping(architecture: Architecture, **kept: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {group.name: kept.get(f"g{group.name}", tuple(range(group.channels))) for group in architecture.groups}


def both(model: nn.Module, kept: dict[str, tuple[int, ...]], images: Tensor) -> tuple[nn.Module, nn.Module]:
    """Pruned plainly, and with the layers behind solved anew."""
    architecture = described(model)
    plain, solved = (surgery.remove(model, architecture, kept) for _ in range(2))
    reconstruction.reconstruct(solved, model, architecture, kept, reconstruction.moments(model, architecture, images))
    return plain, solved


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_channels_that_others_repeat_are_replaced_without_loss(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    model, images = Chain(kernel, stride).eval(), torch.rand(64, *SHAPE)
    plain, solved = both(model, keeping(described(model), g0=(0, 1, 2, 3)), images)
    with torch.no_grad():
        wanted = model(images)
        assert torch.allclose(solved(images), wanted, atol=5e-3)
        assert float((plain(images) - wanted).norm()) > 10 * float((solved(images) - wanted).norm())


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.sets(st.integers(0, 7), min_size=1, max_size=7))
def test_outputs_are_never_further_from_the_dense_ones_than_without(seed: int, stays: set[int]) -> None:
    """[He2017]_ eq. (1): the weights minimise the distance of the layer's outputs, of which the sliced weights are one choice."""
    torch.manual_seed(seed)
    model, images = Chain().eval(), torch.rand(64, *SHAPE)
    with torch.no_grad():
        model[0].weight.normal_()
        kept = keeping(described(model), g0=tuple(sorted(stays)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reconstruction, "POSITIONS_PER_FEATURE", 10**6)  # all of them: then it holds without exception
            plain, solved = both(model, kept, images)
        wanted, *found = (nn.Sequential(*list(one)[:3])(images) for one in (model, plain, solved))
        before, after = (float(((outputs - wanted) ** 2).mean()) for outputs in found)
    assert after <= before * (1 + 1e-4) + 1e-9


def test_a_linear_layer_behind_a_flatten_is_solved_too() -> None:
    torch.manual_seed(1)
    model, images = Chain().eval(), torch.rand(128, *SHAPE)
    plain, solved = both(model, keeping(described(model), g2=(0, 1, 2)), images)
    with torch.no_grad():
        wanted = model(images)
        assert float((solved(images) - wanted).norm()) < 0.7 * float((plain(images) - wanted).norm())


def test_what_loses_nothing_keeps_its_weights_and_the_dense_network_too() -> None:
    torch.manual_seed(0)
    model, images = Chain().eval(), torch.rand(16, *SHAPE)
    before = [tensor.clone() for tensor in model.state_dict().values()]
    _, solved = both(model, keeping(described(model), g2=(0, 1, 2)), images)
    assert torch.equal(solved[0].weight, model[0].weight)
    assert torch.equal(solved[2].weight, model[2].weight[:3])
    assert all(torch.equal(one, other) for one, other in zip(before, model.state_dict().values(), strict=True))


def test_features_that_nothing_excites_leave_the_weights_as_they_are() -> None:
    torch.manual_seed(0)
    model = Chain().eval()
    kept = keeping(described(model), g0=(0, 1, 2))
    plain, solved = both(model, kept, torch.zeros(16, *SHAPE))
    assert all(torch.isfinite(tensor).all() for tensor in solved.state_dict().values())
    assert solved[2].weight.shape == plain[2].weight.shape


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2", "mobilenetv3-small"])
def test_real_networks_come_nearer_to_their_dense_answers(name: str) -> None:
    torch.manual_seed(0)
    model = zoo.build(name, (1, 32, 32), 10).eval()
    architecture = groups.architecture_of(model, name, (1, 32, 32), 10)
    images = torch.rand(64, 1, 32, 32)
    recalibrate(model, images)  # else an untrained network answers next to nothing
    config = architecture.uniform(0.6)
    scores = {group.name: torch.rand(group.channels) for group in architecture.groups}
    kept = surgery.chosen(architecture, config, scores)
    plain, solved = (surgery.remove(model, architecture, kept) for _ in range(2))
    reconstruction.reconstruct(solved, model, architecture, kept, reconstruction.moments(model, architecture, images))
    shapes = [[tuple(tensor.shape) for tensor in one.state_dict().values()] for one in (plain, solved)]
    assert shapes[0] == shapes[1]
    with torch.no_grad():
        wanted = model(images)
        assert float((solved(images) - wanted).norm()) < float((plain(images) - wanted).norm())


def both_ways(patch: pytest.MonkeyPatch, **settings: int) -> tuple[list[Tensor], list[Tensor]]:
    """The weights of a pruned network solved as ever, and with these settings."""
    torch.manual_seed(3)
    model, images = Chain().eval(), torch.rand(40, *SHAPE)
    kept = keeping(described(model), g0=(0, 3, 5), g2=(1, 2, 4))
    patch.setattr(reconstruction, "POSITIONS_PER_FEATURE", 10**6)  # all of them: a draw would differ
    found = []
    for changed in ({}, settings):
        for name, number in changed.items():
            patch.setattr(reconstruction, name, number)
        _, solved = both(model, kept, images)
        found.append(list(solved.state_dict().values()))
    return found[0], found[1]


def test_solving_from_rows_of_features_is_solving_from_their_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ridge regression by its dual: (X'X + rI)^-1 X' = X' (XX' + rI)^-1."""
    moments, rows = both_ways(monkeypatch, MOST_FEATURES=1)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(moments, rows, strict=True))


def test_a_batch_that_is_looked_at_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = both_ways(monkeypatch, MOST_BYTES=4 * 72 * 12 * 12 * 3)
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(whole, parts, strict=True))


def test_a_layer_that_sees_very_many_features_keeps_few_rows_of_them() -> None:
    """VGG's first linear layer: a matrix of moments would take 2.5 GB."""
    model = nn.Sequential(nn.Conv2d(1, 512, 1), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(512 * 49, 3)).eval()
    architecture = groups.architecture_of(model, "wide", SHAPE, 3)
    seen = reconstruction.moments(model, architecture, torch.rand(8, *SHAPE))["3"]
    assert seen.is_rows
    assert seen.matrix.shape == (8, 512 * 49)
    kept = {"0": tuple(range(256))}
    _, solved = both_of(model, architecture, kept)
    assert bool(torch.isfinite(solved[3].weight).all())


def both_of(model: nn.Module, architecture: Architecture, kept: dict[str, tuple[int, ...]]) -> tuple[nn.Module, nn.Module]:
    plain, solved = (surgery.remove(model, architecture, kept) for _ in range(2))
    reconstruction.reconstruct(solved, model, architecture, kept, reconstruction.moments(model, architecture, torch.rand(8, *SHAPE)))
    return plain, solved
