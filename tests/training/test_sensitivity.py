"""Sensitivity touches one group at a time, at the widths that were asked for."""

import pytest
import torch
from torch import nn

from harness.errors import HarnessError, UsageError
from harness.networks import groups, zoo
from harness.networks.datasets import Dataset
from harness.records.architecture import ChannelGroup
from harness.training.sensitivity import quick_losses, sensitivity, widths


def test_each_group_is_judged_alone_at_each_width(small: nn.Module, quadrants: Dataset) -> None:
    architecture = groups.architecture_of(small, "small", quadrants.input_shape, quadrants.classes)
    scores = {group.name: torch.rand(group.channels) for group in architecture.groups}
    seen: list[tuple[int, int]] = []
    found = sensitivity(small, architecture, quadrants, scores, (0.5, 0.0), progress=lambda done, total: seen.append((done, total)))
    assert [(loss.group, loss.channels) for loss in found] == [("0", 4), ("0", 1), ("3", 6), ("3", 1)]
    assert all(loss.accuracy.total == 32 for loss in found)
    assert seen[-1] == (4, 4)


def test_a_group_that_the_output_ignores_loses_nothing(small: nn.Module, quadrants: Dataset) -> None:
    with torch.no_grad():
        small[-1].weight.zero_()
    architecture = groups.architecture_of(small, "small", quadrants.input_shape, quadrants.classes)
    scores = {group.name: torch.rand(group.channels) for group in architecture.groups}
    assert {loss.points_lost for loss in sensitivity(small, architecture, quadrants, scores, groups=("3",))} == {0.0}


def test_a_removable_group_goes_to_nothing_and_another_to_its_step() -> None:
    assert widths(ChannelGroup("a", 16, ("a",), True, "a"), (0.75, 0.5, 0.0)) == (12, 8, 0)
    assert widths(ChannelGroup("a", 16, ("a",), False, "a", step=4), (0.9, 0.6, 0.3, 0.0)) == (12, 8, 4)


@pytest.mark.parametrize("ratios", [(), (1.0,), (-0.1,)])
def test_keep_ratios_that_mean_nothing_are_refused(small: nn.Module, quadrants: Dataset, ratios: tuple[float, ...]) -> None:
    architecture = groups.architecture_of(small, "small", quadrants.input_shape, quadrants.classes)
    with pytest.raises(UsageError, match="keep ratios"):
        sensitivity(small, architecture, quadrants, {}, ratios)


def test_removing_a_branch_is_one_of_the_widths(quadrants: Dataset) -> None:
    model = zoo.build("resnet20", quadrants.input_shape, quadrants.classes)
    architecture = groups.architecture_of(model, "resnet20", quadrants.input_shape, quadrants.classes)
    found = sensitivity(model, architecture, quadrants, {}, (0.0,), groups=("layer1.1.conv1",))
    assert [(loss.group, loss.channels) for loss in found] == [("layer1.1.conv1", 0)]


def test_one_more_width_is_analysed_where_it_was_asked_for_and_must_fit(small: nn.Module, quadrants: Dataset) -> None:
    architecture = groups.architecture_of(small, "small", quadrants.input_shape, quadrants.classes)
    scores = {group.name: torch.rand(group.channels) for group in architecture.groups}
    found = sensitivity(small, architecture, quadrants, scores, (0.5,), also={"0": 7})
    assert [(loss.group, loss.channels) for loss in found] == [("0", 7), ("0", 4), ("3", 6)]
    with pytest.raises(HarnessError, match="at most"):
        sensitivity(small, architecture, quadrants, scores, (0.5,), also={"0": 99})


def test_a_quick_look_leaves_the_network_and_finds_nothing_where_the_output_ignores_the_group(small: nn.Module, quadrants: Dataset) -> None:
    with torch.no_grad():
        small[-1].weight.zero_()
    before = [tensor.clone() for tensor in small.state_dict().values()]
    architecture = groups.architecture_of(small, "small", quadrants.input_shape, quadrants.classes)
    scores = {group.name: torch.rand(group.channels) for group in architecture.groups}
    lost = quick_losses(small, architecture, quadrants.validation, scores, [("0", 4), ("3", 6), ("3", 1)])
    assert lost == pytest.approx([0.0] * 3, abs=1e-4)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(before, small.state_dict().values(), strict=True))
