"""How long an inference takes while nothing disturbs it: the figure that a model of the network can explain.

Other programs, and neighbours on the same silicon, only ever add time, in bursts that outlast samples and whole blocks. The median
of a few blocks follows the bursts; the quick end of the blocks beside which the canary was quick does not. (Tried against it on recorded
and simulated traces, and worse: the ratio to the canary, a mixture of two states, the lowest block, the quieter half of the blocks.) What
people are shown stays the median (``Latency.median_s``).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable

from harness.records.measurement import ENOUGH_QUIET, Latency

QUICK_SHARE = 0.10  # the samples' quantile; the fastest of all would be the clock's luck
USUAL_SHARE = 0.25  # measurements that are assumed to have met no burst, when the usual disturbance is estimated
NEVER_QUIET = 6.0  # the ratio to a canary errs by some 2.5 % on a loud machine, the median of a few quiet blocks by some 0.4 %


def undisturbed_s(latency: Latency) -> float:
    """Median, over the blocks that ran in the machine's fast state, of their quick samples, in seconds.

    Where a canary was timed, it tells which they are; where none was, they are the quieter half. When the canary saw the fast state beside
    no block, their ratio to the canary stands for it: slow states slow all networks nearly alike. ``doubt_ratio`` says what that is worth.
    """
    quick_s = tuple(_nearest_rank(sorted(block), QUICK_SHARE) for block in unpreempted_blocks(latency))
    if not latency.quiet:
        return quieter_half(quick_s)
    quiet_s = list(itertools.compress(quick_s, latency.quiet))
    if not quiet_s:
        return statistics.median(found / ratio for found, ratio in zip(quick_s, latency.canary_ratios, strict=True))
    return statistics.median(quiet_s)


def quiet_blocks(latency: Latency) -> int | None:
    """Beside how many blocks the canary saw the machine's fast state; None where there was no canary."""
    return sum(latency.quiet) if latency.quiet else None


def doubt_ratio(latency: Latency) -> float:
    """By how much the standard deviation of ``undisturbed_s`` exceeds that of a network seen ``ENOUGH_QUIET`` times in the fast state."""
    quiet = quiet_blocks(latency)
    if quiet is None or quiet >= ENOUGH_QUIET:
        return 1.0
    return math.sqrt(ENOUGH_QUIET / quiet) if quiet else NEVER_QUIET


def quieter_half(blocks_s: tuple[float, ...]) -> float:
    """Mean of the smaller half of one figure per block; of the only one where there is one."""
    return statistics.fmean(sorted(blocks_s)[: max(1, len(blocks_s) // 2)])


def block_medians_s(latency: Latency) -> tuple[float, ...]:
    """Median of each block, in seconds, over the samples that were not preempted; over all where all were."""
    return tuple(statistics.median(block) for block in unpreempted_blocks(latency))


def unpreempted_blocks(latency: Latency) -> tuple[tuple[float, ...], ...]:
    """The samples of each block, in seconds, without the preempted ones unless that leaves none."""
    preempted = set(latency.preempted)
    blocks, start = [], 0
    for size in latency.block_sizes:
        whole = latency.samples_s[start : start + size]
        kept = tuple(sample for index, sample in enumerate(whole, start) if index not in preempted) if preempted else whole
        blocks.append(kept or whole)
        start += size
    return tuple(blocks)


def usual_disturbance(latencies: Iterable[Latency]) -> float:
    """How many times longer the median of a measurement is than its undisturbed latency, when no burst met it.

    The lower quartile over the measurements: a burst raises a median far more than it raises the quick samples. Where a canary was timed,
    the median is that of the blocks in the machine's fast state.
    """
    return _nearest_rank(sorted(_quiet_median_s(latency) / undisturbed_s(latency) for latency in latencies), USUAL_SHARE)


def _quiet_median_s(latency: Latency) -> float:
    if not quiet_blocks(latency):
        return latency.median_s
    return statistics.median(itertools.compress(block_medians_s(latency), latency.quiet))


def _nearest_rank(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
