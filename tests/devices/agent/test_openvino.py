"""OpenVINO is told what its plugin knows, refuses what a table cannot mean, and keeps its streams busy while they are counted."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.devices.bundle import AGENT_DIRECTORY
from harness.devices.measure import Protocol, Subject
from harness.devices.probe import Probe
from harness.devices.session import Device, Quarantine
from harness.devices.spec import OptionValue, find, parse
from harness.errors import HarnessError, ModelRefused, UsageError
from harness.sweeps import streams

openvino = pytest.importorskip("openvino")
needs_two = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two streams need two processors")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("openvino_settings")
    for name in ("openvino_settings", "faults"):
        sys.modules.pop(name)


def device(**options: OptionValue) -> Device:
    table = {"runtime": "openvino", "options": options, "resource": f"test-openvino-{os.getpid()}"}
    return Device(parse("mine", table, Path("pyproject.toml")), Quarantine())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"thread": 2}, "has no option 'thread'; it has device, nice, threads"),
        ({"threads": "two"}, "threads = 'two' is none; give a whole number"),
        ({"threads": 0}, "this machine has [0-9]+ processors"),
        ({"threads": 100_000}, "this machine has [0-9]+ processors"),
        ({"nice": "low"}, "nice = 'low' is none; give a whole number from -20 to 19"),
        ({"device": "AUTO:CPU"}, "may silently run elsewhere"),
        ({"device": "MULTI:CPU"}, "may silently run elsewhere"),
        ({"device": "GPU", "threads": 1}, "leave threads out"),
        ({"device": "TPU"}, "no device 'TPU' here, only .*CPU"),
    ],
    ids=str,
)
def test_a_table_that_cannot_be_meant_is_refused_in_one_line(options: dict[str, OptionValue], told: str) -> None:
    with pytest.raises(HarnessError, match=told) as refused:
        device(**options).open()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("name", "advice"), [("GPU", "intel-opencl-icd"), ("NPU", "intel-level-zero-npu")])
def test_a_device_that_is_not_there_is_told_with_its_driver(settings: ModuleType, name: str, advice: str) -> None:
    core = openvino.Core()
    if name in core.available_devices:
        pytest.skip("it is there")
    with pytest.raises(Exception, match=f"no device '{name}' here, only .*{advice}"):
        settings.check(core, name)


@pytest.mark.parametrize("name", ["CPU", "GPU", "NPU"])
def test_a_plugin_is_told_only_what_it_lets_be_set(settings: ModuleType, name: str) -> None:
    """The real plugins, which tell their properties without their hardware; the GPU's needs libOpenCL for that."""
    core = openvino.Core()
    try:
        known = core.get_property(name, "SUPPORTED_PROPERTIES")
    except RuntimeError as error:
        pytest.skip(f"the plugin cannot be loaded: {error}")
    chosen = settings.config(core, name, {"precision": "f16", "profile": True, "batch_size": 1}, 1)
    assert all(str(known[name]) == "RW" for name in chosen)
    assert {"PERFORMANCE_HINT", "NUM_STREAMS", "PERF_COUNT"} <= set(chosen)
    assert ("INFERENCE_NUM_THREADS" in chosen) is (name == "CPU")
    assert ("NPU_BYPASS_UMD_CACHING" in chosen) is (name == "NPU")  # or loading would be told as quicker than compiling is


def test_what_a_plugin_does_not_know_is_left_out_so_that_it_compiles(settings: ModuleType, network: Probe) -> None:
    """AUTO, which no table may name, is a real plugin with other properties than the processor's."""
    core = openvino.Core()
    chosen = settings.config(core, "AUTO", {"precision": "f32", "profile": True, "batch_size": 1}, 1)
    assert set(chosen) < set(settings.config(core, "CPU", {"precision": "f32", "profile": True, "batch_size": 1}, 1))
    compiled = core.compile_model(core.read_model(network.onnx), "AUTO:CPU", chosen)
    assert settings.number(compiled, "INFERENCE_NUM_THREADS", 1) == 1
    assert settings.precision(compiled, "GPU", "f16") == "f16"


@pytest.mark.parametrize(("name", "precision"), [("NPU", "f32"), ("NPU", "bf16"), ("GPU", "bf16"), ("CPU", "f8")])
def test_a_precision_that_a_device_has_not_is_refused_with_those_it_has(settings: ModuleType, name: str, precision: str) -> None:
    with pytest.raises(Exception, match=rf"OpenVINO on {name} has no precision '{precision}'; choose one of .*f16"):
        settings.config(openvino.Core(), name, {"precision": precision, "profile": False}, 1)


@needs_two
def test_streams_are_counted_and_are_what_was_asked_for(network: Probe) -> None:
    subject = Subject("probe", "a" * 16, None, network.onnx, "d" * 64, network.node_layers)
    protocol = Protocol(warmup_s=0.0, warmup_rounds=2, rounds=60, min_time_s=0.0, blocks=3)
    with device(threads=2).open() as session:
        found = streams.measure(session, subject, 2, "dense", protocol)
    assert (found.conditions.streams, found.conditions.threads, found.in_flight) == (2, 2, 4)
    assert found.ended == (20, 20, 20)
    assert found.interval_per_s[0] <= found.median_per_s <= found.interval_per_s[1]


def test_more_streams_than_threads_are_refused(network: Probe) -> None:
    with (
        device(threads=1).open() as session,
        pytest.raises(ModelRefused, match="2 streams need a thread each, 1 is allowed; give --threads=2"),
    ):
        session.load(network.onnx, "probe", streams=2)


def test_a_device_of_single_inferences_says_so(network: Probe) -> None:
    spec = replace(find("simulated"), resource=f"test-streams-{os.getpid()}")
    with (
        Device(spec, Quarantine()).open() as session,
        pytest.raises(UsageError, match="one inference after the other; leave --streams out"),
    ):
        session.load(network.onnx, "probe", streams=2)


@given(in_flight=st.integers(1, 8), rounds=st.integers(1, 20), blocks=st.integers(1, 5), took_s=st.floats(1e-5, 1e-2))
def test_an_inference_is_counted_when_it_ends(in_flight: int, rounds: int, blocks: int, took_s: float) -> None:
    """On a device of virtual time that ends one inference at a time: its rate is found exactly, however many are on their way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(AGENT_DIRECTORY))
        loop = importlib.import_module("timed_loop")
    now_s, waiting = [0.0], [0]

    def start() -> None:
        if waiting[0] == in_flight:
            now_s[0] += took_s
        else:
            waiting[0] += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "wall_ns", lambda: round(now_s[0] * 1e9))
        timing = {"in_flight": in_flight, "rounds": rounds, "blocks": blocks, "min_s": 0.0, "warmup_s": 0.0, "warmup_rounds": 0}
        found = loop.flow(start, timing)
    assert len(found) == blocks
    assert all(count == rounds and abs(seconds / count - took_s) < 1e-8 for count, seconds in found)
