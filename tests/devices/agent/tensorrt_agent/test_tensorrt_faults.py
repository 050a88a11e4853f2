"""Whatever TensorRT's package or CUDA does wrong ends in one line that says what to do, or changes no answer; under old and new Pythons."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.devices import replies
from harness.devices.probe import probe
from harness.errors import DeviceUnavailable, ModelRefused, UsageError
from tests.devices.agent.tensorrt_agent.board import RECORDED, board, drive, needs_cc

pytestmark = needs_cc

NETWORK = probe(width=2, side=4)
IMAGES = NETWORK.images(3)
GIVEN = {
    "onnx": base64.b64encode(NETWORK.onnx).decode(),
    "images": base64.b64encode(IMAGES.tobytes()).decode(),
    "shape": list(IMAGES.shape),
}
DOING = ["drive", "install", "give", "look", "end", "measure", "ask", "free", "set", "leave", "remove", "start", "export", "let", "allow"]
ADVICE = re.compile(rf"[;:] ({'|'.join(DOING)}|the GPU's context is lost|no GPU is seen|another process holds)")
GENERIC = "check its runtime and its disk"  # what an error gets of which the agent knows nothing
ON_DLA = {"options": {"dla_core": 1, "allow_gpu_fallback": True}, "precision": "f16"}
GRAPH = {"options": {"cuda_graph": True}}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. harmless: it may be left without an error, because nothing that is told depends on it."""

    name: str
    case: dict[str, Any]
    harmless: bool = False

    def __str__(self) -> str:
        return self.name


CALLS = {  # what the agent calls on the way: how it may fail, and what else a case needs to get there
    "Builder.__init__": (("raise", "type", "memory"), {}),
    "Builder.create_network": (("raise", "none", "unicode"), {}),
    "Builder.create_builder_config": (("raise", "none"), {}),
    "Builder.build_serialized_network": (("raise", "memory", "none", "false", "empty", "garbage", "abort"), {}),
    "Builder.num_DLA_cores": (("raise", "none", "minus"), ON_DLA),
    "OnnxParser.__init__": (("raise", "type"), {}),
    "OnnxParser.parse": (("raise", "none", "false", "unicode"), {}),
    "IBuilderConfig.set_flag": (("raise", "type", "memory"), {"precision": "f16"}),
    "IBuilderConfig.clear_flag": (("raise", "type"), {}),
    "IBuilderConfig.can_run_on_DLA": (("raise", "type"), ON_DLA),
    "INetworkDefinition.num_layers": (("raise", "none", "garbage"), ON_DLA),
    "INetworkDefinition.get_layer": (("raise", "none"), ON_DLA),
    "Runtime.__init__": (("raise", "type"), {}),
    "Runtime.deserialize_cuda_engine": (("raise", "none", "memory", "garbage"), {}),
    "ICudaEngine.create_execution_context": (("raise", "none", "memory", "garbage"), {}),
    "ICudaEngine.create_engine_inspector": (("raise", "none"), {}),
    "EngineInspector.get_engine_information": (("raise", "none"), {}),
    "IExecutionContext.report_to_profiler": (("raise", "false", "none"), {}),
    "IProfiler.report_layer_time": (("silent",), {}),
}
BY_NUMBER = {
    "ICudaEngine.num_bindings": (("raise", "none", "minus"), {}),
    "ICudaEngine.get_binding_name": (("raise", "none", "unicode"), {}),
    "ICudaEngine.binding_is_input": (("raise", "false", "none"), {}),
    "ICudaEngine.get_binding_shape": (("raise", "none", "garbage", "long"), {}),
    "ICudaEngine.get_binding_dtype": (("raise", "none", "garbage"), {}),
    "IExecutionContext.execute_async_v2": (("raise", "false", "none", "memory"), {}),
    "IBuilderConfig.max_workspace_size=": (("raise",), {}),
}
BY_NAME = {
    "ICudaEngine.num_io_tensors": (("raise", "none", "minus"), {}),
    "ICudaEngine.get_tensor_name": (("raise", "none", "unicode"), {}),
    "ICudaEngine.get_tensor_mode": (("raise", "none"), {}),
    "ICudaEngine.get_tensor_shape": (("raise", "none", "garbage", "long"), {}),
    "ICudaEngine.get_tensor_dtype": (("raise", "none", "garbage"), {}),
    "IExecutionContext.set_tensor_address": (("raise", "false", "type"), {}),
    "IExecutionContext.execute_async_v3": (("raise", "false", "none", "memory"), {}),
    "IBuilderConfig.set_memory_pool_limit": (("raise", "type"), {"options": {"workspace_mib": 64}}),
}
SETTINGS = ("IBuilderConfig.profiling_verbosity=", "IExecutionContext.profiler=", "IExecutionContext.enqueue_emits_profile=")
TIMING_CACHE = {
    "IBuilderConfig.create_timing_cache": ("raise", "none"),
    "IBuilderConfig.set_timing_cache": ("raise", "false"),
    "ITimingCache.serialize": ("raise", "none", "unicode"),
}
MISSING = (
    *("Builder", "OnnxParser", "Runtime", "BuilderFlag.TF32", "ProfilingVerbosity.DETAILED", "LayerInformationFormat.JSON"),
    *("Builder.create_network", "Builder.create_builder_config", "Builder.build_serialized_network", "OnnxParser.parse"),
    *("IBuilderConfig.clear_flag", "IBuilderConfig.profiling_verbosity", "Runtime.deserialize_cuda_engine"),
    *("ICudaEngine.create_execution_context", "IExecutionContext.profiler", "IExecutionContext.report_to_profiler"),
    *("EngineInspector.get_engine_information",),
)
CUDA_CODES = (2, 35, 46, 100, 700, 719, 999)
CUDA_CALLS = (
    *("cudaRuntimeGetVersion", "cudaDriverGetVersion", "cudaGetDeviceCount", "cudaDeviceGetAttribute", "cudaMemGetInfo", "cudaMalloc"),
    *("cudaMallocHost", "cudaMemcpyAsync", "cudaStreamCreate", "cudaStreamSynchronize", "cudaEventCreate", "cudaEventRecord"),
    *("cudaEventSynchronize", "cudaEventElapsedTime"),
)
CUDA_GRAPH_CALLS = ("cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate", "cudaGraphLaunch")
SILENT = ("cudaMalloc", "cudaMallocHost", "cudaStreamCreate", "cudaEventCreate")  # make nothing and say nothing
CLEANING = ("cudaFree", "cudaFreeHost", "cudaStreamDestroy", "cudaEventDestroy", "cudaSetDeviceFlags")


