"""``python -m search explain``: find or measure what is missing through the bench suites, explain, print, and write Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from harness.errors import CampaignError, HarnessError
from harness.latency.explanation.roof import LayerCost
from harness.latency.explanation.staircase import Staircase
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.networks.own import source
from harness.pipeline import Network
from harness.records.architecture import Architecture
from harness.records.conditions import Conditions
from harness.records.metric import TOP_1, Metric
from harness.records.stored_files import stem
from harness.training.stored_sensitivity import weights_digest
from search.campaign.plan import training_speed
from search.campaign.subject import Subject, bench_of, dataset_of, dense_network, divided, stored_latencies
from search.records import folder, kept_source, whole_file
from search.records.display import Display
from search.records.outcome import MEASUREMENTS
from search.records.request import Request
from search.report.costs import explain
from search.report.costs import tables as cost_tables
from search.report.costs import words as cost_words
from search.report.costs.explain import Explanation
from search.report.figures.cells import Cell, Table, in_markdown
from search.space import known_costs, measurements
from search.space.bench_run import run_bench
from search.space.goals import objective_of
from search.space.known_costs import SENSITIVITY, Found
from search.space.measurements import Stored

STAIRCASE_SUITE, SENSITIVITY_SUITE, ROOF_SUITE = "test_width_staircase.py", "test_sensitivity.py", "test_roof.py"
LONGEST_NAME = 28  # characters: shorter names of rows are never broken on a terminal
CRITERION = "l1"  # the suite's default: which channels stay
_OF_SUBJECT = ("network", "dataset", "device", "precision")
_OF_PICTURES = ("data", "validation_from", "channels", "input_shape", "resize", "mean", "std", "dense_epochs", "dense_learning_rate")


@dataclass(frozen=True)
class _Asked:
    """What is explained. campaign: the folder whose network and measurements are taken; None where there is none."""

    request: Request
    campaign: Path | None

    @property
    def benchmarks(self) -> Path:
        """Where this device's measurements are stored."""
        return bench_of(self.request).folder


def run(request: Request, display: Display) -> Path:
    """Explain the dense network that ``request`` names; returns the Markdown file. Raises the harness's errors.

    A campaign's network and measurements are taken where there is one (``--name`` chooses it), other stored figures where they are
    about the same network, images and conditions; what is missing is measured, and said.
    """
    asked = _asked(request, display)
    if asked.campaign is not None:
        kept_source.take_own(asked.campaign, asked.request, display.say, missing_only=True)
    dataset = dataset_of(asked.request)
    display.metric = metric = dataset.task.metric
    unjudged = _judged_by_nobody(asked.request, dataset, display)
    subject = None if unjudged else _dense(asked, dataset, display)
    each = (unjudged,) if unjudged else subject.architectures if subject else ()
    stored = _latencies(asked, each, display)
    conditions = stored.predictor.conditions
    dense = [m for m in stored.file.measurements if m.layers and m.config == each[0].dense()]
    dense = [m for m in dense if not m.conditions.differences(conditions)]
    widths, notes = _widths(asked, each[0], stored, display)
    points = () if subject is None else _sensitivities(asked, subject, dataset, widths, display).points
    probes = _probes(asked, conditions, display)
    told = explain.of(stored.predictor, dense[-1] if dense else None, widths.series, explain.analysed(points), notes, probes)
    show(told, display.console, metric)
    path = asked.request.reports / "explain" / f"{_stem(asked.request)}-{asked.request.device}.md"
    whole_file.write(path, metric.worded(markdown(told, request.command.replace("search run", "search explain", 1))))
    display.say(f"written: {path}")
    return path


def _judged_by_nobody(request: Request, dataset: Dataset, display: Display) -> Architecture | None:
    """Of a network that answers something else than the task wants: what it costs is explained, not its accuracy. None for all others."""
    try:
        zoo.build(request.network, dataset.input_shape, dataset.classes, task=dataset.task)
    except zoo.OtherOutputs:
        if request.sizes:
            raise
        network = Network.by_name(request.network, dataset, request.weights, must_fit=False)
        for note in network.notes:
            display.say(note)
        return network.architecture
    return None


