"""Writes ``recorded.json``: names, arguments and values of TensorRT's real Python package, by which the stand-in is held, by release.

The bindings' wheel on PyPI holds the package's compiled module without the libraries behind it. Against libraries of the same names in
which every function is empty, its own interpreter imports it, and pybind11 then tells every class with its signatures. Releases that
PyPI does not have (8.2, 8.5) are read from the text of the same bindings in NVIDIA/TensorRT, by a reader that has to find in the text of
the releases that both have what their wheels tell. Needs a C compiler, readelf, and the interpreters (``pythonX.Y``) of the wheels:

    pip download --no-deps --only-binary=:all: --python-version 3.8 --platform manylinux_2_17_x86_64 tensorrt-bindings==8.6.1
    python -m tests.devices.agent.tensorrt_agent.record --checkout TENSORRT 8.2.1 8.5.2 v8.6.1 -- *.whl
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded.json")
CLASSES = (
    *("ILogger", "Logger", "IProfiler", "Builder", "IBuilderConfig", "INetworkDefinition", "ITensor", "ILayer", "OnnxParser"),
    *("ParserError", "Runtime", "ICudaEngine", "IExecutionContext", "EngineInspector", "IHostMemory", "ITimingCache"),
    *("IInt8EntropyCalibrator2", "Dims"),
)
ENUMS = (
    *("BuilderFlag", "DataType", "DeviceType", "MemoryPoolType", "ProfilingVerbosity", "LayerInformationFormat"),
    *("NetworkDefinitionCreationFlag", "TensorIOMode", "TensorLocation"),
)
SEVERITY = "ILogger.Severity"
SOURCES = ("infer/pyCore.cpp", "infer/pyGraph.cpp", "infer/pyInt8.cpp", "infer/pyFoundationalTypes.cpp", "parsers/pyOnnx.cpp")

TELL = """
import json, re, sys
sys.path.insert(0, sys.argv[1])
import tensorrt
def arguments(doc):
    told = re.findall(r"^(?:\\d+\\. )?\\w+\\((.*)\\)(?: -> .*)?$", doc or "", re.M)
    found = []
    for one in told:
        depth, words, word = 0, [], ""
        for letter in one:
            depth += (letter in "[(<{") - (letter in "])>}")
            if letter == "," and depth == 0:
                words, word = words + [word.strip()], ""
            else:
                word += letter
        names = [word.split(":")[0].split("=")[0].strip() + ("=" if " = " in word else "") for word in words + [word.strip()] if word]
        if names and not names[0].startswith("*") and names not in found:
            found.append(names)
    return found
def members(kind):
    found = {}
    for name, member in sorted(vars(kind).items()):
        if isinstance(member, property):
            found[name] = "rw" if member.fset and member.fget else "w" if member.fset else "r"
        elif isinstance(member, type):
            continue
        elif callable(member) and not name.startswith(("_", "add_")) or name == "__init__" and arguments(member.__doc__):
            found[name] = arguments(member.__doc__)
    return found
def values(kind):
    return {name: int(one) for name, one in kind.__members__.items()}
classes, enums = json.loads(sys.argv[2])
told = {"classes": {}, "enums": {}}
for name in classes:
    if hasattr(tensorrt, name):
        told["classes"][name] = members(getattr(tensorrt, name))
for name in enums:
    if hasattr(tensorrt, name):
        told["enums"][name] = values(getattr(tensorrt, name))
