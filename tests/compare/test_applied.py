"""Limits that could apply to nothing: misspelt networks, devices and layers are refused, a network not measured now is left alone."""

import pytest

from harness.compare import applied
from harness.compare.applied import Names
from harness.compare.limits import limits
from harness.errors import UsageError
from tests.compare.conftest import ARCHITECTURE

MEASURED = Names(("resnet20", "mine.py:small", "model", "torchvision:vgg11"), known=("detector",), devices=("board",))
LIMIT = "p99_ms = 3\n"


@pytest.fixture
def checked(tmp_path):
    """Function: what is told of the limits in a text."""

    def check(text, names=MEASURED):
        (tmp_path / "pyproject.toml").write_text(text)
        (tmp_path / "mine.py").write_text("def small(): ...")
        return applied.check(tmp_path / "pyproject.toml", names)

    return check


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tool.espalier.limits.resnt20]\n", r"unknown network 'resnt20' \(did you mean 'resnet20'\?\)"),
        ("[tool.espalier.limits.resnet2O]\n", "did you mean 'resnet20'"),
        ("[tool.espalier.limits.ResNet20]\n", "did you mean 'resnet20'"),
        ('[tool.espalier.limits."model.onnx"]\n', "did you mean 'model'"),
        ('[tool.espalier.limits."models/model.onnx"]\n', "did you mean 'model'"),
        ("[tool.espalier.limits.small]\n", "did you mean 'mine.py:small'"),
        ("[tool.espalier.limits.detectr]\n", "did you mean 'detector'"),
        ('[tool.espalier.limits."torchvision:vg11"]\n', "did you mean 'torchvision:vgg11'"),
        ('[tool.espalier.limits."mine.py:smal"]\n', "did you mean 'mine.py:small'.*; write .tool.espalier.limits.\"mine.py:small\"."),
        ("[tool.espalier.limits.devices.simulatd]\n", r"unknown device 'simulatd' \(did you mean 'simulated'\?\)"),
        ("[tool.espalier.limits.resnet56.devices.ncs]\n", "unknown device 'ncs'.*limits.resnet56.devices.NAME"),
        ("[tool.espalier.limit.resnet20]\n", r"\[tool.espalier.limit\].*did you mean \[tool.espalier.limits\]"),
        ("[tool.espalier.limits.resnet56]\np99ms = 1\n", "resnet56. has no limit p99ms .did you mean p99_ms"),
        ("[tool.espalier.limits.resnet56.devices.ncs2]\np99ms = 1\n", "ncs2. has no limit p99ms"),
        ("[tool.espalier.limits.resnet20]\ndeadline_ms = 1\n", "deadline_ms.*deadline_miss_ratio"),
        ("[tool.espalier.limits]\ndeadline_ms = 1\n", "deadline_ms.*deadline_miss_ratio"),
        ("[tool.espalier.limits.resnet20]\ndeadline_miss_ratio = 0.1\n[tool.espalier.limits.resnet56]\ndeadline_ms = 1\n", "resnet56"),
    ],
)
def test_what_can_apply_to_nothing_is_refused(checked, text, told) -> None:
    with pytest.raises(UsageError, match=told):
        checked(text + LIMIT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[tool.other]\n",
        "[tool.espalier.limits.resnet20]\n",
        "[tool.espalier.limits.resnet56]\n",
        "[tool.espalier.limits.detector.devices.board]\n",
        '[tool.espalier.limits."torchvision:vgg11_bn"]\n',
        "[tool.espalier.limits]\ndeadline_ms = 1\n[tool.espalier.limits.resnet56]\ndeadline_miss_ratio = 0.1\n",
        "[tool.espalier.limits.resnet20]\ndeadline_ms = 1\n[tool.espalier.limits]\ndeadline_miss_ratio = 0.1\n",
        "[tool.espalier.devices.ours]\nruntime = 'simulated'\n[tool.espalier.limits.resnet20.devices.ours]\n",
    ],
)
def test_what_can_apply_is_let_be(checked, text) -> None:
    assert checked(text + LIMIT) == ()


@pytest.mark.parametrize(("name", "guess"), [("segmenter", ""), ("resnet21", "did you mean resnet"), ("model2", "did you mean model")])
def test_what_nothing_here_is_called_is_told(checked, name, guess) -> None:
    """Neither a typing error for sure nor known: perhaps what a user's own tests call a network, or the next number of a row."""
    [told] = checked(f"[tool.espalier.limits.{name}]\n{LIMIT}")
    assert told.startswith(f"[tool.espalier.limits.{name}]")
    assert "nothing" in told
    assert (guess in told) if guess else ("did you mean" not in told)


def test_a_name_that_is_near_is_another_network_where_both_have_limits(checked) -> None:
    [told] = checked(f"[tool.espalier.limits.models]\n{LIMIT}[tool.espalier.limits.model]\n{LIMIT}")
    assert "models" in told


def test_a_file_beside_the_limits_is_known_by_its_name_without_ending(checked, tmp_path) -> None:
    (tmp_path / "nets.py").write_text("def wide(): ...")
    (tmp_path / "pruned.onnx").write_text("")
    (told,) = checked(f'[tool.espalier.limits."pruned.onnx"]\n{LIMIT}')
    assert "(did you mean pruned?)" in told
    assert checked(f'[tool.espalier.limits."nets.py:wide"]\n{LIMIT}[tool.espalier.limits.pruned]\n{LIMIT}') == ()


def test_a_misspelt_layer_is_refused_where_the_network_is_named(tmp_path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.espalier.limits.tiny.devices.cpu]\nlayers = {conv2 = 0.2}\n[tool.espalier.limits]\nlayers = {other = 0.2}\n")
    with pytest.raises(UsageError, match=r"unknown layer 'conv2' \(did you mean 'conv1'\?\).*limits.tiny.devices.cpu.layers"):
        applied.check_layers(path, ARCHITECTURE, "cpu")
    applied.check_layers(path, ARCHITECTURE, "ncs2")
    path.write_text("[tool.espalier.limits.tiny]\nlayers = {conv1 = 0.2, 'conv1+fc' = 0.3}\n")
    applied.check_layers(path, ARCHITECTURE, "cpu")


def test_a_limit_of_a_layer_holds_for_what_it_was_fused_into(tmp_path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.espalier.limits.tiny]\nlayer = 0.5\nlayers = {conv1 = 0.2, conv2 = 0.3, 'conv2+fc' = 0.4}\n")
    allowed = limits("tiny", path)
    asked = ("conv1", "conv1+conv2", "conv2+fc", "fc", "conv2+conv3")
    assert tuple(map(allowed.of_layer, asked)) == (0.2, 0.2, 0.4, 0.5, 0.3)
    assert allowed.idle_layers(["conv1+conv3", "fc"]) == ("conv2", "conv2+fc")