def _dense(asked: _Asked, dataset: Dataset, display: Display) -> Subject:
    """The dense network, trained as fast as it can be here, or as in its campaign."""
    if asked.campaign is None:
        training_speed.begin(asked.request, dataset, display)
    else:
        training_speed.go_on(asked.campaign, asked.request, dataset, display)
        if sizes := folder.read_request(asked.campaign).sizes:
            display.say(f"explained at {sizes[0]}; --input-shape={sizes[-1]}, without --name, explains another size of the pictures")
    return dense_network(asked.request, dataset, display)


def show(told: Explanation, console: Console, metric: Metric = TOP_1) -> None:
    """The whole explanation on a terminal, in the words of what networks are judged by."""
    console.print(Text(metric.worded(cost_words.headline(told)), style="bold"))
    for sentence in cost_words.sentences(told):
        console.print(Text(metric.worded(sentence), style="yellow" if told.notes and sentence.endswith(told.notes[-1]) else ""))
    for table in cost_tables.tables(told):
        columns = tuple(replace(column, heading=metric.worded(column.heading)) for column in table.columns)
        console.print(_drawn(replace(table, columns=columns, caption=metric.worded(table.caption)).undrawn()))


def markdown(told: Explanation, repeat: str) -> str:
    """The same as Markdown."""
    parts = [f"# {told.network} on {told.device}: what costs what\n\n**{cost_words.headline(told)}**\n"]
    parts += [f"{sentence}\n" for sentence in cost_words.sentences(told)]
    for drawn in cost_tables.tables(told):
        table = drawn.undrawn()
        rows = [[column.heading for column in table.columns], ["--:" if column.numeric else ":--" for column in table.columns]]
        rows += [[in_markdown(cell) for cell in row] for row in table.rows]
        parts.append(f"## {table.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{table.caption}\n")
    parts.append(f"Written by `{repeat}`.")
    return "\n".join(parts) + "\n"


def _asked(request: Request, display: Display) -> _Asked:
    """The request with the subject of its campaign: of ``--name``, or of the newest one about the same network."""
    if request.name is not None:
        found = folder.existing(request.name, request.reports)
        theirs = folder.read_request(found)
        if objective_of(theirs).is_compiled:
            measuring = f"python -m search fork {found.name} --objective=latency"
            raise CampaignError(f"campaign {found.name} lowered compiled cost and measured nothing to explain; measure: {measuring}")
        kept_source.take(found, theirs.network, display.say)
        kept = {key: getattr(theirs, key) for key in (*_OF_SUBJECT, *_OF_PICTURES)}
        return _Asked(replace(request, **kept, weights=folder.dense(found, theirs)), found)
    if request.weights is not None:
        return _Asked(divided(request, display.say), None)
    for path in sorted(request.campaigns.glob(f"*/{folder.REQUEST}"), key=lambda one: one.stat().st_mtime, reverse=True):
        try:
            theirs = folder.read_request(path.parent)
            if objective_of(theirs).is_compiled or any(getattr(theirs, key) != getattr(request, key) for key in _OF_SUBJECT):
                continue
            if any(getattr(request, key) not in (None, getattr(theirs, key)) for key in _OF_PICTURES):
                continue  # about the same network, in other pictures
            pictures = {key: getattr(theirs, key) for key in _OF_PICTURES}
            if source.is_own(theirs.network):
                kept_source.allowed(path.parent, theirs.network)
            asked = replace(request, weights=folder.dense(path.parent, theirs), name=path.parent.name, **pictures)
        except HarnessError as error:
            display.say(f"passing over {path.parent}: {error}")
            continue
        display.say(f"dense network and latencies: those of campaign {path.parent.name}")
        return _Asked(asked, path.parent)
    return _Asked(divided(request, display.say), None)


def _latencies(asked: _Asked, architectures: Sequence[Architecture], display: Display) -> Stored:
    if asked.campaign is None:
        return stored_latencies(asked.request, architectures, display)
    stored = measurements.read(asked.campaign / MEASUREMENTS, architectures[0], *asked.request.precisions)
    judged = stored.predictor.held_out
    display.say(f"latencies: {stored.path} ({len(stored.file.measurements)} measured networks)")
    display.say("predictor: not judged, no held-out networks are stored" if judged is None else f"predictor: {judged.sentence()}")
    return stored


