"""Tells a finished campaign by what it lowered: each kind has a report of its own."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from search.records import outcome
from search.report import report as measured_report
from search.report import summary
from search.report.compiled import report, told


def write(folder: Path) -> bool:
    """Write the campaign's report; whether the largest drop that was allowed is missed by all that was found."""
    if is_compiled(folder):
        found = told.load(folder)
        report.write(found)
        return found.limit_missed
    loaded = summary.load(folder)
    measured_report.write(loaded)
    return loaded.limit_missed


def show(console: Console, folder: Path) -> None:
    """Print the campaign's answer."""
    if is_compiled(folder):
        report.print_summary(console, told.load(folder))
    else:
        measured_report.print_summary(console, summary.load(folder))


def is_compiled(folder: Path) -> bool:
    """Whether a finished campaign lowered compiled cost; CampaignError for one that is not finished."""
    return outcome.read(folder).is_compiled
