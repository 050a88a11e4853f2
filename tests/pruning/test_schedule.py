"""Schedules: the published ones give the published counts, Distiller's YAML is read strictly, learning rates follow torch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import PruningError, UnknownName, UsageError
from harness.networks import groups, zoo
from harness.pruning.schedule import SCHEDULES, LearningRate, agp_sparsity, off_the_shelf, read_schedule
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig


@pytest.fixture(scope="module")
def resnet20() -> Architecture:
    return groups.architecture_of(zoo.build("resnet20", (3, 32, 32), 10), "resnet20", (3, 32, 32), 10)


@pytest.fixture(scope="module")
def resnet56() -> Architecture:
    return groups.architecture_of(zoo.build("resnet56", (3, 32, 32), 10), "resnet56", (3, 32, 32), 10)


def weights(architecture: Architecture, config: PruningConfig) -> int:
    """Weights of convolutions and linear layers, as the papers count parameters."""
    return sum(shape.weight_count for shape in architecture.shapes(config).values())


PUBLISHED = {
    "filter_rank": (78_856_832, 634_640),
    "filter_rank_v2": (67_797_632, 570_704),
    "channel_rank": (66_592_384, 566_887),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_resnet56_schedules_give_the_published_counts(name, resnet56):
    assert resnet56.macs(resnet56.dense()) == 125_747_840
    assert weights(resnet56, resnet56.dense()) == 851_504
    found = {named.name: named for named in off_the_shelf(resnet56)}
    macs, parameters = PUBLISHED[name]
    assert resnet56.macs(found[name].config) == macs
    assert weights(resnet56, found[name].config) == parameters
    assert found[name].criterion == "l1"


@pytest.mark.parametrize(("name", "macs"), [("agp", 30_655_104), ("agp_4", 24_723_776)])
def test_resnet20_schedules_give_the_published_counts(name, macs, resnet20):
    found = {named.name: named for named in off_the_shelf(resnet20)}
    assert resnet20.macs(resnet20.dense()) == 40_813_184
    assert resnet20.macs(found[name].config) == macs


def test_a_network_without_published_schedules_has_none(resnet20):
    assert off_the_shelf(resnet20.with_network("resnet32")) == ()


def test_what_each_part_of_a_schedule_does_is_said(resnet20):
    schedule = read_schedule(SCHEDULES / "resnet20-agp.yaml", resnet20)
    effects = {part.name: part.effect for part in schedule.parts}
    assert effects == {
        "pruners.second_stage": "removes channels",
        "pruners.single_weights": "changes no latency",
        "pruners.classifier_rows": "changes no latency",
        "extensions.removal": "removes what is zero",
        "lr_schedulers.steps": "learning rate",
    }
    assert "one common index set" in next(part.detail for part in schedule.parts if part.name == "pruners.second_stage")
    assert schedule.last_epoch == 400


def schedule_file(folder: Path, text: str) -> Path:
    path = folder / "schedule.yaml"
    path.write_text(text)
    return path


def one_pruner(arguments: str, policy: str = "epochs: [0]", class_name: str = "L1RankedStructureParameterPruner") -> str:
    return f"""
pruners:
  p: {{class: {class_name}, {arguments}}}
policies:
  - {{pruner: {{instance_name: p}}, {policy}}}
"""


HALF = "group_type: Filters, desired_sparsity: 0.5, weights: [layer1.0.conv1.weight]"


def test_upstream_spelling_of_names_is_understood(tmp_path, resnet20):
    text = one_pruner("group_type: Filters, desired_sparsity: 0.3, weights: [module.layer1.0.conv1.weight]")
    schedule = read_schedule(schedule_file(tmp_path, text), resnet20)
    assert schedule.config == resnet20.partial({"layer1.0.conv1": 12})  # floor(0.3 * 16) = 4 removed
    assert "we remove them" in schedule.parts[0].detail  # no remover in the schedule


@pytest.mark.parametrize(
    ("class_name", "criterion"),
    [("L1RankedStructureParameterPruner", "l1-folded"), ("ActivationAPoZRankedFilterPruner", "apoz")],
    ids=["weights", "activations"],
)
def test_folding_batch_norms_is_a_ranking_of_its_own_where_it_changes_one(class_name, criterion, tmp_path, resnet20):
    plain = one_pruner(HALF, class_name=class_name)
    folding = plain.replace("{instance_name: p}", "{instance_name: p, args: {fold_batchnorm: True}}")
    assert read_schedule(schedule_file(tmp_path, plain), resnet20).criterion == criterion.removesuffix("-folded")
    assert read_schedule(schedule_file(tmp_path, folding), resnet20).criterion == criterion


def test_removal_between_two_prunings_compounds(tmp_path, resnet20):
    text = f"""
