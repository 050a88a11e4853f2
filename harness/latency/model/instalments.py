"""Measure designed networks in instalments until the model predicts networks that it never saw well enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from harness.errors import DeviceError
from harness.latency.model import design
from harness.latency.model.design import Decision
from harness.latency.model.held_out import HeldOutError
from harness.latency.model.predictor import HELD_OUT, LatencyPredictor, fewest_networks
from harness.records.architecture import Architecture
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig

DESIGN = "design"
FIRST = 60  # networks; fewer hardly determine a residual network's groups, and every instalment costs a turn of loading
FIRST_BESIDE_PROXY = 10  # networks, where another device's table is at hand; NEXT more follow where they were too few
NEXT = 30
GOOD_ENOUGH_RATIO = 0.0075  # mean error; the held-out networks that say when to stop are few, so a little below the wished 1 %

STILL_FALLING = 0.95  # of the error before: above, it is the model's own, or a machine that will not be quiet

Measure = Callable[[Sequence[tuple[str, PruningConfig]]], Sequence[Measurement]]
Judge = Callable[[Sequence[Measurement], Sequence[Measurement]], HeldOutError | None]


@dataclass(frozen=True, slots=True)
class Persistence:
    """When to measure all networks again: while the mean held-out error exceeds ``max_error_ratio``, for ``most_s`` seconds at most."""

    max_error_ratio: float = 0.03
    most_s: float = 120.0


@dataclass(frozen=True)
class Instalments:
    """What was measured until it was enough.

    designed, held_out: in the order of their design. errors: the held-out error after each instalment, oldest first; empty
    where nothing was held out. decision: why it ended. again: how often all of them were measured again. lost: why the device dropped
    before all that were wanted were measured, empty where it did not.
    """

    designed: tuple[Measurement, ...]
    held_out: tuple[Measurement, ...]
    errors: tuple[HeldOutError, ...]
    decision: Decision
    again: int = 0
    lost: str = ""


def take(
    architecture: Architecture,
    most: int,
    spare: int,
    seed: int,
    good_enough_ratio: float,
    measure: Measure,
    persistence: Persistence | None = None,
    proxies: Sequence[LatencyPredictor] = (),
) -> Instalments:
    """Measure up to ``most`` designed networks and ``spare`` held-out ones (with the first instalment), each once.

    good_enough_ratio: mean held-out error at which to stop; 0 never stops early, and measures all in one instalment. measure:
    given ``(role, configuration)`` pairs answers their measurements, taken interleaved. persistence: how long to go on, measuring all of
    them again, where the error is too large in the end, as long as that lowers it. proxies: predictors of
    the network under other conditions, beside which the first instalment is small. A device that drops loses nothing that was measured
    before: DeviceError only where that is nothing.
    """
    begun_s = time.monotonic()
    judge = partial(_error, architecture, proxies)
    held = design.held_out(architecture, spare, seed) if spare else ()
    longer = design.design(architecture, min(design.MOST, most + len(held)), seed)  # begins with the shorter one
    designs = [config for config in longer if config not in held][:most]  # what is held out is never fitted on: it would count for neither
    stops = bool(held) and good_enough_ratio > 0
    found: list[Measurement] = []
    judged: list[Measurement] = []
    errors: list[HeldOutError] = []
    decision = Decision(True, "nothing was measured yet")
    while decision.go_on and len(found) < len(designs):
        more = NEXT if found else FIRST_BESIDE_PROXY if proxies else FIRST
        batch = designs[len(found) : len(found) + more] if stops else designs
        try:
            new = measure([*((DESIGN, config) for config in batch), *((HELD_OUT, config) for config in (() if found else held))])
        except DeviceError as drop:
            if not found:
                raise
            dropped = Decision(False, f"the device dropped after {len(found)} networks, which are kept: {drop}")
            return Instalments(tuple(found), tuple(judged), tuple(errors), dropped, lost=str(drop))
        judged += new[len(batch) :]
        found += new[: len(batch)]
        error = judge(found, judged)
        errors += [] if error is None else [error]
        decision = design.decide(errors, good_enough_ratio, len(designs)) if stops else decision
    if decision.go_on:
        decision = Decision(False, f"all of the {len(found)} networks that were allowed are measured")
    taken = Instalments(tuple(found), tuple(judged), tuple(errors), decision)
    return taken if persistence is None else _insist(judge, taken, measure, persistence, time.monotonic() - begun_s)


def _insist(judge: Judge, taken: Instalments, measure: Measure, persistence: Persistence, pass_s: float) -> Instalments:
    """All networks measured again, while that may help and there is time; pass_s: how long the measuring so far took."""
    began_s = time.monotonic()
    while taken.errors and taken.errors[-1].mape_ratio > persistence.max_error_ratio:
        spent = time.monotonic() - began_s + pass_s > persistence.most_s
        if hopeless := _why_no_more(taken, spent):
            times = f" after all were measured {1 + taken.again} times" if taken.again else ""
            told = f"mean error {taken.errors[-1].mape_ratio:.2%}{times}: {hopeless}"
            return replace(taken, decision=Decision(False, told))
        before = (*taken.designed, *taken.held_out)
        try:
            later = measure([(m.role, m.config) for m in before if m.config is not None])
        except DeviceError as drop:
            return replace(taken, lost=str(drop), decision=Decision(False, f"the device dropped while all were measured again: {drop}"))
        both = tuple(first.joined(second) for first, second in zip(before, later, strict=True))
        designed, held = both[: len(taken.designed)], both[len(taken.designed) :]
        error, again = judge(designed, held), taken.again + 1
        errors = taken.errors if error is None else (*taken.errors, error)
        decision = Decision(False, f"mean error {errors[-1].mape_ratio:.2%} after all were measured {1 + again} times")
        taken = Instalments(designed, held, errors, decision, again)
    return taken


def _why_no_more(taken: Instalments, spent: bool) -> str:
    """Why measuring all again would not help, or there is no time left for it; empty where neither is so."""
    if taken.again and taken.errors[-1].mape_ratio > STILL_FALLING * taken.errors[-2].mape_ratio:
        return "that lowers it no longer; more designed networks, or a quieter machine, may help"
    return "a quieter machine, or more time, may help" if spent else ""


def _error(
    architecture: Architecture, proxies: Sequence[LatencyPredictor], found: Sequence[Measurement], held: Sequence[Measurement]
) -> HeldOutError | None:
    judged = {m.config for m in held}
    if sum(m.config not in judged for m in found) < fewest_networks(architecture, beside_proxy=bool(proxies)):
        return None
    return LatencyPredictor.fit(architecture, (*found, *held), proxies).held_out
