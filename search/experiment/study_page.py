"""``reports/<network>.md``: all of one study, every figure with the command that made it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.errors import RecordError
from harness.records import benchmark_json
from harness.records.compilation import Compilation
from harness.training.stored_baseline import StoredBaseline
from search.experiment import targets as experiment_targets
from search.experiment.studied import Studied
from search.experiment.targets import Target
from search.records import whole_file
from search.report import sentences, tables
from search.report.figures import wording
from search.report.figures.cells import Cell, Column, Table, in_markdown
from search.report.report import TEMPLATES
from search.report.summary import Summary
from search.report.threats import threats


def name_of(network: str) -> str:
    """The page's file name."""
    return "".join(one if one.isalnum() or one in "-_" else "-" for one in network) + ".md"


def environment() -> Environment:
    """The experiment's templates."""
    found = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters["cell"] = in_markdown
    return found


def write(reports: Path, study: Studied) -> Path:
    """Write the page of one study, whole; returns its path."""
    text = (
        environment()
        .get_template("study.md.j2")
        .render(
            network=study.network,
            dataset=study.summary.outcome.dataset,
            comparisons=[_compared(summary, aims_of(study, summary), study) for summary in study.comparisons],
            baselines=_baselines(study.baselines),
            notes=study.notes,
            threats=[f"{one.outcome.name}: {sentence}" for one in study.comparisons for sentence in threats(one)],
        )
    )
    return whole_file.write(reports / name_of(study.network), text)


def aims_of(study: Studied, summary: Summary) -> tuple[Target, ...]:
    """What one of its comparisons was to reach, and reached."""
    if summary is study.joint:
        return experiment_targets.joint_targets(summary)
    return experiment_targets.targets(summary, study.in_bf16)


def title_of(study: Studied, summary: Summary) -> str:
    """What was chosen in one of its comparisons."""
    return "channels, bits and sizes together" if summary is study.joint else "channels, in f32"


def _compared(summary: Summary, aims: Sequence[Target], study: Studied) -> dict[str, object]:
    """What the template shows of one comparison."""
    shown = [_targets(aims), tables.compared(summary).undrawn()]
    if summary is study.summary:
        shown += [] if study.in_bf16 is None else [_speeds(study.in_bf16)]
        compiled = _compilations(summary)
        shown += [_compiled(compiled)] if compiled else []
    told = (say(summary) for say in (sentences.headline, sentences.rival_sentence, sentences.global_pruning_sentence))
    return {
        "title": title_of(study, summary),
        "headline": " ".join(filter(None, told)),
        "command": summary.outcome.command,
        "link": f"campaigns/{summary.outcome.name}/report.md",
        "tables": shown,
    }


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


def _compiled(compiled: dict[str, Compilation]) -> Table:
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
