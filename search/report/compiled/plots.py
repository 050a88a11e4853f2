"""The figure of a campaign on compiled cost: trials at their predicted cost beside compared networks at their compiled one."""

from __future__ import annotations

from functools import partial
from typing import Any

from search.records.costs.objective import told_cost
from search.records.losses.drop import mean_accuracy
from search.report.compiled.told import Entry, Told
from search.report.figures.drawing import FRONT, INK, MUTED, PAPER, ROLE_COLOURS, Figure, Sheet, both
from search.report.figures.wording import points, reached
from search.report.plots import ROLE_MARKERS


def pareto(told: Told) -> Figure:
    """What the search saw (predicted compiled cost, validation) beside what the compiler said (compiled cost, test)."""
    described = (
        f"Two panels of top-1 against the compiler's cost, in its own unit: {len(told.trials)} trials with predicted compiled cost, and "
        f"{len(told.compared)} compared networks with compiled cost and 95 % intervals of top-1."
    )
    return both("pareto", described, (partial(_trials, told), partial(_contenders, told)))


def _trials(told: Told, axes: Any, sheet: Sheet) -> None:
    found = [trial for trial in told.trials if trial.outcome.ok]
    by_number = {trial.number: trial for trial in found}
    front = [by_number[number] for number in told.front]
    if front:
        stairs = [trial.cost for trial in front], [100 * trial.outcome.top1_ratio for trial in front]
        axes.step(*stairs, where="post", color=FRONT, linewidth=1.6, zorder=2, label="front of these trials")
    for trial in found:
        colour = FRONT if trial.number in told.front else MUTED
        spot = [trial.cost], [100 * trial.outcome.top1_ratio]
        axes.plot(*spot, marker="o", markersize=5, color=colour, linestyle="none", gid=f"trial-{trial.number}", zorder=3)
        sheet.tips[f"trial-{trial.number}"] = (
            f"trial {trial.number} ({trial.request.origin}): predicted compiled cost {told_cost(trial.cost)}, validation top-1 "
            f"{reached(told.outcome.metric, trial.outcome.top1_ratio)}, drop {points(trial.outcome.drop_points)} points"
        )
    if told.outcome.max_drop_points is not None and found:
        limit = 100 * found[0].outcome.top1_ratio + found[0].outcome.drop_points - told.outcome.max_drop_points
        axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="limit", zorder=1)
    axes.set(title=f"Search: {len(found)} trials", xlabel="predicted compiled cost (the compiler's unit)")
    axes.set_ylabel(f"validation {told.outcome.metric.axis}")
    axes.legend(loc="lower right")


def _contenders(told: Told, axes: Any, sheet: Sheet) -> None:
    for place, entry in enumerate(told.compared):
        test, x = mean_accuracy(entry.contender.tests), entry.compiled.cost
        y, ends = 100 * test.top1_ratio, [100 * end for end in test.interval_ratio]
        colour, marker = ROLE_COLOURS.get(entry.contender.role, INK), _marker(told, entry)
        axes.errorbar([x], [y], yerr=[[y - ends[0]], [ends[1] - y]], fmt="none", color=colour, elinewidth=1.3, capsize=2.5, alpha=0.75)
        size = 13 if marker == "*" else 8
        axes.plot([x], [y], marker=marker, markersize=size, color=colour, linestyle="none", markeredgecolor=PAPER, zorder=3,
                  gid=f"network-{place}", label=entry.name)  # fmt: skip
        top1 = reached(told.outcome.metric, test.top1_ratio)
        sheet.tips[f"network-{place}"] = f"{entry.name}: compiled cost {told_cost(x)}, test top-1 {top1}"
    axes.set(title="Compared networks, compiled", xlabel="compiled cost (the compiler's unit)")
    axes.set_ylabel(f"test {told.outcome.metric.axis}, 95 % interval")
    axes.legend(loc="best", handletextpad=0.4)
    axes.margins(x=0.08, y=0.06)


def _marker(told: Told, entry: Entry) -> str:
    alike = [other.name for other in told.compared if other.contender.role == entry.contender.role]
    markers = ROLE_MARKERS.get(entry.contender.role, "o")
    return markers[alike.index(entry.name) % len(markers)]
