"""A history as sections of a page: a picture of every series with its changes, and a table that says them."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.history.point import Point
from harness.history.story import Change, Series
from harness.pages import tables
from harness.pages.layout import Cell, Section
from harness.records import comparability

Key = tuple[tuple[str, str], ...]

MOST_LAYERS = 3  # told of a change
NEAR = 2.0  # times the range of the quiet measurements: noisy ones beyond would flatten them
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
    where = _places(series)
    return (_changes(changed, where, sum(len(one.points) for one in series)), *(_one(one, where[one.key]) for one in series))


def _places(series: Sequence[Series]) -> dict[Key, str]:
    """Where each was measured, with whatever else tells those apart that would be called alike."""
    alike: dict[tuple[str, str], list[Series]] = {}
    for one in series:
        alike.setdefault((_name(one), _where(one)), []).append(one)
    found = {}
    for (_, where), those in alike.items():
        for one in those:
            told = [f"{key.replace('_', ' ')} {value}" for key, value in one.key if len({other.value(key) for other in those}) > 1]
            found[one.key] = ", ".join([where, *told])
    return found


def _changes(changed: Sequence[tuple[Series, Change]], where: Mapping[Key, str], count: int) -> Section:
    if not changed:
        return Section("Changes", f"None in {count} measurements.")
    rows = tuple((Cell(_name(series), where[series.key]), *_told(change)) for series, change in changed)
    return Section("Changes", f"{len(changed)} in {count} measurements, the latest first.", ("network", *COLUMNS), rows)


COLUMNS = ("since commit", "before", "after", "change", "layers that moved")


def _told(change: Change) -> tuple[Cell, ...]:
    low, high = change.ratio_interval
    word = "slower" if change.ratio > 1 else "faster"
    sure = [one for one in change.layers if one.surely and (one.difference_s > 0) == (change.ratio > 1)]
    layers = "; ".join(f"{one.layer}: {one.difference_s * 1e6:+.1f} µs" for one in sure[:MOST_LAYERS])
    rest = f"and {len(sure) - MOST_LAYERS} more" if len(sure) > MOST_LAYERS else ""
    untold = "none surely" if change.layers else "no layers were measured"
    return (
        Cell(change.since.commit, f"{change.since.taken_at[:10]}, after {change.last_before.commit}"),
        Cell(tables.duration(change.before.median_s), number=True),
        Cell(tables.duration(change.after.median_s), number=True),
        Cell(f"{change.ratio - 1:+.1%} {word}", f"{low - 1:+.1%} to {high - 1:+.1%}", number=True),
        Cell(layers or untold, rest),
    )


def _one(series: Series, where: str) -> Section:
    last, count = series.points[-1], len(series.points)
    noisy = sum(one.noisy for one in series.points)
    first, latest = series.points[0].taken_at[:10], last.taken_at[:10]
    when = f"on {first}" if first == latest else f"from {first} to {latest}"
    text = (
        f"{count} measurement{'s' if count > 1 else ''} {when}; the last, {last.commit}: "
        f"{tables.duration(last.median_s)} ({tables.duration(last.low_s)} to {tables.duration(last.high_s)}, {last.samples} samples)."
    )
    text += f" {noisy} of them {'was' if noisy == 1 else 'were'} noisy (hollow)." if noisy else ""
    outside = sum(not _Scale.of(series).holds(one.median_s) for one in series.points)
    text += f" {outside} of those {'is' if outside == 1 else 'are'} beyond the picture, at its edge." if outside else ""
    warning = "SIMULATED: no device took these times" if series.value("provenance") == "SIMULATED" else ""
    rows = tuple(_told(change) for change in series.changes)
    return Section(f"{_name(series)} on {where}", text, COLUMNS if rows else (), rows, warning, picture(series))


def _name(series: Series) -> str:
    """The network with what was cut of it, or which of several files it is, where it is not the dense one."""
    cut, contender = series.value(comparability.CONFIGURATION), series.value(comparability.CONTENDER)
    told = [cut[:8]] if cut not in (comparability.DENSE, comparability.AS_ITS_FILE) else []
    return " ".join([series.value("network"), *told, *([contender] if contender != comparability.NO_CONTENDER else [])])


def _where(series: Series) -> str:
    batch = series.value("batch_size")
    return f"{series.value('device')} ({series.value('host')}), {series.value('effective_precision')}" + (
        f", batch {batch}" if batch != "1" else ""
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """What a picture's height shows, in seconds, in even steps: the quiet measurements with their intervals, and what lies near them."""

    floor_s: float
    step_s: float
    steps: int

    @classmethod
    def of(cls, series: Series) -> _Scale:
        shown = [one for one in series.points if not one.noisy] or series.points
        medians = [_median_s(series.points[begin : end + 1]) for begin, end in series.stretches]
        lowest, highest = min(*medians, *(one.low_s for one in shown)), max(*medians, *(one.high_s for one in shown))
        near = [one.median_s for one in series.points if lowest / NEAR <= one.median_s <= highest * NEAR]
        lowest, highest = min(lowest, *near), max(highest, *near)
        step_s = _even((highest - lowest or 0.1 * highest) / 3)
        floor = math.floor(lowest / step_s)
        return cls(floor * step_s, step_s, max(1, math.ceil(highest / step_s) - floor))

    def y(self, seconds: float) -> float:
        """Where it lies, from the top."""
        part = (seconds - self.floor_s) / (self.step_s * self.steps)
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(1.0, max(0.0, part)))

    def holds(self, seconds: float) -> bool:
        """Whether it is not at the edge for want of room."""
        return self.floor_s <= seconds <= self.floor_s + self.step_s * self.steps


