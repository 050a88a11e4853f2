"""The report's figures: trials and compared networks, predicted against measured latency.

Hues are told apart by marker too, for readers who do not tell them apart by colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.latency.model.held_out import Judged
from harness.records.measurement import Prediction
from harness.records.metric import Metric
from search.records.losses.drop import mean_accuracy
from search.records.trial import Trial
from search.report.compared import Compared
from search.report.figures.drawing import FRONT, INK, LINE, MUTED, PAPER, ROLE_COLOURS, Figure, Sheet, both
from search.report.figures.wording import Unit, number, points, reached, reached_interval
from search.report.sentences import unit_for
from search.report.summary import Summary

ROLE_MARKERS = {  # one each, in turn
    "dense": "s",
    "off-the-shelf": "^v<>Xd8h",  # all filled: their edge is the paper's
    "uniform": "D",
    "global-pruning": "oh",
    "random": "P",
    "optimised": "*",
    "optimised-int8": "*",
    "candidate": "pHX8",
    "from-scratch": "d",
}
_BAND = 0.05  # half width of the band in the figure of predictions


def pareto(summary: Summary) -> Figure:
    """What the search saw (predicted latency, validation) beside what the proof measured (measured latency, test)."""
    described = (
        f"Two panels of top-1 against latency: {len(summary.trials)} trials with predicted latency, "
        f"and {len(summary.compared)} compared networks with {summary.provenance} latency and 95 % intervals."
    )
    return both("pareto", described, (partial(_trials, summary), partial(_contenders, summary)))


def predictions(summary: Summary) -> Figure:
    """Predicted against measured latency, absolute and as an error in percent."""
    described = (
        f"Predicted against {summary.provenance} latency of {len(summary.forecasts)} held-out and {len(summary.compared)} compared "
        "networks, with the line of equality and a band of plus or minus 5 percent; beside it the relative error."
    )
    return both("predictions", described, (partial(_identity, summary), partial(_errors, summary)))


def _trials(summary: Summary, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(summary)
    found = [trial for trial in summary.trials if trial.outcome.ok]
    longest = max((trial.request.budget_epochs for trial in found), default=0.0)
    by_number = {trial.number: trial for trial in found}
    front = [by_number[number_] for number_ in summary.front]
    if front:
        axes.step(*_stairs(front, unit), where="post", color=FRONT, linewidth=1.6, zorder=2, label="front of these trials")
        lows, highs = ([100 * abs(bound(t) - t.outcome.top1_ratio) for t in front] for bound in (_low, _high))
        spots = [unit.per_second * t.cost for t in front], [100 * t.outcome.top1_ratio for t in front]
        axes.errorbar(*spots, yerr=[lows, highs], fmt="none", color=FRONT, elinewidth=0.9, alpha=0.55, zorder=2)
    for trial in found:
        full = trial.request.budget_epochs == longest
        spot = [unit.per_second * trial.cost], [100 * trial.outcome.top1_ratio]
        axes.plot(
            *spot,
            marker="o",
            markersize=5.5 if full else 4,
            markerfacecolor=(FRONT if trial.number in summary.front else MUTED) if full else PAPER,
            markeredgecolor=FRONT if trial.number in summary.front else MUTED,
            markeredgewidth=0.8,
            linestyle="none",
            alpha=0.9 if full else 0.7,
            gid=f"trial-{trial.number}",
            zorder=3,
        )
        sheet.tips[f"trial-{trial.number}"] = _trial_tip(trial, unit, summary.outcome.metric)
    _limit(axes, summary, found)
    axes.set(title=f"Search: {len(found)} trials", xlabel=f"{_predicted(summary)} ({unit.name})")
    axes.set_ylabel(f"validation {summary.outcome.metric.axis}, 95 % interval on the front")
    axes.plot([], [], marker="o", linestyle="none", color=MUTED, markersize=5.5, label=f"trial, {longest:g} epochs")
    if any(trial.request.budget_epochs != longest for trial in found):
        axes.plot([], [], marker="o", linestyle="none", markerfacecolor=PAPER, markeredgecolor=MUTED, markersize=4, label="shorter trial")
    axes.legend(loc="lower right")


def _stairs(front: Sequence[Trial], unit: Unit) -> tuple[list[float], list[float]]:
    return [unit.per_second * t.cost for t in front], [100 * t.outcome.top1_ratio for t in front]


def _low(trial: Trial) -> float:
    return trial.outcome.top1_low


def _high(trial: Trial) -> float:
    return trial.outcome.top1_high


def _limit(axes: Any, summary: Summary, found: Sequence[Trial]) -> None:
    """The accuracy that must not be undercut: what the drop is counted from, less the limit."""
    if summary.outcome.max_drop_points is None or not found:
        return
    reference = 100 * found[0].outcome.top1_ratio + found[0].outcome.drop_points
    axes.axhline(reference - summary.outcome.max_drop_points, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="limit", zorder=1)


def _trial_tip(trial: Trial, unit: Unit, metric: Metric) -> str:
    found = trial.outcome
    return (
        f"trial {trial.number} ({trial.request.origin}): predicted {unit.told(trial.cost)}, validation top-1 "
        f"{reached(metric, found.top1_ratio)} ({reached_interval(metric, (found.top1_low, found.top1_high))}), "
        f"drop {points(found.drop_points)} points"
    )


def _contenders(summary: Summary, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(summary)
    for place, entry in enumerate(summary.compared):
        latency, test = entry.latency, mean_accuracy(entry.contender.tests)
        x, y = unit.per_second * latency.median_s, 100 * test.top1_ratio
        across = [[x - unit.per_second * latency.interval_s[0]], [unit.per_second * latency.interval_s[1] - x]]
        upright = [[y - 100 * test.interval_ratio[0]], [100 * test.interval_ratio[1] - y]]
        colour = _colour(entry)
        axes.errorbar([x], [y], xerr=across, yerr=upright, fmt="none", color=colour, elinewidth=1.3, capsize=2.5, alpha=0.75, zorder=2)
        marker = _marker(summary, entry)
        size = 13 if marker == "*" else 8
        axes.plot([x], [y], marker=marker, markersize=size, color=colour, linestyle="none", markeredgecolor=PAPER, zorder=3,
                  gid=f"network-{place}", label=entry.name)  # fmt: skip
        sheet.tips[f"network-{place}"] = (
            f"{entry.contender.name}: {unit.told(latency.median_s)}, test top-1 {reached(summary.outcome.metric, test.top1_ratio)}"
        )
    word = summary.provenance
    axes.set(title="Proof: compared networks", xlabel=f"{word} latency, median ({unit.name})")
    axes.set_ylabel(f"test {summary.outcome.metric.axis}, 95 % interval")
    axes.legend(loc="best", handletextpad=0.4)
    axes.margins(x=0.08, y=0.06)


def _marker(summary: Summary, entry: Compared) -> str:
    alike = [other.contender.name for other in summary.compared if other.contender.role == entry.contender.role]
    markers = ROLE_MARKERS.get(entry.contender.role, "o")
    return markers[alike.index(entry.contender.name) % len(markers)]


def _predicted(summary: Summary) -> str:
    return "predicted latency" + (" from SIMULATED" if summary.provenance == "SIMULATED" else "")


def _colour(entry: Compared) -> str:
    return ROLE_COLOURS.get(entry.contender.role, MUTED)


def _identity(summary: Summary, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(summary)
    predicted = [entry for entry in summary.compared if entry.predicted is not None]
    known = [f.measured_s for f in summary.forecasts] + [e.latency.median_s for e in predicted]
    low, high = 0.9 * unit.per_second * min(known), 1.06 * unit.per_second * max(known)
    axes.fill_between([low, high], [low * (1 - _BAND), high * (1 - _BAND)], [low * (1 + _BAND), high * (1 + _BAND)], color=LINE, alpha=0.6,
                      linewidth=0, label="±5 %", zorder=1)  # fmt: skip
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, zorder=1, label="equal")
    for place, forecast in enumerate(summary.forecasts):
        x, y = (unit.per_second * s for s in (forecast.measured_s, forecast.predicted.seconds))
        axes.plot([x], [y], marker="o", color=FRONT, markersize=5, markeredgecolor=PAPER, markeredgewidth=0.5, linestyle="none",
                  gid=f"held-out-{place}", zorder=3, label="held out" if place == 0 else None)  # fmt: skip
        sheet.tips[f"held-out-{place}"] = _forecast_tip(forecast, unit)
    for entry in predicted:
        assert entry.predicted is not None
        x, y = unit.per_second * entry.latency.median_s, unit.per_second * entry.predicted.seconds
        margins = [[y - unit.per_second * entry.predicted.low_s], [unit.per_second * entry.predicted.high_s - y]]
        marker = _marker(summary, entry)
        axes.errorbar([x], [y], yerr=margins, fmt=marker, color=_colour(entry), markersize=11 if marker == "*" else 6.5, elinewidth=1,
                      markeredgecolor=PAPER, markeredgewidth=0.5, label=entry.name, zorder=4)  # fmt: skip
    axes.set(title="Latency", xlabel=f"{summary.provenance} latency ({unit.name})", xlim=(low, high), ylim=(low, high))
    axes.set_ylabel(f"{_predicted(summary)} ({unit.name}), 90 % interval")
    axes.legend(loc="upper left", handletextpad=0.4)


def _errors(summary: Summary, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(summary)
    axes.axhspan(-100 * _BAND, 100 * _BAND, color=LINE, alpha=0.6, linewidth=0, zorder=0)
    axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
    for forecast in summary.forecasts:
        _error_bar(axes, unit, (forecast.measured_s, forecast.predicted), FRONT, ("o", 5))
    for entry in summary.compared:
        if entry.predicted is not None:
            marker = _marker(summary, entry)
            pair = entry.latency.median_s, entry.predicted
            _error_bar(axes, unit, pair, _colour(entry), (marker, 11 if marker == "*" else 6.5))
    reach = max(6.5, 1.1 * max(abs(value) for value in axes.get_ylim()))
    axes.set(title="Error", xlabel=f"{summary.provenance} latency ({unit.name})", ylim=(-reach, reach))
    axes.set_ylabel(f"predicted − {summary.provenance} (%), 90 % interval")


def _error_bar(axes: Any, unit: Unit, pair: tuple[float, Prediction], colour: str, mark: tuple[str, float]) -> None:
    (measured, predicted), (marker, size) = pair, mark
    error, low, high = (100 * (value / measured - 1) for value in (predicted.seconds, predicted.low_s, predicted.high_s))
    axes.errorbar([unit.per_second * measured], [error], yerr=[[error - low], [high - error]], fmt=marker, color=colour, markersize=size,
                  elinewidth=0.9, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=3)  # fmt: skip


def _forecast_tip(forecast: Judged, unit: Unit) -> str:
    undisturbed, median, predicted = (unit.told(s) for s in (forecast.measured_s, forecast.median_s, forecast.predicted.seconds))
    return f"held-out network: undisturbed {undisturbed}, median {median}, predicted {predicted} ({number(100 * forecast.error_ratio)} %)"
