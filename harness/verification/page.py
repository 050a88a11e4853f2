"""The verdict on pruning libraries as a page: method by library, every finding with its place, and what reduces latency."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.records.measurement import Measurement
from harness.verification.findings import FINDINGS, Finding
from harness.verification.latency_effect import Effect
from harness.verification.precision_effect import PrecisionEffect

SUBJECTS = ("ours", "torch", "torch-pruning", "distiller-recorded", "distiller")
AGREES, DEVIATES, BREAKS, NOT_RUN = "agrees", "deviates", "breaks", "not run"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One claim put to one library. outcome: one of the four words above. seen: what came out where it deviates."""

    subject: str
    method: str
    says: str
    cites: str
    outcome: str
    finding: str = ""
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, a sentence and rows of cells; the first row names the columns."""

    heading: str
    text: str
    rows: tuple[tuple[str, ...], ...] = ()


def page(
    judgements: Sequence[Judgement],
    facts: Sequence[tuple[str, str]],
    effects: tuple[Measurement, tuple[Effect, ...]] | None,
    stored: Sequence[PrecisionEffect] = (),
) -> list[Table]:
    """The page's parts.

    facts: name and value of what the run had. effects: of ``latency_effect.measure``, or None. stored: of ``precision_effect.read``.
    """
    subjects = [subject for subject in SUBJECTS if any(found.subject == subject for found in judgements)]
    broken = sum(found.outcome == BREAKS for found in judgements)
    claims = {(found.method, found.says) for found in judgements}
    ran = {(found.method, found.says) for found in judgements if found.outcome != NOT_RUN}
    text = (
        f"{len(claims)} claims of the literature and of the libraries' own documentation, {len(ran)} of them put to at least one "
        f"library in this run; {len(FINDINGS)} findings; {broken} unexpected."
    )
    return [
        Table("Pruning libraries against the literature", text, (("what", "this run"), *facts)),
        Table(
            "Verdict: method by library",
            "Claims that hold of those that ran; a finding's id where one does not.",
            _matrix(judgements, subjects),
        ),
        _latency(effects),
        precisions(stored),
        Table("Findings", _FINDINGS_TEXT, _findings(judgements)),
        Table("Deviations as seen", "What came out where a claim does not hold, shortened.", _seen(judgements)),
        Table(
            "Every claim",
            "a = agrees, D = deviates, - = not offered, . = not run here, ! = breaks unexpectedly.",
            _claims(judgements, subjects),
        ),
    ]


def markdown(parts: Iterable[Table]) -> str:
    """The page as Markdown."""
    lines: list[str] = []
    for number, part in enumerate(parts):
        lines += [f"{'#' if number == 0 else '##'} {part.heading}", "", part.text, ""]
        if part.rows:
            head, *body = [tuple(cell.replace("|", "\\|") for cell in row) for row in part.rows]
            lines += [_line(head), _line(["---"] * len(head)), *map(_line, body), ""]
    return "\n".join(lines)


def hypertext(parts: Sequence[Table]) -> str:
    """The page as one HTML file without anything to fetch."""
    body = []
    for number, part in enumerate(parts):
        level = 1 if number == 0 else 2
        body.append(f"<h{level}>{html.escape(part.heading)}</h{level}><p>{html.escape(part.text)}</p>")
        if part.rows:
            head, *rows = part.rows
            cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
            lines = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            body.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>")
    title = html.escape(parts[0].heading)
    opening = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
    return f"{opening}{''.join(body)}</html>"


_STYLE = (
    "body{font:15px sans-serif;margin:2em;max-width:90em}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.3em .5em;text-align:left;vertical-align:top}"
)
_FINDINGS_TEXT = (
    "Lines are those of IntelLabs Distiller d859fc85 relative to its distiller/ folder, or of the library named. Recorded: Python 3.7.16, "
    "torch 1.3.1, native. The date is that of the last change of the (first) line."
)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _matrix(judgements: Sequence[Judgement], subjects: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    rows: list[tuple[str, ...]] = [("method", *subjects)]
    for method in _methods(judgements):
        rows.append(
            (
                method,
                *(_cell([found for found in judgements if (found.method, found.subject) == (method, subject)]) for subject in subjects),
            )
        )
    return tuple(rows)


def _cell(found: list[Judgement]) -> str:
    ran = [one for one in found if one.outcome != NOT_RUN]
    if not ran:
        return "not run" if found else "not offered"
    agreeing = sum(one.outcome == AGREES for one in ran)
    broken = [one.says for one in ran if one.outcome == BREAKS]
    ids = sorted({one.finding for one in ran if one.outcome == DEVIATES})
    told = f"agrees ({agreeing})" if agreeing == len(ran) else f"deviates ({agreeing} of {len(ran)} hold): {', '.join(ids)}"
    return told + (f" BREAKS: {'; '.join(broken)}" if broken else "")


def _methods(judgements: Sequence[Judgement]) -> list[str]:
    return list(dict.fromkeys(found.method for found in sorted(judgements, key=lambda one: SUBJECTS.index(one.subject))))


def _findings(judgements: Sequence[Judgement]) -> tuple[tuple[str, ...], ...]:
    rows = [("id", "method", "where", "should", "does", "who is hit", "since", "source", "evidence")]
    for known in FINDINGS:
        where = f"`{known.where}`"
        rows.append(
            (
                known.id,
                known.method,
                where,
                known.should,
                known.does,
                known.hit,
                known.since or "unknown",
                known.cites,
                _evidence(known, judgements),
            )
        )
    return tuple(rows)


def _evidence(known: Finding, judgements: Sequence[Judgement]) -> str:
    """Where the finding showed in this run, and the probes that hold it."""
    seen = sorted({found.subject for found in judgements if found.finding == known.id and found.outcome == DEVIATES})
    return "; ".join(text for text in (", ".join(known.probes), f"seen in: {', '.join(seen)}" if seen else "not seen in this run") if text)


def _seen(judgements: Sequence[Judgement]) -> tuple[tuple[str, ...], ...]:
    rows = [("id", "library", "claim", "seen")]
    deviating = [found for found in judgements if found.outcome in (DEVIATES, BREAKS)]
    rows += [
        (found.finding, found.subject, found.says, found.seen) for found in sorted(deviating, key=lambda one: (one.finding, one.subject))
    ]
    return tuple(rows)


def _claims(judgements: Sequence[Judgement], subjects: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    letters = {AGREES: "a", DEVIATES: "D", BREAKS: "!", NOT_RUN: "."}
    by_claim: dict[tuple[str, str, str], dict[str, str]] = {}
    for found in judgements:
        by_claim.setdefault((found.method, found.says, found.cites), {})[found.subject] = letters[found.outcome]
    order = {method: number for number, method in enumerate(_methods(judgements))}
    rows = [("method", "claim", "source", *subjects)]
    for (method, says, cites), outcomes in sorted(by_claim.items(), key=lambda item: order[item[0][0]]):
        rows.append((method, says, cites.replace("]_", "]"), *(outcomes.get(subject, "-") for subject in subjects)))
    return tuple(rows)


def _latency(effects: tuple[Measurement, tuple[Effect, ...]] | None) -> Table:
    heading = "Which methods can reduce latency on a dense runtime"
    if effects is None:
        return Table(heading, "Not measured in this run (--no-latency).")
    dense, measured = effects
    where = dense.conditions.device
    runtime = f"{where.runtime} {where.runtime_version}, {dense.conditions.effective_precision}, {where.model}"
    spared = sorted({effect.way.leaves for effect in measured if not effect.reduces_latency})
    gained = sorted({effect.way.leaves for effect in measured if effect.reduces_latency})
    text = (
        f"One network, {dense.network}, pruned by every method and measured in turns with the dense one on {where.name} ({runtime}): "
        "medians, ratios with 95 % intervals; random weights, which latency ignores. "
        f"Less time: {', '.join(gained) or 'none'}. No reduction shown: {', '.join(spared) or 'none'}; zeros in a tensor cost what other "
        "numbers cost."
    )
    rows: list[tuple[str, ...]] = [
        ("pruned", "methods that come to it", "it leaves", "median (us)", "ratio to dense", "95 % interval", "reduces latency")
    ]
    rows.append(("nothing", "", "", f"{dense.latency.median_s * 1e6:.1f}", "1", "", ""))
    for effect in measured:
        against = effect.against_dense
        interval = f"{against.low:.3f} to {against.high:.3f}"
        verdict = "yes" if effect.reduces_latency else f"not shown: {against.outcome}"
        median = f"{effect.measurement.latency.median_s * 1e6:.1f}"
        rows.append((effect.way.name, ", ".join(effect.way.methods), effect.way.leaves, median, f"{against.ratio:.3f}", interval, verdict))
    return Table(heading, text, tuple(rows))


def precisions(stored: Sequence[PrecisionEffect]) -> Table:
    """Fewer bits beside fewer weights: what the records tell of every precision on every device."""
    heading = "Which precisions can reduce latency, and where"
    if not stored:
        return Table(heading, "No records were found; give the folder that holds benchmarks and campaigns by --reports.")
    gained = sorted({f"{one.precision} on {one.device} ({one.processor})" for one in stored if one.verdict == "yes"})
    slower = sorted({f"{one.precision} on {one.device} ({one.processor})" for one in stored if one.verdict == "no: slower"})
    text = (
        "Unpruned networks, read off stored measurements and compilations: medians (of the machine's fast state where it was loud), ratios "
        "to f32 on the same device under the same conditions with an interval of both medians at once. "
        f"Less time: {', '.join(gained) or 'none shown'}. More time: {', '.join(slower) or 'none shown'}."
    )
    rows: list[tuple[str, ...]] = [
        ("device", "processor", "network", "precision", "known", "median (us)", "ratio to f32", "interval", "reduces latency")
    ]
    for one in stored:
        against = one.against_f32
        figures = ("", "") if against is None else (f"{against.ratio:.3f}", f"{against.low:.3f} to {against.high:.3f}")
        median = "" if one.median_s is None else f"{one.median_s * 1e6:.1f}"
        precision = one.precision or "the compiler's own"
        rows.append((one.device, one.processor, one.network, precision, one.known, median, *figures, one.verdict))
    return Table(heading, text, tuple(rows))
