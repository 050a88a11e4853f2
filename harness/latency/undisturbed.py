"""How long an inference takes while nothing disturbs it: the figure that a model of the network can explain.

Other programs only ever add time, in bursts that outlast whole blocks. The median of a few blocks follows the bursts; the
quieter half of the blocks does not. The figure quoted to people stays the median (``Latency.median_s``).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from harness.records.measurement import Latency


def undisturbed_s(latency: Latency) -> float:
    """Mean over the quieter half of the blocks of each block's median without preempted samples, in seconds."""
    medians = sorted(block_medians_s(latency))
    quiet = medians[: max(1, len(medians) // 2)]
    return statistics.fmean(quiet)


def block_medians_s(latency: Latency) -> tuple[float, ...]:
    """Median of each block, in seconds, over the samples that were not preempted; over all where all were."""
    if not latency.preempted:
        return latency.block_medians_s
    preempted = set(latency.preempted)
    medians, start = [], 0
    for size in latency.block_sizes:
        block = range(start, start + size)
        kept = [latency.samples_s[index] for index in block if index not in preempted]
        medians.append(statistics.median(kept or [latency.samples_s[index] for index in block]))
        start += size
    return tuple(medians)


def disturbance_ratio(latencies: Iterable[Latency]) -> float:
    """Median over measurements of (quoted median / undisturbed): what the machine's usual noise adds, at least 1 when quiet."""
    return statistics.median(latency.median_s / undisturbed_s(latency) for latency in latencies)
