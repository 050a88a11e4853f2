"""Accuracy on the device: the device's own answers are counted, beside the host's in f32, whatever the runtime."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.devices.session import Device, Quarantine
from harness.devices.spec import OptionValue, find, parse
from harness.errors import DeviceBusy, UsageError
from harness.networks import datasets, export, zoo
from harness.networks.datasets import Dataset
from harness.networks.drawing import draw
from harness.networks.export import Artefact
from harness.quantisation import answering, calibration
from harness.quantisation.quantising import quantise
from harness.training import accuracy, device_accuracy
from tests.devices.ncs2 import ncs2_environment as ncs2_environment
from tests.devices.trtexec_stand_in import install

IMAGES = 37  # no multiple of any batch size


@pytest.fixture(scope="module")
def few() -> Dataset:
    digits = datasets.load("digits", None)
    return replace(digits, test=draw(digits.test, IMAGES).split)


@pytest.fixture(scope="module")
def model(few: Dataset) -> nn.Module:
    torch.manual_seed(0)
    return zoo.build("resnet20", few.input_shape, few.classes).eval()


@pytest.fixture(scope="module")
def artefact(model: nn.Module, few: Dataset) -> Artefact:
    return export.export(model, few.input_shape, "resnet20")


def on(name: str, **options: OptionValue) -> Device:
    return Device(replace(find(name).with_options(**options), resource=f"test-accuracy-{name}-{os.getpid()}"), Quarantine())


def test_the_embedded_runtime_answers_what_torch_answers(model: nn.Module, artefact: Artefact, few: Dataset) -> None:
    told = device_accuracy.answers_in_f32(artefact, few)
    expected = accuracy.answers(model, few.test).numpy()
    assert np.abs(told - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_host_answers_in_f32_while_it_answers_in_int8(artefact: Artefact, few: Dataset) -> None:
    """A campaign keeps the agent that judges its INT8 networks open, and asks for the host's answers in the same process."""
    quantised = quantise(artefact, calibration.of(few, 8))
    int8 = answering.Answers("cpu")
    try:
        seen = int8(quantised.artefact, few.test.images)
        assert seen.shape == device_accuracy.answers_in_f32(artefact, few).shape
        again = answering.Answers("cpu")
        assert np.array_equal(again(quantised.artefact, few.test.images), seen), "two that answer side by side"
        again.close()
    finally:
        int8.close()


def test_who_only_answers_neither_waits_nor_keeps_anybody_waiting() -> None:
    device = on("cpu")
    answering_too = Device(device.spec.answering(), Quarantine())
    with device.open(), answering_too.open(wait_s=0), answering_too.open(wait_s=0), pytest.raises(DeviceBusy):
        device.open(wait_s=0)
    with answering_too.open(), device.open(wait_s=0) as session:
        assert session.info.name == "cpu"


def test_the_sticks_wheel_answers_with_the_drop_against_the_host(ncs2_environment: None, artefact: Artefact, few: Dataset) -> None:
    """OpenVINO 2021.4.2 by the very agent that drives a stick, on its processor plugin."""
    host = device_accuracy.answers_in_f32(artefact, few)
    with on("ncs2", device="CPU").open() as session:
        judged = device_accuracy.judge(session, artefact, "resnet20", few, "f32", host)
    assert judged.on_device == judged.on_host
    assert judged.agreement_ratio == 1.0
    assert judged.largest_difference is not None
    assert 0 <= judged.largest_difference < 1e-3
    assert judged.on_device.total == IMAGES
    assert "0.00 points lost against f32 on the host" in judged.sentence()


@pytest.fixture
def board(tmp_path: Path) -> Callable[[], Device]:
    def device() -> Device:
        options = {"trtexec": str(install(tmp_path, "10.3.0")), "timing_cache": ""}
        table = {"runtime": "trtexec", "options": options, "resource": f"test-accuracy-{os.getpid()}"}
        return Device(parse("jetson", table, tmp_path / "pyproject.toml"), Quarantine())

    return device


def test_trtexec_answers_in_batches_of_which_the_last_is_filled_up(board: Callable[[], Device], artefact: Artefact, few: Dataset) -> None:
    """By ``--loadInputs`` and ``--exportOutput``; the stand-in computes with OpenVINO and writes six digits, as trtexec does."""
    host = device_accuracy.answers_in_f32(artefact, few)
    with board().open() as session:
        judged = device_accuracy.judge(session, artefact, "resnet20", few, "f32", host)
    assert judged.batch_size == device_accuracy.PROCESS_PER_BATCH["trtexec"] > 1
    assert judged.on_device == judged.on_host
    assert judged.artefact_digest == artefact.digest
    assert judged.largest_difference is not None
    assert 0 < judged.largest_difference < 1e-3


def test_wrong_answers_of_a_device_are_lost_points(artefact: Artefact, few: Dataset) -> None:
    host = device_accuracy.answers_in_f32(artefact, few)
    labels = torch.from_numpy(host.argmax(1))
    told = replace(few, test=replace(few.test, labels=labels))
    with on("cpu").open() as session:
        judged = device_accuracy.judge(session, artefact, "resnet20", told, "f32", np.roll(host, 1, axis=1))
    assert (judged.on_device.correct, judged.on_host.correct if judged.on_host else None) == (IMAGES, 0)
    assert judged.agreement_ratio == 0.0
    assert "-100.00 points lost" in judged.sentence()


def test_a_network_given_another_batch_size_answers_the_same(artefact: Artefact, few: Dataset) -> None:
    triple, told = export.rebatched(artefact, 3), replace(few, test=draw(few.test, 3).split)
    assert triple.input_shape[0] == 3
    assert triple.digest != artefact.digest
    assert export.rebatched(artefact, 1) is artefact
    one, three = device_accuracy.answers_in_f32(artefact, told), device_accuracy.answers_in_f32(triple, told)
    assert np.abs(one - three).max() <= 1e-4 * np.abs(one).max()


class Fixed(nn.Module):
    """Flattens by numbers, the batch's size among them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.fc(self.conv(images).reshape(1, 4 * 36)))


class Marked(nn.Module):
    """Lays a constant picture beside each image, of which there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 8)
        self.register_buffer("picture", torch.ones(1, 1, 8, 8))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.conv(torch.cat([images, self.get_buffer("picture")], dim=1)).flatten(1))


def test_a_flatten_in_numbers_is_given_the_new_size_too(few: Dataset) -> None:
    single = export.export(Fixed(), (1, 8, 8), "fixed")
    told = replace(few, test=replace(draw(few.test, 4).split, images=torch.randn(4, 1, 8, 8)))
    one, four = device_accuracy.answers_in_f32(single, told), device_accuracy.answers_in_f32(export.rebatched(single, 4), told)
    assert np.abs(one - four).max() <= 1e-4 * np.abs(one).max()


def test_what_cannot_be_given_another_size_is_refused() -> None:
    single = export.export(Marked(), (1, 8, 8), "marked")
    with pytest.raises(UsageError, match="export it at that batch size"):
        export.rebatched(single, 4)
