"""Compiling without a device: what is kept, what is compiled again, and that nothing of it is taken for a latency."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.devices.session import Device, Quarantine
from harness.devices.spec import parse
from harness.errors import RecordError
from harness.networks import zoo
from harness.pages import tables
from harness.pipeline import Network
from harness.records import benchmark_json
from harness.sweeps import compiled as compiled_sweep
from harness.sweeps.compiled import CompiledSweep
from tests.bench.test_suites import ROOT, run_pytest
from tests.networks.foreign.written import picture_network, saved

# Channels are paid for in eights, like a chip's; an odd number of them adds a copy.
COMPILER = """
import onnx_reader

class Runtime:
    def __init__(self, options):
        self.version = str(options["version"])

    def describe(self):
        return {"runtime_version": self.version, "model": "compiler of eights"}

    def compile(self, onnx, wanted):
        graph, stages = onnx_reader.read(onnx), []
        for node in graph.nodes:
            if node.op == "Conv":
                width = graph.initializers[node.inputs[1]][0][0]
                stages.append(stage(node.name, "Conv", -(-width // 8)))
                stages += [stage(node.name, "Copy", 0)] * (width % 2)
        return {"stages": stages, "blob_bytes": len(onnx), "blob_digest": "0" * 64}

def stage(name, kind, cost):
    return {"name": name, "kind": kind, "hardware": cost > 0, "executed": True, "cost": cost, "sources": [name]}
"""

Compiler = Callable[..., Device]


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    (tmp_path / "eights.py").write_text(COMPILER)

    def device(version: str = "1") -> Device:
        table = {"runtime": "eights.py", "options": {"version": version}, "resource": f"test-eights-{os.getpid()}"}
        return Device(parse("eights", table, tmp_path / "pyproject.toml"), Quarantine())

    return device


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.wrap("resnet20", zoo.build("resnet20", (1, 8, 8), 10), (1, 8, 8), 10)


def test_a_groups_staircase_is_compiled_once_and_kept(compiler: Compiler, network: Network, tmp_path: Path) -> None:
    path = compiled_sweep.store_path(tmp_path, "eights", "resnet20", "digits")
    with compiler().open() as session:
        first = CompiledSweep(network, session, path)
        rows = first.group("layer1.0.conv1", 2)
        assert [(row.width, row.legal, row.added_copies) for row in rows] == [(16, True, 0), (15, False, 1), (8, True, 0), (0, True, 0)]
        assert (first.compiled_now, len(first.used)) == (4, 4)
        again = CompiledSweep(network, session, path)
        assert again.group("layer1.0.conv1", 2) == rows
        assert again.compiled_now == 0
    assert benchmark_json.read(path).compilations == tuple(first.used)
    assert benchmark_json.read(path).measurements == ()


def test_another_version_of_the_compiler_compiles_again_and_loses_nothing(compiler: Compiler, network: Network, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    for version in ("1", "2"):
        with compiler(version).open() as session:
            sweep = CompiledSweep(network, session, path)
            sweep.config(network.architecture.dense())
            assert sweep.compiled_now == 1
    assert [one.device.runtime_version for one in benchmark_json.read(path).compilations] == ["1", "2"]


def test_a_broken_file_is_refused_and_stays(compiler: Compiler, network: Network, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{")
    with compiler().open() as session, pytest.raises(RecordError, match="not whole JSON"):
        CompiledSweep(network, session, tmp_path / "kept.json")
    assert (tmp_path / "kept.json").read_text() == "{"


def test_the_table_says_that_it_was_compiled_and_tells_no_duration(compiler: Compiler, network: Network, tmp_path: Path) -> None:
    with compiler().open() as session:
        rows = CompiledSweep(network, session, tmp_path / "kept.json").group("conv1", 2)
    text = tables.text([compiled_sweep.table("conv1", rows, "eights", ["layer9"])], 100)
    assert "conv1: compiled for eights, not measured" in text
    assert "layer9" in text
    assert not [unit for unit in ("µs", " ms", " s ", "latency") if unit in text]


def test_the_bench_compiles_for_a_stick_that_is_not_there(ncs2_environment: None, tmp_path: Path) -> None:
    """``pytest bench/ --compile-only``: nothing is timed, and the file holds the real compiler's schedules and costs."""
    words = ("--device=ncs2", "--compile-only", "--group=conv1", "--widths=2", f"--store={tmp_path}")
    ended = run_pytest(str(ROOT / "bench"), *words, f"--benchmark-json={tmp_path / 'compiled.json'}")
    assert ended.returncode == 0, ended.stdout
    file = benchmark_json.read(tmp_path / "compiled.json")
    costs = {one.config.kept("conv1"): one.cost for one in file.compilations if one.config}
    assert costs[16] == costs[15] > costs[8] > 0
    assert file.measurements == ()
    for told in ("compiled for ncs2, not measured", "layer1.0.conv1", "hardware", "3 networks compiled now"):
        assert told in ended.stdout


def test_contenders_are_compiled_as_what_they_are_and_a_networks_widths_beside_them(compiler: Compiler, tmp_path: Path) -> None:
    """Never the default network in their place; ``--network`` keeps its widths where a contender stands beside it."""
    compiler()
    (tmp_path / "pyproject.toml").write_text('[tool.espalier.devices.eights]\nruntime = "eights.py"\noptions = { version = "1" }\n')
    saved(picture_network((1, 3, 16, 16)), tmp_path / "own.onnx")
    suite, words = (
        str(ROOT / "bench" / "test_compiled.py"),
        ("--device=eights", "--compile-only", "--contender=mine=own.onnx", "--widths=2"),
    )
    alone = run_pytest(suite, *words, "--benchmark-json=alone.json", cwd=tmp_path)
    assert alone.returncode == 0, alone.stdout
    assert {one.network for one in benchmark_json.read(tmp_path / "alone.json").compilations} == {"mine"}
    both = run_pytest(suite, *words, "--network=resnet32", "--benchmark-json=both.json", cwd=tmp_path)
    assert both.returncode == 0, both.stdout
    found = benchmark_json.read(tmp_path / "both.json").compilations
    assert {one.network for one in found} == {"mine", "resnet32"}
    assert len([one for one in found if one.network == "resnet32"]) > 1
