"""``python -m search explain``: measure what is missing through the bench suites, explain, print, and write Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from harness.errors import LatencyUnknown
from harness.latency.width_series import measured_series, with_twins
from harness.networks import datasets
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions
from harness.training.stored_sensitivity import weights_digest
from search import explain, journey, measurements
from search.command_line import Request
from search.display import Display
from search.explain import Explanation

STAIRCASE, SENSITIVITY = "test_width_staircase.py", "test_sensitivity.py"


def run(request: Request, display: Display) -> Path:
    """Explain the dense network that ``request`` names; returns the Markdown file. Raises the harness's errors."""
    dataset = datasets.load(request.dataset, request.data)
    subject = journey.dense_network(request, dataset, display)
    architecture = subject.network.architecture
    stored = journey.stored_latencies(request, subject.network, display)
    dense = [m for m in stored.file.measurements if m.layers and m.config == architecture.dense()]
    weights = [] if request.weights is None else [f"--weights={request.weights}"]
    widths = _found_or_measured(request, "widths", STAIRCASE, [f"--store={request.reports / 'benchmarks'}"], display, architecture)
    analysed = _found_or_measured(
        request, "sensitivity", SENSITIVITY, weights, display, architecture, weights_digest(subject.network.model)
    )
    usable = _under(widths, stored.predictor.conditions)
    try:
        series = with_twins(architecture, measured_series(architecture, usable.measurements))
    except LatencyUnknown:
        series = {}
    told = explain.of(stored.predictor, dense[-1] if dense else None, series, analysed.sensitivities)
    show(told, display.console)
    path = request.reports / "explain" / f"{_stem(request)}-{request.device}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(markdown(told), encoding="utf-8")
    display.say(f"written: {path}")
    return path


def show(told: Explanation, console: Console) -> None:
    """The whole explanation on a terminal."""
    console.print(Text(told.headline, style="bold"))
    for note in told.notes:
        console.print(Text(note, style="yellow"))
    for title, table in explain.tables(told):
        drawn = RichTable(title=title, title_justify="left", box=None, caption=table.caption or None, caption_justify="left")
        for column in table.columns:
            drawn.add_column(column.heading, justify="right" if column.numeric else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*(Text(cell.text) for cell in row))
        console.print(drawn)


def markdown(told: Explanation) -> str:
    """The same as Markdown."""
    parts = [f"# {told.network} on {told.device}: what costs what\n\n**{told.headline}**\n"]
    parts += [f"* {note}" for note in told.notes]
    for title, table in explain.tables(told):
        rows = [[column.heading for column in table.columns], ["--:" if column.numeric else ":--" for column in table.columns]]
        rows += [[cell.text.replace("|", "\\|") for cell in row] for row in table.rows]
        parts.append(f"\n## {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))
        parts += [f"\n{table.caption}"] if table.caption else []
    return "\n".join(parts) + "\n"


def _found_or_measured(
    request: Request, folder: str, suite: str, words: list[str], display: Display, architecture: Architecture, weights: str = ""
) -> BenchmarkFile:
    """The stored answer of a suite about this architecture (and these weights, where they matter), or a new one."""
    path = request.reports / "benchmarks" / request.device / folder / f"explained-{_stem(request)}.json"
    if path.is_file():
        file = benchmark_json.read(path)
        timed = [m for m in file.measurements if m.architecture_digest == architecture.digest]
        if any(point.weights_digest == weights for point in file.sensitivities) if weights else timed:
            display.say(f"{folder}: {path}")
            return file
    measurements.run_bench([suite], path, [*journey.bench_of(request).options(), *words], display.say)
    return benchmark_json.read(path)


def _under(file: BenchmarkFile, conditions: Conditions) -> BenchmarkFile:
    kept = tuple(m for m in file.measurements if not m.conditions.differences(conditions))
    return BenchmarkFile(kept, file.architectures)


def _stem(request: Request) -> str:
    return "-".join(re.sub(r"[^A-Za-z0-9.+]+", "-", word).strip("-") for word in (request.network, request.dataset, request.precision))