def _widths(asked: _Asked, architecture: Architecture, stored: Stored, display: Display) -> tuple[Found, tuple[str, ...]]:
    """Measured widths, found or made now; none, with the reason, where they cannot be had under the conditions of ``stored``."""
    conditions = stored.predictor.conditions
    found = known_costs.widths(asked.benchmarks, architecture, conditions, (stored.path, stored.file))
    for reason in found.passed_over:
        display.say(f"widths: passing over {reason}")
    if found.path is None:
        made = asked.benchmarks / "explained" / f"{_stem(asked.request)}-widths.json"
        words = [*bench_of(asked.request).options(), f"--store={asked.request.reports / 'benchmarks'}"]
        try:
            run_bench([STAIRCASE_SUITE], made, words, display.say)
        except HarnessError as error:
            if asked.campaign is None:
                raise
            display.say(f"error: {error}")
            return found, ("Widths could not be measured on this machine: the device of the campaign did not answer.",)
        found = known_costs.widths(asked.benchmarks, architecture, conditions)
    if found.path is None:
        told = f"Measured widths do not belong to these latencies: {found.passed_over[0]}." if found.passed_over else ""
        return found, (told,) if told else ()
    display.say(f"widths: {found.path}")
    return found, ()


def _probes(asked: _Asked, conditions: Conditions, display: Display) -> tuple[LayerCost, ...]:
    """Layers that tell the machine's roofs, found or measured now; none where the device of the campaign is not at hand."""
    found = known_costs.roof_layers(asked.benchmarks, conditions)
    if found:
        return found
    path = asked.benchmarks / known_costs.ROOF / f"{asked.request.precisions[0]}.json"
    try:
        words = [f"--device={asked.request.device}", f"--precision={asked.request.precisions[0]}"]
        run_bench([ROOF_SUITE], path, words, display.say)
    except HarnessError as error:
        display.say(f"error: {error}")
        display.say("roofs: those that the network's own layers reach")
        return ()
    return known_costs.roof_layers(asked.benchmarks, conditions)


def _sensitivities(asked: _Asked, subject: Subject, dataset: Dataset, widths: Found, display: Display) -> Found:
    architecture, digest = subject.network.architecture, weights_digest(subject.network.model)

    def look() -> Found:
        return known_costs.sensitivities(asked.benchmarks, architecture, digest, dataset.digest, CRITERION)

    found = look()
    for reason in found.passed_over:
        display.say(f"sensitivity: passing over {reason}")
    if found.path is None:
        path = asked.benchmarks / SENSITIVITY / f"{_stem(asked.request)}-{digest[:8]}.json"
        weights = [] if asked.request.weights is None else [f"--weights={asked.request.weights}"]
        words = [*bench_of(asked.request).options(), *weights, f"--criterion={CRITERION}"]
        words += [f"--also-width={group}={width}" for group, width in _useful(widths)]
        run_bench([SENSITIVITY_SUITE], path, words, display.say)
        found = look()
    if found.path is None:
        raise CampaignError(f"the sensitivity just analysed cannot be used: {'; '.join(found.passed_over)}; run the command again")
    display.say(f"sensitivity: {found.path}")
    return found


def _useful(widths: Found) -> list[tuple[str, int]]:
    """The next useful width of every measured group, where accuracy must be known exactly."""
    if not widths.series:
        return []
    staircase = Staircase.fit(widths.series)
    found = [(group, staircase.next_useful(group, staircase.points(group)[0].width)) for group in staircase.groups]
    return [(group, useful.width) for group, useful in found if useful is not None]


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(title=f"\n{table.title}", box=None, caption=table.caption or None, pad_edge=False, collapse_padding=True)
    drawn.title_justify = drawn.caption_justify = "left"
    shown = [place for place, column in enumerate(table.columns) if column.brief]
    for place in shown:
        column = table.columns[place]
        names = [line for row in table.rows for line in _text(row[place]).plain.splitlines()] if place == 0 else []
        whole = bool(names) and max(map(len, names)) <= LONGEST_NAME
        drawn.add_column(column.heading, justify="right" if column.numeric else "left", overflow="fold", no_wrap=whole)
    for row in table.rows:
        drawn.add_row(*(_text(row[place]) for place in shown))
    return drawn


def _text(cell: Cell) -> Text:
    told = Text(cell.text)
    for small in (cell.spread, cell.note):
        if small:
            told.append(f"\n{small}" if told else small, style="dim")
    return told


def _stem(request: Request) -> str:
    return stem(request.network, request.dataset, request.precisions[0])
