"""Distiller in another interpreter: what is shipped runs there, what is missing is said in one line, and nothing outlives the link."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch

from harness.devices.link import Hello
from harness.errors import DeviceTimeout, UsageError
from harness.verification import distiller_elsewhere
from harness.verification.distiller_elsewhere import Interpreter
from tests.literature.probes.every import MODULES
from tests.verification.test_distiller import IMITATION

ROOT = Path(__file__).parents[2]
SHIPPED = [*distiller_elsewhere._OURS, "harness.verification.probing_runtime", *MODULES]
NATIVE_DIALECT = {"harness.networks.own.torchvision_door", "harness.verification.distiller_trace"}  # those wait for a newer torch


@pytest.fixture
def imitation(tmp_path: Path) -> Path:
    """A package with Distiller's files and imports, and nothing in them."""
    for name, text in IMITATION.items():
        path = tmp_path / "checkout" / "distiller" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "checkout"


def interpreter_with(folder: Path, arguments: str = "", environment: str = "") -> str:
    """A command that starts this Python with other arguments or another environment."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\n{environment} exec "{sys.executable}" {arguments} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_experiments_are_performed_there_and_the_place_is_described(imitation):
    with Interpreter(sys.executable, imitation, MODULES) as interpreter:
        found = interpreter.environment
        outcome = interpreter.perform("e1.01")
        shims = interpreter.shims
        process = interpreter._link.pid
    assert (found.torch, found.numpy, found.root) == (torch.__version__, numpy.__version__, imitation)
    assert found.commit.startswith("unknown commit, files ")
    assert not found.native
    assert outcome["raises"]["type"] == "AttributeError"  # the imitation has no pruner, and that is an outcome
    assert "pkg_resources: stand-in during the import" in shims
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_an_installed_one_is_found_there_and_the_namesake_refused(tmp_path, imitation):
    (tmp_path / "distiller").mkdir()
    (tmp_path / "distiller" / "__init__.py").write_text("")
    python = interpreter_with(tmp_path, environment=f"PYTHONPATH={tmp_path}")
    with pytest.raises(UsageError, match="is not IntelLabs Distiller"):
        Interpreter(python, None, MODULES)
    python = interpreter_with(tmp_path, environment=f"PYTHONPATH={imitation}")
    with Interpreter(python, None, MODULES) as interpreter:
        assert interpreter.environment.root == imitation


def test_an_interpreter_without_torch_or_too_old_or_absent_is_refused(tmp_path, imitation):
    with pytest.raises(UsageError, match=r"no usable torch \(No module named 'torch'\); install torch==1.3.1"):
        Interpreter(interpreter_with(tmp_path, "-S"), imitation, MODULES)
    with pytest.raises(UsageError, match=r"old is Python 3\.6\.15; give one of Python 3\.7"):
        distiller_elsewhere._check_python("old", Hello("3.6.15", "x86_64", "here", 1))
    with pytest.raises(UsageError, match="no interpreter /nowhere/python; give --distiller-python"):
        Interpreter("/nowhere/python", imitation, MODULES)
    with pytest.raises(UsageError, match="no Distiller in"):
        Interpreter(sys.executable, tmp_path, MODULES)


def test_an_experiment_that_hangs_ends_with_its_process(imitation, monkeypatch):
    monkeypatch.setattr(distiller_elsewhere, "EXPERIMENT_DEADLINE_S", 0.5)
    (imitation / "distiller" / "norms.py").write_text("import time\ntime.sleep(60)\n")
    with Interpreter(sys.executable, imitation, MODULES) as interpreter:
        process = interpreter._link.pid
        with pytest.raises(DeviceTimeout, match="did not answer load within"):
            interpreter.perform("e1.01")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_only_torch_1_3_is_native():
    assert distiller_elsewhere.Environment("3.7.16", "1.3.1", "1.21.6", Path(), "d859fc85").native
    assert not distiller_elsewhere.Environment("3.7.16", "1.13.1", "1.21.6", Path(), "d859fc85").native


@pytest.mark.parametrize("module", sorted(set(SHIPPED) - NATIVE_DIALECT))
def test_what_is_shipped_is_written_for_python_3_7(module):
    """Its syntax, and the words that only fail when they run: unions and other keywords of later Pythons."""
    text = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()
    for node in ast.walk(ast.parse(text, feature_version=(3, 7))):
        if isinstance(node, ast.Call):
            assert not {"slots", "strict", "kw_only"} & {word.arg for word in node.keywords}, f"{module}:{node.lineno}"
            arguments = [*node.args] if getattr(node.func, "id", "") == "isinstance" else []
            assert not any(isinstance(argument, ast.BinOp) for argument in arguments), f"{module}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("removeprefix", "removesuffix", "cache", "amax", "prod"), f"{module}:{node.lineno}"


PYTHON_3_7 = next(map(str, Path.home().glob(".pyenv/versions/3.7.*/bin/python")), shutil.which("python3.7"))
STAND_INS = """
import sys, types
class Anything(type):
    def __getattr__(cls, name):
        return None if name.startswith("__") else Thing
    def __getitem__(cls, key):
        return cls
class Thing(metaclass=Anything):
    def __init__(self, *arguments, **words): pass
class Stand(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Thing
for name in ("torch", "torch.nn", "torch.nn.functional", "numpy"):
    sys.modules[name] = Stand(name)
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
from tests.literature.probes.experiment import PROBES
print(sys.version_info[:2], len(PROBES))
"""


@pytest.mark.skipif(not PYTHON_3_7, reason="no Python 3.7 here to import with what is shipped")
def test_what_is_shipped_can_be_imported_by_a_python_3_7():
    modules = [module for module in SHIPPED if module not in NATIVE_DIALECT]
    command = [str(PYTHON_3_7), "-c", STAND_INS, str(ROOT), *modules]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "(3, 7) 195", answer.stderr
