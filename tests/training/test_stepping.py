"""Optimiser steps: what a GPU replays is what torch's own optimiser does."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.networks import zoo
from harness.training import stepping
from harness.training.recipes import Recipe
from harness.training.stepping import EAGER_STEPS, Stepper

RECIPE = Recipe(epochs=1, batch_size=8, momentum=0.9, weight_decay=1e-3, distillation=0.5, label_smoothing=0.1, precision="f32")


def batches(count: int, size: int = 8) -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [
        (torch.randn(size, 1, 12, 12, generator=generator), torch.arange(size) % 4, torch.randn(size, 4, generator=generator))
        for _ in range(count)
    ]


def network() -> nn.Module:
    return zoo.build("resnet20", (1, 12, 12), 4, seed=1).train()


@given(momentum=st.sampled_from([0.0, 0.5, 0.9]), decay=st.floats(0, 0.1), rate=st.floats(1e-4, 0.5))
def test_the_update_that_is_recorded_is_the_optimisers(momentum: float, decay: float, rate: float) -> None:
    recipe = replace(RECIPE, momentum=momentum, weight_decay=decay)
    theirs = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 4))
    ours = copy.deepcopy(theirs)
    one, other = Stepper(theirs, recipe), Stepper(ours, recipe)
    images, labels = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4
    one(images, labels, None, rate)
    other(images, labels, None, rate)
    for step in (1, 2, 3):
        one(images, labels, None, rate / step)
        other.optimiser.zero_grad(set_to_none=True)
        other.loss(images, labels, None).backward()
        other.update(torch.tensor(rate / step))
    for expected, found in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_on_the_processor_nothing_is_recorded() -> None:
    stepper = Stepper(network(), RECIPE)
    losses = [stepper(*batch, rate=0.01) for batch in batches(EAGER_STEPS + 3)]
    assert len(losses) == EAGER_STEPS + 3
    assert stepper._recorded == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_recorded_steps_learn_what_launched_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def losses() -> list[float]:
        stepper = Stepper(network().cuda().to(memory_format=torch.channels_last), RECIPE)  # type: ignore[call-overload]
        found = [stepper(*batch, rate=0.02 / (1 + step)) for step, batch in enumerate([*batches(12), *batches(2, 6), *batches(4)])]
        assert bool(stepper._recorded) == (stepping.EAGER_STEPS < 100)
        assert None not in stepper._recorded.values()
        return found

    recorded = losses()
    monkeypatch.setattr(stepping, "EAGER_STEPS", 100)
    assert recorded == pytest.approx(losses(), rel=2e-2)
