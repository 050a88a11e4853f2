"""What ONNX Runtime notes of its nodes is read as what ran: times without bursts, layers behind fusions, providers by name."""

from __future__ import annotations

import importlib
import io
import json
import random
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.probe import Probe

CPU, XNNPACK = "CPUExecutionProvider", "XnnpackExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"


@pytest.fixture(scope="module")
def agent() -> Iterator[ModuleType]:
    """The runtime's module; what it imports hangs on it."""
    before = set(sys.modules)
    sys.path.insert(0, str(AGENT_DIRECTORY))
    yield importlib.import_module("onnxruntime_runtime")
    sys.path.remove(str(AGENT_DIRECTORY))
    for name in {path.stem for path in AGENT_DIRECTORY.glob("*.py")} & (set(sys.modules) - before):
        sys.modules.pop(name)


@given(true_us=st.floats(5.0, 500.0), wander_us=st.floats(2.0, 5.0), share=st.floats(0.0, 0.08), seed=st.integers(0, 10**6))
def test_cut_times_and_bursts_move_a_nodes_time_by_less_than_its_wandering(
    agent: ModuleType, true_us: float, wander_us: float, share: float, seed: int
) -> None:
    """Times that wander are cut to whole microseconds without bias; bursts of ten times as long, one in twelve, do not count."""
    drawn = random.Random(seed)
    each = [true_us + wander_us * (drawn.random() - 0.5) for _ in range(400)]
    noted = [int(one * (10 if drawn.random() < share else 1)) for one in each]
    runs = agent.onnxruntime_profile._runs(noted, len(noted))
    assert len(runs) == agent.onnxruntime_profile.RUNS
    assert 1e6 * sorted(runs)[len(runs) // 2] == pytest.approx(true_us, abs=0.3 + 0.1 * wander_us)


@given(often=st.integers(1, 5), inferences=st.integers(1, 60), each_us=st.integers(1, 1000))
def test_a_node_within_a_loop_is_told_by_inference(agent: ModuleType, often: int, inferences: int, each_us: int) -> None:
    runs = agent.onnxruntime_profile._runs([each_us] * (often * inferences), inferences)
    assert all(run == pytest.approx(1e-6 * often * (each_us + 0.5)) for run in runs)


def _graph(agent: ModuleType, network: Probe, swapped: bool) -> ModuleType:
    graph = agent.onnx_reader.read(network.onnx)
    for node in graph.nodes:
        if node.op == "Add" and swapped:
            node.inputs.reverse()
    return graph


@pytest.mark.parametrize("swapped", [False, True], ids=["x+shortcut", "shortcut+x"])
def test_a_sum_that_was_fused_into_a_convolution_is_found_on_either_side(agent: ModuleType, network: Probe, swapped: bool) -> None:
    """[He2016] adds the shortcut second, others first; the node is called by the last output."""
    graph, block = _graph(agent, network, swapped), "/layer1/layer1.0"
    names = [
        "/relu/Relu_output_0_nchwc",
        f"fused {block}/conv1/Conv",
        f"{block}/relu2/Relu_output_0_nchwc",
        "ReorderOutput_token_7",
        "/fc/Gemm",
    ]
    kinds = ["Conv", "FusedConv", "Conv", "ReorderOutput", "Gemm"]
    found = agent.onnxruntime_profile._sources(list(zip(names, kinds, strict=True)), graph)
    layers = [sorted(set(found[key]) & {node for node, _ in network.node_layers}) for key in zip(names, kinds, strict=True)]
    assert layers == [["/conv1/Conv"], [f"{block}/conv1/Conv"], [f"{block}/conv2/Conv"], [], ["/fc/Gemm"]]


def test_what_a_provider_made_one_node_of_stands_for_all_that_did_not_run_by_itself(agent: ModuleType, network: Probe) -> None:
    graph = agent.onnx_reader.read(network.onnx)
    part = (f"{OPENVINO}_OpenVINO-EP-subgraph_1_0", "OpenVINO-EP-subgraph_1")  # as onnxruntime-openvino 1.24.1 notes it
    found = agent.onnxruntime_profile._sources([part, ("/fc/Gemm", "Gemm")], graph)
    assert found["/fc/Gemm", "Gemm"] == ["/fc/Gemm"]
    assert set(found[part]) == {node.name for node in graph.nodes} - {"/fc/Gemm"}
    two = agent.onnxruntime_profile._sources([part, (part[0] + "x", part[1])], graph)
    assert two == {part: [], (part[0] + "x", part[1]): []}, "of two nobody can tell which is which"


class _Ended:
    """A session of which only the notes are left."""

    def end_profiling(self) -> None: ...


def _told(agent: ModuleType, network: Probe, notes: list[tuple[str, str]]) -> list[tuple[object, ...]]:
    """Name, kind and sources that the agent tells of nodes noted by these names and operations, in two inferences."""
    once: list[dict[str, object]] = [
        {"cat": "Node", "name": f"{name}_kernel_time", "dur": 7, "args": {"op_name": kind, "node_index": str(place)}}
        for place, (name, kind) in enumerate(notes)
    ]
    lines = [json.dumps(event) + ",\n" for event in 2 * [*once, {"cat": "Session", "name": "model_run"}]]
    profiled = object.__new__(agent.onnxruntime_profile.Profiled)
    profiled.session, profiled.graph = _Ended(), agent.onnx_reader.read(network.onnx)
    profiled.file = io.BytesIO("".join(lines).encode())
    return [(node["node"], node["kind"], node["sources"]) for node in profiled.end()]


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (["ReorderOutput_token_5", "ReorderOutput"], ["ReorderOutput", "ReorderOutput_token_5"], "ReorderOutput 2"),
        ([f"{OPENVINO}_OpenVINO-EP-subgraph_1_0"], [f"{OPENVINO}_OpenVINO-EP-subgraph_2_0"], "OpenVINO-EP-subgraph 1"),
    ],
    ids=["copies of 1.32.0", "onnxruntime-openvino 1.24.1"],
)
def test_a_node_has_one_name_in_every_load(agent: ModuleType, network: Probe, first: list[str], second: list[str], name: str) -> None:
    """As the real packages were seen to number the same nodes of one network in two loads."""

    def kind(noted: str) -> str:
        return "ReorderOutput" if noted.startswith("Reorder") else noted[len(OPENVINO) + 1 : -2]

    loads = [_told(agent, network, [(noted, kind(noted)) for noted in names]) for names in (first, second)]
    assert loads[0] == loads[1]
    assert loads[0][-1][0] == name


