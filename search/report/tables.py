"""The report's tables of networks and trials: what was compared, how accurate, how wide, at what cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness.latency.verdict import energy
from harness.records.architecture import Architecture
from harness.records.measurement import Latency
from harness.records.metric import Metric
from search.records.losses.drop import Drop, mean_accuracy
from search.records.outcome import Contender, Outcome
from search.records.trial import Trial
from search.report.compared import Compared, SpeedUp
from search.report.figures.cells import Cell, Column, Table
from search.report.figures.wording import (
    MISSING,
    ROLE_WORDS,
    Unit,
    duration,
    percent,
    points,
    points_interval,
    reached,
    reached_interval,
    share_correct,
    size,
)
from search.report.sentences import unit_for, verdict_interval, verdict_words
from search.report.summary import Summary


def compared(summary: Summary) -> Table:
    """The networks of the final comparison; measured, predicted and counted figures each in their own column."""
    rival, limit = summary.off_the_shelf, summary.outcome.max_drop_points
    columns = [
        Column("network", numeric=False),
        Column(f"{summary.provenance} latency, {summary.quoted}"),
        Column("against dense"),
        *([Column(f"against {rival.contender.name}", brief=False)] if rival else []),
        Column("test top-1"),
        Column("test drop, points"),
        *([Column(f"sure of ≤ {limit:g}", brief=False)] if limit is not None else []),
        Column("predicted latency" + (" from SIMULATED" if summary.provenance == "SIMULATED" else "")),
        Column("MACs", brief=False),
    ]
    caption = (
        "Small figures are 95 % intervals, of predictions 90 %; n counts single inferences. Speed-ups come from neighbouring blocks of "
        "interleaved measurements."
    )
    if limit is not None:
        caption += f" Sure of ≤ {limit:g}: the probability that the true drop is at most that, as known before the test split was read."
    return Table("compared", tuple(columns), tuple(_compared_row(summary, entry) for entry in summary.compared), caption)


def _compared_row(summary: Summary, entry: Compared) -> tuple[Cell, ...]:
    contender, unit, dense, metric = entry.contender, unit_for(summary), summary.dense, summary.outcome.metric
    latency, test = entry.latency, mean_accuracy(contender.tests)
    slowest = max(other.latency.median_s for other in summary.compared)
    noise = bool(latency.noise)
    count = f"n = {len(latency.samples_s)}" + (", noisy" if noise else "")
    bars = ((contender.role, latency.median_s / slowest),)
    against = [speed_cell(entry.against_dense)] + ([speed_cell(entry.against_off_the_shelf)] if summary.off_the_shelf else [])
    return (
        Cell(entry.name, "", contender.source or ROLE_WORDS.get(contender.role, contender.role), contender.role),
        Cell(unit.told(latency.median_s), unit.interval(*latency.interval_s), count, "noisy" if noise else "", bars),
        *against,
        Cell(reached(metric, test.top1_ratio), reached_interval(metric, test.interval_ratio), share_correct(test)),
        drop_cell(entry.test_drop),
        *_chance_cells(summary, entry),
        _predicted_cell(entry, unit),
        Cell(size(contender.macs), "", f"{percent(contender.macs / dense.contender.macs, 0)} of dense"),
    )


def speed_cell(judged: SpeedUp | None) -> Cell:
    """The verdict with its interval, and what would have shown where it cannot tell."""
    if judged is None:
        return Cell(MISSING, tone="quiet")
    tone = {"faster": "good", "slower": "bad"}.get(judged.outcome, "quiet")
    if judged.outcome != "cannot tell":
        return Cell(verdict_words(judged), verdict_interval(judged), tone=tone)
    if math.isinf(judged.smallest_detectable_ratio):
        return Cell(verdict_words(judged), note="too few blocks", tone=tone)
    return Cell(verdict_words(judged), verdict_interval(judged), f"{percent(judged.smallest_detectable_ratio, 1)} would show", tone)


def _chance_cells(summary: Summary, entry: Compared) -> list[Cell]:
    """The probability that the true drop is within the limit, as it was known before the test split was read; none without a limit."""
    limit, asked = summary.outcome.max_drop_points, summary.outcome.certainty
    if limit is None:
        return []
    if entry.evidence is None:
        return [Cell(MISSING, tone="quiet")]
    chance = entry.evidence.chance_within(limit)
    tone = "" if asked is None else "good" if chance >= asked else "bad"
    return [Cell(f"{chance:.2f}", "", f"by {entry.evidence.pictures} pictures", tone if entry.contender.role == "optimised" else "")]


def drop_cell(lost: Drop | None, limit: float | None = None) -> Cell:
    """Points that were lost, with their interval, and whether that is over the limit; a dash for the dense network itself."""
    if lost is None:
        return Cell(MISSING, tone="quiet")
    over = limit is not None and lost.points > limit
    return Cell(points(lost.points), points_interval(lost), f"over the limit of {limit:g}" if over else "", "bad" if over else "")


def _predicted_cell(entry: Compared, unit: Unit) -> Cell:
    if entry.predicted is None:
        return Cell("unknown", "", "outside of what was measured", "quiet")
    told, measured = entry.predicted, entry.latency.median_s
    note = f"off by {percent(told.seconds / measured - 1)}"
    if entry.speed_miss_ratio is not None:
        note += f", as a speed-up by {percent(entry.speed_miss_ratio, 1)}"
    return Cell(unit.told(told.seconds), unit.interval(told.low_s, told.high_s), note)


def accuracies(summary: Summary) -> Table:
    """What the choice was made by, what was read afterwards, and what the exported file answers on the device itself."""
    untouched = ("test drop from the untouched dense network, points",) if summary.outcome.untouched is not None else ()
    heads = ("validation top-1", "validation drop, points", "test top-1", "test drop, points", *untouched)
    heads += ("test top-1 on the device", "same answer")
    columns = (Column("network", numeric=False), *(Column(head) for head in heads))
    limit, metric = summary.outcome.max_drop_points, summary.outcome.metric
    rows = []
    for entry in summary.compared:
        splits = [
            Cell(reached(metric, found.top1_ratio), reached_interval(metric, found.interval_ratio), share_correct(found))
            for found in map(mean_accuracy, (entry.contender.validations, entry.contender.tests))
        ]
        drops = drop_cell(entry.validation_drop, limit), drop_cell(entry.test_drop, limit)
        name = Cell(entry.name, "", ROLE_WORDS.get(entry.contender.role, entry.contender.role), entry.contender.role)
        beside = [drop_cell(entry.untouched_drop)] if untouched else []
        rows.append((name, splits[0], drops[0], splits[1], drops[1], *beside, *_device_cells(entry, metric)))
    return Table("accuracies", columns, tuple(rows), _accuracy_caption(summary))


def _accuracy_caption(summary: Summary) -> str:
    seeds = max(len(entry.contender.tests) for entry in summary.compared)
    told = "Chosen on validation; the test split was read once, afterwards. 95 % intervals. Drops are counted from the dense network tuned "
    told += "alike"
    untouched = summary.outcome.untouched
    told += "." if untouched is None else f"; as it came, its test top-1 is {reached(summary.outcome.metric, untouched.test.top1_ratio)}."
    if seeds == 1:
        return told
    return f"{told} Means over {seeds} seeds; intervals of drops cover other seeds too. The device answered for the first."


def _device_cells(entry: Compared, metric: Metric) -> tuple[Cell, Cell]:
    if entry.on_device is None:
        return Cell("not asked", tone="quiet"), Cell(MISSING, tone="quiet")
    told = entry.on_device
    seen = told.on_device
    answered = Cell(reached(metric, seen.top1_ratio), reached_interval(metric, seen.interval_ratio), share_correct(seen))
    if told.largest_difference is None:
        return answered, Cell(MISSING, tone="quiet")
    same = MISSING if told.agreement_ratio is None else percent(told.agreement_ratio)
    return answered, Cell(same, "", f"{'logits' if seen.is_counted else 'outputs'} differ by at most {told.largest_difference:.1e}")


def widths(architecture: Architecture, contenders: Sequence[tuple[str, Contender]]) -> Table:
    """Channels kept in every group, for every compared network, by the name that it is shown under."""
    groups, (_, height, width) = architecture.groups, architecture.input_shape
    columns = (Column("group", numeric=False), *(Column(name) for name, _ in contenders))
    rows = []
    if any(one.size for _, one in contenders):
        sizes = (Cell((one.size or f"{height}x{width}").replace("x", "×")) for _, one in contenders)
        rows.append((Cell("input size", "", "pixels of a picture"), *sizes))
    for group in groups:
        cells = [Cell(group.name, "", f"{group.stage}, {group.channels} channels")]
        for _, one in contenders:
            kept = one.config.kept(group.name)
            bars = ((one.role, kept / group.channels),) if kept else ()
            cells.append(Cell(str(kept) if kept else "removed", tone="" if kept else "good", bars=bars))
        rows.append(tuple(cells))
    return Table("widths", columns, tuple(rows))


def trials(found: Sequence[Trial], front: Sequence[int], metric: Metric, heading: str, told: Callable[[float], str]) -> Table:
    """Every trial of the search: its predicted cost under ``heading``, as ``told``, and validation accuracy at the trial's short budget."""
    heads = ("trial", "origin", heading, "validation top-1", "drop, points", "epochs", "took", "front")
    columns = tuple(Column(head, numeric=head not in ("trial", "origin", "front")) for head in heads)
    return Table("trials", columns, tuple(_trial_row(trial, trial.number in front, metric, told) for trial in found))


