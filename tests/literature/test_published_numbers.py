"""Numbers that were published with the schedules, and removal against an independent one: known answers for ``ours``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch_pruning
from torch import Tensor, nn

from harness.networks import groups, zoo
from harness.pruning import criteria, schedule, surgery
from harness.records.architecture import Architecture

SHAPE, CLASSES = (3, 32, 32), 10


def architecture(network: str) -> Architecture:
    return groups.architecture_of(zoo.build(network, SHAPE, CLASSES), network, SHAPE, CLASSES)


@dataclass(frozen=True)
class Published:
    """What was published with a schedule: multiply-accumulates, and weights of convolutions and linear layers."""

    network: str
    name: str
    macs: int
    weights: int | None = None


PUBLISHED = (
    Published("resnet56", "filter_rank", 78_856_832, 634_640),
    Published("resnet56", "filter_rank_v2", 67_797_632, 570_704),
    Published("resnet56", "channel_rank", 66_592_384, 566_887),
    Published("resnet20", "agp", 30_655_104),
    Published("resnet20", "agp_4", 24_723_776),
)


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.name)
def test_a_published_schedule_gives_the_published_counts(published: Published) -> None:
    """[Li2017]_ and [Zhu2017]_ as shipped by Distiller; dense 125,747,840 with 851,504 weights, and 40,813,184."""
    found = architecture(published.network)
    config = {named.name: named.config for named in schedule.off_the_shelf(found)}[published.name]
    assert found.macs(config) == published.macs
    if published.weights is not None:
        assert sum(shape.weight_count for shape in found.shapes(config).values()) == published.weights


def test_dense_networks_have_the_published_counts() -> None:
    """[Li2017]_ table 1: 1.25e8 operations and 0.85 million parameters of ResNet-56; ResNet-20 with its norms has 272,474."""
    resnet56 = architecture("resnet56")
    assert resnet56.macs(resnet56.dense()) == 125_747_840
    assert sum(parameter.numel() for parameter in zoo.build("resnet20", SHAPE, CLASSES).parameters()) == 272_474


def test_filters_that_a_schedule_only_zeroes_count_as_removed(tmp_path: Path) -> None:
    """[Zhu2017]_: the gradual schedule without its remover ends at the same widths, as we remove what it zeroed."""
    lines = (schedule.SCHEDULES / "resnet20-agp.yaml").read_text().splitlines()
    path = tmp_path / "schedule.yaml"
    path.write_text("\n".join(line for line in lines if "extension" not in line and "removal" not in line))
    found = architecture("resnet20")
    assert found.macs(schedule.read_schedule(path, found).config) == 30_655_104


def lively(network: str) -> nn.Module:
    torch.manual_seed(0)
    model = zoo.build(network, SHAPE, CLASSES)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def removed_by_torch_pruning(model: nn.Module, plan: dict[str, list[int]]) -> nn.Module:
    """Explicit index sets, one named layer per coupled group, with torch-pruning's own graph."""
    graph = torch_pruning.DependencyGraph().build_dependency(model, torch.zeros(1, *SHAPE))
    for name, indices in plan.items():
        graph.get_pruning_group(model.get_submodule(name), torch_pruning.prune_conv_out_channels, idxs=indices).prune()
    return model


@pytest.mark.parametrize("network", ["resnet20", "resnet56"])
def test_removal_is_that_of_torch_pruning_tensor_by_tensor(network: str) -> None:
    """[Li2017]_ sec. 3.1 and 3.3: interiors and a residual group of explicit filters."""
    found, model = architecture(network), lively(network)
    plan = {group.name: list(range(1, group.channels, 3)) for group in found.groups if group.removable or group.name == "conv1"}
    kept = {group.name: tuple(sorted(set(range(group.channels)) - set(plan.get(group.name, [])))) for group in found.groups}
    ours = surgery.remove(model, found, kept).state_dict()
    theirs = removed_by_torch_pruning(lively(network), plan).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_residual_group_is_ranked_by_all_its_members() -> None:
    """[Li2017]_ sec. 3.3 ranks by the shortcut alone; here the sum over all members, so no member is ignored."""
    found, model = architecture("resnet20"), lively("resnet20")
    group = found.group("conv1")
    by_hand: Tensor = sum(
        torch.stack([filter.abs().sum() for filter in model.get_submodule(name).weight.detach().double()]) for name in group.members
    )
    torch.testing.assert_close(criteria.scores("l1", model, found)["conv1"], by_hand)
    for name in group.members:
        model.get_submodule(name).weight.data[5] = 0
    kept = surgery.chosen(found, found.partial({"conv1": 15}), criteria.scores("l1", model, found))
    assert set(range(16)) - set(kept["conv1"]) == {5}
