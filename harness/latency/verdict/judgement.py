"""Is one network faster than another: faster | slower | same | cannot tell, from interleaved blocks of samples.

The two are measured in one process in A-B-B-A blocks, so block k of one and block k of the other lie next to each other in
time. Only the ratio inside such a pair counts: drift, and bursts that outlast a block, cancel. Where a canary was timed, the pairs of the
machine's fast state count, and none that a change of state parts. "faster" and "slower" need both size (an estimate beyond
``same_within``) and significance (flipped signs of independent pieces, at most 1 in 100 wrong); "same" needs a 95 % interval inside of
``same_within``. Many comparisons at once are corrected [Holm1979]_.

.. [Holm1979] S. Holm. A simple sequentially rejective multiple test procedure. Scand. J. Statist. 6(2), 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.errors import ConditionsDiffer, UsageError
from harness.latency.verdict.independence import Judged, judge
from harness.latency.verdict.pairs import Pairs, pairs_of
from harness.records.measurement import Latency, Measurement

SAME_WITHIN = 0.01  # smaller differences are of no use to anybody
FALSE_VERDICTS = 0.01  # chance of "faster" or "slower" for two equal networks, for any number compared at once
FEWEST_PAIRS = 8  # below, not even eight equal signs are rarer than 1 in 100
ADVISED_PAIRS = 40  # to find 3 % 95 times in 100 on a machine with busy neighbours; 20 do on the simulated one
_Z_INTERVAL = 2.2  # covers 95 % (1.96 covers 92 %: the weights are estimated from the same differences)
_Z_95, _Z_995 = 1.645, 2.576


class Outcome(StrEnum):
    """What can be said of one network against another."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One network's latency over another's.

    ratio: ours / baseline. low, high: its 95 % interval. smallest_detectable: the relative difference that this many pairs
    of this spread find 95 times in 100 (infinite: none). pairs: block pairs behind it. same_within: what counts as none.
    p_value: chance of such ratios between equal networks, corrected when many were compared. effective_pairs: how many
    independent ones tell as much: those in a slow state, and those that agree because they share a load or a moment, count less.
    slow: whether too few pairs met the machine's fast state, so that only slow states were compared.
    """

    outcome: Outcome
    ratio: float
    low: float
    high: float
    smallest_detectable: float
    pairs: int
    p_value: float
    same_within: float = SAME_WITHIN
    effective_pairs: float = math.nan
    slow: bool = False

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high end of the ratio."""
        return self.low, self.high

    @property
    def times(self) -> float:
        """How many times as fast as the baseline: its latency / ours."""
        return 1 / self.ratio

    @property
    def times_interval(self) -> tuple[float, float]:
        """Low and high end of ``times``; (0, infinity) where too few pairs say nothing."""
        return 1 / self.high, 1 / self.low if self.low > 0 else math.inf

    def sentence(self) -> str:
        """The verdict in one line, with what to do where it is open."""
        told = f"{self.outcome}: {self.ratio:.4f} of the baseline's latency"
        if self.pairs < FEWEST_PAIRS:
            return f"{told}; {self.pairs} block pairs cannot decide, measure at least {FEWEST_PAIRS} blocks of each"
        worth = f"{self.pairs} block pairs worth {self.effective_pairs:.0f} independent ones"
        if math.isfinite(self.high):
            told += f" (95 % interval {self.low:.4f} to {self.high:.4f}, {worth}, "
            told += f"differences from {self.smallest_detectable:.1%} are found)"
        else:
            told += f" ({worth} of so few loads that they have no interval)"
        if self.outcome is not Outcome.CANNOT_TELL:
            return told
        return told + ("; the machine was hardly ever in its fast state, measure later" if self.slow else "; measure more blocks to decide")


def verdict(ours: Latency, baseline: Latency, same_within: float = SAME_WITHIN) -> Verdict:
    """Compare two latencies whose blocks were measured alternately; block k of one pairs with block k of the other.

    Raises UsageError when the numbers of blocks differ or ``same_within`` is no ratio in [0, 1).
    """
    return verdicts([(ours, baseline)], same_within)[0]


def compare(ours: Measurement, baseline: Measurement, same_within: float = SAME_WITHIN, across_precisions: bool = False) -> Verdict:
    """The same for two measurements; ConditionsDiffer when they were taken under different conditions.

    across_precisions: what they ran in may differ, for it is part of what is compared.
    """
    if differences := ours.conditions.differences(baseline.conditions, across_precisions):
        raise ConditionsDiffer(differences)
    return verdict(ours.latency, baseline.latency, same_within)


def verdicts(pairs: Sequence[tuple[Latency, Latency]], same_within: float = SAME_WITHIN) -> tuple[Verdict, ...]:
    """Many comparisons, each ours against its baseline; the chance that *any* of them is false stays at 1 in 100."""
    if not 0.0 <= same_within < 1.0:
        raise UsageError(f"same within {same_within}; give a ratio of at least 0 and below 1, e.g. 0.01")
    compared = [pairs_of(ours, baseline) for ours, baseline in pairs]
    judged = [judge(one, _Z_INTERVAL) for one in compared]
    corrected = holm([one.p_value for one in judged])
    read = zip(judged, compared, corrected, strict=True)
    return tuple(_read(one, of, p_value, same_within) for one, of, p_value in read)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Probabilities of error corrected for having looked ``len(p_values)`` times [Holm1979]_, in the order given."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return tuple(corrected)


def _read(judged: Judged, pairs: Pairs, p_value: float, same_within: float) -> Verdict:
    centre = judged.centre
    floor, ceiling = math.log1p(-same_within), math.log1p(same_within)
    significant = p_value <= FALSE_VERDICTS
    if significant and centre.estimate < floor:
        outcome = Outcome.FASTER
    elif significant and centre.estimate > ceiling:
        outcome = Outcome.SLOWER
    elif floor <= centre.low and centre.high <= ceiling and not pairs.slow:
        outcome = Outcome.SAME
    else:
        outcome = Outcome.CANNOT_TELL
    sd = (centre.high - centre.low) / (2 * _Z_INTERVAL)
    found = max(_Z_995 * sd, ceiling) + _Z_95 * sd
    detectable = math.expm1(found) if pairs.measured >= FEWEST_PAIRS else math.inf
    high = math.exp(centre.high) if math.isfinite(centre.high) else math.inf
    ratio, low = math.exp(centre.estimate), math.exp(centre.low)
    return Verdict(outcome, ratio, low, high, detectable, pairs.measured, p_value, same_within, judged.effective, pairs.slow)
