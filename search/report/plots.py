"""The report's figures as inline SVG whose text stays text and whose colours follow the page's light or dark scheme.

Colours are style-sheet variables with a fallback, so a figure also stands alone; hues are told apart by marker too, for
readers who do not tell them apart by colour.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.latency.model.held_out import Judged
from harness.records.measurement import Prediction
from search.records.drop import mean_accuracy
from search.records.trial import Trial
from search.report.figures.wording import Unit, interval_percent, number, percent, points, unit_for
from search.report.summary import Compared, Summary

# The light scheme's colours and the style sheet's names for them; each figure is drawn in the former.
INK, MUTED, LINE, FRONT, PAPER = "#1c2126", "#5c6670", "#d9dde2", "#2a6f97", "#fffffe"
ROLE_COLOURS = {
    "dense": "#4b5661",
    "off-the-shelf": "#b35900",
    "uniform": "#7a4fa3",
    "random": "#a8324f",
    "optimised": "#00795c",
    "candidate": "#5aa893",
    "from-scratch": "#2f6f9f",
}
ROLE_MARKERS = {  # one each, in turn
    "dense": "s",
    "off-the-shelf": "^v<>",
    "uniform": "D",
    "random": "P",
    "optimised": "*",
    "candidate": "pHX8",
    "from-scratch": "d",
}
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", FRONT: "front", PAPER: "paper"}
_VARIABLES |= {colour: role for role, colour in ROLE_COLOURS.items()}
_BAND = 0.05  # half width of the band in the figure of predictions


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in two widths, each an ``<svg>`` element: for a desk and for a hand. described: what it shows, in words."""

    wide: str
    narrow: str
    described: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The canvas of one variant: ``wide`` puts the panels side by side. tips: text per element, shown by the browser."""

    name: str
    wide: bool
    tips: dict[str, str]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return (12.6, 4.9) if self.wide else (4.4, 8.2)


Panel = Callable[[Any, Sheet], None]


def pareto(summary: Summary) -> Figure:
    """What the search saw (predicted latency, validation) beside what the proof measured (measured latency, test)."""
    described = (
        f"Two panels of top-1 accuracy against latency: {len(summary.trials)} trials with predicted latency, "
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


def both(name: str, described: str, panels: tuple[Panel, Panel]) -> Figure:
    """Two panels as a figure: side by side, and one below the other."""
    wide, narrow = (_svg(Sheet(f"{name}-{kind}", kind == "wide", {}), described, panels) for kind in ("wide", "narrow"))
    return Figure(wide, narrow, described)


def _svg(sheet: Sheet, described: str, panels: tuple[Panel, Panel]) -> str:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": sheet.name,
        "font.family": "sans-serif",
        "font.size": 9.5,
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.labelcolor": INK,
        "savefig.transparent": True,
    }
    with matplotlib.rc_context(style):
        rows, columns = (1, 2) if sheet.wide else (2, 1)
        figure, axes = pyplot.subplots(rows, columns, figsize=sheet.size, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
        for panel, draw in zip(axes.flat, panels, strict=True):
            draw(panel, sheet)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        pyplot.close(figure)
    return _inline(stream.getvalue(), sheet, described)


def _inline(svg: str, sheet: Sheet, described: str) -> str:
    """Matplotlib's document as an element for a page: no header, own ids, page's font and colours, a tip per element."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.S)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.S)
    body = re.sub(r'\b(id|xlink:href|clip-path)="(#|url\(#)?([^")]+)(\)?)"', rf'\1="\2{sheet.name}-\3\4"', body)
    body = re.sub(r"font: (?:(bold|\d+) )?([\d.]+)px [^;\"]*", lambda found: _font(found[1], found[2]), body)
    for colour, name in _VARIABLES.items():
        body = body.replace(colour, f"var(--{name}, {colour})")
    for element, tip in sheet.tips.items():
        body = body.replace(f'<g id="{sheet.name}-{element}">', f'<g id="{sheet.name}-{element}"><title>{html.escape(tip)}</title>')
    box = re.search(r'viewBox="[^"]+"', body)
    label = html.escape(described, quote=True)
    opening = f'<svg class="{"wide" if sheet.wide else "narrow"}" role="img" aria-label="{label}" {box[0] if box else ""}>'
    return opening + re.sub(r"^<svg[^>]*>", "", body).replace("xlink:href", "href")


def _font(weight: str | None, size: str) -> str:
    return f"font-size: {size}px" + (f"; font-weight: {weight}" if weight else "")


