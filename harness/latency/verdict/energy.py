"""Energy per inference, from what a meter counted around the blocks of a latency; what the machine draws idle is not subtracted.

A counter such as RAPL's is renewed about every millisecond [Hahnel2012]_, so that neighbouring blocks are added up to stretches of at
least ``STRETCH_S`` and each tells one figure; the interval is Student's over the stretches.

.. [Hahnel2012] M. Hähnel et al. Measuring energy consumption for short code paths using RAPL. SIGMETRICS Performance
   Evaluation Review 40(3), 2012.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from harness.latency.verdict.tails import t_975
from harness.records.measurement import Latency

STRETCH_S = 0.1  # a hundred renewals of the counter: one more or fewer is a percent
FEWEST_STRETCHES = 3  # fewer tell no spread
TOO_SHORT, NO_METER = "metered too shortly for an interval", "no meter"


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules per inference with a 95 % interval, which reaches from 0 to infinity where there are too few stretches to tell one.

    seconds: of metered inferences in all.
    """

    joules: float
    low_j: float
    high_j: float
    stretches: int
    seconds: float

    @property
    def told(self) -> bool:
        """Whether there were stretches enough for an interval."""
        return self.stretches >= FEWEST_STRETCHES

    @property
    def figure(self) -> str:
        """Millijoules, four digits."""
        return f"{self.joules * 1e3:.4g} mJ"

    @property
    def interval(self) -> str:
        """The two ends; why not, where there are none."""
        return f"{self.low_j * 1e3:.4g}–{self.high_j * 1e3:.4g} mJ" if self.told else TOO_SHORT


def per_inference(latency: Latency) -> Energy | None:
    """What an inference took, of all blocks that were metered; None where no block was."""
    stretches = list(_stretches(latency))
    if not stretches:
        return None
    joules, seconds = sum(one.joules for one in stretches), sum(one.seconds for one in stretches)
    pooled = joules / sum(one.inferences for one in stretches)
    long_enough = [one for one in stretches if one.seconds >= STRETCH_S]
    if len(long_enough) < FEWEST_STRETCHES:
        return Energy(pooled, 0.0, math.inf, len(long_enough), seconds)
    each = [one.joules / one.inferences for one in long_enough]
    half = t_975(len(each) - 1) * statistics.stdev(each) / math.sqrt(len(each))
    return Energy(pooled, max(0.0, pooled - half), pooled + half, len(each), seconds)


@dataclass(frozen=True, slots=True)
class _Stretch:
    joules: float
    seconds: float
    inferences: int

    def and_then(self, later: _Stretch) -> _Stretch:
        """Both as one."""
        return _Stretch(self.joules + later.joules, self.seconds + later.seconds, self.inferences + later.inferences)


def _stretches(latency: Latency) -> Iterator[_Stretch]:
    """Metered blocks in their order, added up until they last long enough; a short rest goes to the last stretch."""
    edges = itertools.pairwise(itertools.accumulate(latency.block_sizes, initial=0))
    blocks = [
        _Stretch(one.energy_j, sum(latency.samples_s[begin:end]), end - begin)
        for one, (begin, end) in zip(latency.occasions, edges, strict=False)
        if one.energy_j is not None
    ]
    found: list[_Stretch] = []
    for block in blocks:
        if found and found[-1].seconds < STRETCH_S:
            found[-1] = found[-1].and_then(block)
        else:
            found.append(block)
    if len(found) > 1 and found[-1].seconds < STRETCH_S:
        rest = found.pop()
        found[-1] = found[-1].and_then(rest)
    yield from found