def faults(release: str) -> Iterator[Fault]:
    """Every fault of the tables that can happen with that release."""
    calls = CALLS | (BY_NAME if int(RECORDED[release]["classes"]["ICudaEngine"].get("num_io_tensors") == "r") else BY_NUMBER)
    typed = "FP16" not in RECORDED[release]["enums"]["BuilderFlag"]
    for place, (ways, needs) in calls.items():
        for how in ways:
            if not (typed and "precision" in needs):
                yield Fault(f"{place} {how}", {**needs, "plan": {place: how}})
    yield from (Fault(f"{place} raise", {"plan": {place: "raise"}}) for place in SETTINGS)
    for place, ways in TIMING_CACHE.items():
        yield from (Fault(f"{place} {how}", {"plan": {place: how}}, harmless=True) for how in ways)
    yield Fault("the inspector tells nothing", {"plan": {"EngineInspector.get_engine_information": "empty"}}, harmless=True)
    yield Fault("no inspector", {"missing": ["ICudaEngine.create_engine_inspector"]}, harmless=True)
    yield from (Fault(f"{path} missing", {"missing": [path]}) for path in MISSING)
    for name in CUDA_CALLS:
        yield from (Fault(f"{name} {code}", {"cuda": [name, code, 0]}) for code in CUDA_CODES)
        yield Fault(f"{name} 700 later", {"cuda": [name, 700, 1]}, harmless=name.endswith("Version") or name == "cudaGetDeviceCount")
    for name in CUDA_GRAPH_CALLS:
        yield from (Fault(f"{name} {code}", {**GRAPH, "cuda": [name, code, 0]}) for code in (2, 700, 801, 900, 999))
    yield from (Fault(f"{name} in silence", {"cuda": [name, -1, 0]}) for name in SILENT)
    yield from (Fault(f"{name} 700", {"cuda": [name, 700, 0]}, harmless=True) for name in CLEANING)


@pytest.mark.parametrize(("release", "python"), [("8.2.1", "3.6"), ("8.5.2", "3.6"), ("10.3.0", "3.12"), ("11.4.0", "3.12")])
def test_every_fault_ends_in_a_line_that_says_what_to_do(release: str, python: str, tmp_path: Path) -> None:
    planted = list(faults(release))
    outcomes = drive(release, python, tmp_path, [{**GIVEN, **fault.case} for fault in planted])
    assert len(planted) == len(outcomes) >= 200
    wrong = [f"{fault}: {problem}" for fault, outcome in zip(planted, outcomes, strict=True) if (problem := problem_of(fault, outcome))]
    assert not wrong, "\n".join(wrong)


def problem_of(fault: Fault, outcome: dict[str, Any]) -> str:
    """What is wrong with how a fault ended; empty for nothing."""
    if "error" not in outcome:
        told = outcome["told"]
        right = np.allclose(np.reshape(told["answers"], (3, -1)), NETWORK.reference(IMAGES), atol=1e-5)
        told_well = right and min(told["wall"]) > 0 and told["profile"][0]["nodes"]
        return "" if fault.harmless and told_well else "it went by unnoticed"
    error = replies.error(outcome, "jetson")
    text = str(error)
    if fault.harmless:
        return f"no reason to fail: {text}"
    if not isinstance(error, ModelRefused | DeviceUnavailable | UsageError):
        return f"a {type(error).__name__} of no kind: {text}"
    if GENERIC in text or "\n" in text or len(text) > 900 or not ADVICE.search(text):
        return f"it says not what to do: {text}"
    return "" if outcome["live"] == 0 else f"{outcome['live']} things were not given back"


def test_without_a_fault_everything_is_answered_and_given_back(tmp_path: Path) -> None:
    for release in ("8.2.1", "10.3.0"):
        for case in ({}, GRAPH, ON_DLA):
            (outcome,) = drive(release, "3.6", tmp_path, [{**GIVEN, **case}])
            assert problem_of(Fault("none", {}, harmless=True), outcome) == ""
            assert outcome["live"] == 0


def test_a_package_that_is_not_there_is_told_with_both_ways_on(tmp_path: Path) -> None:
    device = board("8.2.1", tmp_path, tmp_path)
    bare = tmp_path / "bare"
    bare.write_text(Path(device.spec.python).read_text().replace("/package", "/nothing"))
    bare.chmod(0o755)
    from dataclasses import replace

    with pytest.raises(DeviceUnavailable, match=r"cannot import tensorrt \(No module.*python3-libnvinfer, or drive its trtexec"):
        type(device)(replace(device.spec, python=str(bare))).open()
