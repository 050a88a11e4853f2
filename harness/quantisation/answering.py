"""Quantised networks that answer images like any module: by a runtime, for torch has no arithmetic that would be the device's."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.devices.session import Device, Loaded, Session
from harness.devices.spec import find
from harness.errors import UsageError
from harness.networks import export, several_outputs
from harness.networks.export import Artefact
from harness.networks.pictures import large_arrays
from harness.networks.tasks.task import Outputs
from harness.quantisation.calibration import Calibration
from harness.quantisation.quantising import SIGNED_ONLY, Options, Quantised, here, is_quantised, quantise
from harness.records.conditions import INT8

HOST = "cpu"  # answers for devices that are elsewhere, or answer slowly
ANSWERING = ("openvino", "onnxruntime", "tensorrt")  # runtimes that answer image after image as quickly as they are timed
TAKING_QDQ = ("openvino", "onnxruntime", "trtexec", "tensorrt", "simulated")
IMAGES_PER_CALL = 256  # keeps one request's frame around a megabyte for small images


def arithmetic_of(device: str) -> str:
    """By which device's arithmetic the INT8 networks of ``device`` are judged while it is not at hand: its own, or the host's."""
    spec = find(device)
    return device if spec.runtime in ANSWERING and spec.host is None else HOST


def runs_int8(device: str) -> bool:
    """Whether the device's runtime takes networks in the QDQ form; what they then run in is read back where they are loaded."""
    return find(device).runtime in TAKING_QDQ


def as_taken(device: str, in_float: Sequence[str] = ()) -> Options:
    """How networks are quantised for ``device``."""
    return Options(in_float=tuple(in_float), signed=find(device).runtime in SIGNED_ONLY)


def answer_alike(one: str, other: str) -> bool:
    """Whether two devices' INT8 networks are quantised alike and judged by one arithmetic; not where one of them is no longer known."""
    try:
        told = [(as_taken(device).signed, find(arithmetic_of(device)).runtime) for device in (one, other)]
    except UsageError:
        return False
    return told[0] == told[1]


def answered(loaded: Loaded, images: Tensor) -> NDArray[np.float32]:
    """What a loaded network answers to any number of images, a frame's worth after the other."""
    found = []
    for part in torch.split(images.detach().cpu(), IMAGES_PER_CALL):
        found.append(loaded.outputs(part.contiguous().numpy()))
        large_arrays.was_read(part.nbytes)
    return np.concatenate(found)


class Answers:
    """A device that answers images for any artefact, without its lock, for nothing is timed; opened when it is first asked."""

    def __init__(self, device: str) -> None:
        self._spec = find(device).answering()
        self._session: Session | None = None
        self._loaded: tuple[str, Loaded] | None = None

    def __call__(self, artefact: Artefact, images: Tensor, precision: str = INT8) -> NDArray[np.float32]:
        """The output for ``images`` (``N x C x H x W``), of several all of them joined (``several_outputs.apart``).

        Raises ModelRefused, also for an artefact that does not run in ``precision``, and the errors of a failing device.
        """
        return answered(self._load(artefact, precision), images)

    def whatever(self, artefact: Artefact, images: Tensor) -> NDArray[np.float32]:
        """The same for networks in float too."""
        return self(artefact, images, INT8 if is_quantised(artefact) else "f32")

    def close(self) -> None:
        """End the agent; the next question opens another."""
        if self._session is not None:
            self._session.close()
        self._session = self._loaded = None

    def _load(self, artefact: Artefact, precision: str = INT8) -> Loaded:
        if self._loaded is not None and self._loaded[0] == artefact.digest:
            return self._loaded[1]
        if self._session is None:
            self._session = Device(self._spec).open()
        elif self._loaded is not None:
            self._loaded[1].unload()
        sent = several_outputs.as_one(artefact)
        loaded = self._session.load(sent.onnx, artefact.name, precision, False, artefact.node_layers, artefact.input_shape[0])
        self._loaded = artefact.digest, loaded
        return loaded


class QuantisedNetwork(nn.Module):
    """A module whose answers are those of ``quantised`` on a device. in_float: what it was quantised from."""

    def __init__(self, in_float: nn.Module, quantised: Quantised, device: str) -> None:
        super().__init__()
        self.in_float, self.quantised, self._device = in_float, quantised, device

        self._shapes = several_outputs.shapes(quantised.artefact)

    def forward(self, images: Tensor) -> Outputs:
        """What the network answers: logits (images x classes), or as its task has it."""
        return several_outputs.apart(_answers(self._device)(self.quantised.artefact, images), self._shapes)


def quantised_network(
    model: nn.Module, input_shape: tuple[int, int, int], name: str, calibration: Calibration, device: str, in_float: Sequence[str] = ()
) -> QuantisedNetwork:
    """``model``, its batch normalisation folded, quantised with ``calibration`` as ``device`` takes it; answers by its arithmetic.

    in_float: layers that stay so where it has them, a branch may be removed. Raises what exporting and quantising do.
    """
    artefact = export.export(model, input_shape, name)
    quantised = quantise(artefact, calibration, here(as_taken(device, in_float), artefact))
    return QuantisedNetwork(model, quantised, arithmetic_of(device))


_OPEN: dict[tuple[int, str], Answers] = {}  # of this process: a child must not talk to its parent's agent


def _answers(device: str) -> Answers:
    key = os.getpid(), device
    if key not in _OPEN:
        _OPEN[key] = Answers(device)
        atexit.register(_OPEN[key].close)
    return _OPEN[key]
