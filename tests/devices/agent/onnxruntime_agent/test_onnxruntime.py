"""ONNX Runtime as a device: what it says of layers, types and providers is what ran."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import psutil
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import find
from harness.errors import DeviceUnavailable, ModelRefused, UsageError
from harness.exported import Artefact
from harness.networks import export, zoo
from harness.quantisation.for_latency import for_latency
from harness.quantisation.quantising import Options
from harness.records.conditions import USUAL

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


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


@pytest.mark.parametrize("allowed", [False, True])
def test_a_provider_that_does_not_run_the_network_is_refused_and_never_replaced_in_silence(plain: Artefact, allowed: bool) -> None:
    """Azure's is in the package of every platform, and runs nothing here."""
    with (
        session(provider="Azure", allow_cpu_nodes=allowed) as opened,
        pytest.raises(ModelRefused, match="nodes did not run on AzureExecutionProvider but on CPUExecutionProvider: /"),
    ):
        opened.load(plain.onnx, "two", "f32")


def test_what_is_set_is_a_condition_that_the_gate_compares() -> None:
    with session() as usual:
        assert usual.info.settings == USUAL
    with session(provider="Azure", graph_optimization="basic", allow_cpu_nodes=True, provider_options="a=b c=d") as opened:
        assert opened.info.settings == (
            "allow_cpu_nodes True, graph_optimization basic, provider AzureExecutionProvider, provider_options a=b c=d"
        )


def test_a_nodes_times_are_kept_from_several_runs(residual: Artefact) -> None:
    with session() as opened:
        loaded = opened.load(residual.onnx, "resnet20", "f32", True, residual.node_layers)
        loaded.infer(100)
        for node in loaded.profile(0):
            assert len(node.runs_s) == 10
            assert min(node.runs_s) <= node.seconds <= max(node.runs_s)


def of_floats(
    *nodes: onnx.NodeProto, kind: int = FLOAT, constants: Sequence[onnx.TensorProto] = (), inputs: Sequence[str] = ("x",)
) -> bytes:
    given = [make.make_tensor_value_info(name, kind, [1, 4]) for name in inputs]
    graph = make.make_graph(nodes, "g", given, [make.make_tensor_value_info("y", FLOAT, None)], constants)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8).SerializeToString()


def test_inputs_of_any_number_and_kind_are_fed() -> None:
    with session() as opened:
        table = numpy_helper.from_array(np.eye(4, dtype=np.float32), "table")
        nodes = [make.make_node("Gather", ["table", "x"], ["rows"], "rows"), make.make_node("ReduceSum", ["rows"], ["y"], "sum")]
        loaded = opened.load(of_floats(*nodes, kind=INT64, constants=[table]), "indices")
        assert dict(loaded.facts.notes)["inputs"] == "x 1x4 int64"
        assert loaded.infer(3).wall_ns
        with pytest.raises(ModelRefused, match="outputs are asked for pictures in f32 alone, the model takes x 1x4 int64"):
            loaded.outputs(np.zeros((1, 4), np.float32))
        two = opened.load(of_floats(make.make_node("Add", ["x", "z"], ["y"], "add"), inputs=("x", "z")), "two")
        assert dict(two.facts.notes)["inputs"] == "x 1x4 float32; z 1x4 float32"


def test_a_model_that_cannot_be_fed_or_run_is_refused_and_the_device_works_on(plain: Artefact) -> None:
    with session() as opened:
        with pytest.raises(ModelRefused, match=r"input x is of type tensor\(string\), which is not fed; export it as one of float"):
            opened.load(of_floats(make.make_node("Cast", ["x"], ["y"], "i", to=FLOAT), kind=onnx.TensorProto.STRING), "texts")
        outside = numpy_helper.from_array(np.full(1, 9, np.int64), "index")
        with pytest.raises(ModelRefused, match="ONNX Runtime cannot run the model: .*out of data bounds"):
            opened.load(of_floats(make.make_node("Gather", ["x", "index"], ["y"], "far", axis=1), constants=[outside]), "far")
        assert opened.load(plain.onnx, "two").infer(3).wall_ns


def test_a_file_in_half_precision_is_told_by_what_ran() -> None:
    """This processor has no arithmetic of 16 bits for products: it casts, and computes in f32; where it has, f16 is said."""
    half = numpy_helper.from_array(np.eye(4, dtype=np.float16), "w")
    nodes = [
        make.make_node("Cast", ["x"], ["h"], "down", to=onnx.TensorProto.FLOAT16),
        make.make_node("MatMul", ["h", "w"], ["p"], "product"),
        make.make_node("Cast", ["p"], ["y"], "up", to=FLOAT),
    ]
    with session() as opened:
        loaded = opened.load(of_floats(*nodes, constants=[half]), "half", "f16", True, (("product", "product"),))
        (product,) = [node for node in loaded.profile(20) if node.layers]
        assert loaded.effective_precision == product.precision in ("f16", "f32")


def test_a_missing_package_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n')  # without what is installed
    bare.chmod(0o755)
    device = Device(replace(find("ort"), python=str(bare), resource=f"test-onnxruntime-{os.getpid()}"), Quarantine())
    with pytest.raises(DeviceUnavailable, match="cannot import onnxruntime .*; install it: pip install onnxruntime"):
        device.open()


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"provider": "CUDA"}, DeviceUnavailable, "no provider 'CUDA', only .*CPU"),
        ({"thread": 2}, UsageError, "no option 'thread'; it has .*threads"),
        ({"threads": "two"}, UsageError, "threads = 'two' is none; give a count of threads"),
        ({"nice": "low"}, UsageError, "nice = 'low' is none; give a niceness"),
        ({"threads": 0}, UsageError, "threads = 0 is none"),
        ({"nice": -21}, UsageError, "nice = -21 is none"),
        ({"allow_cpu_nodes": 1}, UsageError, "allow_cpu_nodes = 1 is none; give true or false"),
        ({"provider_options": "device_type"}, UsageError, "'device_type' are no words key=setting"),
        ({"provider_options": "a='b"}, UsageError, "cannot be read .*; give words key=setting"),
        ({"graph_optimization": "most"}, UsageError, "'most' is none of off, basic, extended, all"),
    ],
)
def test_options_that_it_does_not_know_are_refused_in_one_line(options: dict[str, str | int], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told), session(**options):
        pass


def test_the_processor_is_called_as_openvino_calls_it() -> None:
    with Device(replace(find("cpu"), resource=f"test-onnxruntime-cpu-{os.getpid()}"), Quarantine()).open() as other, session() as opened:
        assert opened.info.model.split()[0] == other.info.model.split()[0]


@pytest.mark.parametrize("threads", [1, 2, 1000])
def test_threads_are_a_condition_and_each_keeps_to_its_processor(plain: Artefact, threads: int) -> None:
    with session(threads=threads) as opened:
        loaded = opened.load(plain.onnx, "two", "f32")
        assert loaded.facts.threads == threads
        assert loaded.infer(5).wall_ns
        fits = threads <= len(os.sched_getaffinity(0))
        told = dict(opened.info.details).get("pinned to", "").removeprefix("processor ")
        assert len(told.split(", ")) == threads if fits else told == ""
        (agent,) = (one for one in psutil.Process().children() if one.name().startswith("python"))
        held = [os.sched_getaffinity(thread.id) for thread in agent.threads()]
        for processor in told.split(", ") if fits else ():
            assert {int(processor)} in held
