"""Tells a finished campaign on compiled cost: a page, a Markdown file and the terminal's table, all with the same figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from search.records.costs.objective import told_cost
from search.report import inference, recipe_tables, report
from search.report import tables as report_tables
from search.report.compiled import plots, tables, words
from search.report.compiled.told import Told
from search.report.figures import terminal, wording
from search.report.report import PAGE, TEMPLATES, TEXT, Section

_LONG = 60  # rows from which the page folds a table away


def write(told: Told) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.md`` into the campaign's folder, each whole or not at all; returns their paths."""
    given = {
        "told": told,
        "words": words,
        "compared": tables.compared(told),
        "sections": sections(told),
        "redraw": f"python -m search report {told.outcome.name}",
        "style": Markup((TEMPLATES / "report.css").read_text()),
    }
    return report.written(told.folder, told.outcome.metric, "compiled", given)


def print_summary(console: Console, told: Told) -> None:
    """The answer, the compared networks and the paths, on the terminal."""
    metric = told.outcome.metric
    console.print(Text(metric.worded(words.headline(told)), style="bold"))
    for line in words.others(told):
        console.print(Text(metric.worded(line)))
    compared = tables.compared(told)
    columns = tuple(replace(column, heading=metric.worded(column.heading)) for column in compared.columns)
    console.print(terminal.drawn(replace(compared, columns=columns), console.width))
    console.print(Text(metric.worded(f"Limits: {words.limits(told)}.")))
    console.print(Text(words.model(told)[0]))
    console.print(Text(words.nothing_measured(told), style="yellow"))
    for path in (told.folder / PAGE, told.folder / TEXT):
        if path.is_file():
            console.print(Text(str(path), style="dim"), soft_wrap=True)


def sections(told: Told) -> tuple[Section, ...]:
    """Everything below the answer, in the order in which a reader asks for it."""
    kinds = (
        "Compiled costs of trials are predicted, of compared networks the compiler's own: different kinds of numbers, which share no axis."
    )
    found = [
        Section("front", "Accuracy against compiled cost", (kinds,), plots.pareto(told)),
        Section("accuracy", "Accuracy in detail", tables=(tables.accuracies(told),)),
    ]
    if told.recipe is not None:
        shown = recipe_tables.tables(told.recipe, told.outcome.metric)
        found.append(Section("recipe", "How the networks were tuned", recipe_tables.sentences(told.recipe), tables=shown))
    found.append(Section("prediction", "Predicted against compiled", words.model(told), tables=(tables.held_out(told),), folded=True))
    many = len(told.architecture.layers)
    found.append(Section("layers", "Compiled cost by layer, before and after", tables=(tables.layers(told),), folded=many > _LONG))
    kept = report_tables.widths(told.architecture, [(entry.name, entry.contender) for entry in told.compared])
    found.append(Section("widths", "Channels kept", tables=(kept,), folded=len(told.architecture.groups) > _LONG))
    found.append(Section("time", "Where the campaign's time went", (_spent(told),), tables=(report_tables.seconds(told.outcome),)))
    if said := inference.sentences(told.folder):
        prepared = inference.preprocessing_of(told.folder)
        found.append(Section("use", "Use it", said, tables=() if prepared is None else (inference.table(prepared),)))
    found.append(Section("settings", "Settings", tables=(tables.settings(told),)))
    found.append(Section("conditions", "The compiler", tables=(tables.conditions(told),)))
    if told.trials:
        table = report_tables.trials(told.trials, told.front, told.outcome.metric, "predicted compiled cost", told_cost)
        found.append(Section("trials", "All trials", ("Compiled costs here are predicted.",), tables=(table,), folded=True))
    return tuple(found)


def _spent(told: Told) -> str:
    whole = sum(spent for _, spent in told.outcome.seconds)
    taken = f", {len(told.imported)} of another campaign taken over" if told.imported else ""
    why = f"; the search ended because: {told.stopped}" if told.stopped else ""
    return f"{wording.duration(whole)} for {wording.count_words(len(told.trials), 'trial')}{taken}{why}."
