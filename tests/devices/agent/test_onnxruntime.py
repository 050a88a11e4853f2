"""ONNX Runtime as a device: what it says of layers, types and providers is what ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import find
from harness.errors import DeviceUnavailable, ModelRefused, UsageError
from harness.exported import Artefact
from harness.networks import export, zoo
from harness.quantisation.for_latency import for_latency
from harness.quantisation.quantising import Options


@contextmanager
def session(**options: str | int | bool) -> Iterator[Session]:
    device = Device(replace(find("ort"), resource=f"test-onnxruntime-{os.getpid()}").with_options(**options), Quarantine())
    with device.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def residual() -> Artefact:
    return export.export(zoo.build("resnet20", (1, 32, 32), 10, seed=1).eval(), (1, 32, 32), "resnet20")


@pytest.fixture(scope="module")
def plain() -> Artefact:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.Conv2d(16, 2, 1), nn.Flatten(), nn.Linear(2 * 28 * 28, 4))
    return export.export(model, (3, 32, 32), "two")


@pytest.mark.parametrize("level", ["off", "basic", "extended", "all"])
def test_every_layer_is_credited_once_however_far_the_optimiser_goes(residual: Artefact, level: str) -> None:
    with session(graph_optimization=level) as opened:
        loaded = opened.load(residual.onnx, "resnet20", "f32", True, residual.node_layers)
        nodes = loaded.profile(20)
        assert opened.info.settings == ("usual" if level == "all" else f"graph_optimization {level}"), "two levels are never compared"
    credited = [layer for node in nodes for layer in node.layers]
    assert sorted(credited) == sorted({layer for _, layer in residual.node_layers})
    fused = sum("Relu" in "".join(node.sources) and any("Conv" in one for one in node.sources) for node in nodes)
    assert (fused > 0) == (level == "all"), "there alone a node has another one's name"


def test_profiles_can_be_asked_for_twice_and_the_network_still_runs(residual: Artefact) -> None:
    with session() as opened:
        loaded = opened.load(residual.onnx, "resnet20", "f32", True, residual.node_layers)
        first, second = loaded.profile(5), loaded.profile(5)
        assert [node.node for node in first] == [node.node for node in second]
        assert loaded.infer(3).wall_ns


def test_int8_is_what_ran_in_it_layer_by_layer(plain: Artefact) -> None:
    quantised = for_latency(plain)
    with session() as opened:
        loaded = opened.load(quantised.onnx, "two", "int8", True, quantised.node_layers)
        assert loaded.effective_precision == "int8"
        assert dict(loaded.facts.notes)["INT8 layers"] == "2 of 3"
        assert {layer: node.precision for node in loaded.profile(20) for layer in node.layers} == {"0": "int8", "2": "int8", "4": "f32"}


def test_int8_that_is_not_fused_is_not_called_int8(plain: Artefact) -> None:
    """With signed activations the layer that does nearly all of the work runs in float."""
    signed = for_latency(plain, Options(signed=True))
    with session() as opened:
        loaded = opened.load(signed.onnx, "two", "int8", node_layers=signed.node_layers)
        assert loaded.effective_precision == "f32"
        assert dict(loaded.facts.notes)["INT8 layers"] == "1 of 3"


def test_a_precision_that_a_file_does_not_hold_and_another_batch_are_refused(plain: Artefact) -> None:
    with session() as opened:
        with pytest.raises(ModelRefused, match="not in 'f16'; choose one of f32, int8"):
            opened.load(plain.onnx, "two", "f16")
        with pytest.raises(ModelRefused, match="of batch size 1, not 4; export it at that batch size"):
            opened.load(plain.onnx, "two", "f32", batch_size=4)


def test_a_provider_that_does_not_run_the_network_is_refused_and_never_replaced_in_silence(plain: Artefact) -> None:
    """Azure's is in the package of every platform, and runs nothing here."""
    with (
        session(provider="Azure") as opened,
        pytest.raises(ModelRefused, match="nodes did not run on AzureExecutionProvider but on another provider: /"),
    ):
        opened.load(plain.onnx, "two", "f32")
    with session(provider="Azure", allow_cpu_nodes=True) as opened:
        assert opened.info.settings == "allow_cpu_nodes True, provider AzureExecutionProvider"
        assert opened.load(plain.onnx, "two", "f32").infer(3).wall_ns


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"provider": "CUDA"}, DeviceUnavailable, "no provider 'CUDA', only .*CPU"),
        ({"thread": 2}, UsageError, "no option 'thread'; it has .*threads"),
        ({"threads": "two"}, UsageError, "threads = 'two' is none; give a count of threads"),
        ({"nice": "low"}, UsageError, "nice = 'low' is none; give a niceness"),
        ({"threads": 0}, UsageError, "threads = 0 is none"),
        ({"nice": -21}, UsageError, "nice = -21 is none"),
        ({"graph_optimization": "most"}, UsageError, "'most' is none of off, basic, extended, all"),
    ],
)
def test_options_that_it_does_not_know_are_refused_in_one_line(options: dict[str, str | int], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told), session(**options):
        pass


def test_the_processor_is_called_as_openvino_calls_it() -> None:
    with Device(replace(find("cpu"), resource=f"test-onnxruntime-cpu-{os.getpid()}"), Quarantine()).open() as other, session() as opened:
        assert opened.info.model.split()[0] == other.info.model.split()[0]


def test_threads_are_a_condition(plain: Artefact) -> None:
    with session(threads=2) as opened:
        loaded = opened.load(plain.onnx, "two", "f32")
        assert loaded.facts.threads == 2
        assert loaded.infer(5).wall_ns
