"""The probe: what is chosen was tried, and is as fast as the fastest; what cannot run is told, what is known is not tried again."""

import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from harness.errors import TrainingError
from harness.training import processor
from harness.training.finetune import finetune
from harness.training.processor import Way
from harness.training.recipes import Recipe
from harness.training.speed import answers, probe, turns
from harness.training.speed.probe import Speed

SHAPE, CLASSES = (1, 16, 16), 4
RECIPE = Recipe(epochs=1, batch_size=8)


class Viewing(nn.Module):
    """A network that flattens without asking how its pictures lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 16 * 16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.convolution(images)
        return self.linear(seen.view(seen.size(0), -1))  # type: ignore[no-any-return]


class Broken(nn.Module):
    """A network that answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("there is no answer")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_S", 0.005)


def settled(model: nn.Module, recipe: Recipe = RECIPE, threads: int = 1, fresh: bool = False) -> Speed:
    return probe.settle(model, SHAPE, CLASSES, recipe, threads, fresh)


def test_the_chosen_way_is_among_the_tried_and_as_fast_as_the_fastest(small: nn.Module) -> None:
    found = settled(small, threads=2)
    assert {one.way for one in found.tried} == {
        Way(precision, last, threads) for precision in ("f32", "bf16") for last in (True, False) for threads in (1, 2)
    }
    assert found.images_per_s >= probe.ALIKE * max(one.images_per_s for one in found.tried)
    assert found.chosen.words in found.sentence
    assert f"{found.images_per_s:.0f} images/s" in found.sentence


def test_threads_are_doubled_up_to_what_may_be_used() -> None:
    assert sorted({way.threads for way in probe.candidates(RECIPE, 6)}) == [1, 2, 4, 6]
    assert {way.threads for way in probe.candidates(RECIPE, 1)} == {1}


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_a_precision_that_the_recipe_names_is_kept(small: nn.Module, precision: str) -> None:
    found = settled(small, replace(RECIPE, precision=precision))
    assert {one.way.precision for one in found.tried} == {precision}


def test_trying_leaves_network_threads_and_random_state_as_they_were(small: nn.Module) -> None:
    before, state, threads, way = (
        {n: t.clone() for n, t in small.state_dict().items()},
        torch.get_rng_state(),
        torch.get_num_threads(),
        processor.way(),
    )
    settled(small, threads=2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in small.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert (torch.get_num_threads(), processor.way(), small.training) == (threads, way, False)


def test_a_network_that_cannot_run_channels_last_is_served(quadrants: object) -> None:
    found = settled(Viewing())
    assert not found.chosen.channels_last
    assert all(one.failure and math.isnan(one.images_per_s) for one in found.tried if one.way.channels_last)
    assert "channels-last cannot be run" in found.sentence
    with processor.adopted(found.chosen):
        assert finetune(Viewing(), quadrants, replace(RECIPE, learning_rate=0.01)).steps > 0  # type: ignore[arg-type]


def test_pictures_of_one_channel_lie_as_they_are_said_to(quadrants: object) -> None:
    """Shifted, they have the strides of channels-last ones, and are contiguous by torch's word."""
    recipe = replace(RECIPE, learning_rate=0.01, crop_margin=2, flip=True, small_ratio=0.0)
    with processor.adopted(Way("f32", channels_last=False, threads=1)):
        assert finetune(Viewing(), quadrants, recipe).steps > 0  # type: ignore[arg-type]


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.permutations(range(4)))
def test_laying_out_changes_no_picture_and_leaves_nothing_to_doubt(count: int, channels: int, side: int, order: list[int]) -> None:
    shape = (count, channels, side, side)
    values = torch.arange(count * channels * side * side, dtype=torch.float32)
    images = values.view([shape[place] for place in order]).permute(*[order.index(place) for place in range(4)])
    laid = processor.laid(images, torch.contiguous_format)
    assert torch.equal(laid, images)
    assert laid.stride() == torch.empty(shape).stride()
    laid = processor.laid(images, torch.channels_last)
    assert torch.equal(laid, images)
    assert laid.is_contiguous(memory_format=torch.channels_last)


def test_a_network_that_runs_in_no_way_is_refused_in_its_own_words() -> None:
    with pytest.raises(TrainingError, match="there is no answer; mend the network"):
        settled(Broken())


def test_what_was_tried_before_is_not_tried_again(small: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    first = settled(small)
    monkeypatch.setattr(probe, "attempt", lambda *_, **__: pytest.fail("tried again"))
    assert settled(small) == first
    with pytest.raises(pytest.fail.Exception):
        settled(small, fresh=True)
    with pytest.raises(pytest.fail.Exception):
        settled(Viewing())  # another network
    with pytest.raises(pytest.fail.Exception):
        settled(small, replace(RECIPE, batch_size=16))


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"schema": 1, "seal": "0", "text": "[]"}'])
def test_a_broken_cache_file_is_ignored_in_words(small: nn.Module, cache: Path, damage: bytes) -> None:
    settled(small)
    (path,) = cache.glob("*.json")
    path.write_bytes(damage)
    again = settled(small)
    assert str(path) in again.note
    assert "ignored" in again.note
    assert again.chosen in [one.way for one in again.tried]
    assert settled(small).note == ""


def test_a_cache_that_takes_nothing_is_no_error(small: nn.Module, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where a folder should be")
    assert settled(small).chosen in probe.candidates(RECIPE, 1)


def test_what_a_busy_machine_shows_is_remembered_for_an_hour(small: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BUSY_SHARE", -1.0)
    first = settled(small)
    assert settled(small) == first
    later = time.time() + answers.BUSY_S + 1
    monkeypatch.setattr(answers.time, "time", lambda: later)
    monkeypatch.setattr(probe, "attempt", lambda *_, **__: pytest.fail("tried again"))
    with pytest.raises(pytest.fail.Exception):
        settled(small)
