"""The NCS2's agent, its real compiler without a stick, and the rules for a stick's counters."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.compiling import compile_network
from harness.devices.conformance import DeviceConformance
from harness.devices.measure import Subject
from harness.devices.probe import Probe, probe
from harness.devices.session import Device, Quarantine, Session
from harness.devices.spec import DeviceSpec, find
from harness.errors import DeviceUnavailable, ModelRefused, RecordError, UsageError
from harness.networks import zoo
from harness.pipeline import Network, latency_subject
from harness.records.compilation import Compilation, CompiledStage, compiled_widths, from_json, to_json
from harness.records.conditions import DeviceInfo

STICK = find("ncs2")
installed = pytest.mark.usefixtures("ncs2_environment")


def own(spec: DeviceSpec, name: str) -> DeviceSpec:
    return replace(spec, resource=f"test-{name}-{os.getpid()}")


def subject(network: Probe) -> Subject:
    return Subject("probe", "0" * 16, None, network.onnx, "0" * 64, network.node_layers)


@installed
class TestTheSameWheelsProcessor(DeviceConformance):
    @pytest.fixture
    def device(self) -> Device:
        return Device(own(STICK.with_options(device="CPU"), "myriad-cpu"), Quarantine())


@installed
class TestWithoutAStick:
    @pytest.fixture(scope="class")
    @classmethod
    def compiler(cls, ncs2_environment: None) -> Iterator[Session]:
        with Device(own(STICK.with_options(compile_only=True), "myriad"), Quarantine()).open() as session:
            yield session

    @pytest.fixture(scope="class")
    @classmethod
    def compiled(cls, compiler: Session) -> tuple[Compilation, Compilation]:
        full, less = (compile_network(compiler, subject(probe(width=width, side=32))) for width in (16, 15))
        return full, less

    def test_running_is_refused_with_both_ways_on(self) -> None:
        begin = time.monotonic()
        with pytest.raises(DeviceUnavailable, match=r"plug one in .* or compile without one: pytest bench/ --compile-only"):
            Device(own(STICK, "no-stick"), Quarantine()).open()
        assert time.monotonic() - begin < 15

    def test_nothing_is_run_where_only_compiling_was_asked_for(self, compiler: Session) -> None:
        with pytest.raises(ModelRefused, match="compiled, not run"):
            compiler.load(probe().onnx, "probe")

    def test_the_schedule_says_which_unit_runs_which_layer(self, compiled: tuple[Compilation, Compilation]) -> None:
        layers = {stage.source_layers: stage for stage in compiled[0].stages if stage.hardware}
        assert {("conv1",), ("layer1.0.conv1",), ("layer1.0.conv2",), ("fc",)} <= set(layers)
        assert layers["conv1",].cost > 0
        assert compiled[0].provenance == "compiled"
        assert compiled[0].compile_s > 0

    def test_one_channel_less_saves_nothing_in_a_convolution(self, compiled: tuple[Compilation, Compilation]) -> None:
        full, less = ({stage.source_layers: stage.cost for stage in one.stages if stage.hardware} for one in compiled)
        for layer in ("conv1", "layer1.0.conv1", "layer1.0.conv2"):
            assert less[layer,] == full[layer,] > 0

    def test_what_the_plugin_does_not_know_is_listed(self, compiler: Session, network: Probe) -> None:
        strange = network.onnx.replace(b'"\x04Relu', b'"\x04Cosh')
        with pytest.raises(ModelRefused, match="Cosh"):
            compile_network(compiler, subject(replace(network, onnx=strange)))
        unread = network.onnx.replace(b'"\x04Relu', b'"\x04Acut')
        with pytest.raises(ModelRefused, match=r"does not support \S+ \(Acut\).*; write the network without"):
            compile_network(compiler, subject(replace(network, onnx=unread)))

    def test_hard_sigmoid_of_torch_compiles_and_hard_swish_stays_one_stage(self, compiler: Session) -> None:
        """mobilenetv3-small holds HardSigmoid 28 times: 19 in HardSwish, 9 as the gate of another tensor."""
        network = Network.wrap("mobilenetv3-small", zoo.build("mobilenetv3-small", (1, 32, 32), 10), (1, 32, 32), 10)
        made = compile_network(compiler, latency_subject(network, network.architecture.dense()))
        kinds = Counter(stage.kind for stage in made.stages if stage.executed)
        assert (kinds["HSwish"], kinds["Clamp"]) == (19, 0)
        credited = {layer for stage in made.stages for layer in stage.source_layers}
        assert credited >= {site.name for site in network.architecture.layers}

    def test_a_compilation_survives_json(self, compiled: tuple[Compilation, Compilation]) -> None:
        assert from_json(to_json(compiled[0]), "x") == compiled[0]


def with_cost(cost: int, copies: int = 2, views: int = 0) -> Compilation:
    device = DeviceInfo("ncs2", "myriad", "2021.4.2", "Myriad X compiler", "host", "3.8")
    conv = CompiledStage("conv", "MyriadXHwOp", True, True, cost, ("conv1",))
    rows = [CompiledStage(str(number), "Copy", False, True, 0, ()) for number in range(copies)]
    rows += [CompiledStage(str(number), "Expand", False, False, 0, ()) for number in range(views)]
    return Compilation("net", "a", None, "d", 1, device, (conv, *rows), 1, "b", 5.0, (), "c", "t")


def test_a_width_is_legal_when_it_is_cheaper_than_every_larger_one_and_adds_no_copies() -> None:
    """The figures of ResNet-20 by the real compiler: 15 costs what 16 does, 13 and 60 of 64 add copies, 12 and 8 are cheaper."""
    odd = [
        (16, with_cost(1508)),
        (15, with_cost(1508, views=7)),
        (13, with_cost(1470, copies=4)),
        (12, with_cost(1506)),
        (8, with_cost(1440)),
    ]
    rows = compiled_widths(reversed(odd))
    assert [(row.width, row.legal) for row in rows] == [(16, True), (15, False), (13, False), (12, True), (8, True)]
    assert [(row.added_copies, row.added_views) for row in rows] == [(0, 0), (0, 7), (2, 0), (0, 0), (0, 0)]


def test_where_every_narrower_width_adds_copies_they_are_legal_all_the_same() -> None:
    rows = compiled_widths([(8, with_cost(90)), (6, with_cost(70, copies=3)), (4, with_cost(70, copies=3)), (2, with_cost(40, copies=5))])
    assert [row.width for row in rows if row.legal] == [8, 6, 2]


@given(st.dictionaries(st.integers(1, 64), st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=12))
def test_legal_widths_get_cheaper_and_the_widest_is_one_of_them(by_width: dict[int, tuple[int, int]]) -> None:
    rows = compiled_widths((width, with_cost(cost, copies)) for width, (cost, copies) in by_width.items())
    legal = [row for row in rows if row.legal]
    assert legal[0].width == max(by_width)
    assert all(wide.cost > narrow.cost and wide.width > narrow.width for wide, narrow in pairwise(legal))


def test_a_width_that_was_compiled_twice_is_refused() -> None:
    with pytest.raises(RecordError, match="twice"):
        compiled_widths([(8, with_cost(1)), (8, with_cost(1))])


def test_a_record_that_is_no_compilation_is_refused() -> None:
    with pytest.raises(RecordError, match="x holds no compilation"):
        from_json({"provenance": "measured"}, "x")
    with pytest.raises(RecordError, match="lacks or garbles"):
        from_json({"provenance": "compiled"}, "x")


def test_a_device_that_compiles_nothing_says_so(simulated: object, network: Probe) -> None:
    assert callable(simulated)
    with simulated().open() as session, pytest.raises(UsageError, match="compiles nothing"):
        compile_network(session, subject(network))


@contextmanager
def agent_modules() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(AGENT_DIRECTORY))
        yield importlib.import_module("myriad_graph")
        for name in ("myriad_graph", "onnx_reader"):
            sys.modules.pop(name)


@pytest.fixture
def agent() -> Iterator[ModuleType]:
    with agent_modules() as module:
        yield module


ORIGIN = "\\lorigLayer = [\\l    name = /conv1/Conv_output_0\\l    type = Convolution\\l]"
DOT = (
    'label="[0 / 0] Stage input@FP16\\ltype = Convert\\lnumSHAVEs = 7\\l"\n'
    f'label="[1 / 2] Stage /conv1/Conv_output_0\\ltype = MyriadXHwOp{ORIGIN}\\l        cost = 11\\l        cost = 9\\l]\\l"\n'
    'label="[-1 / 1] Stage /conv1/Conv_output_0@copy-for-0x7ffc09b96c28\\ltype = Copy\\lnumSHAVEs = 0\\l"\n'
)


def test_the_dump_is_read_in_order_without_host_pointers(agent: ModuleType, network: Probe) -> None:
    graph = importlib.import_module("onnx_reader").read(network.onnx)
    first, copy, conv = agent.stages(DOT, graph)
    assert (first["kind"], first["cost"], first["sources"]) == ("Convert", 0, [])
    assert (conv["cost"], conv["hardware"], conv["executed"], conv["sources"]) == (20, True, True, ["/conv1/Conv"])
    assert (copy["name"], copy["executed"], copy["sources"]) == ("/conv1/Conv_output_0@copy-for-0x", False, [])


class _Op:
    """A node of an executable graph as ngraph hands it out."""

    def __init__(self, name: str, kind: str, micros: int, origins: str = "", *sources: _Op) -> None:
        self._name, self._sources = name, sources
        time_told = str(micros) if micros else "not_executed"  # also of what takes less than a microsecond
        self._notes = {"execTimeMcs": time_told, "layerType": kind, "originalLayersNames": origins}

    def get_rt_info(self) -> dict[str, str]:
        return self._notes

    def get_friendly_name(self) -> str:
        return self._name

    def inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(get_source_output=lambda one=one: SimpleNamespace(get_node=lambda: one)) for one in self._sources]


@given(micros=st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_which_nodes_ran_does_not_hang_on_a_microsecond(micros: list[int]) -> None:
    """A mean below a microsecond is told like a node that never ran; what never runs is what feeds on constants alone."""
    with agent_modules() as agent, pytest.MonkeyPatch.context() as patch:
        graph = importlib.import_module("onnx_reader").read(probe().onnx)
        image, output, reorder, conv, pool, dense, weight, packed = micros
        ops = [
            shown := _Op("input", "Input", image),
            kernel := _Op("conv1.weight", "Const", weight),
            ready := _Op("conv1.weight_packed", "Reorder", packed, "", kernel),
            blocked := _Op("input_abcd_aBcd8b", "Reorder", reorder, "", shown),
            first := _Op("/conv1/Conv_output_0", "Convolution", conv, "/conv1/Conv,/relu/Relu", blocked, ready),
            mean := _Op("/pool/GlobalAveragePool_output_0", "Pooling", pool, "/pool/GlobalAveragePool", first),
            logits := _Op("logits", "FullyConnected", dense, "/fc/Gemm", mean),
            _Op("logits", "Output", output, "/fc/Gemm", logits),
        ]
        function = SimpleNamespace(get_ordered_ops=lambda: ops)
        patch.setitem(sys.modules, "ngraph", SimpleNamespace(function_from_cnn=lambda _: function))
        found = agent.executed(None, graph)
    assert [node["node"] for node in found] == ["input_abcd_aBcd8b", "/conv1/Conv", "/pool/GlobalAveragePool", "/fc/Gemm"]
    assert [node["seconds"] for node in found] == [one * 1e-6 for one in (reorder, conv, pool, dense)]


def test_a_sticks_counters_become_times_of_layers(agent: ModuleType, network: Probe) -> None:
    graph = importlib.import_module("onnx_reader").read(network.onnx)

    def counter(micros: int, kind: str, index: int, status: str = "EXECUTED") -> dict[str, object]:
        return {"status": status, "real_time": micros, "cpu_time": 0, "exec_type": kind, "execution_index": index, "layer_type": ""}

    block = "/layer1/layer1.0"
    counts = {
        f"{block}/Add_output_0 + {block}/relu2/Relu_output_0": counter(90, "Sum", 3),
        "<Receive-Tensor>": counter(400, "Receive-Tensor", 0),
        "/conv1/Conv_output_0": counter(120, "MyriadXHwOp + injected[Copy]", 2),
        "": counter(7, "Copy", 4),
        "logits@FP16": counter(0, "Convert", 5, status="OPTIMIZED_OUT"),
    }
    nodes = agent.counters(counts, graph)
    assert [(node["node"], round(node["seconds"] * 1e6), node["sources"]) for node in nodes] == [
        ("<Receive-Tensor>", 400, []),
        ("/conv1/Conv_output_0", 120, ["/conv1/Conv"]),
        (f"{block}/Add_output_0 + {block}/relu2/Relu_output_0", 90, [f"{block}/Add", f"{block}/relu2/Relu"]),
        ("(no layer)", 7, []),
    ]
