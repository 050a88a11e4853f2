"""A network of which no channel can be removed exactly is measured as it is; what prunes is left out in words, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.records import benchmark_json
from tests.bench.test_gate import LATENCY, QUICK, ROOT, Run
from tests.bench.test_gate import run as run

pytest_plugins = ["pytester"]
PREDICTOR = str(ROOT / "bench" / "test_predictor.py")
CODE = """
import torch
from torch import nn

class Mixed(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv, self.weight, self.fc = nn.Conv2d(channels, 8, 3), nn.Parameter(torch.ones(8, 12)), nn.Linear(12, classes)

    def forward(self, images):
        seen = torch.cumsum(self.conv(images).relu().mean((2, 3)), 1)
        return self.fc(torch.einsum("bc,cd->bd", seen, self.weight))

def mixed(input_shape, classes):
    return Mixed(input_shape[0], classes)
"""


@pytest.fixture
def network(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(CODE)
    return f"{tmp_path / 'own.py'}:mixed"


@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_measured_and_what_prunes_is_left_out_in_words(run: Run, network: str, tmp_path: Path, batch: int) -> None:
    path = tmp_path / "found.json"
    ended = run(LATENCY, PREDICTOR, *QUICK, f"--network={network}", f"--batch-size={batch}", f"--benchmark-json={path}", "-rs")
    told = " ".join(ended.stdout.str().split())
    assert ended.ret == 0, told
    assert "is measured as it is: none of its channels can be removed exactly" in told
    assert "they meet cumsum in the network" in told
    (found,) = benchmark_json.read(path).measurements
    assert (found.network, found.conditions.batch_size) == (network, batch)


def test_pruning_alone_is_refused(run: Run, network: str, tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text(json.dumps({"network": network, "channels": {"conv": 4}}))
    for words in ((PREDICTOR,), (LATENCY, f"--config={tmp_path / 'half.json'}")):
        ended = run(*words, *QUICK, f"--network={network}")
        told = ended.stdout.str() + ended.stderr.str()
        assert ended.ret == 2, told
        assert "no channels that can be removed exactly" in " ".join(told.split())
        assert "Traceback" not in told