def _node(name: str, provider: str, precision: str = "f32") -> dict[str, object]:
    return {"node": name, "provider": provider, "precision": precision, "sources": [f"/{name}"]}


def test_nodes_that_ran_elsewhere_are_named_refused_or_noted(agent: ModuleType) -> None:
    nodes = [_node("conv1", XNNPACK), _node("softmax", CPU), _node("reshape", CPU)]
    told = f"2 of 3 nodes did not run on {XNNPACK} but on {CPU}: reshape, softmax"
    with pytest.raises(agent.faults.Refused, match=f"^{told}; allow it with allow_cpu_nodes = true, or take another provider$"):
        agent.placed(nodes, XNNPACK, allowed=False)
    found = agent.placed(nodes, XNNPACK, allowed=True)
    assert (found.elsewhere, found.ran["/conv1"]) == (told, "f32")
    assert agent.placed(nodes[:1], XNNPACK, allowed=False).elsewhere == ""


def test_a_provider_that_ran_nothing_is_refused_whatever_is_allowed(agent: ModuleType) -> None:
    with pytest.raises(agent.faults.Refused, match="2 of 2 nodes did not run on .*; take another provider$"):
        agent.placed([_node("conv1", CPU), _node("fc", CPU)], XNNPACK, allowed=True)


@pytest.mark.parametrize("line", [b'{"cat" : "Node", "name" : "a_kernel_time', b'{"cat" : "Node"}', b'{"cat" : "Node", "name" : 3}'])
def test_a_profile_that_was_cut_is_refused_in_one_line(agent: ModuleType, line: bytes) -> None:
    whole = {"cat": "Node", "name": "a_kernel_time", "dur": 7, "args": {"op_name": "Conv", "node_index": "0"}}
    file = io.BytesIO(b"[\n" + json.dumps(whole).encode() + b",\n" + line + b"\n")
    with pytest.raises(agent.faults.Refused, match="profile cannot be read"):
        agent.onnxruntime_profile._read(file)


def test_a_message_is_told_without_its_place_in_the_sources(agent: ModuleType) -> None:
    """As onnxruntime-openvino 1.24.1 begins it."""
    place = "/onnxruntime/onnxruntime/python/state.cc:1053 std::shared_ptr<T> onnxruntime::python::Create(const std::string&, const Map&)"
    told = "^ONNX Runtime cannot load the model: Invalid OpenVINO EP option: nonsense$"
    with pytest.raises(agent.faults.Refused, match=told), agent.refusing("load the model"):
        raise RuntimeError(f"{place} Invalid OpenVINO\nEP option: nonsense")