pruners:
  p: {{class: L1RankedStructureParameterPruner, {HALF}}}
extensions:
  r: {{class: FilterRemover, thinning_func_str: remove_filters, arch: resnet20_cifar, dataset: cifar10}}
policies:
  - {{pruner: {{instance_name: p}}, epochs: [0, 4]}}
  - {{extension: {{instance_name: r}}, epochs: [0, 4]}}
"""
    assert read_schedule(schedule_file(tmp_path, text), resnet20).config.kept("layer1.0.conv1") == 4


@pytest.mark.parametrize(("sparsity", "kept"), [(0.0, 16), (0.05, 16), (0.5, 8), (0.97, 1), (0.999, 1)])
def test_counts_are_floored_and_one_channel_stays(sparsity, kept, tmp_path, resnet20):
    text = one_pruner(f"group_type: 3D, desired_sparsity: {sparsity}, weights: [layer1.0.conv1]")
    assert read_schedule(schedule_file(tmp_path, text), resnet20).config.kept("layer1.0.conv1") == kept


def test_a_full_removal_of_a_branch_is_zero_channels(tmp_path, resnet20):
    text = one_pruner("group_type: Filters, desired_sparsity: 1.0, weights: [layer1.0.conv1]")
    assert read_schedule(schedule_file(tmp_path, text), resnet20).config.kept("layer1.0.conv1") == 0


def test_a_gradual_pruner_reaches_its_final_sparsity_even_in_one_epoch(tmp_path, resnet20):
    arguments = "group_type: Filters, initial_sparsity: 0, final_sparsity: 0.5, weights: [layer1.0.conv1]"
    text = one_pruner(arguments, "epochs: [3]", "L1RankedStructureParameterPruner_AGP")
    assert read_schedule(schedule_file(tmp_path, text), resnet20).config.kept("layer1.0.conv1") == 8


def test_a_component_without_a_policy_does_nothing(tmp_path, resnet20):
    text = one_pruner(HALF) + "regularizers:\n  r: {class: L1Regularizer, reg_regims: {conv1.weight: 0.1}}\n"
    schedule = read_schedule(schedule_file(tmp_path, text), resnet20)
    assert {part.name: part.effect for part in schedule.parts}["regularizers.r"] == "nothing"


REFUSED = {
    "class": (one_pruner(HALF, class_name="AutomatedGradualPruner_Accelerated"), UnknownName, "unknown class of pruners.p"),
    "argument": (one_pruner(HALF + ", bogus: 1"), UsageError, "no argument bogus"),
    "missing": (one_pruner("group_type: Filters, weights: [conv1]"), UsageError, "needs desired_sparsity"),
    "layer": (one_pruner("group_type: Filters, desired_sparsity: 0.5, weights: [conv9.weight]"), PruningError, "no such layer"),
    "element-layer": (one_pruner("levels: {conv9.weight: 0.5}", class_name="SparsityLevelParameterPruner"), PruningError, "no such layer"),
    "string": (
        one_pruner("group_type: Filters, desired_sparsity: 0.5, weights: layer1.0.conv1.weight"),
        UsageError,
        "list of weight names",
    ),
    "half-a-residual-group": (
        one_pruner("group_type: Filters, desired_sparsity: 0.5, weights: [layer1.1.conv2]"),
        PruningError,
        "one alone cannot shrink",
    ),
    "classes": (one_pruner("group_type: Filters, desired_sparsity: 0.5, weights: [fc]"), PruningError, "the network's classes"),
    "image": (one_pruner("group_type: Channels, desired_sparsity: 0.5, weights: [conv1]"), PruningError, "not one group"),
    "share": (one_pruner("group_type: Filters, desired_sparsity: 1.5, weights: [layer1.0.conv1]"), UsageError, "from 0 to 1"),
    "yaml": ("policies: [", UsageError, "not valid YAML"),
    "nested": ("[" * 20_000, UsageError, "more than 64 levels"),
    "python-tag": ("policies: [!!python/object/apply:os.getcwd []]", UsageError, "not valid YAML"),
    "no-schedule": ("- 1", UsageError, "no list of policies"),
    "section": ("pruner: {}\npolicies: []", UnknownName, "did you mean 'pruners'"),
    "instance": (one_pruner(HALF).replace("instance_name: p", "instance_name: q"), UnknownName, "pruners.q"),
    "epochs": (one_pruner(HALF, "starting_epoch: 4, ending_epoch: 4, frequency: 1"), UsageError, "0 <= start < end"),
    "quantizer": ("quantizers: {q: {class: PACTQuantizer}}\npolicies: []", UsageError, "quantises"),
    "two-kinds": ("policies: [{epochs: [1]}]", UsageError, "exactly one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_schedule_cannot_mean_is_refused(case, tmp_path, resnet20):
    text, error, says = REFUSED[case]
    with pytest.raises(error, match=says):
        read_schedule(schedule_file(tmp_path, text), resnet20)


def test_a_schedule_that_is_not_there_is_said(tmp_path, resnet20):
    with pytest.raises(UsageError, match="no schedule"):
        read_schedule(tmp_path / "absent.yaml", resnet20)


def test_two_criteria_in_one_schedule_are_refused(tmp_path, resnet20):
    text = f"""
