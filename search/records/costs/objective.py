"""What a campaign lowers, and how its figures are told: a latency in seconds, or the compiled cost in a compiler's own unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from search.records.trial import Trial, TrialOutcome, TrialRequest

_NARROW = "\u202f"  # between thousands: a comma can be taken for a decimal mark


@dataclass(frozen=True, slots=True)
class Objective:
    """A kind of cost. name: as ``--objective`` takes it. noun: what one figure is. cheaper, cheapest: of a network with less of it.

    A cost of this kind is a plain number inside the search, which compares costs of one campaign only; whatever is told of it is told here.
    """

    name: str
    noun: str
    cheaper: str
    cheapest: str

    @property
    def is_compiled(self) -> bool:
        """Whether costs are a compiler's own, and no durations."""
        return self.name == COMPILED_COST.name

    def figure(self, cost: float) -> str:
        """``742.0 µs``, or the bare cost: its column says what it is."""
        return told_cost(cost) if self.is_compiled else f"{cost * 1e6:.1f} µs"

    def predicted(self, cost: float) -> str:
        """``predicted 742.0 µs``, ``predicted compiled cost 12 340``."""
        return f"predicted {self.noun} {told_cost(cost)}" if self.is_compiled else f"predicted {self.figure(cost)}"

    def begun(self, dense_cost: float) -> str:
        """The dense network's, for the first line of a search."""
        return f"dense predicted at {'a compiled cost of ' if self.is_compiled else ''}{self.figure(dense_cost)}"

    def gain(self, dense_cost: float, cost: float) -> str:
        """``3.90× faster than dense``, ``3.90 times cheaper to the compiler than dense``."""
        ratio = dense_cost / cost
        return f"{ratio:.2f} times cheaper to the compiler than dense" if self.is_compiled else f"{ratio:.2f}× faster than dense"

    def reached(self, dense_cost: float, cost: float) -> str:
        """The same as something that a network stands at."""
        ratio = dense_cost / cost
        return f"a predicted compiled cost {ratio:.2f} times lower" if self.is_compiled else f"a predicted speed-up of {ratio:.2f}×"

    def trial(self, request: TrialRequest, outcome: TrialOutcome, cost: float, ask_s: float = 0.0) -> Trial:
        """A finished trial at this cost."""
        return self.at(Trial(request, outcome, math.nan, ask_s), cost)

    def at(self, trial: Trial, cost: float) -> Trial:
        """The trial as a campaign with this objective tells it, whatever another one knew of it."""
        if self.is_compiled:
            return replace(trial, latency_s=math.nan, compiled_cost=cost)
        return replace(trial, latency_s=cost, compiled_cost=None)

    def restated(self, trials: Iterable[Trial], costs: Iterable[float]) -> tuple[Trial, ...]:
        """Trials of other campaigns, or of another objective, at this one's costs."""
        return tuple(self.at(trial, cost) for trial, cost in zip(trials, costs, strict=True))


LATENCY = Objective("latency", "latency", "faster", "fastest")
COMPILED_COST = Objective("compiled-cost", "compiled cost", "cheaper to the compiler", "cheapest")
OBJECTIVES = {one.name: one for one in (LATENCY, COMPILED_COST)}


def told_cost(cost: float) -> str:
    """A compiled cost, a whole number, thousands apart."""
    return f"{cost:,.0f}".replace(",", _NARROW if abs(cost) >= 10_000 else "")
