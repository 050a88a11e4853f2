"""What was judged against limits as one table, in the terminal, in Markdown, in JUnit's XML, and as annotations of a change."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from harness.errors import one_line
from harness.latency.verdict.finding import Judged, Kept, Row

HEADINGS = ("of", "what", "verdict", "figure", "95 % interval", "limit", "kept", "would show", "how")
_ORDER = (Kept.MISSED, Kept.CANNOT_TELL, Kept.MET)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question to the gate that could not be asked: of what, and why, in one line that says what to do."""

    subject: str
    why: str

    def sentence(self) -> str:
        """The refusal in one line."""
        return f"{self.subject}: could not be asked: {self.why}"


def ordered(findings: Sequence[Judged]) -> tuple[Judged, ...]:
    """What was missed first, then what is open."""
    return tuple(sorted(findings, key=lambda one: _ORDER.index(one.kept)))


def summary(findings: Sequence[Judged], refusals: Sequence[Refusal]) -> str:
    """The gate in one line: how many limits were met, missed, open, and how many questions could not be asked."""
    counts = {kept: sum(one.kept is kept for one in findings) for kept in _ORDER}
    told = [f"{counts[Kept.MET]} met", f"{counts[Kept.MISSED]} missed", f"{counts[Kept.CANNOT_TELL]} cannot tell"]
    return ", ".join([*told, *([f"{len(refusals)} could not be asked"] if refusals else [])])


def tables(findings: Sequence[Judged], width: int) -> tuple[Table, ...]:
    """A table for every measurement, folded rather than cut; where it is narrow, how each figure was found is left out."""
    headings = HEADINGS[1:] if width >= WIDE else HEADINGS[1:-1]
    rows = [one.row() for one in ordered(findings)]
    return tuple(_table(of, headings, [row for row in rows if row.of == of]) for of in dict.fromkeys(row.of for row in rows))


def _table(of: str, headings: Sequence[str], rows: Sequence[Row]) -> Table:
    title = f"{of}: against limits and baselines" if of else "against limits and baselines"
    found = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0), show_edge=False)
    narrow = {"verdict": 7, "kept": 6} if len(headings) < len(HEADINGS) - 1 else {}  # "cannot tell" on two lines, but no number
    longest = max((len(row.what) for row in rows), default=0)
    narrow |= {"what": max(4, longest)} if longest <= MOST_WHOLE else {}
    for heading in headings:
        found.add_column(heading, overflow="fold", justify="right" if heading in NUMBERS else "left", width=narrow.get(heading))
    for row in rows:
        found.add_row(*_cells(row)[1 : 1 + len(headings)])
    return found


NUMBERS = ("figure", "95 % interval", "limit", "would show")
MOST_WHOLE = 16  # signs of a name that a narrow table does not break: layer3.0.conv2
WIDE = 110  # columns that a row with its way of being found needs


def markdown(findings: Sequence[Judged], refusals: Sequence[Refusal], notes: Sequence[str] = ()) -> str:
    """The same as a section, with the refusals above it and what else is to be told below."""
    lines = ["### Against limits and baselines", "", f"{summary(findings, refusals)}.", ""]
    lines += [f"**{_plain(refusal.sentence())}**\n" for refusal in refusals]
    if findings:
        lines += [f"| {' | '.join(HEADINGS)} |", f"|{''.join('--:|' if heading in NUMBERS else '---|' for heading in HEADINGS)}"]
        lines += [f"| {' | '.join(map(_plain, _cells(one.row())))} |" for one in ordered(findings)]
    lines += [f"\n{_plain(note)}" for note in notes]
    return "\n".join(lines) + "\n"


def junit(findings: Sequence[Judged], refusals: Sequence[Refusal], strict: bool) -> bytes:
    """A suite with a case for every row: missed ones fail, open ones are skipped (or fail, where strict), refusals are errors."""
    failed = [one for one in findings if one.beyond or (strict and one.undecided)]
    open_ = [one for one in findings if one.undecided and one not in failed]
    counts = {"tests": len(findings) + len(refusals), "failures": len(failed), "errors": len(refusals), "skipped": len(open_)}
    suite = ET.Element("testsuite", {"name": "espalier", **{key: str(count) for key, count in counts.items()}})
    for one in ordered(findings):
        row = one.row()
        case = ET.SubElement(
            suite, "testcase", classname=_xml(f"espalier.gate.{row.of}" if row.of else "espalier.gate"), name=_xml(row.what)
        )
        listed = ET.SubElement(case, "properties")
        for heading, cell in zip(HEADINGS, _cells(row), strict=True):
            ET.SubElement(listed, "property", name=heading, value=_xml(cell))
        if one in failed or one in open_:
            ET.SubElement(case, "failure" if one in failed else "skipped", message=_xml(one.sentence()))
        ET.SubElement(case, "system-out").text = _xml(one.sentence())
    for refusal in refusals:
        case = ET.SubElement(suite, "testcase", classname="espalier.gate", name=_xml(refusal.subject))
        ET.SubElement(case, "error", message=_xml(refusal.why))
    root = ET.Element("testsuites")
    root.append(suite)
    stream = io.BytesIO()
    ET.ElementTree(root).write(stream, encoding="utf-8", xml_declaration=True)
    return stream.getvalue()


def annotation_lines(findings: Sequence[Judged], refusals: Sequence[Refusal], strict: bool, notes: Sequence[str] = ()) -> list[str]:
    """GitHub's workflow commands: an error for what was missed and what could not be asked, a warning for what is open or to be told."""
    lines = [f"::error title=could not be asked::{_command(refusal.sentence())}" for refusal in refusals]
    for one in findings:
        level = "error" if one.beyond or (strict and one.undecided) else "warning" if one.undecided else ""
        if level:
            title = "slower than the baseline" if one.beyond and one.row().verdict == "slower" else f"limit {one.kept}"
            lines.append(f"::{level} title={'cannot tell' if one.undecided else title}::{_command(one.sentence())}")
    return lines + [f"::warning title=gate::{_command(note)}" for note in notes]


def _cells(row: Row) -> tuple[str, ...]:
    return (row.of, row.what, row.verdict, row.figure, row.interval, row.limit, str(row.kept), row.smallest, row.how)


def _plain(text: str) -> str:
    return one_line(text).replace("|", "\\|")


def _xml(text: str) -> str:
    return one_line(text)


def _command(text: str) -> str:
    """As GitHub's commands escape what would end them."""
    return one_line(text).replace("%", "%25")
