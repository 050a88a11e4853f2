"""The explanation of a network's costs as tables, the same on the page, in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from harness.latency.explanation.advice import WORTHWHILE_RATIO, Advice
from harness.latency.explanation.shares import Share
from harness.latency.explanation.staircase import TOLERANCE_RATIO
from search.report.costs.explain import Explanation
from search.report.costs.words import cut, kind, listed, lost_interval, unit_for
from search.report.figures.cells import Cell, Column, Table
from search.report.figures.wording import MISSING, Unit, count_words, interval_percent, number, percent, points, size

_STAGE_TONES = ("front", "off-the-shelf", "uniform", "optimised", "candidate", "dense")


def tables(told: Explanation) -> tuple[Table, ...]:
    """All tables, each with its title, in the order in which a reader asks for them."""
    return tuple(draw(told) for draw in (advice, vain, stages, layers, effects, kinds))


def advice(told: Explanation) -> Table:
    """Groups worth narrowing, the most rewarding first."""
    unit, known = unit_for(told), told.analysis
    worth = [one for one in told.advice if not one.in_vain]
    largest = max((one.saved_s for one in worth), default=1.0)
    lost = "" if known is None else f", {known.kind}"
    columns = (
        Column("group", numeric=False),
        Column("next useful width", numeric=False),
        Column(f"saves, {unit.name} ({kind(told, told.series)})"),
        Column(f"points lost{lost}"),
        Column(f"{unit.name} per point"),
        Column("without loss down to"),
        Column(f"at most, {unit.name}", brief=False),
    )
    rows = []
    for one in worth:
        margin = 2 * one.saved_sd_s
        rows.append(
            (
                Cell(one.group, "", _slower(one)),
                Cell(cut(one, one.next_width or 0)),
                Cell(
                    unit.layer(one.saved_s),
                    f"±{unit.layer(margin)}",
                    percent(one.saved_s / told.account.whole_s, 1),
                    bars=(("optimised", one.saved_s / largest),),
                ),
                _lost(one),
                Cell(MISSING if one.per_point_s is None else number(one.per_point_s * unit.per_second)),
                _free(told, one, unit),
                Cell(unit.layer(one.at_most_s), "", _at(one.at_width)),
            )
        )
    caption = (
        "Percentages are of the network. Sorted by time saved per point lost at the next useful width: the largest that is certainly "
        "faster, by two standard errors (±) "
        f"and by {percent(TOLERANCE_RATIO, 1)} of the network."
    )
    if known is not None:
        caption += f" A loss below {points(known.least_points)} points counts as that much. Intervals of losses are 95 %."
    return Table("advice", columns, tuple(rows), caption, "Prune this next")


def vain(told: Explanation) -> Table:
    """Groups and widths whose narrowing saves nothing, with the reason; groups that are alike share a row."""
    unit = unit_for(told)
    alike: dict[tuple[str, str, str, str], list[Advice]] = {}
    for one in told.advice:
        if one.in_vain:
            most = f"{unit.told(max(0.0, one.at_most_s))} {_at(one.at_width)}"
            open_ = f"cannot tell of {listed(one.undecided)}; " if one.undecided else ""
            alike.setdefault(("all that were looked at", "nothing", f"at most {most}", open_ + one.reason), []).append(one)
        elif one.idle or one.slower:
            above = tuple(width for width in one.idle if width not in (*one.slower, *one.undecided))
            open_widths = tuple(width for width in one.undecided if width not in one.slower)
            why = [f"at {listed(one.slower)} the network is slower than at a larger width"] if one.slower else []
            why += [f"{listed(above)} {'is' if len(above) == 1 else 'are'} no faster than {one.width}"] if above else []
            why += [f"cannot tell of {listed(open_widths)}: measure more"] if open_widths else []
            named = listed(tuple(sorted({*above, *open_widths, *one.slower}, reverse=True)))
            key = (named, str(one.next_width), f"saves {unit.told(one.saved_s)}", "staircase: " + "; ".join(why))
            alike.setdefault(key, []).append(one)
    rows = []
    for (named, instead, saves, why_so), members in alike.items():
        whose = Cell(", ".join(one.group for one in members), "", count_words(members[0].width, "channel"))
        rows.append((whose, Cell(named), Cell(instead, "", saves), Cell(why_so)))
    columns = tuple(Column(head, numeric=False) for head in ("groups", "widths", "go to", "why"))
    caption = f"Nothing: no width is certainly faster by {percent(WORTHWHILE_RATIO, 1)} of the network. Cannot tell: two standard errors."
    return Table("vain", columns, tuple(rows), caption, "Cuts that save nothing or of which it cannot be told, and why")


def stages(told: Explanation) -> Table:
    """Each stage's share, then what belongs to no layer."""
    return _shares(told, "shares-by-stage", "stage", [(share, "", "") for share in told.account.stages])


