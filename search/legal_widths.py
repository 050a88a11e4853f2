"""Legal widths of every group: those that pay on the device, read off the latency predictor."""

from __future__ import annotations

import numpy as np

from harness.records.architecture import Architecture, ChannelGroup
from search.trial import KnownLatency

PAYS_RATIO = 0.001  # of the network's latency: a smaller saving against the next legal width is within the predictor's error


def of(latency: KnownLatency, architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Per group the widths worth trying, ascending: the dense one, 0 where the branch can go, and every one that is faster
    than all larger ones while the other groups stay dense."""
    return {group.name: _of_group(latency, architecture, group) for group in architecture.groups}


def _of_group(latency: KnownLatency, architecture: Architecture, group: ChannelGroup) -> tuple[int, ...]:
    widths = [*([0] if group.removable else []), *range(group.step, group.channels + 1, group.step)]
    column = [other.name for other in architecture.groups].index(group.name)
    rows = np.tile(np.array([other.channels for other in architecture.groups], dtype=np.int64), (len(widths), 1))
    rows[:, column] = widths
    seconds = latency.seconds(rows)
    dense_s = fastest_s = float(seconds[-1])
    legal = [group.channels]
    for width, cost_s in zip(reversed(widths[:-1]), reversed(seconds[:-1].tolist()), strict=True):
        if cost_s < fastest_s - PAYS_RATIO * dense_s:
            legal.append(width)
            fastest_s = cost_s
    return tuple(sorted(legal))
