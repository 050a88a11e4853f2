"""Masks and subnormal numbers in a network's weights are found, layer by layer, and said with what to do."""

import pytest
import torch
from torch import nn

from harness.networks import export
from harness.networks.foreign import idle_weights


def exported(change=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.Flatten(), nn.Linear(6 * 36, 4))
    with torch.no_grad():
        if change is not None:
            change(model)
    artefact = export.export(model.eval(), (3, 8, 8), "small")
    return idle_weights.found(artefact.onnx, artefact.node_layers)


def masked(model):
    model[0].weight[::2] = 0
    model[4].weight[1] = 0


def subnormal(model):
    model[2].weight[0, 0] = 1e-40


def test_a_network_whose_weights_all_work_has_nothing_to_say() -> None:
    assert exported().sentences("small") == ()


def test_filters_of_zeros_are_counted_by_layer_of_linear_layers_too() -> None:
    found = exported(masked)
    assert found.masked == (("0", 4, 8), ("4", 1, 4))
    (told,) = found.sentences("small")
    assert told.startswith("small is masked, not pruned: 5 of 12 filters are zeros and are computed all the same (0, 4)")


def test_numbers_too_small_to_be_normal_are_counted() -> None:
    found = exported(subnormal)
    assert found.subnormal == (("2", 1),)
    assert "1 subnormal weights (2)" in found.sentences("small")[0]


@pytest.mark.parametrize("zeros", [0, 1])
def test_a_few_zeros_are_trainings_own(zeros) -> None:
    def change(model):
        model[0] = nn.Conv2d(3, 16, 3)
        model[2] = nn.Conv2d(16, 6, 1)
        model[0].weight[:zeros] = 0

    assert exported(change).masked == ()
