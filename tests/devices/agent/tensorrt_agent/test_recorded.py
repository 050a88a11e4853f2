"""The stand-ins are held to the real things: TensorRT's package by its recorded names and arguments, CUDA's runtime by its headers."""

from __future__ import annotations

import ast
import ctypes
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.devices.bundle import AGENT_DIRECTORY
from tests.devices.agent.tensorrt_agent.board import CUDA_OF, HERE, NEWEST_CUDA, RECORDED, RELEASES, cudart, needs_cc, surroundings

PARTS = [HERE / "package" / "tensorrt" / f"{name}.py" for name in ("building", "running")]
CUDA: dict[str, Any] = json.loads((HERE / "recorded_cudart.json").read_text())
SHA256 = re.compile(r"[0-9a-f]{64}")
TELL = """
import json, tensorrt
kinds = {name: kind for name, kind in vars(tensorrt).items() if isinstance(kind, type)}
print(json.dumps({name: [one for one in vars(kind) if not one.startswith("_")] for name, kind in kinds.items()}))
"""


def test_every_record_names_its_source() -> None:
    assert [release.split(".")[0] for release in RELEASES] == ["8", "8", "8", "10", "10", "10", "11", "11"]
    for record in [*RECORDED.values(), *CUDA.values()]:
        source = record["source"]
        assert SHA256.fullmatch(source["sha256"])
        assert source.get("wheel", "").endswith(".whl") or re.fullmatch(r"[0-9a-f]{40}", source["commit"])


def test_what_releases_are_known_to_differ_in_is_recorded() -> None:
    """Facts from elsewhere (release notes, trtexec's flags) that a misread record would contradict."""

    def since(kind: str, member: str) -> str:
        return next(release for release in RELEASES if member in RECORDED[release]["classes"][kind])

    assert since("IExecutionContext", "execute_async_v3") == "8.5.2"
    assert since("ICudaEngine", "num_io_tensors") == "8.5.2"
    assert since("IBuilderConfig", "set_memory_pool_limit") == "8.5.2"
    with_bindings = [release for release in RELEASES if "num_bindings" in RECORDED[release]["classes"]["ICudaEngine"]]
    flags = {release: set(RECORDED[release]["enums"]["BuilderFlag"]) for release in RELEASES}
    assert with_bindings == ["8.2.1", "8.5.2", "8.6.1"]
    assert [release for release in RELEASES if "FP16" not in flags[release]] == ["11.1.0", "11.4.0"]
    assert [release for release in RELEASES if "BF16" in flags[release]] == ["10.3.0", "10.13.3", "10.16.1"]
    assert "IInt8EntropyCalibrator2" not in RECORDED["11.1.0"]["classes"]


def defined() -> Iterator[tuple[str, str, list[str]]]:
    """``(class, method, arguments)`` as the stand-in's text has them, a default marked by ``=``."""
    for kind in [one for path in PARTS for one in ast.parse(path.read_text()).body]:
        for method in kind.body if isinstance(kind, ast.ClassDef) else []:
            if not isinstance(method, ast.FunctionDef) or (method.name.startswith("_") and method.name != "__init__"):
                continue
            if any(isinstance(one, ast.Name) and one.id == "property" for one in method.decorator_list):
                continue
            names = [one.arg for one in method.args.args]
            plain = len(names) - len(method.args.defaults)
            yield kind.name, method.name, [name + ("=" if place >= plain else "") for place, name in enumerate(names)]


NO_CONSTRUCTOR = {"IHostMemory", "ITimingCache", "ILayer", "INetworkDefinition", "ParserError", "IBuilderConfig"} | {
    "ICudaEngine",
    "IExecutionContext",
    "EngineInspector",
}


@pytest.mark.parametrize(("kind", "method", "arguments"), list(defined()))
def test_a_method_of_the_stand_in_is_one_of_the_real_package(kind: str, method: str, arguments: list[str]) -> None:
    """Of some release, with these arguments by these names; only TensorRT itself makes what has no constructor."""
    overloads = [one for record in RECORDED.values() for one in record["classes"].get(kind, {}).get(method, [])]
    if method == "__init__" and kind in NO_CONSTRUCTOR:
        assert not overloads
    else:
        shorter = [one[: len(arguments)] for one in overloads if all(name.endswith("=") for name in one[len(arguments) :])]
        assert arguments in shorter


@needs_cc
@pytest.mark.parametrize("release", RELEASES)
def test_a_release_of_the_stand_in_has_nothing_that_the_real_one_lacks(release: str, tmp_path: Path) -> None:
    environment = surroundings(release, cudart(CUDA_OF.get(release, NEWEST_CUDA), tmp_path))
    told = json.loads(subprocess.run([sys.executable, "-c", TELL], env=environment, capture_output=True, text=True, check=True).stdout)
    record = RECORDED[release]
    values = record["enums"]["ILogger.Severity"]
    for kind, members in told.items():
        known = record["enums"].get(kind) or record["classes"][kind]
        assert set(members) <= {*known, *(("Severity", *values) if kind == "ILogger" else ())}


@pytest.fixture
def libcudart(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("libcudart")
    sys.modules.pop("libcudart")


def kind_of(declared: str) -> Any:
    """The C type of a parameter as the agent declares it: every address and handle is a pointer."""
    plain = declared.split("__dv")[0]
    if "*" in plain or re.match(r"cuda(Event|Stream|Graph|GraphExec)_t\b", plain.strip()):
        return "pointer"
    return {"size_t": ctypes.c_size_t, "unsigned int": ctypes.c_uint, "enum": ctypes.c_int, "int": ctypes.c_int}[
        next(name for name in ("size_t", "unsigned int", "enum", "int") if plain.strip().startswith(name))
    ]


@pytest.mark.parametrize("version", CUDA)
def test_the_agent_calls_cuda_as_its_headers_declare(libcudart: ModuleType, version: str) -> None:
    declared = CUDA[version]["declared"]
    for name, ours in libcudart.SIGNATURES.items():
        parameters = re.fullmatch(r"\w+ \((.*)\)", declared[name]).group(1).split(", ")
        pointers = ["pointer" if one is ctypes.c_void_p or hasattr(one, "contents") else one for one in ours]
        assert [kind_of(one) for one in parameters] == pointers, name
    takes_flags = "unsigned long long flags" in declared["cudaGraphInstantiate"]
    assert takes_flags == (int(version.split(".")[0]) * 1000 >= libcudart.GRAPH_FLAGS_SINCE)


def test_the_real_library_tells_of_a_machine_without_a_gpu_or_finds_it(libcudart: ModuleType) -> None:
    told = ""
    try:
        assert libcudart.Cuda("").version >= 10020
    except libcudart.faults.Unavailable as absent:
        told = str(absent)
    if "no libcudart can be loaded" in told:
        pytest.skip("no libcudart on this machine")
    assert re.fullmatch(r"|cudaGetDeviceCount failed with (35|100) \(.*\); (install a CUDA that the driver knows|no GPU is seen).*", told)
