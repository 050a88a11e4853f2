"""Which pairs of blocks can tell two networks apart: log ratios, the load each belongs to, and the machine's state beside both halves.

A pair whose halves met different states of the machine tells of the machine; one that met slow states tells how the networks bear those.
Only what the canary says decides which pairs count, never the ratios, so that no choice among them favours either network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.latency.verdict.sign_flips import FloatArray, IntArray
from harness.latency.verdict.undisturbed import block_medians_s
from harness.records.measurement import Latency

BoolArray = npt.NDArray[np.bool_]

ENOUGH_PAIRS = 8  # in the fast state: they alone then decide; fewer equal signs are not rarer than 1 in 100
SLOW_BEYOND = 0.15  # canaries of the pairs that count, over the least seen: then they did not meet the fast state that there is
STEADY_WITHIN = 0.10  # canaries beside both halves of a pair that differ less met one state; slow states cost a fifth and more


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs that count, in the order in which they were measured.

    log_ratios: ours over the baseline's. loads: of every pair the number of its load, from 0 without gaps; None where not known or
    where there was but one. measured: how many pairs there were in all. slow: whether most of those that count met a slow state,
    although the machine has a fast one.
    """

    log_ratios: FloatArray
    loads: IntArray | None
    measured: int
    slow: bool


def pairs_of(ours: Latency, baseline: Latency) -> Pairs:
    """Block k of one and block k of the other; UsageError when the numbers of blocks differ."""
    if len(ours.block_sizes) != len(baseline.block_sizes):
        raise UsageError(
            f"{len(ours.block_sizes)} blocks against {len(baseline.block_sizes)} do not pair; measure both interleaved in one run"
        )
    logs = np.log(block_medians_s(ours)) - np.log(block_medians_s(baseline))
    counted = _counted(ours, baseline)
    return Pairs(logs[counted], _loads(ours, baseline, counted), len(logs), _slow(ours, baseline, counted))


def _counted(ours: Latency, baseline: Latency) -> BoolArray:
    """Pairs in the fast state where they are enough, else those that met one state, else all."""
    everything = np.ones(len(ours.block_sizes), dtype=np.bool_)
    if not (ours.quiet and baseline.quiet):
        return everything
    fast = np.array(ours.quiet) & np.array(baseline.quiet)
    steady = np.abs(np.log(ours.canary_ratios) - np.log(baseline.canary_ratios)) <= np.log1p(STEADY_WITHIN)
    enough = min(ENOUGH_PAIRS, len(everything))
    return next((found for found in (fast, steady) if np.count_nonzero(found) >= enough), everything)


def _slow(ours: Latency, baseline: Latency, counted: BoolArray) -> bool:
    if not (ours.canary_ratios and baseline.canary_ratios):
        return False
    beside = np.maximum(ours.canary_ratios, baseline.canary_ratios)
    return bool(np.median(beside[counted]) > (1.0 + SLOW_BEYOND) * min(*ours.canary_ratios, *baseline.canary_ratios))


def _loads(ours: Latency, baseline: Latency, counted: BoolArray) -> IntArray | None:
    """Where either was loaded anew, a new load begins; names of loads do not matter."""
    if not (ours.occasions and baseline.occasions):
        return None
    named = [(one.load, other.load) for one, other in zip(ours.occasions, baseline.occasions, strict=True)]
    numbers: dict[tuple[int, int], int] = {}
    found = np.array([numbers.setdefault(name, len(numbers)) for name, keep in zip(named, counted, strict=True) if keep], dtype=np.int64)
    return found if len(numbers) > 1 else None
