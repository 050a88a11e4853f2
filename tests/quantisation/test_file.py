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
