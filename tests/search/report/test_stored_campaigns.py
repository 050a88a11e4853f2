"""What was stored before is read unchanged: every committed campaign, its trials, its comparison and its measurements."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.files import packed_numbers
from harness.records import benchmark_json
from search.command_line import parse, request
from search.records import folder, journal, outcome
from search.report import sentences, summary

REPORTS = Path(__file__).parents[3] / "reports"
CAMPAIGNS = sorted(path.parent for path in REPORTS.glob("campaigns/*/journal.jsonl"))
COMPARED = [path for path in CAMPAIGNS if (path / "contenders.json").is_file()]


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.name)
def test_a_committed_campaigns_trials_are_read(path: Path) -> None:
    contents = journal.read(path)
    lines = (path / journal.FILE).read_bytes().splitlines()
    assert 0 < len(contents.finished) < len(lines)
    assert {trial.number for trial in contents.finished} <= set(range(len(lines)))


@pytest.mark.parametrize("path", [path for path in CAMPAIGNS if (path / folder.REQUEST).is_file()], ids=lambda path: path.name)
def test_a_committed_request_is_read_and_its_command_asks_for_the_same(path: Path) -> None:
    asked = folder.read_request(path)
    words = asked.command.split()
    assert words[:3] == ["python", "-m", "search"]
    if asked.old is None and asked.weights is None:
        assert request(parse(words[3:])) == asked


@pytest.mark.parametrize("path", COMPARED, ids=lambda path: path.name)
def test_a_committed_comparison_is_read(path: Path) -> None:
    told = outcome.read(path)
    assert {contender.role for contender in told.contenders} >= {"dense", "uniform", "optimised"}
    assert len(told.contenders) == len({contender.name for contender in told.contenders})


def test_a_committed_campaign_is_summed_up_as_it_was() -> None:
    """One of them, for the latency predictor is fitted again: the headline is that of the page that lies beside it."""
    told = summary.load(REPORTS / "campaigns" / "resnet20-fashion-mnist-cpu")
    assert f"**{sentences.headline(told)}**" in (told.folder / "report.md").read_text()


def test_committed_samples_are_packed() -> None:
    """A campaign's raw samples are five times its other files: ``python -m harness.packing reports/campaigns/NAME``."""
    listed = subprocess.run(["git", "ls-files", "-z", "reports"], cwd=REPORTS.parent, capture_output=True, text=True).stdout
    committed = [REPORTS.parent / name for name in listed.split("\0") if name.endswith(".json")]
    documents = {path: json.loads(path.read_bytes()) for path in committed}
    whole = {path: one for path, one in documents.items() if not packed_numbers.is_packed(one)}
    assert not [path for path, one in whole.items() if packed_numbers.packed(one, str(path))[1]]


@pytest.mark.parametrize("path", sorted(REPORTS.glob("campaigns/*/proof*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_committed_measurements_are_read(path: Path) -> None:
    assert benchmark_json.read(path).measurements
