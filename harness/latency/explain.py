"""Which part costs what, and which to prune next: savings per point of accuracy, and why a cut saves nothing where it does.

Savings are read off a staircase (measured widths or the latency model's), accuracy off a sensitivity analysis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.latency.roof import Bound, LayerCost, Roof
from harness.latency.staircase import Staircase
from harness.records.architecture import Architecture, ChannelGroup

LEAST_POINTS = 0.05  # accuracy points; a smaller loss is within the validation split's noise, and would divide to infinity
WORTHWHILE_RATIO = 0.005  # of the network's latency; when even the narrowest width saves less, pruning the group is in vain


class WidthLoss(Protocol):
    """Accuracy points lost when ``group`` alone keeps ``channels``."""

    @property
    def group(self) -> str:
        """The group's name."""

    @property
    def channels(self) -> int:
        """Channels kept."""

    @property
    def points_lost(self) -> float:
        """Percentage points below the dense network."""


@dataclass(frozen=True, slots=True)
class Share:
    """A layer's or stage's part of the whole. ratio: of ``whole_s``; low_ratio, high_ratio: its 95 % interval.

    Predicted shares of single layers may be negative within their interval: whole networks tell layers of one block apart badly.
    """

    name: str
    seconds: float
    ratio: float
    low_ratio: float
    high_ratio: float
    bound: Bound | None


@dataclass(frozen=True, slots=True)
class Advice:
    """What cutting one group brings.

    next_width: the next useful one, None where no narrower width is cheaper. saved_s, saved_sd_s: at that width.
    points_lost: accuracy points there, interpolated between analysed widths; None where not analysed. at_most_s: saved at the
    best width of all. idle_widths: how many widths below the present one save nothing. reason: why a cut saves nothing, or less
    than it should; empty otherwise.
    """

    group: str
    width: int
    next_width: int | None
    saved_s: float
    saved_sd_s: float
    points_lost: float | None
    at_most_s: float
    idle_widths: int
    reason: str

    @property
    def seconds_per_point(self) -> float | None:
        """Seconds saved per accuracy point lost at the next useful width; losses within noise count as ``LEAST_POINTS``."""
        return None if self.points_lost is None else self.saved_s / max(self.points_lost, LEAST_POINTS)

    @property
    def in_vain(self) -> bool:
        """Whether no width of this group is cheaper."""
        return self.next_width is None


def prune_next(
    architecture: Architecture,
    staircase: Staircase,
    losses: Iterable[WidthLoss] = (),
    layers: Sequence[LayerCost] = (),
) -> tuple[Advice, ...]:
    """Advice for every group of the staircase at its widest point, the most rewarding first.

    Sorted by seconds saved per point lost; groups without analysed accuracy follow by seconds saved, vain ones come last.
    layers: costs for the reasons; without them a reason names the staircase only.
    """
    by_group: dict[str, dict[int, float]] = {}
    for loss in losses:
        by_group.setdefault(loss.group, {})[loss.channels] = loss.points_lost
    roof = Roof.of(layers) if layers else None
    advice = [
        _advise(architecture.group(name), staircase, by_group.get(name, {}), _reached(architecture, name, layers), roof)
        for name in staircase.groups
    ]
    return tuple(sorted(advice, key=_reward))


def shares(layers: Sequence[LayerCost], whole_s: float, by_stage: bool = False) -> tuple[Share, ...]:
    """Each layer's part of ``whole_s``, in network order; summed by stage on request."""
    roof = Roof.of(layers)
    if not by_stage:
        return tuple(_share(one.layer, one.seconds, one.sd_s, whole_s, roof.bound(one)) for one in layers)
    stages = dict.fromkeys(one.stage for one in layers)
    found = []
    for stage in stages:
        members = [one for one in layers if one.stage == stage]
        sd = math.sqrt(math.fsum(one.sd_s**2 for one in members))
        found.append(_share(stage, math.fsum(one.seconds for one in members), sd, whole_s, None))
    return tuple(found)


def _share(name: str, seconds: float, sd_s: float, whole_s: float, bound: Bound | None) -> Share:
    half = 1.96 * sd_s / whole_s
    ratio = seconds / whole_s
    return Share(name, seconds, ratio, ratio - half, ratio + half, bound)


def _advise(group: ChannelGroup, staircase: Staircase, losses: dict[int, float], layers: Sequence[LayerCost], roof: Roof | None) -> Advice:
    points = staircase.points(group.name)
    here = points[0]
    cheapest = min(points, key=lambda point: point.cost)
    useful = staircase.next_useful(group.name, here.width)
    idle = sum(point.width < here.width and (useful is None or point.width > useful.width) for point in points)
    at_most = max(0.0, here.cost - cheapest.cost)
    reason = _reason(idle, None if useful is None else useful.width, at_most < WORTHWHILE_RATIO * here.cost, layers, roof)
    if useful is None:
        return Advice(group.name, here.width, None, 0.0, 0.0, None, at_most, idle, reason)
    lost = _interpolated(losses, group.channels, useful.width)
    return Advice(group.name, here.width, useful.width, useful.saved, useful.sd, lost, at_most, idle, reason)


def _reason(idle: int, useful: int | None, hopeless: bool, layers: Sequence[LayerCost], roof: Roof | None) -> str:
    """Why narrower widths save nothing: the layers' bounds where nothing helps, the staircase where a larger cut does."""
    if useful is not None and not hopeless:
        return f"staircase: {idle} widths down to {useful} cost the same" if idle else ""
    if roof is None or not layers:
        return "no narrower width is measurably faster"
    bounds = [roof.bound(layer) for layer in layers]
    most = max(Bound, key=lambda bound: math.fsum(one.seconds for one, its in zip(layers, bounds, strict=True) if its is bound))
    if most is Bound.OVERHEAD:
        explained = math.fsum(roof.explained_ratio(one) * one.seconds for one in layers) / math.fsum(one.seconds for one in layers)
        return f"overhead-bound: work and traffic explain {explained:.0%} of its layers' time; remove the layer, not channels"
    if most is Bound.MEMORY:
        intensity = math.fsum(one.macs for one in layers) / sum(one.traffic_bytes for one in layers)
        return f"memory-bound: {intensity:.1f} multiply-accumulates per byte, the machine needs {roof.ridge:.1f}"
    return "its layers are too small a part of the network to notice"


def _reached(architecture: Architecture, group: str, layers: Sequence[LayerCost]) -> list[LayerCost]:
    """The layers that a cut of ``group`` narrows: its members and everything that reads them."""
    names = {site.name for site in architecture.layers if site.out_group == group or group in site.in_groups}
    return [layer for layer in layers if layer.layer in names]


def _interpolated(losses: dict[int, float], dense: int, width: int) -> float | None:
    """Points lost at ``width``: between analysed widths by a straight line (the dense width loses none), None below the last."""
    known = {dense: 0.0, **losses}
    if len(known) == 1 or width < min(known):
        return None
    below = max(one for one in known if one <= width)
    above = min(one for one in known if one >= width)
    if above == below:
        return known[below]
    return known[below] + (known[above] - known[below]) * (width - below) / (above - below)


def _reward(advice: Advice) -> tuple[int, float]:
    if advice.in_vain:
        return 2, -advice.at_most_s
    per_point = advice.seconds_per_point
    return (1, -advice.saved_s) if per_point is None else (0, -per_point)
