"""A history as sections of a page: a picture of every series with its changes, and a table that says them."""

from __future__ import annotations

import html
from collections.abc import Sequence

from harness.history.story import Change, Series
from harness.pages import tables
from harness.pages.layout import Cell, Section

MOST_LAYERS = 3  # told of a change
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 220, 74, 26, 12  # of a picture, in its own units
TITLE = "Latency over time"
LEAD = (
    "Medians with 95 % intervals of every measurement, by device and network. A change is where the energy distance between before "
    "and after is larger than in 99 of 100 random orders (E-divisive means; Matteson and James 2014, Daly et al. 2020 for continuous "
    "integration), and at least 1 %."
)


def sections(series: Sequence[Series]) -> tuple[Section, ...]:
    """All changes first, the latest on top; then every series with its picture."""
    changed = sorted(((one, change) for one in series for change in one.changes), key=lambda pair: pair[1].since.taken_at, reverse=True)
    return (_changes(changed, sum(len(one.points) for one in series)), *(_one(one) for one in series))


def _changes(changed: Sequence[tuple[Series, Change]], count: int) -> Section:
    if not changed:
        return Section("Changes", f"None in {count} measurements.")
    rows = tuple((Cell(_name(series), _where(series)), *_told(change)) for series, change in changed)
    return Section("Changes", f"{len(changed)} in {count} measurements, the latest first.", ("network", *COLUMNS), rows)


COLUMNS = ("since commit", "before", "after", "change", "layers that moved")


def _told(change: Change) -> tuple[Cell, ...]:
    low, high = change.ratio_interval
    word = "slower" if change.ratio > 1 else "faster"
    sure = [one for one in change.layers if one.surely and (one.difference_s > 0) == (change.ratio > 1)]
    layers = "; ".join(f"{one.layer} {one.difference_s * 1e6:+.1f} µs" for one in sure[:MOST_LAYERS])
    rest = f"and {len(sure) - MOST_LAYERS} more" if len(sure) > MOST_LAYERS else ""
    untold = "none surely" if change.layers else "no layers were measured"
    return (
        Cell(change.since.commit, f"{change.since.taken_at[:10]}, after {change.last_before.commit}"),
        Cell(tables.duration(change.before.median_s), number=True),
        Cell(tables.duration(change.after.median_s), number=True),
        Cell(f"{change.ratio - 1:+.1%} {word}", f"{low - 1:+.1%} to {high - 1:+.1%}", number=True),
        Cell(layers or untold, rest),
    )


def _one(series: Series) -> Section:
    last, count = series.points[-1], len(series.points)
    noisy = sum(one.noisy for one in series.points)
    text = (
        f"{count} measurements from {series.points[0].taken_at[:10]} to {last.taken_at[:10]}; the last, {last.commit}: "
        f"{tables.duration(last.median_s)} ({tables.duration(last.low_s)} to {tables.duration(last.high_s)}, {last.samples} samples)."
    )
    text += f" {noisy} of them were noisy (hollow)." if noisy else ""
    warning = "SIMULATED: no device took these times" if series.value("provenance") == "SIMULATED" else ""
    rows = tuple(_told(change) for change in series.changes)
    return Section(f"{_name(series)} on {_where(series)}", text, COLUMNS if rows else (), rows, warning, picture(series))


def _name(series: Series) -> str:
    configuration = series.value("configuration")
    return series.value("network") + (f" {configuration}" if configuration not in ("", "foreign") else "")


def _where(series: Series) -> str:
    batch = series.value("batch_size")
    return f"{series.value('device')} ({series.value('host')}), {series.value('effective_precision')}" + (
        f", batch {batch}" if batch != "1" else ""
    )


def picture(series: Series) -> str:
    """An SVG of the points in their order, with intervals, the medians of the stretches, and a line at every change."""
    points = series.points
    lowest, highest = min(one.low_s for one in points), max(one.high_s for one in points)
    margin = 0.08 * (highest - lowest) or 0.05 * highest
    floor, span = lowest - margin, highest - lowest + 2 * margin

    def x(index: float) -> float:
        return LEFT + (WIDTH - LEFT - 12) * (index + 0.5) / len(points)

    def y(seconds: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (seconds - floor) / span)

    drawn = []
    for part in range(5):
        at = floor + span * part / 4
        drawn.append(f'<path class="grid" d="M{LEFT} {y(at):.1f}H{WIDTH - 12}"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{html.escape(tables.duration(at))}</text>')
    for change in series.changes:
        drawn.append(f'<path class="change" d="M{x(change.index - 0.5):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
    for index, one in enumerate(points):
        kind = "noisy" if one.noisy else "quiet"
        title = f"{one.commit}, {one.taken_at[:16]}: {tables.duration(one.median_s)}"
        drawn.append(f'<path class="bar" d="M{x(index):.1f} {y(one.low_s):.1f}V{y(one.high_s):.1f}"/>')
        dot = f'<circle class="{kind}" cx="{x(index):.1f}" cy="{y(one.median_s):.1f}" r="2.6">'
        drawn.append(f"{dot}<title>{html.escape(title)}</title></circle>")
    for begin, end in series.stretches:
        middle = sorted(one.median_s for one in points[begin : end + 1])[(end - begin) // 2]
        drawn.append(f'<path class="stretch" d="M{x(begin - 0.4):.1f} {y(middle):.1f}H{x(end + 0.4):.1f}"/>')
    for index, anchor in ((0, "start"), (len(points) - 1, "end")) if len(points) > 1 else ((0, "middle"),):
        words = f"{points[index].commit} · {points[index].taken_at[:10]}"
        drawn.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{html.escape(words)}</text>')
    label = html.escape(f"latency of {_name(series)} over {len(points)} measurements")
    return f'<div class="scroll"><svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{STYLE}{"".join(drawn)}</svg></div>'


STYLE = (
    "<style>svg{min-width:640px;width:100%;height:auto;font:12px system-ui,sans-serif;fill:var(--muted)}"
    ".grid{stroke:var(--line)}.bar{stroke:var(--muted);opacity:.6}.quiet{fill:#2a78c2}.noisy{fill:var(--paper);stroke:#2a78c2}"
    ".stretch{stroke:var(--ink);stroke-width:1.6}.change{stroke:#c0392b;stroke-dasharray:4 3}</style>"
)
