"""Which networks of a comparison a reader sees first: ten at most, every rival at its best size and precision."""

from __future__ import annotations

from collections.abc import Callable

from search.records.outcome import IN_INT8, Contender
from search.records.request import QUANTISED
from search.records.trial import RunsIn
from search.report import sentences
from search.report.compared import Compared
from search.report.figures.cells import Cell, Column, Table
from search.report.figures.wording import MISSING, points, points_interval
from search.report.summary import Summary
from search.report.tables import speed_cell

MOST = 10


def leading(summary: Summary) -> tuple[Compared, ...]:
    """At most ``MOST`` compared networks, fastest last of each kind, in the order of the comparison.

    The dense network; what quantising it in seconds gives; the fastest published network as it is, and of all that is to be had without a
    search; the best of uniform cuts and of each global importance; random search's; the chosen one, in INT8 too; its shape from nothing.
    """
    plain = RunsIn()
    wanted: tuple[Callable[[Contender], bool], ...] = (
        lambda one: one.role == "dense",
        lambda one: one.name == f"dense-{QUANTISED}",
        lambda one: one.role == "off-the-shelf" and one.runs_in == plain,
        lambda one: one.role == "off-the-shelf",
        lambda one: one.role == "uniform",
        lambda one: one.role == "global-pruning" and "magnitude" in one.name,
        lambda one: one.role == "global-pruning" and "taylor" in one.name,
        lambda one: one.role == "random",
        lambda one: one.role in ("optimised", IN_INT8),
        lambda one: one.role == "optimised",
        lambda one: one.role == "from-scratch",
    )
    chosen = {one.contender.name for one in (best(summary, kind) for kind in wanted) if one is not None}
    return tuple(one for one in summary.compared if one.contender.name in chosen)[:MOST]


def best(summary: Summary, kind: Callable[[Contender], bool]) -> Compared | None:
    """The fastest compared network of a kind that keeps the limit on validation, the least harmed one where none does; None without any."""
    able = [one for one in summary.compared if kind(one.contender)]
    within = [one for one in able if not is_over(summary, one)]
    return min(within, key=_seconds) if within else min(able, key=_lost, default=None)


def is_over(summary: Summary, entry: Compared) -> bool:
    """Whether it loses more of the validation pictures than was allowed."""
    limit = summary.outcome.max_drop_points
    return limit is not None and _lost(entry) > limit


def _lost(entry: Compared) -> float:
    return 0.0 if entry.validation_drop is None else entry.validation_drop.points


def _seconds(entry: Compared) -> float:
    return entry.latency.median_s


def table(summary: Summary) -> Table:
    """The leading networks: what each runs in, how fast it is and what it loses. One comparison, measured in turns."""
    unit, shelf = sentences.unit_for(summary), summary.off_the_shelf
    columns = [
        Column("network", numeric=False),
        Column("runs in", numeric=False),
        Column(f"{summary.provenance} latency, {summary.quoted}"),
        Column("against dense"),
        *([Column(f"against {shelf.contender.name}")] if shelf else []),
        Column("test drop, points"),
    ]
    return Table("leading", tuple(columns), tuple(_row(summary, entry, unit.told) for entry in leading(summary)))


def _row(summary: Summary, entry: Compared, told: Callable[[float], str]) -> tuple[Cell, ...]:
    contender, limit = entry.contender, summary.outcome.max_drop_points
    chosen, lost = contender.role == "optimised", entry.test_drop
    over = "over the limit on validation" if is_over(summary, entry) else ""
    cells = [
        Cell(f"**{contender.name}**" if chosen else contender.name),
        Cell(runs_in(summary, contender)),
        Cell(told(entry.latency.median_s)),
        speed_cell(entry.against_dense),
        *([speed_cell(entry.against_off_the_shelf)] if summary.off_the_shelf else []),
        Cell(MISSING) if lost is None else Cell(points(lost.points), points_interval(lost), over if limit is not None else ""),
    ]
    return tuple(cells)


def runs_in(summary: Summary, contender: Contender) -> str:
    """Precision and size of the pictures, in words."""
    _, height, width = summary.architecture.input_shape
    precision = contender.precision or summary.outcome.precision.partition(",")[0]
    return f"{precision}, {(contender.size or f'{height}x{width}').replace('x', '×')}"
