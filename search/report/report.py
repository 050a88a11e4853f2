"""Tells a finished campaign: one self-contained page, a Markdown file and the terminal's table, all with the same figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from rich.console import Console
from rich.text import Text

from harness.records.metric import Metric
from search.records import whole_file
from search.report import circumstances, inference, layer_view, plots, recipe_tables, sentences, tables
from search.report.costs import plots as cost_plots
from search.report.costs import tables as cost_tables
from search.report.costs import words as cost_words
from search.report.figures import terminal, wording
from search.report.figures.cells import Table, in_markdown
from search.report.figures.drawing import Figure
from search.report.summary import Summary
from search.report.threats import threats

TEMPLATES = Path(__file__).parent / "templates"
PAGE, TEXT = "report.html", "report.md"
LONG = 60  # rows from which the page folds a table away


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report: a heading, sentences, a figure or a table, or several.

    folded: the page shows its tables on demand only, for they are long. lead: the first sentence says what to do.
    """

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    figure: Figure | None = None
    tables: tuple[Table, ...] = ()
    folded: bool = False
    lead: bool = False


def write(summary: Summary) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.md`` into the campaign's folder, each whole or not at all; returns their paths."""
    given = {
        "summary": summary,
        "words": sentences,
        "unit": sentences.unit_for(summary),
        "compared": tables.compared(summary),
        "sections": sections(summary),
        "threats": threats(summary),
        "redraw": f"python -m search report {summary.outcome.name}",
        "style": Markup((TEMPLATES / "report.css").read_text()),
        "roles": wording.ROLE_WORDS,
    }
    return written(summary.folder, summary.outcome.metric, "report", given)


def written(folder: Path, metric: Metric, template: str, given: Mapping[str, object]) -> tuple[Path, Path]:
    """A campaign's page and text by the two templates of this name, and its script; each whole or not at all."""
    found = environment()
    on_page = replace(metric, name=str(escape(metric.name)), unit=str(escape(metric.unit)))
    text = metric.worded(found.get_template(f"{template}.md.j2").render(given))
    page = on_page.worded(found.overlay(autoescape=True).get_template(f"{template}.html.j2").render(given))
    if inference.is_classified(folder):
        whole_file.write(folder / inference.SCRIPT, inference.script())
    return whole_file.write(folder / PAGE, page), whole_file.write(folder / TEXT, text)


def environment() -> Environment:
    """The templates of reports, with what they call."""
    found = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters["cell"] = in_markdown
    found.filters["tight"] = _tight
    return found


def print_summary(console: Console, summary: Summary) -> None:
    """The answer, the compared networks and the paths, on the terminal."""
    metric = summary.outcome.metric
    said = [(sentences.headline(summary), "bold"), (sentences.rival_sentence(summary), "")]
    said += [(told, "") for told in (sentences.global_pruning_sentence(summary), sentences.twins_sentence(summary)) if told]
    said += [(sentences.noise_sentence(summary), "yellow")]
    for told, style in said:
        if told:
            console.print(Text(metric.worded(told), style=style))
    compared = tables.compared(summary)
    columns = tuple(replace(column, heading=metric.worded(column.heading)) for column in compared.columns)
    console.print(terminal.drawn(replace(compared, columns=columns), console.width))
    console.print(Text(metric.worded(f"Limits: {sentences.limit_sentence(summary)}.")))
    console.print(Text(sentences.error_sentence(summary)))
    if further := sentences.further_sentence(summary):
        console.print(Text(further))
    for path in (summary.folder / PAGE, summary.folder / TEXT):
        if path.is_file():
            console.print(Text(str(path), style="dim"), soft_wrap=True)


def sections(summary: Summary) -> tuple[Section, ...]:
    """Everything below the answer, in the order in which a reader asks for it."""
    found = [_front(summary), Section("accuracy", "Accuracy in detail", tables=(tables.accuracies(summary),)), *_recipe(summary)]
    found += [_prediction(summary), *_layers(summary), _widths(summary), *_costs(summary)]
    found.append(Section("time", "Where the campaign's time went", (_search_sentence(summary),), tables=(tables.seconds(summary.outcome),)))
    found += _use(summary)
    found.append(Section("costs", "What else the networks cost", tables=(tables.costs(summary),)))
    found.append(Section("settings", "Settings", tables=(circumstances.settings(summary),)))
    found.append(Section("conditions", "Conditions of the comparison", tables=(circumstances.conditions(summary),)))
    if summary.trials:
        table = tables.trials(summary.trials, summary.front, summary.outcome.metric, "predicted latency", sentences.unit_for(summary).told)
        found.append(Section("trials", "All trials", (_trials_sentence(summary),), tables=(table,), folded=True))
    return tuple(found)


def _use(summary: Summary) -> list[Section]:
    """What the exported network takes and answers, where the campaign's folder says so."""
    said, told = inference.sentences(summary.folder), inference.preprocessing_of(summary.folder)
    return [Section("use", "Use it", said, tables=() if told is None else (inference.table(told),))] if said else []


