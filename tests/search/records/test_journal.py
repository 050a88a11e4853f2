"""The journal survives whatever kills the campaign."""

import errno
import json
import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError
from harness.records.pruning_config import PruningConfig
from search.records import journal
from search.records.journal import FILE, Header, Journal
from search.records.trial import Floor, InPrecision, Trial, TrialOutcome, TrialRequest, TuningChoice

HEADER = Header("c", 0, "the lowest latency", "trials=3", "space", "architecture", "measurements", "accuracy")
CONFIG = PruningConfig.of("toy", {"conv1": 8, "layer1.0.conv1": 0})


def request(number: int, **changes: object) -> TrialRequest:
    return replace(TrialRequest(number, "seed", "initial design", CONFIG, TuningChoice("l2"), 2.0, 0), **changes)


def trial(number: int, **changes: object) -> Trial:
    return Trial(request(number, **changes), TrialOutcome(0.9, 0.88, 0.92, 1.25, 0.1, 2.0, 0.3), 1e-3, 0.05)


def written(directory: Path, finished: int = 3) -> Journal:
    opened = Journal.create(directory, HEADER)
    for number in range(finished):
        opened.started(request(number), number)
        opened.finished(trial(number), number + 0.5)
    return opened


def test_what_was_written_is_read(tmp_path: Path) -> None:
    opened = written(tmp_path)
    crashed = Trial(request(3, purpose="model"), TrialOutcome.crashed("out of\nmemory"), 2e-3)
    opened.started(crashed.request, 4.0)
    opened.finished(crashed, 5.0)
    opened.started(request(4), 6.0)
    opened.imported(trial(0))
    opened.stopped("all trials are done", 7.5)
    opened.close()
    contents = journal.read(tmp_path)
    assert contents.header == HEADER
    assert contents.finished[:3] == tuple(trial(number) for number in range(3))
    assert contents.finished[3].outcome.reason == "out of memory"
    assert math.isnan(contents.finished[3].outcome.drop_points)
    assert contents.running == (request(4),)
    assert contents.imported == (trial(0),)
    assert (contents.stopped, contents.seconds, contents.next_number) == ("all trials are done", 7.5, 5)


@given(ratio=st.floats(-1e4, 1e4), lost=st.floats(-1e6, 1e6))
def test_what_another_task_is_judged_by_is_read_whatever_its_size(ratio: float, lost: float) -> None:
    """An error is a ratio below 0 here, a count has no bound: the journal of such a campaign was refused when it was to be reported."""
    found = TrialOutcome(
        ratio, ratio - 1, ratio + 1, lost, curve=((0.5, ratio),), least_points=lost, others=(InPrecision("int8", *[ratio] * 3, lost, 1),)
    )
    asked = request(0, floors=(Floor(0.25, ratio, lost, -1),))
    with tempfile.TemporaryDirectory() as folder:
        opened = Journal.create(Path(folder), HEADER)
        opened.finished(Trial(asked, found, 1e-3, 0.05), 0.5)
        opened.close()
        assert journal.read(Path(folder)).finished == (Trial(asked, found, 1e-3, 0.05),)


def test_a_journal_cut_anywhere_in_its_last_line_is_read_and_continued(tmp_path: Path) -> None:
    written(tmp_path / "whole").close()
    raw = (tmp_path / "whole" / FILE).read_bytes()
    start = raw[:-1].rfind(b"\n") + 1
    for length in range(start, len(raw) + 1):
        directory = tmp_path / "cut"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        (directory / FILE).write_bytes(raw[:length])
        opened, contents = Journal.reopen(directory)
        complete = length >= len(raw) - 1
        assert len(contents.finished) == (3 if complete else 2)
        assert contents.running == (() if complete else (request(2),))
        opened.finished(trial(2), 9.0)
        opened.finished(trial(7), 9.5)
        opened.close()
        assert [one.number for one in journal.read(directory).finished] == [0, 1, 2, 7]


def test_a_result_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    opened = written(tmp_path)
    opened.finished(trial(1), 8.0)
    opened.close()
    assert [one.number for one in journal.read(tmp_path).finished] == [0, 1, 2]


def test_damage_before_the_last_line_is_refused(tmp_path: Path) -> None:
    written(tmp_path).close()
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:20] + b"\n"
    (tmp_path / FILE).write_bytes(b"".join(lines))
    with pytest.raises(CampaignError, match=r"line 3 of .* is damaged"):
        journal.read(tmp_path)


@pytest.mark.parametrize(
    "line",
    ['{"kind":"finished"}', '{"kind":"unheard of"}', '{"kind":"started","request":{"number":1}}', '{"kind":"stopped"}'],
)
def test_a_line_that_says_something_else_is_refused(tmp_path: Path, line: str) -> None:
    written(tmp_path).close()
    with (tmp_path / FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(CampaignError, match="does not say what a line of schema 1 says"):
        journal.read(tmp_path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"kind": "campaign", "schema": 99, "header": {}}) + "\n")
    with pytest.raises(CampaignError, match="schema 99, this program writes 1"):
        journal.read(tmp_path)


def test_no_campaign_and_no_first_line_are_told(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no campaign"):
        Journal.reopen(tmp_path)
    (tmp_path / FILE).write_text('{"kind":"camp')
    with pytest.raises(CampaignError, match="ends within its first line"):
        journal.read(tmp_path)


def test_two_writers_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path)
    with pytest.raises(CampaignError, match="another process is working"):
        Journal.reopen(tmp_path)
    first.close()
    second, _ = Journal.reopen(tmp_path)
    second.close()


def test_an_existing_campaign_is_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path).close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(CampaignError, match="exists; resume it"):
        Journal.create(tmp_path, HEADER)
    assert (tmp_path / FILE).read_bytes() == before


class FullAfter:
    """A file on a disk that takes ``room`` more bytes."""

    def __init__(self, file: object, room: int) -> None:
        self.file, self.room = file, room

    def write(self, line: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        took = self.file.write(line[: self.room])  # type: ignore[attr-defined]
        self.room -= took
        return int(took)

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path, room: int) -> None:
    opened = written(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    opened._file = FullAfter(opened._file, room)  # type: ignore[assignment]
    with pytest.raises(CampaignError, match=r"disk is full.*make room, then: python -m search resume"):
        opened.finished(trial(3), 9.0)
    opened.close()
    assert (tmp_path / FILE).read_bytes() == before


def test_what_must_agree_is_named() -> None:
    assert HEADER.differences(replace(HEADER, space="other", settings="trials=9")) == ("space",)
    assert HEADER.differences(replace(HEADER, measurements="new", goal="pareto")) == ("goal", "measurements")
