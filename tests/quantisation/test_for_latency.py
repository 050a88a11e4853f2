"""What is quantised for latency alone has INT8 where NNCF would put it, and runs by the same primitives, whatever its scales."""

from __future__ import annotations

import openvino
import pytest
import torch

from harness.networks import export, onnx_graph
from harness.networks.datasets import Dataset, load
from harness.networks.export import Artefact
from harness.pipeline import Network
from harness.pruning import surgery
from harness.quantisation import for_latency as laying
from harness.quantisation import quantising
from harness.quantisation.calibration import Calibration
from harness.quantisation.for_latency import for_latency
from harness.quantisation.quantising import quantise
from harness.records.pruning_config import PruningConfig
from tests.quantisation.conftest import network

Edges = list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]


def edges(artefact: Artefact) -> Edges:
    """Nodes with what they read and make; not those that only name a constant anew, which depend on equal weights."""
    graph = onnx_graph.model_of(artefact).graph
    constants = {tensor.name for tensor in graph.initializer}
    nodes = (node for node in graph.node if not (node.op_type == "Identity" and constants.issuperset(node.input)))
    return sorted((node.name, node.op_type, tuple(node.input), tuple(node.output)) for node in nodes)


def primitives(artefact: Artefact) -> dict[str, tuple[str, str]]:
    """Node of OpenVINO's compiled network to its primitive and precision."""
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(artefact.onnx), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    told = {op.get_friendly_name(): op.get_rt_info() for op in compiled.get_runtime_model().get_ordered_ops()}
    found = {name: tuple(str(one[key].astype(str)) for key in ("primitiveType", "runtimePrecision")) for name, one in told.items()}
    return {name: (primitive, precision) for name, (primitive, precision) in found.items() if name.startswith("/")}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def configurations(whole: Network) -> list[PruningConfig]:
    """Dense, thinner, and thinner with every second branch removed."""
    architecture = whole.architecture
    thin = architecture.uniform(0.4)
    for group in [group.name for group in architecture.groups if group.removable][::2]:
        thin = thin.with_channels(group, 0)
    return [architecture.dense(), architecture.uniform(0.6), thin]


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2"])
def test_int8_lies_where_nncf_puts_it_and_runs_by_the_same_primitives(name: str, digits: Dataset) -> None:
    whole = Network.by_name(name, digits)
    for config in configurations(whole):
        plain = export.export(surgery.shrink(whole.model, whole.architecture, config), whole.architecture.input_shape, name)
        real = quantise(plain, Calibration(digits.train.images[:2], "training", 0, 2, "")).artefact
        cheap = for_latency(plain)
        assert edges(cheap) == edges(real)
        assert primitives(cheap) == primitives(real)
        assert any(precision in ("i8", "u8") for _, precision in primitives(cheap).values())


def test_nncf_is_asked_once_for_networks_that_differ_by_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = quantising.quantise
    monkeypatch.setattr(laying, "_TEMPLATES", [])
    monkeypatch.setattr(quantising, "quantise", lambda *words: asked.append(1) or real(*words))
    found = [for_latency(network(width, 5)) for width in (4, 9, 6)]
    assert len(asked) == 1
    assert len({one.digest for one in found}) == 3
    assert for_latency(network(4, 5)).digest == found[0].digest


def test_another_network_is_not_laid_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laying, "_TEMPLATES", [])
    for_latency(network())
    other = export.export(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3)), (3, 12, 12), "other")
    assert onnx_graph.quantised_nodes(for_latency(other)) == {node for node, _ in other.node_layers}
