"""Devices in turns: OpenVINO and ONNX Runtime on the same networks, block beside block, on one page."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.networks import export
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.sweeps import abreast

DEVICES = ("--device=cpu", "--device=ort")
BLOCKS = 8
COLUMNS = 80


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.Flatten(), nn.Linear(32 * 28 * 28, 4))
    path = tmp_path_factory.mktemp("network") / "two.onnx"
    path.write_bytes(export.export(model.eval(), (3, 32, 32), "two").onnx)
    return path


@pytest.fixture(scope="module")
def told(network: Path) -> tuple[str, BenchmarkFile]:
    """What is printed, and the file, of one run on both."""
    path, printed = network.parent / "abreast.json", io.StringIO()
    words = [*DEVICES, f"--network={network}", "--rounds=80", f"--blocks={BLOCKS}", f"--benchmark-json={path}"]
    with redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(COLUMNS))
        assert abreast.main([*words, f"--md={network.parent / 'page.md'}"]) == 0
    return printed.getvalue(), benchmark_json.read(path)


def test_both_devices_stand_in_one_row_with_their_verdict(told: tuple[str, BenchmarkFile], network: Path) -> None:
    printed, file = told
    page = (network.parent / "page.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| two |"))
    assert " ×, " in row
    assert any(word in row for word in ("faster", "slower", "same", "cannot tell"))
    assert re.search(r"ort .* × +(faster|slower|same|cannot tell)", printed)
    assert max(map(len, printed.splitlines())) <= COLUMNS
    assert [one.conditions.device.runtime for one in file.measurements] == ["openvino", "onnxruntime"]


def test_blocks_take_turns_there_and_back(told: tuple[str, BenchmarkFile]) -> None:
    """By the device's own clock, which both processes share: of every two turns the second is the first backwards."""
    _, file = told
    began = sorted((occasion.start_s, one.conditions.device.name) for one in file.measurements for occasion in one.latency.occasions)
    order = [name for _, name in began]
    assert len(order) == 2 * BLOCKS
    for first, second, third, fourth in zip(*[iter(order)] * 4, strict=True):
        assert (first, second) == (fourth, third)
        assert first != second


def test_beside_every_block_stands_the_machines_state_which_both_devices_share(told: tuple[str, BenchmarkFile]) -> None:
    """So the verdict can leave out the pairs that a slow state of the machine parted."""
    _, file = told
    assert all(occasion.canary_s for one in file.measurements for occasion in one.latency.occasions)
    assert len({one.latency.canary_quiet_s for one in file.measurements}) == 1


def test_layers_of_both_stand_beside_each_other(told: tuple[str, BenchmarkFile], network: Path) -> None:
    printed, file = told
    page = (network.parent / "page.md").read_text()
    for one in file.measurements:
        architecture = file.architecture(one.architecture_digest)
        assert {layer for node in one.layers for layer in node.source_layers} == {site.name for site in architecture.layers}
        assert f"layers of two on {one.conditions.device.name}" in " ".join(printed.split())
    assert "## Layers of two (measured)" in page


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--device=cpu"], "several devices are measured in turns, each once"),
        (["--device=cpu", "--device=cpu"], "several devices are measured in turns, each once"),
        (["--device=cpu", "--device=simulated"], "measured and simulated devices do not run beside each other"),
        ([*DEVICES, "--blocks=2"], "--blocks=2 decide nothing; give at least 8"),
        ([*DEVICES, "--network=absent.onnx"], "there is no file absent.onnx"),
        (["--device=cpu", "--device=absent"], "absent"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    words: list[str], why: str, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words if any(word.startswith("--network") for word in words) else [*words, f"--network={network}"]
    assert abreast.main([*given, "--rounds=16"]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert len(error.splitlines()) == 1
