"""One table of what was judged, the same in terminal, Markdown, JUnit's XML and annotations; what was missed comes first."""

import math
import xml.etree.ElementTree as ET

import pytest

from harness.latency.verdict.finding import Bound, Finding
from harness.latency.verdict.judgement import Outcome
from harness.pages import findings, tables
from harness.pages.findings import Refusal

SAME = Finding("resnet20", Outcome.SAME, 1.0, 0.999, 1.001, 0.03, "20 block pairs", 0.012, of="a")
OPEN = Finding("conv1", Outcome.CANNOT_TELL, 0.86, 0.7, 1.1, 0.03, "3 compilations", of="a")
SLOWER = Finding("resnet20", Outcome.SLOWER, 1.2, 1.19, 1.21, 0.03, "20 block pairs", 0.012, "host: a against b", of="b")
MISSED = Bound("p99", 5.0, 4.0, 6.0, 3.0, "ms", "2000 samples", of="b")
UNKNOWN = Bound("energy", math.nan, math.nan, math.nan, 3.0, "mJ", "no meter", of="b")
FOUND = [SAME, OPEN, SLOWER, MISSED, UNKNOWN]
REFUSED = Refusal("c", "host (a against b); measure | again\n")


def test_every_verdict_is_shown_also_those_that_pass_with_the_smallest_effect() -> None:
    text = tables.text(findings.tables(FOUND, 200), 200)
    for told in ("same", "slower", "cannot tell", "+1.2%", "none", "≤ 3 ms", "host: a against b", "a: against", "b: against"):
        assert told in text, told
    assert "2 missed, 2 cannot tell, 1 could not be asked" in findings.summary(FOUND, [REFUSED])


@pytest.mark.parametrize("width", [80, 100])
def test_no_figure_is_cut_in_a_log(width) -> None:
    text = tables.text(findings.tables(FOUND, width), width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    for cell in ("1.190–1.210", "4.000–6.000", "1.200×", "missed"):
        assert cell in text
    wild = Finding("layer3.0.conv2", Outcome.CANNOT_TELL, 34.125, 0.0, 73.479, 0.15, "3 compilations", 1.158, of="a")
    text = tables.text(findings.tables([wild], width), width)
    for cell in ("layer3.0.conv2", "34.125×", "0.000–73.479", "+115.8%"):
        assert cell in text, cell


def test_markdown_has_a_row_for_each_and_names_what_could_not_be_asked() -> None:
    text = findings.markdown(FOUND, [REFUSED])
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(FOUND)
    assert "measure \\| again\\n" in text
    assert text.index("slower") < text.index("cannot tell |") < text.index("| same |")


@pytest.mark.parametrize(("strict", "failures", "skipped"), [(False, 2, 2), (True, 4, 0)])
def test_junit_counts_what_fails_is_open_and_could_not_be_asked(strict, failures, skipped) -> None:
    suite = ET.fromstring(findings.junit(FOUND, [REFUSED], strict)).find("testsuite")
    counts = {key: int(suite.get(key)) for key in ("tests", "failures", "skipped", "errors")}
    assert counts == {"tests": 6, "failures": failures, "skipped": skipped, "errors": 1}
    assert [len(list(suite.iter(tag))) for tag in ("testcase", "failure", "skipped", "error")] == [6, failures, skipped, 1]
    told = {one.get("value") for one in suite.iter("property") if one.get("name") == "would show"}
    assert {"+1.2%", "none"} <= told


def test_annotations_name_what_it_is_and_are_one_line_each() -> None:
    lines = findings.annotation_lines(FOUND, [REFUSED], strict=False)
    assert [line.partition("::")[2].partition("::")[0] for line in lines] == [
        "error title=could not be asked",
        "warning title=cannot tell",
        "error title=slower than the baseline",
        "error title=limit missed",
        "warning title=cannot tell",
    ]
    strict = findings.annotation_lines([OPEN], [], strict=True)
    assert strict[0].startswith("::error title=cannot tell::")
    assert not any("\n" in line for line in lines)
    assert all("%" not in line.replace("%25", "") for line in lines)
