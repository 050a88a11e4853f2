"""``reports/README.md``: the experiment on one page, every figure with the command that made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.errors import RecordError
from harness.records import benchmark_json
from harness.records.compilation import Compilation
from harness.training.stored_baseline import StoredBaseline
from search.experiment import targets as experiment_targets
from search.experiment.targets import Target
from search.records import whole_file
from search.report import sentences, tables
from search.report.figures import wording
from search.report.figures.cells import Cell, Column, Table, in_markdown
from search.report.report import TEMPLATES
from search.report.summary import Summary
from search.report.threats import threats

PAGE, LEARNT = "README.md", "learnt.md"


@dataclass(frozen=True)
class Studied:
    """One finished study. in_bf16: its comparison measured in bf16, or None. notes: what is missing and why, a sentence each."""

    summary: Summary
    baselines: tuple[StoredBaseline, ...]
    in_bf16: Summary | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    title: str
    headline: str
    command: str
    link: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def write(reports: Path, studied: Sequence[Studied], missing: Sequence[str] = ()) -> Path:
    """Write the page, whole; ``learnt.md`` beside it, where there is one, is its part that a person wrote.

    missing: networks whose studies are not finished. Returns the page's path.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = in_markdown
    learnt = reports / LEARNT
    judged = [experiment_targets.targets(study.summary, study.in_bf16) for study in studied]
    text = environment.get_template("experiment.md.j2").render(
        answer=answer([study.summary for study in studied]),
        seeds=wording.count_words(max((len(study.summary.optimised.contender.tests) for study in studied), default=0), "seed"),
        missing=missing,
        studies=[_shown(study, found) for study, found in zip(studied, judged, strict=True)],
        learnt=learnt.read_text(encoding="utf-8") if learnt.is_file() else "",
        threats=[f"{study.summary.outcome.network}: {sentence}" for study in studied for sentence in threats(study.summary)],
    )
    return whole_file.write(reports / PAGE, text)


def answer(summaries: Sequence[Summary]) -> str:
    """Whether the hypothesis held, network by network: faster by a verdict, with the limit kept on the test split."""
    held = [summary.outcome.network for summary in summaries if _held(summary)]
    failed = [summary.outcome.network for summary in summaries if not _held(summary)]
    simulated = "SIMULATED: " if any(summary.provenance == "SIMULATED" for summary in summaries) else ""
    parts = []
    if held:
        parts.append(
            f"it held for {', '.join(held)}: the chosen network is faster than dense and off-the-shelf, within the limit of accuracy"
        )
    if failed:
        parts.append(f"it did not hold for {', '.join(failed)}")
    told = "; ".join(parts) or "no study is finished yet"
    return f"{simulated}{told[0].upper()}{told[1:]}."


def _held(summary: Summary) -> bool:
    best, limit = summary.optimised, summary.outcome.max_drop_points
    faster = best.against_dense is not None and best.against_dense.outcome == "faster"
    published = best.against_off_the_shelf is None or best.against_off_the_shelf.outcome == "faster"
    return faster and published and (limit is None or best.test_drop is None or best.test_drop.points <= limit)


def _shown(study: Studied, found: tuple[Target, ...]) -> _Shown:
    summary = study.summary
    shown = [_baselines(study.baselines), _targets(found), tables.compared(summary).undrawn()]
    if study.in_bf16 is not None:
        shown.append(_speeds(study.in_bf16))
    compiled = _compilations(summary)
    if compiled:
        shown.append(_compiled(summary, compiled))
    link = f"campaigns/{summary.outcome.name}/report.md"
    title = f"{summary.outcome.network} on {summary.outcome.dataset}, {summary.outcome.device}"
    return _Shown(
        title,
        " ".join(filter(None, (say(summary) for say in (sentences.headline, sentences.rival_sentence, sentences.global_pruning_sentence)))),
        summary.outcome.command,
        link,
        tuple(shown),
        study.notes,
    )


def _baselines(stored: Sequence[StoredBaseline]) -> Table:
    columns = (Column("dense network", numeric=False), Column("validation top-1"), Column("test top-1"), Column("recipe", numeric=False))
    rows = tuple(
        (
            Cell(one.weights.stem),
            Cell(wording.percent(one.validation.top1_ratio), wording.interval_percent(one.validation.interval_ratio)),
            Cell(wording.percent(one.test.top1_ratio), wording.interval_percent(one.test.interval_ratio)),
            Cell(one.recipe),
        )
        for one in stored
    )
    return Table("baselines", columns, rows, "Weights with checksum and recipe: `reports/baselines/`.", "Dense networks")


def _targets(found: Sequence[Target]) -> Table:
    columns = (Column("aim", numeric=False), Column("seen", numeric=False), Column("judgement", numeric=False))
    rows = tuple((Cell(target.aim), Cell(target.seen), Cell(target.word)) for target in found)
    return Table("targets", columns, rows, "", "Aims")


def _speeds(summary: Summary) -> Table:
    """The same networks in another precision: latency and verdict only, accuracy was judged in the first."""
    columns = (Column("network", numeric=False), Column(f"{summary.provenance} latency, {summary.quoted}"), Column("against dense"))
    unit = sentences.unit_for(summary)
    rows = []
    for entry in summary.compared:
        latency, speed = entry.latency, entry.against_dense
        against = Cell(wording.MISSING) if speed is None else Cell(sentences.verdict_words(speed), sentences.verdict_interval(speed))
        rows.append((Cell(entry.contender.name), Cell(unit.told(latency.median_s), unit.interval(*latency.interval_s)), against))
    effective = summary.conditions.effective_precision
    return Table(
        "other-precision",
        columns,
        tuple(rows),
        "Small figures are 95 % intervals.",
        f"The same networks in {effective} on {sentences.place(summary)}",
    )


def _compilations(summary: Summary) -> dict[str, Compilation]:
    """What the other device's compiler made of each contender, by contender."""
    found: dict[str, Compilation] = {}
    for contender in summary.outcome.contenders:
        path = summary.folder / "compiled" / f"{contender.name}.json"
        try:
            stored = benchmark_json.read(path).compilations if path.is_file() else ()
        except RecordError:
            continue
        ours = [one for one in stored if one.config == contender.config]
        if ours:
            found[contender.name] = ours[-1]
    return found


def _compiled(summary: Summary, compiled: dict[str, Compilation]) -> Table:
    device = next(iter(compiled.values())).device.name
    columns = (
        Column("network", numeric=False),
        Column("compiled cost"),
        Column("of dense"),
        Column("stages"),
        Column("in hardware"),
        Column("blob, kB"),
    )
    dense = compiled.get("dense")
    rows = tuple(
        (
            Cell(name),
            Cell(f"{one.cost:,}"),
            Cell(wording.percent(one.cost / dense.cost, 0) if dense is not None and dense.cost else wording.MISSING),
            Cell(str(sum(stage.executed for stage in one.stages))),
            Cell(str(sum(stage.executed and stage.hardware for stage in one.stages))),
            Cell(f"{one.blob_bytes / 1000:.0f}"),
        )
        for name, one in compiled.items()
    )
    caption = "The compiler's own cost unit; nothing was run and no latency is claimed."
    return Table("compiled", columns, rows, caption, f"Compiled for the {device}, without the device")
