"""Agent files are Python 3.6 and import only the standard library, their neighbours and one runtime."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from harness.devices import bundle as shipping
from harness.devices.bundle import AGENT_DIRECTORY, bundle, runtimes
from harness.errors import UnknownName, UsageError

FILES = sorted(AGENT_DIRECTORY.glob("*.py"))
# What a runtime's file may import beside the standard library; openvino brings numpy.
VENDORS = {
    "openvino_runtime": {"openvino", "numpy"},
    "onnxruntime_profile": {"numpy"},
    "onnxruntime_runtime": {"onnxruntime", "numpy"},
    "fed_inputs": {"numpy"},  # imported where a runtime has it
    "myriad_graph": {"ngraph"},  # comes with openvino 2021.4
    "myriad_runtime": {"openvino", "numpy", "libusb_package"},
    "tensorrt_package": {"tensorrt"},  # and no numpy, which a JetPack's Python may lack
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_agent_file_is_python_3_6(path: Path) -> None:
    ast.parse(path.read_bytes(), str(path), feature_version=(3, 6))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_agent_file_imports_nothing_of_ours(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {file.stem for file in FILES} | VENDORS.get(path.stem, set())
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert {name.split(".")[0] for name in names} <= allowed


def test_a_bundle_holds_what_its_runtime_imports() -> None:
    names = [module.name for module in bundle("simulated").modules]
    assert names.index("onnx_reader") < names.index("simulated_runtime")
    assert {"device_lock", "host_state", "faults", "timed_loop"} <= set(names)


def test_a_bundle_changes_its_digest_with_any_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in FILES:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = bundle("simulated").digest
    monkeypatch.setattr(shipping, "AGENT_DIRECTORY", tmp_path)
    assert bundle("simulated").digest == before
    with (tmp_path / "roofline.py").open("a") as file:
        file.write("# changed\n")
    assert bundle("simulated").digest != before


def test_an_unknown_runtime_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownName, match="openvino"):
        bundle("openvimo")
    assert {"openvino", "simulated"} <= set(runtimes())


def test_a_runtime_of_ones_own_must_be_python_3_6(tmp_path: Path) -> None:
    (tmp_path / "mine_runtime.py").write_text("if (x := 1):\n    pass\n")
    with pytest.raises(UsageError, match=r"mine_runtime.py line 1 is not Python 3.6"):
        bundle("mine_runtime.py", tmp_path)
