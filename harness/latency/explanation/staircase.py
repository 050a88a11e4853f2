"""Which channel counts are really faster: the steps of a staircase, and the largest width of each.

Works on any series of (width, cost, uncertainty): a group swept on a device, the latency model's table, or a compiler's own
cost where nothing can be run. A width is legal when no larger width is as fast: channels that cost nothing are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.errors import LatencyUnknown, RecordError, UnknownName

TOLERANCE_RATIO = 0.002  # of the whole network's latency: a smaller saving is no step, whatever its significance
CERTAIN_SD = 2.0  # a saving must exceed this many standard deviations of the difference


@dataclass(frozen=True, slots=True)
class WidthCost:
    """One point of a series: what the whole network costs at this width of one group.

    cost: seconds, or a compiler's unit. sd: its standard error in the same unit; 0 where the cost is exact.
    """

    width: int
    cost: float
    sd: float = 0.0

    def __post_init__(self) -> None:
        if self.width < 0 or not math.isfinite(self.cost) or self.cost <= 0 or not (math.isfinite(self.sd) and self.sd >= 0):
            raise RecordError(f"width {self.width} costs {self.cost} ± {self.sd}; a cost is positive and finite, measure it again")


@dataclass(frozen=True, slots=True)
class UsefulWidth:
    """The next width worth going to. saved: cost saved by it, in the series' unit; sd: of the difference."""

    group: str
    width: int
    saved: float
    sd: float


@dataclass(frozen=True, slots=True)
class SlowerNarrower:
    """A width at which removing channels made the network slower than a larger width. lost: by how much; sd: of that."""

    group: str
    width: int
    than: int
    lost: float
    sd: float


@dataclass(frozen=True)
class Staircase:
    """The series of one or more groups, widest first, and what follows from them.

    series: ``(group, points)`` pairs. tolerance: least saving that counts, in the unit of the cost. certain_sd: how many
    standard deviations of the difference a saving must exceed besides.
    """

    series: tuple[tuple[str, tuple[WidthCost, ...]], ...]
    tolerance: float
    certain_sd: float = CERTAIN_SD

    @classmethod
    def fit(cls, series: Mapping[str, Iterable[WidthCost]], tolerance: float | None = None, certain_sd: float = CERTAIN_SD) -> Staircase:
        """From points in any order; tolerance defaults to ``TOLERANCE_RATIO`` of the largest cost.

        Raises RecordError for an empty series and for a width that occurs twice.
        """
        ordered = []
        for group, points in series.items():
            widest_first = tuple(sorted(points, key=lambda point: -point.width))
            widths = [point.width for point in widest_first]
            if not widths or len(set(widths)) != len(widths):
                raise RecordError(f"the staircase of {group} has {len(widths)} points at {len(set(widths))} widths; give each width once")
            ordered.append((group, widest_first))
        if not ordered:
            raise RecordError("a staircase of no group; measure at least one")
        largest = max(point.cost for _, points in ordered for point in points)
        return cls(tuple(ordered), TOLERANCE_RATIO * largest if tolerance is None else tolerance, certain_sd)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(group for group, _ in self.series)

    def points(self, group: str) -> tuple[WidthCost, ...]:
        """The series of ``group``, widest first; UnknownName when it has none."""
        for name, points in self.series:
            if name == group:
                return points
        raise UnknownName("group of the staircase", group, self.groups, "measure it with: pytest bench/test_width_staircase.py")

    def legal_widths(self, group: str) -> tuple[int, ...]:
        """Widths worth having, widest first: each is certainly cheaper than every larger one."""
        return tuple(point.width for point in self._legal(group))

    def steps(self, group: str) -> tuple[tuple[WidthCost, ...], ...]:
        """The points of each step, widest first; a step begins with its legal width."""
        legal = set(self.legal_widths(group))
        found: list[list[WidthCost]] = []
        for point in self.points(group):
            if point.width in legal:
                found.append([])
            found[-1].append(point)
        return tuple(tuple(step) for step in found)

    def next_useful(self, group: str, width: int) -> UsefulWidth | None:
        """The largest width below ``width`` that is certainly cheaper than ``width``, and what it saves; None where none is.

        LatencyUnknown when ``width`` is not in the series.
        """
        here = self._point(group, width)
        for point in self.points(group):
            if point.width < width and self._cheaper(point, here):
                return UsefulWidth(group, point.width, here.cost - point.cost, math.hypot(here.sd, point.sd))
        return None

    def undecided(self, group: str, width: int) -> tuple[int, ...]:
        """Narrower widths of which the series cannot tell whether they save anything: neither certainly cheaper nor certainly not."""
        here = self._point(group, width)
        found = []
        for point in self.points(group):
            most = here.cost - point.cost + self.certain_sd * math.hypot(here.sd, point.sd)
            if point.width < width and most > self.tolerance and not self._cheaper(point, here):
                found.append(point.width)
        return tuple(found)

    def slower_when_narrower(self, group: str) -> tuple[SlowerNarrower, ...]:
        """Widths that cost certainly more than a larger one, with the cheapest larger one."""
        found = []
        points = self.points(group)
        for index, point in enumerate(points):
            if not index:
                continue
            best = min(points[:index], key=lambda larger: larger.cost)
            if self._cheaper(best, point):
                found.append(SlowerNarrower(group, point.width, best.width, point.cost - best.cost, math.hypot(point.sd, best.sd)))
        return tuple(found)

    def _legal(self, group: str) -> list[WidthCost]:
        kept: list[WidthCost] = []
        for point in self.points(group):
            if all(self._cheaper(point, larger) for larger in kept):
                kept.append(point)
        return kept

    def _cheaper(self, point: WidthCost, larger: WidthCost) -> bool:
        saved = larger.cost - point.cost
        return saved > self.tolerance and saved > self.certain_sd * math.hypot(point.sd, larger.sd)

    def _point(self, group: str, width: int) -> WidthCost:
        for point in self.points(group):
            if point.width == width:
                return point
        known = ", ".join(str(point.width) for point in self.points(group))
        raise LatencyUnknown(f"the staircase of {group} has no width {width} (it has {known}); run: pytest bench/test_width_staircase.py")
