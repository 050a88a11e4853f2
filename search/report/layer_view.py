"""The tables of latency by layer and by stage, dense beside optimised."""

from __future__ import annotations

from search.report.figures.cells import Cell, Column, Table
from search.report.figures.wording import DASH, MISSING, Unit, count_words, percent, size
from search.report.layer_table import LayerRow, LayerTable, Spread, StageRow


def layers(table: LayerTable, unit: Unit) -> Table:
    """Layers in network order, before and after, then what belongs to none, the remainder and the whole."""
    longest = max((spread.median_s for row in table.rows for spread in (row.before, row.after) if spread), default=1.0)
    columns = (
        Column("layer", numeric=False),
        Column("channels, in → out", numeric=False),
        Column("dense above, optimised below", numeric=False, drawn=True),
        Column(f"dense, {unit.name}"),
        Column(f"optimised, {unit.name}"),
        Column(f"saved, {unit.name}"),
    )
    rows = [*(_layer_row(row, longest, unit) for row in table.rows), *_sums(table, unit)]
    compilations = sorted({spread.compilations for row in table.rows for spread in (row.before, row.after) if spread})
    caption = (
        f"Profiled runs: medians over n = {' or '.join(map(str, compilations))}, below them the smallest and the "
        "largest. Layers and remainder add up to the whole, which was not profiled; each part of the remainder is named, and may be "
        "negative."
    )
    return Table("layers", columns, tuple(rows), caption)


def _layer_row(row: LayerRow, longest: float, unit: Unit) -> tuple[Cell, ...]:
    bars = tuple((tone, spread.median_s / longest) for tone, spread in (("dense", row.before), ("optimised", row.after)) if spread)
    before, after = (f"{pair[0]} → {pair[1]}" if pair else "" for pair in (row.channels_before, row.channels_after))
    if row.removed:
        channels, now, bars = Cell(before, tone="gone"), Cell("removed", tone="good"), (*bars, ("gone", 0.0))
    else:
        channels = Cell(after, "" if after == before else f"was {before}", "", "quiet" if after == before else "")
        now = _spread_cell(row.after, unit)
    saved = Cell(unit.layer(row.saved_s), tone="" if row.saved_s >= 0 else "bad")
    return Cell(row.name, "", row.kernel), channels, Cell("", bars=bars), _spread_cell(row.before, unit), now, saved


def _sums(table: LayerTable, unit: Unit) -> list[tuple[Cell, ...]]:
    told = [(other.name, other.meaning, "quiet", other.before_s, other.after_s) for other in table.others]
    told.append(("remainder", _remainder_note(table), "total", table.remainder_before_s, table.remainder_after_s))
    told.append(("whole network", "unprofiled median", "total", table.whole_before_s, table.whole_after_s))
    rows: list[tuple[Cell, ...]] = []
    for name, note, tone, before, after in told:
        figures = (Cell(unit.layer(seconds)) for seconds in (before, after, before - after))
        rows.append((Cell(name, "", note, tone), Cell(""), Cell(""), *figures))
    return rows


def _remainder_note(table: LayerTable) -> str:
    before, after = table.remainder_before_s / table.whole_before_s, table.remainder_after_s / table.whole_after_s
    return f"sum of the parts above: {percent(before, 1)} of the dense, {percent(after, 1)} of the optimised network"


def stages(table: LayerTable, unit: Unit) -> Table:
    """The layers by stage, with their share of the whole network before and after."""
    longest = max((seconds for row in table.stages for seconds in (row.before_s, row.after_s)), default=1.0) or 1.0
    columns = (
        Column("stage", numeric=False),
        Column("dense above, optimised below", numeric=False, drawn=True),
        Column(f"dense, {unit.name}"),
        Column(f"optimised, {unit.name}"),
        Column(f"saved, {unit.name}"),
        Column("MACs kept"),
    )
    return Table("stages", columns, tuple(_stage_row(row, table, longest, unit) for row in table.stages))


def _stage_row(row: StageRow, table: LayerTable, longest: float, unit: Unit) -> tuple[Cell, ...]:
    gone, saved = row.layers_before - row.layers_after, row.before_s - row.after_s
    note = count_words(row.layers_before, "layer") + (f", {gone} removed" if gone else "")
    bars = (("dense", row.before_s / longest), ("optimised", row.after_s / longest))
    return (
        Cell(row.stage, "", note),
        Cell("", bars=bars),
        Cell(unit.layer(row.before_s), "", f"{percent(row.before_s / table.whole_before_s, 0)} of the whole"),
        Cell(unit.layer(row.after_s), "", f"{percent(row.after_s / table.whole_after_s, 0)} of the whole"),
        Cell(unit.layer(saved), "", f"{percent(saved / row.before_s, 0)} of the stage" if row.before_s else ""),
        Cell(percent(row.macs_after / row.macs_before, 0), "", f"{size(row.macs_after)} of {size(row.macs_before)}"),
    )


def _spread_cell(spread: Spread | None, unit: Unit) -> Cell:
    if spread is None:
        return Cell(MISSING, "", "cannot attribute", "quiet")
    ends = f"{unit.layer(spread.low_s)}{DASH}{unit.layer(spread.high_s)}" if spread.compilations > 1 else ""
    return Cell(unit.layer(spread.median_s), ends)