def _even(step_s: float) -> float:
    """The next step of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step_s))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= step_s * (1 - 1e-9))


def _median_s(points: Sequence[Point]) -> float:
    return statistics.median(one.median_s for one in points)


def picture(series: Series) -> str:
    """An SVG of the points in their order, with intervals, the medians of the stretches, and a line at every change."""
    points, scale = series.points, _Scale.of(series)

    def x(index: float) -> float:
        return LEFT + (WIDTH - LEFT - 12) * (index + 0.5) / len(points)

    drawn = []
    for part in range(scale.steps + 1):
        at = scale.floor_s + scale.step_s * part
        drawn.append(f'<path class="grid" d="M{LEFT} {scale.y(at):.1f}H{WIDTH - 12}"/>')
        drawn.append(f'<text x="{LEFT - 8}" y="{scale.y(at) + 4:.1f}" text-anchor="end">{html.escape(tables.duration(at))}</text>')
    for change in series.changes:
        drawn.append(f'<path class="change" d="M{x(change.index - 0.5):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
    drawn += [_dot(one, x(index), scale) for index, one in enumerate(points)]
    for begin, end in series.stretches:
        middle = scale.y(_median_s(points[begin : end + 1]))
        drawn.append(f'<path class="stretch" d="M{x(begin - 0.4):.1f} {middle:.1f}H{x(end + 0.4):.1f}"/>')
    for index, anchor in ((0, "start"), (len(points) - 1, "end")) if len(points) > 1 else ((0, "middle"),):
        words = f"{points[index].commit} · {points[index].taken_at[:10]}"
        drawn.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{html.escape(words)}</text>')
    label = html.escape(f"latency of {_name(series)} over {len(points)} measurements")
    return f'<div class="scroll"><svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{STYLE}{"".join(drawn)}</svg></div>'


def _dot(one: Point, x: float, scale: _Scale) -> str:
    kind = "noisy" if one.noisy else "quiet"
    title = html.escape(f"{one.commit}, {one.taken_at[:16]}: {tables.duration(one.median_s)}")
    bar = f'<path class="bar" d="M{x:.1f} {scale.y(one.low_s):.1f}V{scale.y(one.high_s):.1f}"/>'
    return f'{bar}<circle class="{kind}" cx="{x:.1f}" cy="{scale.y(one.median_s):.1f}" r="2.6"><title>{title}</title></circle>'


STYLE = (
    "<style>svg{min-width:640px;width:100%;height:auto;font:12px system-ui,sans-serif;fill:var(--muted)}"
    ".grid{stroke:var(--line)}.bar{stroke:var(--muted);opacity:.6}.quiet{fill:#2a78c2}.noisy{fill:var(--paper);stroke:#2a78c2}"
    ".stretch{stroke:var(--ink);stroke-width:1.6}.change{stroke:#c0392b;stroke-dasharray:4 3}</style>"
)
