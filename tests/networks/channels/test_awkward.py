"""One awkward place does not refuse a network: its channels are left alone, the rest is pruned exactly and counted rightly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import PruningError
from harness.networks import export, groups, onnx_macs
from harness.networks.channels import tracing
from harness.pruning import surgery
from harness.records.pruning_config import PruningConfig
from tests.networks.channels.awkward import CASES, CLASSES, IMAGE, Case, built

by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@by_name
def test_the_awkward_channels_are_left_alone_and_the_rest_can_be_pruned(case: Case) -> None:
    model = built(case)
    architecture = groups.architecture_of(model, case.name, IMAGE, CLASSES)
    assert tuple(group.name for group in architecture.groups) == case.groups
    assert tuple(group.name for group in architecture.groups if group.removable) == case.branches
    left = {one.name: one.reason for one in groups.coupling_of(model, IMAGE).left_out}
    assert set(left) == {name for name, _ in case.left_out}
    for name, reason in case.left_out:
        assert reason in left[name]


@by_name
@settings(deadline=None, max_examples=4)
@given(st.randoms(use_true_random=False))
def test_a_cut_is_the_same_as_zeros_and_its_operations_are_those_of_its_graph(case: Case, random) -> None:
    model = built(case)
    architecture = groups.architecture_of(model, case.name, IMAGE, CLASSES)
    kept = {}
    for group in architecture.groups:
        part = group.channels // group.step
        places = sorted(random.sample(range(part), random.randint(0 if group.removable else 1, part)))
        kept[group.name] = tuple(start + place for start in range(0, group.channels, part) for place in places)
    config = PruningConfig.of(case.name, {name: len(stays) for name, stays in kept.items()})
    images = torch.randn(2, *IMAGE, generator=torch.Generator().manual_seed(1))
    cut, zeroed = (make(model, architecture, kept) for make in (surgery.remove, surgery.zero))
    with torch.inference_mode():
        ours, theirs = cut(images), zeroed(images)
    assert float((ours - theirs).abs().max()) <= 1e-4 * max(1.0, float(theirs.abs().max()))
    assert architecture.macs(config) == onnx_macs.macs(export.export(cut, IMAGE, case.name))


@by_name
def test_every_layer_of_the_graph_has_its_place_in_the_architecture(case: Case) -> None:
    model = built(case)
    architecture = groups.architecture_of(model, case.name, IMAGE, CLASSES)
    assert architecture.macs(architecture.dense()) == onnx_macs.macs(export.export(model, IMAGE, case.name))
    assert all(shape.macs > 0 for shape in architecture.shapes(architecture.uniform(0.3)).values())


def test_what_takes_too_long_is_ended_and_the_layer_named() -> None:
    with pytest.raises(PruningError, match="took longer than 0 s, at stem.0; give smaller images"):
        tracing.trace(built(CASES[0]), torch.randn(1, *IMAGE), deadline_s=0.0)


def test_a_sentence_tells_what_can_go_and_what_is_left_alone() -> None:
    model = built(CASES[1])
    architecture = groups.architecture_of(model, "buffered", IMAGE, CLASSES)
    told = groups.sentence(architecture, groups.coupling_of(model, IMAGE))
    assert told.startswith("channels: 3 groups of 28 channels can be pruned and 0 branches can go")
    assert "left alone: the 8 of middle.a.0, for they meet a parameter or buffer of fixed size" in told
    ratio = groups.prunable_ratio(architecture)
    narrowest = architecture.partial({group.name: group.step for group in architecture.groups})
    assert ratio == pytest.approx(1 - architecture.macs(narrowest) / architecture.macs(architecture.dense()))
