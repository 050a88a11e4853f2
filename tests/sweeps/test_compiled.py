"""The table of compiled costs: made by the real Myriad compiler, kept, and refusals told by layer with what to do."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from harness.exported import Exported
from harness.records import benchmark_json
from harness.sweeps import compiled
from tests.networks.foreign.written import picture_network, saved

EINSUM = """
import torch
from torch import nn

class Einsum(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv, self.mixed = nn.Conv2d(channels, 8, 3), nn.Parameter(torch.randn(8, 8))
        self.linear = nn.Linear(8, classes)

    def forward(self, images):
        return self.linear(torch.einsum("nchw,cd->ndhw", self.conv(images), self.mixed).mean((2, 3)))

def network(input_shape, classes):
    return Einsum(input_shape[0], classes)
"""


def unknown_to_it(path: Path) -> Path:
    """A network of a convolution-free graph with an operation that the Myriad compiler does not know."""
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 16, 16]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Cosh", ["x"], ["y"], "arch")], "strange", places[:1], places[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)
    return path


@pytest.mark.usefixtures("ncs2_environment")
def test_what_compiles_has_a_cost_and_what_is_refused_says_by_which_layer_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, kept = saved(picture_network((1, 3, 16, 16)), tmp_path / "good.onnx"), tmp_path / "kept.json"
    words = [f"--network={one}" for one in (good, unknown_to_it(tmp_path / "strange.onnx"))]
    assert compiled.main([*words, f"--benchmark-json={kept}", f"--md={tmp_path / 'table.md'}"]) == 1
    page = (tmp_path / "table.md").read_text()
    assert page in capsys.readouterr().out
    (made,) = benchmark_json.read(kept).compilations
    good_row, strange_row = (next(line for line in page.splitlines() if line.startswith(f"| {name} |")) for name in ("good", "strange"))
    assert f"| {made.cost} | {made.executed_count} | {made.hardware_count} |" in good_row
    assert "arch (Cosh); write the network without" in strange_row
    assert not [unit for unit in ("µs", " ms", "latency") if unit in page]
    assert compiled.main([words[0], f"--benchmark-json={kept}"]) == 0
    assert benchmark_json.read(kept).compilations == (made,), "compiled once, then taken from the file"


def test_networks_are_compiled_at_the_size_that_they_say_or_that_was_asked_for() -> None:
    shapes = {name: compiled.named(name).architecture.input_shape for name in ("resnet20", "torchvision:squeezenet1_1")}
    assert shapes == {"resnet20": (1, 32, 32), "torchvision:squeezenet1_1": (3, 224, 224)}
    assert compiled.named("resnet20", (3, 16, 16)).architecture.input_shape == (3, 16, 16)


def test_a_network_none_of_whose_channels_can_go_is_compiled_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(EINSUM)
    found = compiled.named(f"{tmp_path / 'own.py'}:network")
    assert isinstance(found, Exported)
    assert [site.kind for site in found.architecture.layers] == ["conv", "linear"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--device=nowhere"], "nowhere"),
        (["--network=resnet21"], "resnet21"),
        (["--network=none.onnx"], "there is no file none.onnx"),
        (["--input-shape=big"], "big"),
        (["--device=simulated", "--network=resnet20"], "compiles nothing"),
    ],
    ids=["device", "network", "file", "shape", "compiles-nothing"],
)
def test_what_cannot_be_asked_ends_in_one_line_and_code_2(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiled.main(words) == 2
    error = capsys.readouterr().err.strip()
    assert told in error
    assert len(error.splitlines()) == 1
