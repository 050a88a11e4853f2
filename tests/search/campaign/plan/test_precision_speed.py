"""Before anything long is begun, a campaign in another precision says what that is worth on its device, or that it is not there."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.devices.samples import Subject
from harness.devices.session import Session
from harness.errors import UsageError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.sweeps.precisions import PrecisionSpeed
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


def test_f32_needs_no_line(digits: Dataset) -> None:
    assert said_of(Request(device="nowhere"), digits) == ""


def test_int8_is_looked_at_beside_f32_and_stays_where_it_is_faster(digits: Dataset) -> None:
    asked = Request(device="stick", precision="int8")
    assert "int8 " in said_of(asked, digits).splitlines()[0]
    assert precision_speed.look(asked, digits, Display(Console(file=io.StringIO()))).precisions == ("f32", "int8")


@pytest.mark.parametrize(
    ("given", "keep_slow", "slow", "left"),
    [
        ("f32,f16,int8", False, "f16", ("f32", "int8")),
        ("f32,f16,int8", True, "f16", ("f32", "f16", "int8")),
        ("f32,f16,int8", False, "int8", ("f32", "f16")),
        ("int8", False, "int8", ("f32",)),
        ("f16", False, "f16", ("f16",)),  # nothing else was asked for
    ],
)
def test_what_is_slower_is_left_out_of_several_unless_it_is_kept(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, given: str, keep_slow: bool, slow: str, left: tuple[str, ...]
) -> None:
    compare = precision_speed.precisions.compare

    def slowed(session: Session, subjects: Mapping[str, Subject]) -> tuple[PrecisionSpeed, ...]:
        seen = compare(session, subjects)
        times = {one.precision: 2.0 if one.precision == slow else 0.5 for one in seen}
        return tuple(replace(one, ratio=times[one.precision], low=times[one.precision], high=times[one.precision]) for one in seen)

    monkeypatch.setattr(precision_speed.precisions, "compare", slowed)
    file = io.StringIO()
    asked = Request(device="stick", precision=given, keep_slow=keep_slow)
    kept = precision_speed.look(asked, digits, Display(Console(file=file, width=200)))
    assert kept.precisions == left
    assert replace(kept, precision=given) == asked, "nothing else is changed"
    assert (f"left out of the search: {slow}" in file.getvalue()) is (kept != asked)


def test_a_precision_that_the_device_lacks_ends_the_campaign_in_one_line(digits: Dataset) -> None:
    asked = replace(Request(), device="stick", precision="bf16")
    with pytest.raises(UsageError, match=r"--precision=bf16: stick .* does not run bf16") as refused:
        said_of(asked, digits)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2