def _front(summary: Summary) -> Section:
    said = [
        "The search saw latency predicted from stored measurements and accuracy on the validation split. "
        f"The proof found {summary.provenance} latency from interleaved rounds and accuracy on the test split, which the search never saw. "
        "These are different kinds of numbers and share no axis."
    ]
    if not summary.trials:
        said.append("This campaign has no finished trial.")
    return Section("front", "Accuracy against latency", tuple(said), plots.pareto(summary))


def _recipe(summary: Summary) -> list[Section]:
    """How all networks were tuned, why so, and what that does to the unpruned one."""
    record = summary.recipe
    if record is None:
        return []
    shown = recipe_tables.tables(record, summary.outcome.metric)
    return [Section("recipe", "How the networks were tuned", recipe_tables.sentences(record), tables=shown)]


def _prediction(summary: Summary) -> Section:
    title = f"Predicted against {summary.provenance}"
    if not summary.forecasts and all(entry.predicted is None for entry in summary.compared):
        return Section("prediction", title, (sentences.error_sentence(summary), *summary.notes))
    said = [sentences.error_sentence(summary)]
    if summary.held_out is not None:
        against = wording.percent(summary.held_out.mape_of_medians_ratio)
        said.append(
            "Held-out networks are judged, and drawn, by the samples that no other program disturbed, compared networks by the quoted "
            f"median. Against the held-out networks' own medians, disturbances included, the mean error is {against}."
        )
    return Section("prediction", title, tuple(said), plots.predictions(summary))


def _layers(summary: Summary) -> list[Section]:
    title = "Latency by layer, before and after"
    if summary.layers is None:
        reason = f"The {summary.outcome.device} device gave no times per layer for this comparison."
        return [Section("layers", title, (reason,))]
    table, unit = summary.layers, sentences.unit_for(summary)
    gone = [row for row in table.rows if row.removed]
    saved = sum(row.before.median_s for row in gone if row.before is not None)
    told = (
        f"{wording.count_words(len(gone), 'layer')} of {len(table.rows)} went with their residual branches, which alone saves "
        f"{unit.told(saved)} of {unit.told(table.whole_before_s)}."
        if gone
        else "No branch was removed: every layer is still there, some of them narrower."
    )
    simulated = "All times are SIMULATED. " if summary.provenance == "SIMULATED" else ""
    return [
        Section("stages", "Latency by stage", (simulated + told,), tables=(layer_view.stages(table, unit),)),
        Section("layers", title, tables=(layer_view.layers(table, unit),), folded=len(table.rows) > LONG),
    ]


def _widths(summary: Summary) -> Section:
    best = summary.optimised.contender
    removed = sum(kept == 0 for _, kept in best.config.channels)
    whole = sum(kept == summary.architecture.group(name).channels for name, kept in best.config.channels)
    many = len(best.config.channels)
    said = (
        f"Of {many} groups of coupled channels the optimised network leaves {whole} whole, narrows {many - whole - removed} and "
        f"removes {removed} with their branch."
    )
    return Section(
        "widths",
        "Channels kept",
        (said,),
        tables=(tables.widths(summary.architecture, [(one.name, one.contender) for one in summary.compared]),),
        folded=many > LONG,
    )


def _costs(summary: Summary) -> list[Section]:
    """Which part of the dense network costs what; first what to do about it, then the shares and effects."""
    told, title = summary.explained, "Which part of the dense network costs what"
    if told is None:
        return [Section("explain", title, ("The stored measurements do not say it.",))]
    said = (cost_words.headline(told), *cost_words.sentences(told))
    first = Section("explain", title, said, cost_plots.costs(told), (cost_tables.advice(told), cost_tables.vain(told)), lead=True)
    parts = cost_tables.stages(told), cost_tables.layers(told), cost_tables.effects(told), cost_tables.kinds(told)
    return [first, Section("parts", "Shares and effects in the dense network", tables=parts, folded=True)]


def _search_sentence(summary: Summary) -> str:
    whole = sum(spent for _, spent in summary.outcome.seconds)
    trials, imported = wording.count_words(len(summary.trials), "trial"), len(summary.imported)
    taken = f", {imported} of another campaign taken over" if imported else ""
    why = f"; the search ended because: {summary.stopped}" if summary.stopped else ""
    return f"{wording.duration(whole)} for {trials}{taken}{why}."


def _trials_sentence(summary: Summary) -> str:
    return (
        "Latencies here are predicted, accuracies are of the validation split with 95 % intervals; the drop is counted from the "
        f"{'unpruned network tuned alike' if summary.recipe else 'dense network'}. "
        f"{wording.count_words(len(summary.front), 'trial')} on the front of the longest budget."
    )


def _tight(text: str) -> str:
    """Keep a number and its unit, and the two ends of an interval, on one line."""
    text = re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text)
    return re.sub(r"(?<=\d) (?=(?:%|µs|ms|s|min|h|points?|samples?|[kMG]|[KM]iB)\b|%)", "\u00a0", text)
