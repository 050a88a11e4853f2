"""The verification page: built from judgements alone, and the committed one is not older than the findings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.verification import page as verification_page
from harness.verification import verify
from harness.verification.findings import FINDINGS
from harness.verification.page import AGREES, BREAKS, DEVIATES, NOT_RUN, Judgement
from harness.verification.ways import SHALLOWER, SMALLER, WAYS
from tests.literature.claims import CLAIMS
from tests.literature.laws.laws import LAWS

COMMITTED = Path(__file__).parents[2] / "reports" / "distiller" / "verification.md"

JUDGEMENTS = (
    Judgement("ours", "l1-filters", "the smallest go", "[Li2017]_ sec. 3.1", AGREES),
    Judgement("distiller-recorded", "l1-filters", "the smallest go", "[Li2017]_ sec. 3.1", AGREES),
    Judgement("distiller-recorded", "l1-filters", "exactly m go", "[Li2017]_ sec. 3.1", DEVIATES, "D-TIES", "4 | 2"),
    Judgement("distiller", "l1-filters", "exactly m go", "[Li2017]_ sec. 3.1", NOT_RUN),
    Judgement("ours", "agp", "cubic", "[Zhu2017]_ eq. 1", BREAKS, "", "0.4 for 0.5"),
)


@pytest.fixture
def parts() -> list[verification_page.Table]:
    return verification_page.page(JUDGEMENTS, (("date", "today"),), None)


def test_the_verdict_says_what_agrees_what_deviates_and_what_is_not_there(parts):
    matrix = {row[0]: dict(zip(parts[1].rows[0][1:], row[1:], strict=True)) for row in parts[1].rows[1:]}
    assert matrix["l1-filters"] == {"ours": "agrees (1)", "distiller-recorded": "deviates (1 of 2 hold): D-TIES", "distiller": "not run"}
    assert matrix["agp"] == {
        "ours": "deviates (0 of 1 hold):  BREAKS: cubic",
        "distiller-recorded": "not offered",
        "distiller": "not offered",
    }
    assert "3 claims" in parts[0].text
    assert "1 unexpected" in parts[0].text


def test_every_finding_has_a_row_with_place_source_and_evidence(parts):
    findings = next(part for part in parts if part.heading == "Findings")
    rows = {row[0]: row for row in findings.rows[1:]}
    assert set(rows) == {known.id for known in FINDINGS}
    assert all(row[2].strip("`") and row[7] for row in rows.values())
    assert rows["D-TIES"][8].endswith("seen in: distiller-recorded")
    assert rows["D-MEAN"][8].endswith("not seen in this run")


def test_markdown_and_html_hold_the_same_cells(parts):
    text, page = verification_page.markdown(parts), verification_page.hypertext(parts)
    assert text.startswith("# Pruning libraries against the literature\n")
    assert "4 \\| 2" in text
    assert "<td>4 | 2</td>" in page
    assert page.count("<table>") == sum(bool(part.rows) for part in parts)


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        ({"outcome": "passed"}, AGREES),
        ({"outcome": "skipped", "wasxfail": "D-MEAN: the highest go"}, DEVIATES),
        ({"outcome": "skipped"}, NOT_RUN),
        ({"outcome": "failed"}, BREAKS),
    ],
    ids=["passed", "xfailed", "skipped", "failed"],
)
def test_a_report_becomes_a_judgement(report, outcome):
    facts = {"passed": report["outcome"] == "passed", "skipped": report["outcome"] == "skipped", "longrepr": None}
    found = verify._judgement("distiller", CLAIMS[0], SimpleNamespace(**facts, **report))
    assert found.outcome == outcome
    assert found.finding == ("D-MEAN" if outcome == DEVIATES else "")


def test_without_a_live_distiller_its_claims_are_on_the_page_as_not_run():
    found = verify._with_absent_distiller([one for one in JUDGEMENTS if one.subject != "distiller"])
    assert [(one.says, one.outcome, one.finding, one.seen) for one in found if one.subject == "distiller"] == [
        ("the smallest go", NOT_RUN, "", ""),
        ("exactly m go", NOT_RUN, "", ""),
    ]
    assert verify._with_absent_distiller(list(JUDGEMENTS)) == list(JUDGEMENTS)


def test_the_summary_counts_what_ran_and_what_broke():
    assert verify._summary(JUDGEMENTS).startswith("Distiller verified: recorded")
    broken = Judgement("distiller-recorded", "agp", "cubic", "[Zhu2017]_ eq. 1", BREAKS)
    assert verify._summary((*JUDGEMENTS, broken)).startswith("Distiller verified: no (1 claim")


def test_the_command_refuses_a_place_without_distiller(tmp_path, capsys):
    assert verify.main(["--distiller", str(tmp_path), "--output", str(tmp_path / "page.md")]) == 2
    assert "no Distiller in" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_the_committed_page_holds_every_finding_and_every_claim():
    text = COMMITTED.read_text()
    assert all(f"| {known.id} |" in text for known in FINDINGS)
    assert all(f"| {entry.says} |" in text for entry in (*CLAIMS, *LAWS))
    assert "0 unexpected" in text
    assert "## Which precisions can reduce latency, and where" in text
    for way in WAYS:
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {way.name} |"))
        assert row.endswith("| yes |") == (way.leaves in (SMALLER, SHALLOWER)), row
