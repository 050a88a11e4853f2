"""Torch-Pruning's own global pruning, told as configurations: the same widths and channels that it would cut itself."""

from __future__ import annotations

import copy

import pytest
import torch
import torch_pruning
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness.errors import PruningError
from harness.networks import datasets, groups, zoo
from harness.networks.drawing import draw
from harness.pipeline import Network
from harness.pruning import surgery
from harness.pruning.global_pruning import IMPORTANCES, MAGNITUDE, TAYLOR, GlobalPruning
from harness.records.architecture import Architecture

SHAPE, CLASSES = (1, 16, 16), 4


def untrained(name: str) -> tuple[nn.Module, Architecture]:
    model = zoo.build(name, SHAPE, CLASSES, seed=1)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # all ones, as they begin, would tell nothing of batch norms
            module.weight.data = torch.rand(len(module.weight), generator=generator) + 0.5
    return model, groups.architecture_of(model, name, SHAPE, CLASSES)


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(40, *SHAPE, generator=generator), torch.arange(40) % CLASSES


@pytest.fixture(scope="module")
def resnet() -> tuple[nn.Module, Architecture]:
    return untrained("resnet20")


@pytest.fixture(scope="module")
def ranked(resnet: tuple[nn.Module, Architecture]) -> dict[str, GlobalPruning]:
    return {name: GlobalPruning(name, *resnet, *pictures()) for name in IMPORTANCES}


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2", "mobilenetv3-small"])
@pytest.mark.parametrize("ratio", [0.2, 0.6])
def test_widths_and_channels_are_those_that_torch_pruning_cuts_itself(name: str, ratio: float) -> None:
    """Its pruner is let loose on a copy: what our surgery makes of the configuration and the scores holds the same weights."""
    model, architecture = untrained(name)
    ours = GlobalPruning(MAGNITUDE, model, architecture)
    theirs = copy.deepcopy(model)
    last = [module for module in theirs.modules() if isinstance(module, nn.Linear)][-1]
    pruner = torch_pruning.pruner.BasePruner(
        theirs,
        torch.zeros(1, *SHAPE),
        torch_pruning.importance.GroupMagnitudeImportance(p=2),
        global_pruning=True,
        pruning_ratio=ratio,
        ignored_layers=[last],
        in_channel_groups={},
        out_channel_groups={},
        num_heads={},
    )
    removed = ours.channels - int(ours.channels * (1 - ratio))
    pruner.step()
    config = ours.config(removed)
    found = surgery.prune(model, architecture, config, ours.scores)
    assert config != architecture.dense()
    pairs = zip(found.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(mine, other) for mine, other in pairs)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(IMPORTANCES), st.data())
def test_every_cut_is_legal_and_a_deeper_one_keeps_no_more_of_what_was_cut(
    ranked: dict[str, GlobalPruning], name: str, data: st.DataObject
) -> None:
    pruning = ranked[name]
    removed = data.draw(st.integers(0, pruning.channels - 2))
    config, deeper = pruning.config(removed), pruning.config(removed + 1)
    pruning.architecture.check(config)
    for group in pruning.architecture.groups:  # a group below the threshold as a whole is left alone, and then keeps all
        assert deeper.kept(group.name) <= config.kept(group.name) or deeper.kept(group.name) == group.channels


def test_nothing_removed_is_the_dense_network_and_the_model_stays_as_it_was(resnet: tuple[nn.Module, Architecture]) -> None:
    model, architecture = resnet
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pruning = GlobalPruning(TAYLOR, model, architecture, *pictures())
    assert pruning.config(0) == architecture.dense()
    pruning.config(200)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_as_many_channels_go_as_were_asked_for_and_more_only_where_they_are_equally_important(ranked: dict[str, GlobalPruning]) -> None:
    for pruning in ranked.values():
        ordered = torch.cat(list(pruning.scores.values())).sort().values
        dense = dict(pruning.architecture.dense().channels)
        for removed in (1, 2, 50, 201):
            kept = dict(pruning.config(removed).channels)
            assert sum(dense.values()) - sum(kept.values()) == int((ordered <= ordered[removed - 1]).sum())


def test_the_two_importances_differ_and_each_is_the_same_again(
    resnet: tuple[nn.Module, Architecture], ranked: dict[str, GlobalPruning]
) -> None:
    assert ranked[MAGNITUDE].config(150).digest != ranked[TAYLOR].config(150).digest
    for name, first in ranked.items():
        again = GlobalPruning(name, *resnet, *pictures())
        assert again.config(150).digest == first.config(150).digest
        assert all(torch.equal(again.scores[group], first.scores[group]) for group in first.scores)


def test_channels_of_grouped_convolutions_are_cut_evenly() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, groups=4), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.ReLU()
    )
    model.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)])
    architecture = groups.architecture_of(model, "grouped", SHAPE, CLASSES)
    pruning = GlobalPruning(MAGNITUDE, model, architecture)
    for removed in range(pruning.channels):
        architecture.check(pruning.config(removed))
    surgery.prune(model, architecture, pruning.config(pruning.channels // 2), pruning.scores)


def test_what_is_missing_or_broken_is_said(resnet: tuple[nn.Module, Architecture], ranked: dict[str, GlobalPruning]) -> None:
    model, architecture = resnet
    with pytest.raises(PruningError, match="gradients on labelled images"):
        GlobalPruning(TAYLOR, model, architecture)
    broken = copy.deepcopy(model)
    next(broken.parameters()).data.fill_(float("nan"))
    with pytest.raises(PruningError, match="no number"):
        GlobalPruning(MAGNITUDE, broken, architecture)
    for removed in (-1, ranked[MAGNITUDE].channels):
        with pytest.raises(PruningError, match="cannot go"):
            ranked[MAGNITUDE].config(removed)


def test_the_pipeline_scores_by_them_as_by_any_criterion() -> None:
    dataset = datasets.load("digits")
    network = Network.by_name("resnet20", dataset)
    seen = draw(dataset.train, 512).split
    for name in IMPORTANCES:
        pruning = network.global_pruning(name, dataset)
        expected = GlobalPruning(name, network.model, network.architecture, seen.images, seen.labels)
        scores = network.scores(name, dataset)
        assert all(torch.equal(scores[group], expected.scores[group]) for group in scores)
        assert set(scores) == {group.name for group in network.architecture.groups}
        assert pruning.config(100) == expected.config(100)


def test_a_network_of_which_channels_are_left_alone_is_not_given_to_the_library() -> None:
    """Its walk does not end on fused attention, and fails on shuffled channels."""
    model = nn.Sequential(nn.Conv2d(1, 6, 1), nn.GroupNorm(1, 6), nn.Conv2d(6, 4, 1), nn.Flatten(), nn.Linear(16, 3)).eval()
    architecture = groups.architecture_of(model, "normed", (1, 2, 2), 3)
    with pytest.raises(PruningError, match="left alone"):
        GlobalPruning("tp-magnitude", model, architecture)
