"""INT8 is what a device calls a network of which half of the work ran in INT8, read back node by node; nothing runs in it unasked."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import find, parse
from harness.errors import ModelRefused
from harness.networks import export, onnx_graph
from harness.networks.export import Artefact
from harness.quantisation.calibration import Calibration
from harness.quantisation.for_latency import for_latency
from harness.quantisation.quantising import Options, quantise

LARGE, SMALL = "0", "2"  # layers of the network below: nearly all of its work, and little of it


@pytest.fixture(scope="module")
def plain() -> Artefact:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.Conv2d(16, 2, 1), nn.Flatten(), nn.Linear(2 * 28 * 28, 4))
    return export.export(model, (3, 32, 32), "two")


@pytest.fixture(scope="module")
def whole(plain: Artefact) -> Artefact:
    return for_latency(plain, Options(signed=True))


@pytest.fixture(scope="module")
def mostly_float(plain: Artefact) -> Artefact:
    """In the QDQ form, but with the layer that does nearly all of the work in float."""
    noise = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return quantise(plain, Calibration(noise, "noise", 0, 1, ""), Options(in_float=(LARGE,))).artefact


def openvino(tmp_path: Path) -> Device:
    return Device(replace(find("cpu"), resource=f"test-agent-int8-{os.getpid()}"), Quarantine())


def simulated(tmp_path: Path) -> Device:
    table = {"runtime": "simulated", "options": {"noise": 0.0}, "resource": f"test-int8-{os.getpid()}-{tmp_path.name}"}
    return Device(parse("simulated", table, tmp_path / "pyproject.toml"), Quarantine())


@pytest.fixture(params=[openvino, simulated], ids=["openvino", "simulated"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    with request.param(tmp_path).open() as opened:
        yield opened


def load(session: Session, artefact: Artefact, precision: str, profile: bool = False):
    return session.load(artefact.onnx, artefact.name, precision, profile, artefact.node_layers)


def test_a_quantised_network_runs_in_int8_node_by_node(session: Session, whole: Artefact) -> None:
    loaded = load(session, whole, "int8", profile=True)
    assert loaded.effective_precision == "int8"
    assert dict(loaded.facts.notes)["INT8 layers"] == "3 of 3"
    precisions = {layer: node.precision for node in loaded.profile(20) for layer in node.layers}
    assert precisions == {LARGE: "int8", SMALL: "int8", "4": "int8"}


def test_what_mostly_runs_in_float_is_not_called_int8(session: Session, mostly_float: Artefact) -> None:
    loaded = load(session, mostly_float, "int8", profile=True)
    assert loaded.effective_precision in ("f32", "f16")
    assert dict(loaded.facts.notes)["INT8 layers"] == "2 of 3"
    (large,) = [node for node in loaded.profile(20) if LARGE in node.layers]
    assert large.precision == loaded.effective_precision


def test_int8_of_a_network_in_float_is_refused(session: Session, plain: Artefact) -> None:
    """So it is when the INT8 operations are lost on the way: no float network passes for a quantised one."""
    with pytest.raises(ModelRefused, match="INT8 needs a quantised one"):
        load(session, plain, "int8")


def test_a_quantised_network_is_not_run_as_a_float_one(session: Session, whole: Artefact) -> None:
    with pytest.raises(ModelRefused, match="is quantised and would run in INT8, not f32; ask for int8"):
        load(session, whole, "f32")


def test_int8_of_which_nothing_can_be_told_is_refused_whatever_is_asked_for(session: Session, plain: Artefact) -> None:
    """As ONNX Runtime's own quantisation writes it; it was taken for a network in float."""
    model = onnx_graph.model_of(plain)
    model.graph.node[-1].op_type = "MatMulInteger"
    for asked in ("f32", "int8"):
        with pytest.raises(ModelRefused, match="quantised by MatMulInteger, not in the QDQ form.*python -m harness.quantisation"):
            load(session, onnx_graph.artefact_of(model, plain), asked)


def test_a_network_whose_int8_operations_were_dropped_is_noticed(session: Session, plain: Artefact, whole: Artefact) -> None:
    dropped = onnx_graph.with_float(whole, plain, [node for node, _ in plain.node_layers])
    model = onnx_graph.model_of(dropped)
    left = [node.name for node in model.graph.node if node.op_type in (onnx_graph.QUANTISING, onnx_graph.DEQUANTISING)]
    if left:  # QDQ between layers, with no layer in INT8
        assert load(session, dropped, "int8").effective_precision != "int8"
    else:
        with pytest.raises(ModelRefused):
            load(session, dropped, "int8")


def test_simulated_layers_are_quicker_in_int8(tmp_path: Path, plain: Artefact, whole: Artefact) -> None:
    with simulated(tmp_path).open() as session:
        plainly, quantised = (load(session, one, how).infer(3).wall_ns for one, how in ((plain, "f16"), (whole, "int8")))
    assert 1.5 < min(plainly) / min(quantised) < 3


@pytest.fixture
def board(tmp_path: Path, stand_in: Callable[[str], Path]) -> Callable[[str], Device]:
    def device(version: str) -> Device:
        options = {"trtexec": str(stand_in(version)), "timing_cache": ""}
        table = {"runtime": "trtexec", "options": options, "resource": f"test-int8-{os.getpid()}-{tmp_path.name}"}
        return Device(parse("jetson", table, tmp_path / "pyproject.toml"), Quarantine())

    return device


@pytest.mark.parametrize(("version", "told"), [("8.0.1", "not told by TensorRT 8.0.1"), ("10.3.0", "3 of 3"), ("11.1.0", "3 of 3")])
def test_tensorrt_tells_what_its_engine_runs_in(board: Callable[[str], Device], whole: Artefact, version: str, told: str) -> None:
    with board(version).open() as session:
        loaded = load(session, whole, "int8", profile=True)
        assert loaded.effective_precision == "int8"
        assert dict(loaded.facts.notes)["INT8 layers"] == told
        loaded.infer(20)
        if not version.startswith("8.0"):
            assert {node.precision for node in loaded.profile(0) if node.layers} == {"int8"}
        with pytest.raises(ModelRefused, match="ask for int8"):
            load(session, whole, "f16")


def test_tensorrt_is_believed_by_its_engine_not_by_the_file(board: Callable[[str], Device], mostly_float: Artefact) -> None:
    with board("10.3.0").open() as session:
        loaded = load(session, mostly_float, "int8")
    assert loaded.effective_precision == "f16"
    assert dict(loaded.facts.notes)["INT8 layers"] == "2 of 3"


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("trtexec_files")
    sys.modules.pop("trtexec_files")


@pytest.mark.parametrize(
    ("form", "precision"),
    [
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Four wide channel vectorized row major FP32 format", "f32"),
        ("Row major linear FP16 format", "f16"),
        ("Two wide channel vectorized row major FP16 format", "f16"),
        ("a form of the future", None),
    ],
)
def test_a_layers_precision_is_that_of_what_it_reads(files: ModuleType, form: str, precision: str | None) -> None:
    """Forms as real engines' exports write them: of its inputs, since weights lie in INT8 also where they are not used so."""
    layer = {"Name": "a", "Inputs": [{"Format/Datatype": form}], "Weights": {"Type": "Int8"}}
    expected = {} if precision is None else {"a": precision}
    assert files.layer_precisions(json.dumps({"Layers": [layer, {"Name": "b"}, "only a name"]})) == expected
    assert files.layer_precisions("no JSON") == {}