def _trial_row(trial: Trial, on_front: bool, metric: Metric, cost: Callable[[float], str]) -> tuple[Cell, ...]:
    told, asked = trial.outcome, trial.request
    if told.ok:
        ends = (told.top1_low, told.top1_high)
        accuracy = Cell(reached(metric, told.top1_ratio), reached_interval(metric, ends)), Cell(points(told.drop_points))
    else:
        accuracy = Cell(told.status, "", told.reason, "bad" if told.failed else "quiet"), Cell(MISSING, tone="quiet")
    return (
        Cell(str(trial.number)),
        Cell(asked.origin, "", f"at {asked.recipe.size.replace('x', '×')}" if asked.recipe.size else ""),
        Cell(cost(trial.cost)),
        *accuracy,
        Cell(f"{asked.budget_epochs:g}"),
        Cell(duration(told.seconds)),
        Cell("●" if on_front else "", tone="good" if on_front else ""),
    )


def seconds(told: Outcome) -> Table:
    """Where the campaign's own time went."""
    whole = sum(spent for _, spent in told.seconds) or 1.0
    rows: list[tuple[Cell, ...]] = [
        (Cell(step, bars=(("front", spent / whole),)), Cell(duration(spent)), Cell(percent(spent / whole, 0)))
        for step, spent in told.seconds
    ]
    rows.append((Cell("in all", tone="total"), Cell(duration(whole)), Cell("100 %")))
    return Table("seconds", (Column("step", numeric=False), Column("took"), Column("share")), tuple(rows))