def _trials(summary: Summary, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(summary)
    found = [trial for trial in summary.trials if trial.outcome.ok]
    longest = max((trial.request.budget_epochs for trial in found), default=0.0)
    by_number = {trial.number: trial for trial in found}
    front = [by_number[number_] for number_ in summary.front]
    if front:
        axes.step(*_stairs(front, unit), where="post", color=FRONT, linewidth=1.6, zorder=2, label="front of these trials")
        lows, highs = ([100 * abs(bound(t) - t.outcome.top1_ratio) for t in front] for bound in (_low, _high))
        spots = [unit.per_second * t.latency_s for t in front], [100 * t.outcome.top1_ratio for t in front]
        axes.errorbar(*spots, yerr=[lows, highs], fmt="none", color=FRONT, elinewidth=0.9, alpha=0.55, zorder=2)
    for trial in found:
        full = trial.request.budget_epochs == longest
        spot = [unit.per_second * trial.latency_s], [100 * trial.outcome.top1_ratio]
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
        sheet.tips[f"trial-{trial.number}"] = _trial_tip(trial, unit)
    _limit(axes, summary, found)
    axes.set(title=f"Search: {len(found)} trials", xlabel=f"{_predicted(summary)} ({unit.name})")
    axes.set_ylabel("validation top-1 (%), 95 % interval on the front")
    axes.plot([], [], marker="o", linestyle="none", color=MUTED, markersize=5.5, label=f"trial, {longest:g} epochs")
    if any(trial.request.budget_epochs != longest for trial in found):
        axes.plot([], [], marker="o", linestyle="none", markerfacecolor=PAPER, markeredgecolor=MUTED, markersize=4, label="shorter trial")
    axes.legend(loc="lower right")


def _stairs(front: Sequence[Trial], unit: Unit) -> tuple[list[float], list[float]]:
    return [unit.per_second * t.latency_s for t in front], [100 * t.outcome.top1_ratio for t in front]


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


def _trial_tip(trial: Trial, unit: Unit) -> str:
    found = trial.outcome
    return (
        f"trial {trial.number} ({trial.request.origin}): predicted {unit.told(trial.latency_s)}, validation top-1 "
        f"{percent(found.top1_ratio)} ({interval_percent((found.top1_low, found.top1_high))}), drop {points(found.drop_points)} points"
    )


def _contenders(summary: Summary, axes: Any, sheet: Sheet) -> None:
    unit = unit_for(summary)
    for place, entry in enumerate(summary.compared):
        latency, test = entry.measurement.latency, mean_accuracy(entry.contender.tests)
        x, y = unit.per_second * latency.median_s, 100 * test.top1_ratio
        across = [[x - unit.per_second * latency.interval_s[0]], [unit.per_second * latency.interval_s[1] - x]]
        upright = [[y - 100 * test.interval_ratio[0]], [100 * test.interval_ratio[1] - y]]
        colour = _colour(entry)
        axes.errorbar([x], [y], xerr=across, yerr=upright, fmt="none", color=colour, elinewidth=1.3, capsize=2.5, alpha=0.75, zorder=2)
        marker = _marker(summary, entry)
        size = 13 if marker == "*" else 8
        axes.plot([x], [y], marker=marker, markersize=size, color=colour, linestyle="none", markeredgecolor=PAPER, zorder=3,
                  gid=f"network-{place}", label=entry.contender.name)  # fmt: skip
        sheet.tips[f"network-{place}"] = f"{entry.contender.name}: {unit.told(latency.median_s)}, test top-1 {percent(test.top1_ratio)}"
    word = summary.provenance
    axes.set(title="Proof: compared networks", xlabel=f"{word} latency, median ({unit.name})", ylabel="test top-1 (%), 95 % interval")
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
    known = [f.measured_s for f in summary.forecasts] + [e.measurement.latency.median_s for e in predicted]
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
        x, y = unit.per_second * entry.measurement.latency.median_s, unit.per_second * entry.predicted.seconds
        margins = [[y - unit.per_second * entry.predicted.low_s], [unit.per_second * entry.predicted.high_s - y]]
        marker = _marker(summary, entry)
        axes.errorbar([x], [y], yerr=margins, fmt=marker, color=_colour(entry), markersize=11 if marker == "*" else 6.5, elinewidth=1,
                      markeredgecolor=PAPER, markeredgewidth=0.5, label=entry.contender.name, zorder=4)  # fmt: skip
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
            pair = entry.measurement.latency.median_s, entry.predicted
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