told["enums"]["ILogger.Severity"] = values(tensorrt.ILogger.Severity)
print(json.dumps(told))
sys.stdout.flush()
import os
os._exit(0)
"""


def main() -> None:
    words = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    words.add_argument("--checkout", type=Path, required=True, help="a git directory of NVIDIA/TensorRT")
    words.add_argument("tags", nargs="+", help="releases to read there")
    chosen, wheels = words.parse_args(sys.argv[1 : sys.argv.index("--")]), sys.argv[sys.argv.index("--") + 1 :]
    found = dict(_of_wheel(Path(wheel)) for wheel in wheels)
    for tag in chosen.tags:
        version, told = _of_sources(chosen.checkout, tag)
        if version in found:
            _must_agree(version, told, found[version])
        else:
            found[version] = told
    ordered = sorted(found.items(), key=lambda one: [int(part) for part in one[0].split(".")])
    RECORDED.write_text(_written(dict(ordered)))


def _of_wheel(wheel: Path) -> tuple[str, dict[str, Any]]:
    """What the module in a wheel of bindings tells when it is imported; nothing in it is called."""
    _, version, tag = wheel.name.split("-")[:3]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        (module,) = Path(folder).glob("*/tensorrt.so")
        _empty_libraries(module, Path(folder))
        python = f"python{tag[2]}.{tag[3:]}"
        command = [python, "-c", TELL, str(module.parent), json.dumps([CLASSES, ENUMS])]
        said = subprocess.run(command, env={**os.environ, "LD_LIBRARY_PATH": folder}, stdout=subprocess.PIPE, check=True).stdout
    source = {"wheel": wheel.name, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    return ".".join(version.split(".")[:3]), {"source": source, **json.loads(said)}


def _empty_libraries(module: Path, folder: Path) -> None:
    needed = subprocess.run(["readelf", "-d", str(module)], stdout=subprocess.PIPE, text=True, check=True).stdout
    symbols = subprocess.run(["nm", "-D", "--undefined-only", str(module)], stdout=subprocess.PIPE, text=True, check=True).stdout
    wanted = re.findall(r" U ((?:create|get|init)\w+|_ZN\d+nv\w+)$", symbols, re.MULTILINE)
    source = folder / "empty.c"
    source.write_text("\n".join(f"void *{symbol}(void) {{ return 0; }}" for symbol in wanted))
    for name in re.findall(r"\[(libnv[\w.]+)\]", needed):
        command = ["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{name}", "-o", str(folder / name), str(source)]
        subprocess.run(command, check=True)


def _of_sources(checkout: Path, tag: str) -> tuple[str, dict[str, Any]]:
    """What the text of the bindings defines at ``tag``."""
    texts = [_show(checkout, f"{tag}:python/src/{name}") for name in SOURCES]
    told: dict[str, Any] = {"classes": {}, "enums": {}}
    for text in texts:
        for name, chain in _chains(re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)):
            values = re.findall(r'\.value\(\s*"(\w+)"', chain)
            if name in ENUMS or name == SEVERITY:
                told["enums"][name] = dict.fromkeys(values)
            elif name in CLASSES:
                told["classes"][name] = _members(chain)
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()
    commit = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", f"{tag}^{{}}"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    source = {"repository": "https://github.com/NVIDIA/TensorRT", "commit": commit, "files": list(SOURCES), "sha256": digest}
    return tag.removeprefix("v"), {"source": source, **told}


def _show(checkout: Path, what: str) -> str:
    return subprocess.run(["git", "-C", str(checkout), "show", what], stdout=subprocess.PIPE, text=True, check=True).stdout


def _chains(text: str) -> Iterator[tuple[str, str]]:
    """``(Python's name, everything that is defined on it)`` of each class and enumeration."""
    owners = {}
    for start in re.finditer(r'py::(?:class_|enum_)<[^;]*?(?:\(|(\w+)\s*\{)\s*(\w+)\s*,\s*"(\w+)"', text):
        variable, scope, name = start.groups()
        if variable:
            owners[variable] = name
        name = f"{owners[scope]}.{name}" if scope in owners else name
        yield name, _statement(text, start.end())
        if variable:
            for later in re.finditer(rf"\b{variable}(?=\s*\.def\()", text):
                yield name, _statement(text, later.end())


def _members(chain: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for start in re.finditer(
        r"\.(def|def_static|def_property|def_property_readonly|def_readwrite|def_readonly|def_property_readonly_static)\(", chain
    ):
        inside = _inside(chain, start.end())
        kind, named = start.group(1), re.match(r'\s*"(\w+)"\s*,\s*(\w*)', inside)
        told = re.findall(r'(?:"(\w+)"_a|py::arg\("(\w+)"\))(\s*=)?', inside)
        arguments = ["self", *(one + other + ("=" if default else "") for one, other, default in told)]
        if kind == "def" and inside.lstrip().startswith("py::init"):
            _add(found, "__init__", arguments)
        elif named and not named.group(1).startswith(("_", "add_")):
            if kind.startswith("def_"):
                writes = "w" if kind == "def_property" and named.group(2) == "nullptr" else "rw"
                found[named.group(1)] = "r" if "readonly" in kind else writes
            else:
                _add(found, named.group(1), arguments)
    return found


def _add(found: dict[str, Any], name: str, arguments: list[str]) -> None:
    known = found.setdefault(name, [])
    known += [] if arguments in known else [arguments]


def _statement(text: str, at: int) -> str:
    """From ``at`` to the semicolon that is in no bracket opened since."""
    depth, end = 0, at
    while text[end] != ";" or depth > 0:
        depth += (text[end] in "({") - (text[end] in ")}")
        end += 1
    return text[at:end]


def _inside(text: str, at: int) -> str:
    depth, end = 1, at
    while depth:
        depth += (text[end] in "({") - (text[end] in ")}")
        end += 1
    return text[at : end - 1]


def _must_agree(version: str, read: dict[str, Any], told: dict[str, Any]) -> None:
    """Stop where the reader of text finds something else than the module that was made of the text."""
    wrong = []
    for name, members in told["classes"].items():
        for member, arguments in members.items():
            found = read["classes"].get(name, {}).get(member)
            if found != arguments and (isinstance(arguments, str) or not found or _named(found) != _named(arguments)):
                wrong.append(f"{version} {name}.{member}: the text says {found}, the module {arguments}")
    wrong += [
        f"{version} {name}: {sorted(values)}" for name, values in told["enums"].items() if sorted(read["enums"][name]) != sorted(values)
    ]
    sys.exit("\n".join(wrong)) if wrong else None


def _named(arguments: list[list[str]]) -> list[tuple[str, ...]]:
    """Without those that have no name of their own."""
    return sorted({tuple(word for word in one if not re.fullmatch(r"arg\d=?", word)) for one in arguments})


def _written(found: dict[str, Any]) -> str:
    """One member a line."""
    text = json.dumps(found, indent=1)
    return re.sub(r"(?<=[\[\w\",\]])\n {4,}(?! *\"\w+\":)", " ", text).replace("[ ", "[").replace(" ]", "]") + "\n"


if __name__ == "__main__":
    main()
