"""The figure of an explanation: where the time goes, layer by layer, and what each cut saves for how much accuracy."""

from __future__ import annotations

from functools import partial
from typing import Any

from search.report.costs.explain import Explanation
from search.report.costs.words import kind, unit_for
from search.report.figures.drawing import FRONT, INK, LINE, MUTED, PAPER, ROLE_COLOURS, Figure, Sheet, both
from search.report.figures.wording import percent, points

_STAGE_COLOURS = (FRONT, *(ROLE_COLOURS[role] for role in ("off-the-shelf", "uniform", "optimised", "candidate", "dense")))
NAMED = 4  # cuts that carry their names


def costs(told: Explanation) -> Figure:
    """Share of every layer in network order, beside time saved against accuracy lost of every group's next useful width."""
    lost = "without" if told.analysis is None else told.analysis.kind
    described = (
        f"Left, the {kind(told, told.account.kind)} share of each of {len(told.account.layers)} layers of the dense network, with "
        f"{told.account.spread}; right, time saved ({kind(told, told.series)}) at each group's next useful width against accuracy points "
        f"lost ({lost})."
    )
    return both("costs", described, (partial(_shares, told), partial(_cuts, told)))


def _shares(told: Explanation, axes: Any, sheet: Sheet) -> None:
    account = told.account
    colours = {stage.name: _STAGE_COLOURS[place % len(_STAGE_COLOURS)] for place, stage in enumerate(account.stages)}
    shown: set[str] = set()
    for place, (share, cost) in enumerate(zip(account.layers, account.costs, strict=True)):
        low, high = share.interval_ratio
        stage = next(one for one in account.stages if one.name == cost.stage)
        label = None if cost.stage in shown else f"{cost.stage}: {percent(stage.ratio, 1)}"
        shown.add(cost.stage)
        element = f"layer-{place}"
        axes.bar(place, 100 * share.ratio, color=colours[cost.stage], width=0.8, label=label, gid=element, zorder=2)
        ends = [[100 * max(0.0, share.ratio - low)], [100 * max(0.0, high - share.ratio)]]
        axes.errorbar([place], [100 * share.ratio], yerr=ends, fmt="none", color=INK, elinewidth=0.8, zorder=3)
        sheet.tips[element] = f"{share.name}: {percent(share.ratio, 1)} ({percent(low, 1)} to {percent(high, 1)}), {account.bound(place)}"
    rest = account.rest_s / account.whole_s
    axes.plot([], [], linestyle="none", label=f"no layer: {percent(rest, 1)}")
    axes.set(title="Where the time goes", xlabel=f"layer, in network order (1 to {len(account.layers)})")
    axes.set_ylabel(f"share of the dense latency (%), {kind(told, account.kind)}")
    axes.set_xticks([place for place in range(len(account.layers)) if place == 0 or (place + 1) % 5 == 0])
    axes.set_xticklabels([str(place + 1) for place in range(len(account.layers)) if place == 0 or (place + 1) % 5 == 0])
    axes.grid(axis="x", visible=False)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.32)  # room for the legend
    axes.legend(loc="upper right", ncols=3 if sheet.wide else 2, handlelength=1.0, columnspacing=1.0)


def _cuts(told: Explanation, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(told)
    worth = [one for one in told.advice if not one.in_vain]
    known = [one for one in worth if one.lost is not None]
    if told.analysis is None or not known:
        _savings(told, axes)
        return
    for place, one in enumerate(known):
        lost = one.lost
        assert lost is not None
        x, y = lost.points, one.saved_s * unit.per_second
        colour, element = (ROLE_COLOURS["optimised"] if place < NAMED else MUTED), f"cut-{place}"
        across = [[max(0.0, x - lost.low)], [max(0.0, lost.high - x)]]
        axes.errorbar([x], [y], xerr=across, yerr=2 * one.saved_sd_s * unit.per_second, fmt="none", color=colour, elinewidth=0.8, alpha=0.5)
        axes.plot([x], [y], marker="o", color=colour, markeredgecolor=PAPER, linestyle="none", markersize=7, gid=element, zorder=3)
        sheet.tips[element] = f"{one.group} {one.width} → {one.next_width}: {unit.told(one.saved_s)} for {points(x)} points"
        if place < NAMED:
            told_so = f"{place + 1}. {one.group} → {one.next_width}"
            above = 5 if place % 2 == 0 else -11  # neighbours often save the very same
            axes.annotate(told_so, (x, y), (6, above), textcoords="offset points", fontsize=8.5, color=INK, zorder=4)
    axes.axvspan(-told.analysis.least_points, told.analysis.least_points, color=LINE, alpha=0.6, linewidth=0, zorder=0)
    axes.plot([], [], color=LINE, linewidth=6, label="too small to tell")
    axes.set(title="Prune this next", xlabel=f"points of validation top-1 lost, {told.analysis.kind}, 95 % interval")
    axes.set_ylabel(f"saved at the next useful width ({unit.name}), {kind(told, told.series)}")
    axes.set_ylim(bottom=0, top=axes.get_ylim()[1] * 1.12)
    axes.legend(loc="lower right")


def _savings(told: Explanation, axes: Any) -> None:
    """Without accuracy: what each group's next useful width saves."""
    unit = unit_for(told)
    worth = [one for one in told.advice if not one.in_vain][:12][::-1]
    for place, one in enumerate(worth):
        margin = 2 * one.saved_sd_s * unit.per_second
        axes.barh(place, one.saved_s * unit.per_second, xerr=margin, color=ROLE_COLOURS["optimised"], ecolor=INK, height=0.7)
    axes.set_yticks(range(len(worth)), [f"{one.group} → {one.next_width}" for one in worth])
    axes.grid(axis="y", visible=False)
    axes.set(title="Prune this next, by time alone", xlabel=f"saved at the next useful width ({unit.name}), {kind(told, told.series)}")