pruners:
  p: {{class: L1RankedStructureParameterPruner, {HALF}}}
  q: {{class: L2RankedStructureParameterPruner, group_type: Filters, desired_sparsity: 0.5, weights: [layer1.1.conv1]}}
policies:
  - {{pruner: {{instance_name: p}}, epochs: [0]}}
  - {{pruner: {{instance_name: q}}, epochs: [0]}}
"""
    with pytest.raises(PruningError, match="l1 and l2"):
        read_schedule(schedule_file(tmp_path, text), resnet20)


TORCH = torch.optim.lr_scheduler
RATES = {
    "StepLR": ({"step_size": 3, "gamma": 0.5}, lambda optimizer, arguments: TORCH.StepLR(optimizer, **arguments)),
    "MultiStepLR": ({"milestones": [2, 5], "gamma": 0.1}, lambda optimizer, arguments: TORCH.MultiStepLR(optimizer, **arguments)),
    "ExponentialLR": ({"gamma": 0.9}, lambda optimizer, arguments: TORCH.ExponentialLR(optimizer, **arguments)),
    "CosineAnnealingLR": ({"T_max": 9, "eta_min": 0.01}, lambda optimizer, arguments: TORCH.CosineAnnealingLR(optimizer, **arguments)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RATES)
def test_learning_rates_are_those_of_torch(name):
    arguments, build = RATES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    reference = build(optimizer, arguments)
    ours = LearningRate(name, tuple(arguments.items()), 0, 9)
    for epoch in range(9):
        assert ours.at(epoch, 0.4) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        reference.step()


def test_learning_rates_wait_for_their_policy_and_stay_behind_it():
    rate = LearningRate("ExponentialLR", (("gamma", 0.5),), start=2, end=4)
    assert [rate.at(epoch, 1.0) for epoch in range(6)] == [1.0, 1.0, 1.0, 0.5**3, 0.5**4, 0.5**4]


@given(st.floats(0, 0.9), st.floats(0.01, 0.1), st.integers(1, 50))
def test_agp_rises_from_initial_to_final(initial, rise, steps):
    found = [agp_sparsity(initial, initial + rise, step, steps) for step in range(steps + 1)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(initial, abs=1e-12)
    assert found[-1] == initial + rise


@pytest.mark.parametrize("arguments", [(0.5, 0.5, 0, 1), (-0.1, 0.5, 0, 1), (0.1, 1.1, 0, 1), (0.1, 0.5, 2, 1), (0.1, 0.5, 0, 0)])
def test_agp_refuses_what_is_not_gradual(arguments):
    with pytest.raises(UsageError):
        agp_sparsity(*arguments)