def costs(summary: Summary) -> Table:
    """What else a network costs: to load, to run first, in memory and on disk."""
    metered = any(energy.per_inference(entry.measurement.latency) is not None for entry in summary.compared)
    usual = ("network", "parameters", "file", "load", "first inference", "90th percentile", "99th percentile", "peak memory")
    heads = (*usual, *(("energy",) if metered else ()))
    unit, parameters = unit_for(summary), summary.dense.contender.parameters
    rows = []
    for entry in summary.compared:
        taken = entry.measurement
        p99, memory = taken.latency.p99_s, taken.peak_memory_bytes
        rows.append(
            (
                Cell(entry.name, tone=entry.contender.role),
                Cell(size(entry.contender.parameters), "", f"{percent(entry.contender.parameters / parameters, 0)} of dense"),
                Cell(f"{taken.artefact_bytes / 1024:.0f} KiB"),
                Cell(duration(taken.load_s) if taken.load_s >= 1 else f"{1e3 * taken.load_s:.0f} ms"),
                Cell(unit.told(taken.first_inference_s)),
                Cell(unit.told(taken.latency.p90_s)),
                Cell(MISSING, "", "under 1000 samples", "quiet") if p99 is None else Cell(unit.told(p99)),
                Cell(MISSING, tone="quiet") if memory is None else Cell(f"{memory / 2**20:.0f} MiB"),
                *([_energy_cell(taken.latency)] if metered else []),
            )
        )
    told = "of an inference, with its 95 % interval; what the machine draws idle is not subtracted" if metered else energy.NO_METER
    return Table("costs", tuple(Column(head, numeric=place > 0) for place, head in enumerate(heads)), tuple(rows), f"Energy: {told}.")


def _energy_cell(latency: Latency) -> Cell:
    found = energy.per_inference(latency)
    if found is None:
        return Cell(energy.NO_METER, tone="quiet")
    return Cell(found.figure, found.interval if found.told else "", "" if found.told else found.interval)
