"""Points to series with their changes: by how much, since which commit, and which layers moved with it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.history.point import Point
from harness.latency.verdict import change_points

SAME_WITHIN = 0.01  # a smaller change of the median is of no use to anybody, however sure
_Z_975 = 1.96


@dataclass(frozen=True, slots=True)
class Span:
    """Median of several figures with its distribution-free 95 % interval, the whole range where they are too few for one; seconds."""

    median_s: float
    low_s: float
    high_s: float

    @classmethod
    def of(cls, values_s: Sequence[float]) -> Span:
        """The span of at least one figure."""
        ordered, count = sorted(values_s), len(values_s)
        half = _Z_975 * math.sqrt(count) / 2
        low, high = max(0, math.floor(count / 2 - half)), min(count - 1, math.ceil(count / 2 + half))
        return cls(statistics.median(ordered), ordered[low], ordered[high])


@dataclass(frozen=True, slots=True)
class Moved:
    """A layer on both sides of a change. surely: whether the intervals of its medians lie apart."""

    layer: str
    before: Span
    after: Span

    @property
    def surely(self) -> bool:
        """Apart, and not merely in another order."""
        return self.before.high_s < self.after.low_s or self.after.high_s < self.before.low_s

    @property
    def difference_s(self) -> float:
        """What the change cost this layer."""
        return self.after.median_s - self.before.median_s


@dataclass(frozen=True, slots=True)
class Change:
    """A new stretch of a series: ``index`` is its first point; before and after are the two stretches' medians."""

    index: int
    since: Point
    last_before: Point
    before: Span
    after: Span
    layers: tuple[Moved, ...]

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after.median_s / self.before.median_s

    @property
    def ratio_interval(self) -> tuple[float, float]:
        """From the ends of both intervals that lie nearest to each other and farthest apart."""
        return self.after.low_s / self.before.high_s, self.after.high_s / self.before.low_s


@dataclass(frozen=True, slots=True)
class Series:
    """Points that may be compared, by time, and where they changed; stretches of them are between changes."""

    key: tuple[tuple[str, str], ...]
    points: tuple[Point, ...]
    changes: tuple[Change, ...]

    def value(self, key: str) -> str:
        """One of the conditions, empty where it is none."""
        return dict(self.key).get(key, "")

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """First and last index of each."""
        begins = (0, *(one.index for one in self.changes))
        return tuple(zip(begins, (*(begin - 1 for begin in begins[1:]), len(self.points) - 1), strict=True))


def told(points: Sequence[Point]) -> tuple[Series, ...]:
    """Every series of ``points``, by device and network; changes under ``SAME_WITHIN`` are none."""
    groups: dict[tuple[tuple[str, str], ...], list[Point]] = {}
    for point in points:
        groups.setdefault(point.series, []).append(point)
    found = [_series(key, sorted(group, key=lambda one: one.taken_at)) for key, group in groups.items()]
    return tuple(sorted(found, key=lambda one: (one.value("device"), one.value("network"), one.key)))


def _series(key: tuple[tuple[str, str], ...], points: list[Point]) -> Series:
    medians_s = [one.median_s for one in points]
    places = list(change_points.changes(medians_s))
    while small := [place for place in places if abs(_change(points, places, place).ratio - 1) < SAME_WITHIN]:
        places.remove(min(small, key=lambda place: abs(math.log(_change(points, places, place).ratio))))
    return Series(key, tuple(points), tuple(_change(points, places, place) for place in places))


def _change(points: Sequence[Point], places: Sequence[int], place: int) -> Change:
    begin = max((one for one in places if one < place), default=0)
    end = min((one for one in places if one > place), default=len(points))
    before, after = points[begin:place], points[place:end]
    spans = [Span.of([one.median_s for one in part]) for part in (before, after)]
    return Change(place, points[place], points[place - 1], spans[0], spans[1], _moved(before, after))


def _moved(before: Sequence[Point], after: Sequence[Point]) -> tuple[Moved, ...]:
    """Layers that both sides have, those that moved most first."""
    sides = (_by_layer(before), _by_layer(after))
    both = [name for name in sides[0] if name in sides[1]]
    found = [Moved(name, Span.of(sides[0][name]), Span.of(sides[1][name])) for name in both]
    return tuple(sorted(found, key=lambda one: -abs(one.difference_s)))


def _by_layer(points: Sequence[Point]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for point in points:
        for name, seconds in point.layers:
            found.setdefault(name, []).append(seconds)
    return found
