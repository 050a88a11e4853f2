"""The same networks on another machine: what is published beside what is measured here."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.latency.verdict.judgement import verdicts
from search.experiment import elsewhere
from search.experiment.elsewhere import Again
from search.experiment.page import ELSEWHERE
from search.report.summary import Summary

EPYC = {"model name": "AMD EPYC", "model": "2"}


def test_processors_of_one_name_are_told_apart() -> None:
    new, old = (elsewhere.processor({**EPYC, "cpu family": family}) for family in ("26", "25"))
    assert new == "AMD EPYC (family 26, model 2)"
    assert old != new
    assert elsewhere.processor({})


def measured_again(told: Summary) -> tuple[Again, ...]:
    """As if the machine at hand were the published one, and the same minute."""
    dense = told.dense.measurement.latency
    others = [one for one in told.compared if one is not told.dense]
    judged = verdicts([(one.measurement.latency, dense) for one in others])
    found = dict(zip([one.name for one in others], judged, strict=True))
    return tuple(Again(one, one.measurement, found.get(one.name)) for one in told.compared)


def test_on_the_published_machine_itself_nothing_changes(told: Summary) -> None:
    section = elsewhere.section(told, measured_again(told))
    assert len(section.rows) == len(told.compared)
    for row in section.rows:
        there, here = row[2].text, row[4].text
        assert here.startswith(there)
    assert section.text.startswith("Here, too,")


def test_a_rival_that_is_faster_here_is_named(told: Summary) -> None:
    found = measured_again(told)
    chosen = next(one for one in found if one.compared.contender.role == "optimised")
    rival = next(one for one in found if one.compared.contender.role == "dense")
    swapped = tuple(
        Again(one.compared, chosen.measurement if one is rival else rival.measurement if one is chosen else one.measurement, one.verdict)
        for one in found
    )
    assert "dense" in elsewhere.section(told, swapped).text.partition(" faster here")[0]


def test_what_is_not_finished_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert elsewhere.main(["none", f"--reports={tmp_path}"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert not (tmp_path / ELSEWHERE).exists()
