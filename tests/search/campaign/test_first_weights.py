"""Weights that say nothing go no further than the first look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from harness.errors import UsageError
from search.campaign.plan.first_look import refuse_constant

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def everywhere(change: Callable[[torch.Tensor], object], only: str = "") -> nn.Module:
    model = network()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if only in name:
                change(tensor)
    return model


@pytest.mark.parametrize("only", ["", "0.weight", "1.", "4.weight"])
def test_weights_that_are_zero_on_the_way_are_refused(only: str) -> None:
    with pytest.raises(UsageError, match=r"w\.pt.*the very same answer.*give weights that were trained"):
        refuse_constant(everywhere(lambda tensor: tensor.zero_(), only), IMAGES, "w.pt")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(number: float) -> None:
    with pytest.raises(UsageError, match="answers with them are no numbers"):
        refuse_constant(everywhere(lambda tensor: tensor.fill_(number)), IMAGES, "w.pt")


def test_any_others_pass_and_the_network_stays_as_it_was() -> None:
    model = network().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    refuse_constant(model, IMAGES, "w.pt")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