def layers(told: Explanation) -> Table:
    """Each layer's share with its work and what bounds it, then what belongs to no layer."""
    account, unit, roof = told.account, unit_for(told), told.account.roof
    base = _shares(told, "shares", "layer", [(share, cost.stage, "") for share, cost in zip(account.layers, account.costs, strict=True)])
    blank = (Cell(""),) * 4
    rows = []
    for place, row in enumerate(base.rows):
        if place >= len(account.costs):
            rows.append((*row, *blank))
            continue
        cost = account.costs[place]
        reached = f"{percent(roof.explained_ratio(cost), 0)}"
        rows.append(
            (*row, Cell(size(cost.macs)), Cell(number(cost.intensity)), Cell(reached), Cell(account.bound(place).removesuffix("-bound")))
        )
    more = (Column("MACs", brief=False), Column("MACs per byte"), Column("of the roof"), Column("bound by", numeric=False))
    caption = (
        f"{base.caption} Of the roof: what part of the layer's time its arithmetic or its memory traffic would take at the best rates that "
        f"any layer reaches; under half is overhead. Times in {unit.name}."
    )
    return Table(base.name, (*base.columns, *more), tuple(rows), caption, base.title)


def effects(told: Explanation) -> Table:
    """What a change of width or depth saves, beside the work that it removes."""
    whole = told.account.whole_s
    rows = tuple(
        (
            Cell(one.change, "", one.kind),
            Cell(percent(one.saved_s / whole, 1), f"{percent(one.low_s / whole, 1)} to {percent(one.high_s / whole, 1)}"),
            Cell(percent(one.saved_macs_ratio, 1)),
            Cell(f"{one.saved_s / whole / one.saved_macs_ratio:.2f}" if one.saved_macs_ratio > 0 else MISSING),
        )
        for one in told.effects
    )
    columns = (Column("change", numeric=False), Column("latency saved, predicted"), Column("MACs saved"), Column("latency per MAC"))
    caption = (
        "Of the dense network, by the latency model, with 95 % intervals. Latency per MAC: share of latency saved over share of "
        "multiply-accumulates saved; below 1, counting operations promises too much."
    )
    return Table("effects", columns, rows, caption, "Effect of width and depth")


def kinds(told: Explanation) -> Table:
    """What layers cost by kernel, by resolution and by stride."""
    unit, rows = unit_for(told), []
    for one in told.kinds:
        each, low, high = (seconds * 1e6 for seconds in one.per_mmac_s)
        rows.append(
            (
                Cell(one.level, "", f"{one.factor}, {count_words(one.layers, 'layer')}"),
                Cell(unit.layer(one.seconds), unit.interval(one.low_s, one.high_s)),
                Cell(percent(one.seconds / told.account.whole_s, 1)),
                Cell(number(each), f"{number(low)} to {number(high)}"),
            )
        )
    columns = (
        Column("layers with", numeric=False),
        Column(f"{kind(told, told.account.kind)}, {unit.name}"),
        Column("share"),
        Column("µs per million MACs"),
    )
    return Table(
        "kinds", columns, tuple(rows), f"Of the dense network; small figures: {told.account.spread}. Each factor counts every layer once."
    )


def _shares(told: Explanation, name: str, what: str, shares: Sequence[tuple[Share, str, str]]) -> Table:
    account, unit = told.account, unit_for(told)
    longest = max((share.seconds for share, _, _ in shares), default=1.0) or 1.0
    tones = {stage.name: _STAGE_TONES[place % len(_STAGE_TONES)] for place, stage in enumerate(account.stages)}
    rows: list[tuple[Cell, ...]] = []
    for share, stage, note in shares:
        low, high = share.interval_ratio
        bars = ((tones.get(stage or share.name, "front"), max(0.0, share.seconds / longest)),)
        ends = interval_percent((low, high)) if high > low else ""
        rows.append((Cell(share.name, "", note), Cell(percent(share.ratio, 1), ends), Cell("", bars=bars), Cell(unit.layer(share.seconds))))
    for line in account.rest:
        rows.append((Cell(line.name, "", line.meaning, "quiet"), Cell(percent(line.ratio, 1)), Cell(""), Cell(unit.layer(line.seconds))))
    rows.append((Cell("whole network", tone="total"), Cell("100 %"), Cell(""), Cell(unit.layer(account.whole_s))))
    columns = (
        Column(what, numeric=False),
        Column("share"),
        Column("", numeric=False, drawn=True),
        Column(f"{kind(told, account.kind)}, {unit.name}"),
    )
    caption = f"Small figures: {account.spread}. Rows add up to the whole; what belongs to no layer may be negative."
    return Table(name, columns, tuple(rows), caption, f"Share of each {what}")


def _at(width: int) -> str:
    return f"at {count_words(width, 'channel')}" if width else "with the branch removed"


def _lost(one: Advice) -> Cell:
    if one.lost is None:
        return Cell(MISSING, "", "not analysed", "quiet")
    return Cell(points(one.lost.points), lost_interval(one), "between analysed widths" if one.lost.between else "")


def _free(told: Explanation, one: Advice, unit: Unit) -> Cell:
    if one.free_width is None:
        return Cell(MISSING, "", "" if told.analysis else "not analysed", "quiet")
    width = str(one.free_width) if one.free_width else "removed"
    return Cell(width, "", f"saves {unit.told(one.free_s)}")


def _slower(one: Advice) -> str:
    return f"slower at {listed(one.slower)}" if one.slower else ""
