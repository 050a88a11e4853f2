"""In which state the machine was while networks were measured, and latencies that can be laid beside each other all the same.

Where a neighbour slows the machine for seconds at a time, the medians of networks measured in one run differ by how much of the slow states
each happened to meet: one network, measured twice, was told with 658 and 706 µs. The medians of their blocks in the fast state do not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from harness.records.measurement import ENOUGH_QUIET, Latency

LOUD_BELOW = 0.9  # share of blocks in the fast state: fewer, and the median of all is no figure of the network's


def fast_state_ratio(latency: Latency) -> float | None:
    """The share of blocks that ran in the machine's fast state; None where no canary was timed."""
    return sum(latency.quiet) / len(latency.quiet) if latency.quiet else None


def fast_share(latencies: Iterable[Latency]) -> float:
    """The share of all blocks of these measurements that ran in the fast state; 1 where no canary was timed."""
    quiet = [one for latency in latencies for one in latency.quiet]
    return sum(quiet) / len(quiet) if quiet else 1.0


def loud(latency: Latency) -> bool:
    """Whether the machine was so often in a slow state that the median of all samples misleads; False where no canary was timed."""
    ratio = fast_state_ratio(latency)
    return ratio is not None and ratio < LOUD_BELOW


def in_fast_state(latency: Latency) -> Latency | None:
    """The blocks that ran in the fast state; None where the canary saw it beside too few to tell a median."""
    if sum(latency.quiet) < ENOUGH_QUIET:
        return None
    kept = [at for at, quiet in enumerate(latency.quiet) if quiet]
    edges = list(itertools.pairwise(itertools.accumulate(latency.block_sizes, initial=0)))
    indices = [index for at in kept for index in range(*edges[at])]
    preempted = set(latency.preempted)
    return Latency(
        samples_s=tuple(latency.samples_s[index] for index in indices),
        block_sizes=tuple(latency.block_sizes[at] for at in kept),
        preempted=tuple(new for new, old in enumerate(indices) if old in preempted),
        cpu_samples_s=tuple(latency.cpu_samples_s[index] for index in indices) if latency.cpu_samples_s else (),
        occasions=tuple(latency.occasions[at] for at in kept),
        canary_quiet_s=latency.canary_quiet_s,
    )


def comparable(latencies: Sequence[Latency]) -> tuple[Latency, ...] | None:
    """Latencies of one interleaved run in the fast state, where the machine was loud and all of them met it; None for as they are."""
    if not any(map(loud, latencies)):
        return None
    fast = [in_fast_state(one) for one in latencies]
    found = tuple(one for one in fast if one is not None)
    return found if len(found) == len(fast) else None


def sentence(latency: Latency) -> str:
    """``fast state 40 % of the time``; nothing where the machine was quiet, or no canary was timed."""
    ratio = fast_state_ratio(latency)
    return "" if ratio is None or not loud(latency) else f"fast state {ratio:.0%} of the time".replace("%", " %")
