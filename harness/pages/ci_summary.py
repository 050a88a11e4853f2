"""What a CI runner shows of a run: annotations on the change and a Markdown summary, in GitHub's formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.latency.verdict.finding import Finding
from harness.pages.tables import duration, interval, label
from harness.records.measurement import Measurement


def annotation_lines(findings: Sequence[Finding], strict: bool) -> list[str]:
    """Workflow commands: an error for a slowdown beyond its limit, a warning for what the measurement cannot rule out."""
    lines = []
    for finding in findings:
        if finding.beyond or (strict and finding.undecided):
            lines.append(f"::error title=slower than the baseline::{finding.sentence()}")
        elif finding.undecided:
            lines.append(f"::warning title=cannot tell::{finding.sentence()}")
    return lines


def markdown(measurements: Sequence[Measurement], findings: Sequence[Finding]) -> str:
    """A section with the networks, and one with the comparisons where there are any."""
    lines = [
        "### Latency",
        "",
        "| network | device | precision | median | 95 % interval | samples | kind |",
        "|---|---|---|--:|--:|--:|---|",
    ]
    for measurement in measurements:
        latency, conditions = measurement.latency, measurement.conditions
        cells = (label(measurement), conditions.device.name, conditions.effective_precision, duration(latency.median_s), interval(latency))
        lines.append(f"| {' | '.join(cells)} | {len(latency.samples_s)} | {measurement.provenance} |")
    if findings:
        lines += ["", "### Against the baseline", "", "| what | verdict | ratio | interval | limit |", "|---|---|--:|--:|--:|"]
        ordered = sorted(findings, key=lambda finding: (not finding.beyond, not finding.undecided))
        for finding in ordered:
            bounds = f"{finding.low:.3f}–{finding.high:.3f}"
            lines.append(f"| {finding.subject} | {finding.outcome} | {finding.ratio:.3f} | {bounds} | {1 + finding.limit:.3f} |")
    return "\n".join(lines) + "\n"


def publish(environment: Mapping[str, str], measurements: Sequence[Measurement], findings: Sequence[Finding], strict: bool) -> list[str]:
    """Append the summary where the runner asks for one; returns the annotation lines to print, none outside of GitHub."""
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary and measurements:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(markdown(measurements, findings))
    return annotation_lines(findings, strict) if environment.get("GITHUB_ACTIONS") == "true" else []
