"""A file is quantised from the command line, and what cannot be is refused before anything is written."""

from pathlib import Path

import pytest

from harness.networks import export, zoo
from harness.quantisation.__main__ import main
from harness.quantisation.quantising import is_quantised


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "network.onnx"
    path.write_bytes(export.export(zoo.build("resnet20", (1, 32, 32), 10), (1, 32, 32), "network").onnx)
    return path


def test_a_file_is_quantised_beside_the_original(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = network.read_bytes()
    assert main([str(network), "--dataset=digits", "--calibration=10", "--in-float=fc"]) == 0
    made = network.with_name("network-int8.onnx")
    assert is_quantised(export.read(made, "made"))
    assert network.read_bytes() == before
    assert "21 of 22 layers quantised; in float: fc" in capsys.readouterr().out
    assert main([str(made), "--dataset=digits"]) == 2, "it is quantised already"


def test_the_network_itself_is_not_written_over(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = network.read_bytes()
    assert main([str(network), "--dataset=digits", f"--out={network}"]) == 2
    assert "is the network itself" in capsys.readouterr().err
    assert network.read_bytes() == before


def test_whatever_can_be_refused_is_refused_before_quantising(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.quantisation.__main__.quantise", lambda *_: pytest.fail("it came to quantising"))
    cases = {
        f"--out={tmp_path / 'none' / 'out.onnx'}": "nothing can be written there; give a file in a folder that is there",
        f"--out={tmp_path}": "nothing can be written there",
        "--asymmetric --signed": "symmetric ones only; leave one out",
    }
    for words, told in cases.items():
        assert main([str(network), "--dataset=digits", *words.split()]) == 2
        assert told in capsys.readouterr().err


def test_a_file_with_nothing_in_int8_is_not_written(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [layer for _, layer in export.read(network, "network").node_layers]
    assert main([str(network), "--dataset=digits", *(f"--in-float={layer}" for layer in layers)]) == 2
    assert "nothing is in INT8" in capsys.readouterr().err
    assert [path.name for path in network.parent.iterdir()] == [network.name]
