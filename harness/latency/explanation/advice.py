"""Which group to prune next: savings per point of accuracy, and why a cut saves nothing where it does.

Savings are read off a staircase (measured widths or the latency model's), accuracy off an analysis of one group at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.latency.explanation.roof import Bound, LayerCost, Roof
from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.records.architecture import Architecture, ChannelGroup

LEAST_POINTS = 0.05  # accuracy points; a smaller loss is within training's own noise, and would divide to infinity
_ROUNDING_POINTS = 1e-9  # one image lost is one image, whatever its percentage rounds to
WORTHWHILE_RATIO = 0.005  # of the network's latency; when even the narrowest width saves less, pruning the group is in vain


@dataclass(frozen=True, slots=True)
class WidthLoss:
    """Accuracy points lost when ``group`` alone keeps ``channels``, with the ends of their 95 % interval."""

    group: str
    channels: int
    points_lost: float
    low_points: float
    high_points: float


@dataclass(frozen=True, slots=True)
class Lost:
    """Accuracy points lost at one width, with the ends of their interval. between: read between two analysed widths."""

    points: float
    low: float
    high: float
    between: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """What cutting one group brings.

    next_width: the next useful one, None where no narrower width is certainly cheaper. saved_s, saved_sd_s: at that width. lost:
    accuracy there, None where not analysed. per_point_s: seconds saved per point lost; a loss too small to tell counts as
    the smallest one that can be told. free_width, free_s: the narrowest legal width down to which no loss can be told, and what
    it saves; None and 0 where there is none. at_most_s, at_width: saved at the best width of all. idle: narrower widths that
    save nothing, widest first, above ``next_width`` where there is one. slower: narrower widths at which the network is
    certainly slower than at a larger one. undecided: those of ``idle`` of which the measurements cannot tell. reason:
    why a cut saves nothing, or nothing worth having; empty otherwise.
    """

    group: str
    width: int
    next_width: int | None
    saved_s: float
    saved_sd_s: float
    lost: Lost | None
    per_point_s: float | None
    free_width: int | None
    free_s: float
    at_most_s: float
    at_width: int
    idle: tuple[int, ...]
    slower: tuple[int, ...]
    reason: str
    undecided: tuple[int, ...] = ()

    @property
    def in_vain(self) -> bool:
        """Whether no width of this group is certainly cheaper, or none by enough to matter."""
        return bool(self.reason)


def prune_next(
    architecture: Architecture,
    staircase: Staircase,
    losses: Iterable[WidthLoss] = (),
    layers: Sequence[LayerCost] = (),
    least_points: float = LEAST_POINTS,
    roof: Roof | None = None,
) -> tuple[Advice, ...]:
    """Advice for every group of the staircase at its widest point, the most rewarding first.

    Sorted by seconds saved per point lost; groups without analysed accuracy follow by seconds saved, vain ones come last.
    layers: costs for the reasons; without them a reason names the staircase only. least_points: the smallest loss that the
    analysed images can tell. roof: the machine's; default: what ``layers`` reach themselves.
    """
    by_group: dict[str, dict[int, WidthLoss]] = {}
    for loss in losses:
        by_group.setdefault(loss.group, {})[loss.channels] = loss
    roof = roof or (Roof.of(layers) if layers else None)
    advice = [
        _advise(architecture.group(name), staircase, by_group.get(name, {}), _why(architecture, name, layers, roof), least_points)
        for name in staircase.groups
    ]
    return tuple(sorted(advice, key=_reward))


def loss_at(losses: Mapping[int, WidthLoss], dense: int, width: int) -> Lost | None:
    """Points lost at ``width``: between analysed widths by a straight line (the dense width loses none), None below the last."""
    known = {**{one.channels: (one.points_lost, one.low_points, one.high_points) for one in losses.values()}, dense: (0.0, 0.0, 0.0)}
    if len(known) == 1 or width < min(known):
        return None
    below, above = max(one for one in known if one <= width), min(one for one in known if one >= width)
    if above == below:
        return Lost(*known[below], between=False)
    part = (width - below) / (above - below)
    points, low, high = (one + (other - one) * part for one, other in zip(known[below], known[above], strict=True))
    return Lost(points, low, high, between=True)


def _advise(group: ChannelGroup, staircase: Staircase, losses: Mapping[int, WidthLoss], why: str, least_points: float) -> Advice:
    points = staircase.points(group.name)
    here = points[0]
    best = min(points, key=lambda point: point.cost)
    at_most = here.cost - best.cost
    useful = staircase.next_useful(group.name, here.width)
    idle = tuple(point.width for point in points[1:] if useful is None or point.width > useful.width)
    slower = tuple(one.width for one in staircase.slower_when_narrower(group.name))
    undecided = tuple(one for one in staircase.undecided(group.name, here.width) if one in idle)
    if useful is None:
        reason = _uncertain(here, best, staircase.tolerance) or why or "no narrower width is measurably faster"
        return Advice(group.name, here.width, None, 0.0, 0.0, None, None, None, 0.0, at_most, best.width, idle, slower, reason, undecided)
    lost = loss_at(losses, group.channels, useful.width)
    per_point = None if lost is None else useful.saved / max(lost.points, least_points)
    hopeless = at_most < WORTHWHILE_RATIO * here.cost
    reason = f"saves less than {WORTHWHILE_RATIO:.1%} of the network at any width" + (f"; {why}" if why else "") if hopeless else ""
    free = _free(group, staircase, losses, least_points)
    return Advice(
        group.name, here.width, useful.width, useful.saved, useful.sd, lost, per_point,
        None if free is None else free.width, 0.0 if free is None else here.cost - free.cost,
        at_most, best.width, idle, slower, reason, undecided,
    )  # fmt: skip


def _free(group: ChannelGroup, staircase: Staircase, losses: Mapping[int, WidthLoss], least_points: float) -> WidthCost | None:
    """The narrowest legal width before the first whose loss can be told, or is not known."""
    found = None
    cost_of = {point.width: point for point in staircase.points(group.name)}
    for width in staircase.legal_widths(group.name)[1:]:
        lost = loss_at(losses, group.channels, width)
        if lost is None or lost.points > least_points + _ROUNDING_POINTS:
            break
        found = cost_of[width]
    return found


def _uncertain(here: WidthCost, best: WidthCost, tolerance: float) -> str:
    """Whether noise alone forbids to call the cheapest width cheaper."""
    if here.cost - best.cost <= max(tolerance, WORTHWHILE_RATIO * here.cost):
        return ""
    return (
        f"within noise: {best.width} channels look faster, but by less than two standard errors; measure more networks, with more --designs"
    )


def _why(architecture: Architecture, group: str, layers: Sequence[LayerCost], roof: Roof | None) -> str:
    """What the layers that a cut of ``group`` narrows are bound by, in words; empty where nothing is known of them."""
    names = {site.name for site in architecture.layers if site.out_group == group or group in site.in_groups}
    reached = [layer for layer in layers if names & set(layer.members)]
    if roof is None or not reached:
        return ""
    bounds = [roof.bound(layer) for layer in reached]
    most = max(Bound, key=lambda bound: math.fsum(one.seconds for one, its in zip(reached, bounds, strict=True) if its is bound))
    taken = math.fsum(one.seconds for one in reached)
    if most is Bound.OVERHEAD:
        explained = math.fsum(roof.explained_ratio(one) * one.seconds for one in reached) / taken if taken else 0.0
        return f"overhead-bound: work and traffic explain {explained:.0%} of its layers' time; remove layers, not channels"
    if most is Bound.MEMORY:
        intensity = math.fsum(one.macs for one in reached) / sum(one.traffic_bytes for one in reached)
        return f"memory-bound: {intensity:.1f} multiply-accumulates per byte, the machine's roofs meet at {roof.ridge:.1f}"
    return "staircase: its layers compute as long at every width that was looked at"


def _reward(advice: Advice) -> tuple[int, float, float]:
    if advice.in_vain:
        return 2, -advice.at_most_s, 0.0
    if advice.per_point_s is None or advice.lost is None:
        return 1, -advice.saved_s, 0.0
    return 0, -float(f"{advice.per_point_s:.9g}"), advice.lost.points  # alike but for rounding: the smaller loss first
