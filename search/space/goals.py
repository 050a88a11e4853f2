"""Goals: what the user wants of a campaign, and whether any legal configuration can be that fast."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import CampaignError, UsageError
from harness.records.pruning_config import PruningConfig
from search.records.costs.objective import LATENCY, OBJECTIVES, Objective
from search.records.request import Request
from search.records.trial import Floats, KnownCost, TuningChoice
from search.space.screened_latency import OUT_OF_REACH_S
from search.space.space import SearchSpace

UNLIKELY = 0.1  # chance below which a goal is said to be out of reach
_MORE_TO_CHOOSE = "measure more networks (--designs), let the search choose bits too (--precision=f32,int8)"
PARETO_LIMIT_POINTS = 1.0  # the limit at which a front's one recommended configuration is read off, unless the user gives one


@dataclass(frozen=True, slots=True)
class Goal:
    """The lowest cost within a drop, the lowest drop within a latency, or the whole front between them.

    max_drop_points: percentage points of validation top-1. max_latency_s: seconds. With both, the lowest latency within
    the drop is sought, and the result says whether it meets the latency. pareto: the whole front. certainty: least probability of
    keeping the drop that the recommended configuration must have. objective: which cost is lowered.
    """

    max_drop_points: float | None = 0.5
    max_latency_s: float | None = None
    pareto: bool = False
    certainty: float = Request.certainty
    objective: Objective = LATENCY

    def __post_init__(self) -> None:
        drop, latency_s = self.max_drop_points, self.max_latency_s
        if drop is not None and not 0 <= drop <= 100:
            raise UsageError(f"a drop of at most {drop} points makes no sense; give percentage points from 0 to 100")
        if latency_s is not None and not (math.isfinite(latency_s) and latency_s > 0):
            raise UsageError(f"a latency of at most {latency_s} s makes no sense; give more than 0")
        if drop is None and latency_s is None and not self.pareto:
            raise UsageError("nothing is asked for; give a largest drop, a largest latency, or ask for the Pareto front")
        if not 0 < self.certainty < 1:
            raise UsageError(f"a certainty of {self.certainty} makes no sense; give a probability between 0 and 1")

    @property
    def kind(self) -> str:
        """``pareto``, ``max-latency`` (lowest drop within a latency) or ``max-drop`` (lowest cost within a drop)."""
        if self.pareto:
            return "pareto"
        return "max-drop" if self.max_drop_points is not None else "max-latency"

    @property
    def drop_limit(self) -> float:
        """The drop that separates good from bad, in points, also where the user gave none."""
        return PARETO_LIMIT_POINTS if self.max_drop_points is None else self.max_drop_points

    def in_reach(self, cost: float) -> bool:
        """Whether anything is known of what costs that: what the latency predictor cannot answer for is out of reach."""
        return self.objective.is_compiled or cost < OUT_OF_REACH_S

    def missed_by(self, drops: Iterable[float]) -> bool:
        """Whether the lowest cost within a drop is sought, and none of these drops (points, at least one) is within it."""
        found = list(drops)
        return self.kind == "max-drop" and bool(found) and min(found) > self.drop_limit

    @property
    def text(self) -> str:
        """The goal in one clause."""
        sure = "" if self.certainty == Request.certainty else f" with a probability of {self.certainty:g}"
        drop = "" if self.max_drop_points is None else f"a drop of at most {self.max_drop_points:g} points{sure}"
        latency = "" if self.max_latency_s is None else f"at most {self.max_latency_s * 1e3:g} ms"
        if self.pareto:
            return f"the front of {self.objective.noun} and drop" + (f", read at {drop}" if drop else "")
        if drop:
            return f"the lowest {self.objective.noun} within {drop}" + (f", and {latency}" if latency else "")
        return f"the lowest drop within {latency}"


def goal_of(request: Request) -> Goal:
    """What the optimiser of a campaign seeks that was asked for like this."""
    return Goal(request.drop_limit_points, request.max_latency_s, request.pareto, request.certainty, objective_of(request))


def objective_of(request: Request) -> Objective:
    """What a campaign that was asked for like this lowers."""
    return OBJECTIVES[request.objective]


@dataclass(frozen=True, slots=True)
class Reach:
    """How likely it is that both limits of a goal can be kept at once, as far as the trials tell.

    chance: highest posterior probability of keeping the drop among configurations within the latency. drop_points: posterior
    mean at that configuration. fastest_s: predicted latency of the fastest evaluated configuration that keeps the drop; not
    a number when none does.
    """

    chance: float
    drop_points: float
    fastest_s: float

    def warning(self, goal: Goal) -> str:
        """One line for a goal that looks out of reach, with the nearest feasible ones; empty when it does not, yet."""
        if goal.max_drop_points is None or goal.max_latency_s is None or self.chance >= UNLIKELY:
            return ""
        nearest = "" if math.isnan(self.fastest_s) else f"--max-latency-ms={self.fastest_s * 1e3:.4g} with this drop, or "
        return (
            f"both limits together look out of reach (chance {self.chance:.1%}): "
            f"nearest are {nearest}--max-drop={max(self.drop_points, 0.0):.2g} with this latency"
        )


def fastest(space: SearchSpace, known: KnownCost) -> tuple[Floats, float]:
    """The fastest (or cheapest) legal row found from both ends, in any precision and at any size, and its cost.

    Descends coordinate by coordinate from the dense row and from the narrowest one: cost falls with width except for
    the steps of the staircase. Which precision is fastest may change on the way: every one is descended in.
    """
    begun = [replace(space.start, precision=one, size=size) for one in space.ranges.precisions for size in space.ranges.sizes]
    return min((_fastest(space, known, recipe) for recipe in begun), key=lambda found: found[1])


def _fastest(space: SearchSpace, known: KnownCost, recipe: TuningChoice) -> tuple[Floats, float]:
    dense = space.encode(space.architecture.dense(), recipe)
    narrow = dense.copy()
    narrow[: space.groups] = space.snap(np.zeros((1, space.groups)))[0]
    best_row, best_s = dense, float(space.costs(known, dense[None])[0])
    for start in (narrow, dense):
        row, seconds, moved = start.copy(), float(space.costs(known, start[None])[0]), True
        while moved:
            moved = False
            for column in range(space.groups):
                children = np.repeat(row[None], int(space.sizes[column]), axis=0)
                children[:, column] = np.arange(space.sizes[column])
                children = children[space.legal(children)]
                costs = space.costs(known, children)
                if len(costs) and costs.min() < seconds - 1e-12:
                    row, seconds, moved = children[int(costs.argmin())], float(costs.min()), True
        if seconds < best_s:
            best_row, best_s = row, seconds
    return best_row, best_s


def check_choice(space: SearchSpace, published: Sequence[PruningConfig], precisions: Sequence[str], objective: Objective = LATENCY) -> None:
    """Refuse a search in which there is nothing to choose: CampaignError where the dense network is the only legal configuration."""
    if space.configurations > 1 or len(precisions) > 1:
        return
    instead = "take another network" if objective.is_compiled else _MORE_TO_CHOOSE
    also = f", and {len(published)} published ones, which pytest bench/ compares" if published else ""
    raise CampaignError(
        f"the dense network is the only legal configuration of {space.architecture.network} on this device{also}: no narrower width is "
        f"{objective.cheaper} there; {instead}, or take another device"
    )


def check_reachable(goal: Goal, space: SearchSpace, known: KnownCost) -> None:
    """Refuse a latency that no legal configuration reaches: CampaignError that names the nearest one."""
    if goal.max_latency_s is None:
        return
    _, least_s = fastest(space, known)
    if least_s > goal.max_latency_s:
        raise CampaignError(
            f"no legal configuration reaches {goal.max_latency_s * 1e3:.4g} ms, the fastest is predicted at {least_s * 1e3:.4g} ms; "
            f"give --max-latency-ms={math.ceil(least_s * 1e5) / 100:g} or more"
        )
