"""The tables of a campaign on compiled cost; compiled, predicted and counted figures each in their own column."""

from __future__ import annotations

from search.records import training_record
from search.records.costs.objective import told_cost
from search.records.losses.drop import mean_accuracy
from search.report import circumstances
from search.report import tables as report_tables
from search.report.compiled.told import Entry, Told
from search.report.figures.cells import Cell, Column, Table
from search.report.figures.wording import (
    MISSING,
    ROLE_WORDS,
    percent,
    reached,
    reached_interval,
    share_correct,
    size,
)

MEASURED = ("--max-latency-ms", "--designs", "--learn-from", "--rounds", "--keep-slow")  # options of what such a campaign does not do
_BRIEF = ("network", "compiled cost", "of dense", "test top-1", "test drop, points", "predicted compiled cost", "copies")


def compared(told: Told) -> Table:
    """The networks of the comparison."""
    limit, wide = told.outcome.max_drop_points, max(entry.compiled.cost for entry in told.compared) or 1
    sure = () if limit is None else (f"sure of ≤ {limit:g}",)
    heads = (*_BRIEF[:5], *sure, *_BRIEF[5:6], "stages run", "copies", "blob, bytes", "MACs")
    columns = tuple(Column(head, numeric=head != "network", brief=head in _BRIEF) for head in heads)
    caption = (
        "Compiled cost: in the compiler's own unit, no duration; predicted compiled cost: by the model that the search went by. Copies: "
        "stages that only move data, which cost nothing in that unit. Small figures are 95 % intervals."
    )
    return Table("compared", columns, tuple(_compared(told, entry, wide) for entry in told.compared), caption)


def _compared(told: Told, entry: Entry, wide: int) -> tuple[Cell, ...]:
    one, made, metric, test = entry.contender, entry.compiled, told.outcome.metric, mean_accuracy(entry.contender.tests)
    limit, asked = told.outcome.max_drop_points, told.outcome.certainty
    sure = []
    if limit is not None:
        chance = None if entry.evidence is None else entry.evidence.chance_within(limit)
        tone = "" if chance is None or asked is None or one.role != "optimised" else "good" if chance >= asked else "bad"
        sure = [Cell(MISSING, tone="quiet") if chance is None else Cell(f"{chance:.2f}", tone=tone)]
    off = entry.predicted / made.cost - 1 if made.cost else 0.0
    return (
        Cell(entry.name, "", one.source or ROLE_WORDS.get(one.role, one.role), one.role),
        Cell(told_cost(made.cost), bars=((one.role, made.cost / wide),)),
        Cell(f"{told.of_dense(entry):.3f}"),
        Cell(reached(metric, test.top1_ratio), reached_interval(metric, test.interval_ratio), share_correct(test)),
        report_tables.drop_cell(entry.test_drop),
        *sure,
        Cell(told_cost(entry.predicted), "", f"off by {percent(off)}" if off else "as compiled"),
        Cell(str(made.executed_count), "", f"{made.hardware_count} in hardware"),
        Cell(str(made.copies)),
        Cell(told_cost(made.blob_bytes)),
        Cell(size(one.macs), "", f"{percent(one.macs / told.dense.contender.macs, 0)} of dense"),
    )


def accuracies(told: Told) -> Table:
    """What the choice was made by, and what was read afterwards."""
    heads: tuple[str, ...] = ("network", "validation top-1", "validation drop, points", "test top-1", "test drop, points")
    untouched = told.outcome.untouched
    heads += () if untouched is None else ("test drop from the untouched dense network, points",)
    rows = []
    for entry in told.compared:
        splits = [
            Cell(
                reached(told.outcome.metric, one.top1_ratio), reached_interval(told.outcome.metric, one.interval_ratio), share_correct(one)
            )
            for one in map(mean_accuracy, (entry.contender.validations, entry.contender.tests))
        ]
        beside = () if untouched is None else (report_tables.drop_cell(entry.untouched_drop),)
        rows.append(
            (
                Cell(entry.name, tone=entry.contender.role),
                splits[0],
                report_tables.drop_cell(entry.validation_drop),
                splits[1],
                report_tables.drop_cell(entry.test_drop),
                *beside,
            )
        )
    caption = "Chosen on validation; the test split was read once, afterwards. Drops are counted from the dense network tuned alike."
    return Table("accuracies", tuple(Column(head, numeric=head != "network") for head in heads), tuple(rows), caption)


def layers(told: Told) -> Table:
    """Compiled cost of every layer in the unpruned and in the optimised network."""
    whole = max((before for _, before, _ in told.layers()), default=0) or 1
    rows = [
        (
            Cell(name, bars=(("dense", before / whole), ("optimised", after / whole))),
            Cell(told_cost(before)),
            Cell(told_cost(after), tone="good" if after < before else ""),
        )
        for name, before, after in told.layers()
    ]
    rows.append(
        (Cell("whole network", tone="total"), Cell(told_cost(told.dense.compiled.cost)), Cell(told_cost(told.optimised.compiled.cost)))
    )
    heads = ("layer", "compiled cost, unpruned", "compiled cost, optimised")
    return Table("compiled-layers", tuple(Column(head, numeric=head != "layer") for head in heads), tuple(rows))


def held_out(told: Told) -> Table:
    """What the model says of networks that it was not made from, and what the compiler does."""
    judged = told.known.judged
    rows = [
        (Cell(str(place)), Cell(told_cost(ours)), Cell(told_cost(theirs)), Cell(percent(error)))
        for place, (ours, theirs, error) in enumerate(zip(judged.predicted, judged.compiled, judged.errors_ratio, strict=True), start=1)
    ]
    heads = ("held-out network", "predicted compiled cost", "compiled cost", "off by")
    return Table("held-out", tuple(map(Column, heads)), tuple(rows))


def conditions(told: Told) -> Table:
    """By which compiler, from which version of the program."""
    made = told.optimised.compiled
    pairs = [
        ("compiler", f"{made.device.name}: {made.device.model}"),
        ("runtime", f"{made.device.runtime} {made.device.runtime_version}, Python {made.device.python}"),
        *made.device.details,
        ("versions", ", ".join(f"{package} {version}" for package, version in made.versions)),
        ("commit", made.git_commit or "not a git checkout"),
    ]
    return circumstances.paired("conditions", pairs)


def settings(told: Told) -> Table:
    """What the campaign ran with, but for what is about measuring."""
    training, validation, test = told.outcome.split_sizes
    shape = " x ".join(map(str, told.architecture.input_shape))
    pairs = [pair for pair in told.outcome.settings if pair[0] not in MEASURED]
    pairs += [
        ("images", f"of {shape}; {training} for training, {validation} for validation, {test} for the test"),
        ("recipe of the comparison", told.outcome.proof_recipe),
    ]
    if (trained := training_record.read(told.folder)) is not None:
        pairs.append(("training", trained.sentence.removeprefix("training: ")))
    return circumstances.paired("settings", pairs)
