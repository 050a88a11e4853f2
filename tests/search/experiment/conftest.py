"""A made-up study's comparison, and a dataset small enough to train on in a moment."""

from pathlib import Path

import pytest
import torch

from harness.networks.datasets import Dataset, Split
from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.report import summary
from search.report.summary import Summary


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made_up = Rehearsal(simulated=False, seeds=3, rivals=True)
    return rehearsal.write(tmp_path_factory.mktemp("reports") / "campaigns" / "one", made_up)


@pytest.fixture(scope="package")
def told(folder: Path) -> Summary:
    return summary.load(folder)


@pytest.fixture(scope="package")
def dataset() -> Dataset:
    def split(count: int) -> Split:
        return Split(torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(count)), torch.arange(count) % 4)

    return Dataset("noise", "0" * 16, (1, 16, 16), 4, split(32), split(16), split(16))
