"""Measure designed networks in instalments, and stop when the model predicts networks that it never saw well enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.latency.model import design
from harness.latency.model.design import Decision
from harness.latency.model.held_out import HeldOutError
from harness.latency.model.predictor import FEWEST_NETWORKS, HELD_OUT, LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig

DESIGN = "design"
FIRST = 60  # networks; fewer hardly determine a residual network's groups, and every instalment costs a turn of loading
NEXT = 30
GOOD_ENOUGH_RATIO = 0.0075  # mean error; the held-out networks that say when to stop are few, so a little below the wished 1 %

Measure = Callable[[Sequence[tuple[str, PruningConfig]]], Sequence[Measurement]]


@dataclass(frozen=True)
class Instalments:
    """What was measured until it was enough.

    designed, held_out: in the order of their design. errors: the held-out error after each instalment, oldest first; empty
    where nothing was held out. decision: why it ended.
    """

    designed: tuple[Measurement, ...]
    held_out: tuple[Measurement, ...]
    errors: tuple[HeldOutError, ...]
    decision: Decision


def take(architecture: Architecture, most: int, spare: int, seed: int, good_enough_ratio: float, measure: Measure) -> Instalments:
    """Measure up to ``most`` designed networks and ``spare`` held-out ones (with the first instalment), each once.

    good_enough_ratio: mean held-out error at which to stop; 0 never stops early, and measures all in one instalment. measure:
    given ``(role, configuration)`` pairs answers their measurements, taken interleaved.
    """
    designs = design.design(architecture, most, seed)
    held = design.held_out(architecture, spare, seed) if spare else ()
    stops = bool(held) and good_enough_ratio > 0
    found: list[Measurement] = []
    judged: list[Measurement] = []
    errors: list[HeldOutError] = []
    decision = Decision(True, "nothing was measured yet")
    while decision.go_on and len(found) < len(designs):
        batch = designs[len(found) : len(found) + (NEXT if found else FIRST)] if stops else designs
        new = measure([*((DESIGN, config) for config in batch), *((HELD_OUT, config) for config in (() if found else held))])
        judged += new[len(batch) :]
        found += new[: len(batch)]
        error = _error(architecture, found, judged)
        errors += [] if error is None else [error]
        decision = design.decide(errors, good_enough_ratio, len(designs)) if stops else decision
    if decision.go_on:
        decision = Decision(False, f"all of the {len(found)} networks that were allowed are measured")
    return Instalments(tuple(found), tuple(judged), tuple(errors), decision)


def _error(architecture: Architecture, found: Sequence[Measurement], held: Sequence[Measurement]) -> HeldOutError | None:
    judged = {m.config for m in held}
    if sum(m.config not in judged for m in found) < FEWEST_NETWORKS:
        return None
    return LatencyPredictor.fit(architecture, (*found, *held)).held_out
