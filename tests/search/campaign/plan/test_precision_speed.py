"""Before anything long is begun, a campaign in another precision says what that is worth on its device, or that it is not there."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import UsageError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from search.campaign.plan import precision_speed
from search.records.display import Display
from search.records.request import Request

TABLES = """
[tool.espalier.devices.stick]
runtime = "simulated"
resource = "{own}-stick"
options = {{ kind = "ncs2", noise = 0.01 }}
[tool.espalier.devices.cpu]
runtime = "openvino"
resource = "{own}-cpu"
options = {{ device = "CPU", threads = 1 }}
"""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits", None)


@pytest.fixture(autouse=True)
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices that nobody else holds, and an empty cache."""
    (tmp_path / "pyproject.toml").write_text(TABLES.format(own=f"test-{os.getpid()}"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def said_of(request: Request, dataset: Dataset) -> str:
    file = io.StringIO()
    precision_speed.look(request, dataset, Display(Console(file=file, width=200)))
    return file.getvalue()


def test_one_line_tells_what_the_precision_is_worth_here(digits: Dataset) -> None:
    (line,) = said_of(Request(precision="bf16"), digits).splitlines()
    assert line.startswith("bf16 ")
    assert "f32" in line
    assert "this processor (" in line
    (line,) = said_of(Request(device="stick", precision="f16"), digits).splitlines()
    assert "f16 takes" in line
    assert "stick (" in line
    assert "SIMULATED" in line


def test_f32_needs_no_line_and_no_device(digits: Dataset) -> None:
    assert said_of(Request(device="nowhere", precision="f32"), digits) == ""


def test_a_precision_that_the_device_lacks_ends_the_campaign_in_one_line(digits: Dataset) -> None:
    asked = replace(Request(), device="stick", precision="bf16")
    with pytest.raises(UsageError, match=r"--precision=bf16: stick .* does not run bf16") as refused:
        said_of(asked, digits)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
