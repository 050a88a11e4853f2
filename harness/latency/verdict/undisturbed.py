"""How long an inference takes while nothing disturbs it: the figure that a model of the network can explain.

Other programs only ever add time, in bursts that outlast samples and whole blocks. The median of a few blocks follows the
bursts; the quick end of the quieter half of the blocks does not: on a machine with busy neighbours two such figures of one
network differ by 0.5 % where two medians differ by 10 %. What people are shown stays the median (``Latency.median_s``).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from harness.records.measurement import Latency

QUICK_SHARE = 0.10  # the samples' quantile; the fastest of all would be the clock's luck
USUAL_SHARE = 0.25  # measurements that are assumed to have met no burst, when the usual disturbance is estimated


def undisturbed_s(latency: Latency) -> float:
    """Mean over the quieter half of the blocks of each block's quick samples, in seconds."""
    return quieter_half(tuple(_nearest_rank(sorted(block), QUICK_SHARE) for block in unpreempted_blocks(latency)))


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
    """How many times longer the quoted median of a measurement is than its undisturbed latency, when no burst met it.

    The lower quartile over the measurements: a burst raises a median far more than it raises the quick samples.
    """
    return _nearest_rank(sorted(latency.median_s / undisturbed_s(latency) for latency in latencies), USUAL_SHARE)


def _nearest_rank(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
