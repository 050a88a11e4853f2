"""Staircases from networks that were measured with one group narrowed and all others whole.

The networks of one group are measured in turns with the dense one, their anchor. Series taken at different hours are brought
to one level by their anchors, so that a machine's slow drift does not look like a step.

.. [Stigler1973] S. M. Stigler. The asymptotic distribution of the trimmed mean. Annals of Statistics 1(3), 1973.
.. [Tukey1977] J. W. Tukey. Exploratory Data Analysis. 1977, ch. 11: median polish.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from harness.errors import LatencyUnknown, UsageError
from harness.latency.explanation.staircase import Staircase, WidthCost
from harness.latency.model.sites import SiteMap
from harness.latency.verdict.undisturbed import undisturbed_s, unpreempted_blocks, usual_disturbance
from harness.records.architecture import Architecture, ChannelGroup
from harness.records.measurement import Latency, Measurement

_POLISHINGS = 5  # more do not change a median any further
ROLE = "staircase"  # of measurements taken for this purpose
CERTAIN_SD = 3.0  # of a step's difference: a sweep compares every width with every larger one, two would often be luck


def set_of(measurement: Measurement) -> str:
    """Which networks were measured in turns: those that share the look at the machine that was taken before them."""
    return measurement.conditions.before.taken_at


def grid(group: ChannelGroup, count: int) -> tuple[int, ...]:
    """Widths to look at, widest first: ``count`` spread evenly, one just below the full width, and 0 where the branch can go."""
    evenly = {max(group.step, round(place * group.channels / count / group.step) * group.step) for place in range(1, count + 1)}
    just_below = {group.channels - group.step} - {0}
    return tuple(sorted({*evenly, *just_below, group.channels, *([0] if group.removable else [])}, reverse=True))


def twins(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    """Groups sorted into classes, in network order: narrowing any one of a class leaves the same layer shapes in the network.

    Measuring the first of a class tells of all; what the model of ``sites`` calls the same cost is called the same here.
    """
    site_map = SiteMap.of(architecture)
    dense = site_map.widths([architecture.dense()])
    found: dict[object, list[str]] = {}
    for column, group in enumerate(architecture.groups):
        row = dense.copy()
        row[0, column] = max(group.step, group.channels // 2 // group.step * group.step)
        inputs, outputs, present = site_map.gather(row)
        shapes = [
            (site.site_class, int(inputs[0, index]), int(outputs[0, index]))
            for index, site in enumerate(site_map.sites)
            if present[0, index]
        ]
        found.setdefault((group.channels, group.step, group.removable, tuple(sorted(shapes))), []).append(group.name)
    return tuple(tuple(names) for names in found.values())


def measured_series(architecture: Architecture, measurements: Iterable[Measurement]) -> dict[str, tuple[WidthCost, ...]]:
    """Points per measured group, the dense network among them; costs are latencies to be quoted, in seconds.

    A width measured twice counts as measured last. Measurements of other architectures, roles, or without an anchor of as many
    blocks are left out; LatencyUnknown when nothing is left.
    """
    dense = architecture.dense()
    ours = [m for m in measurements if m.role == ROLE and m.architecture_digest == architecture.digest and m.config is not None]
    anchors = {set_of(m): m for m in ours if m.config == dense}
    points: dict[str, dict[int, WidthCost]] = {}
    if not anchors:
        raise LatencyUnknown(f"no widths of {architecture.network} are measured; run: pytest bench/test_width_staircase.py")
    usual = usual_disturbance(m.latency for m in ours)
    level_s = statistics.median(usual * undisturbed_s(m.latency) for m in anchors.values())
    sets: dict[tuple[str, ChannelGroup], dict[int, Latency]] = {}
    for measurement in ours:
        anchor, config = anchors.get(set_of(measurement)), measurement.config
        changed = [] if config is None else [group for group in architecture.groups if config.kept(group.name) != group.channels]
        if anchor is None or len(changed) != 1 or len(anchor.latency.block_sizes) != len(measurement.latency.block_sizes):
            continue
        found = sets.setdefault((set_of(measurement), changed[0]), {changed[0].channels: anchor.latency})
        found[measurement.config.kept(changed[0].name)] = measurement.latency  # type: ignore[union-attr]
    for (_, group), latencies in sets.items():
        for point in points_in_turns(latencies, level_s):
            points.setdefault(group.name, {})[point.width] = point
    return {name: tuple(by_width[width] for width in sorted(by_width, reverse=True)) for name, by_width in points.items()}


def with_twins(architecture: Architecture, series: Mapping[str, tuple[WidthCost, ...]]) -> dict[str, tuple[WidthCost, ...]]:
    """The same for every group whose class holds a measured one, in network order."""
    told = {name: next((series[one] for one in names if one in series), None) for names in twins(architecture) for name in names}
    return {group.name: found for group in architecture.groups if (found := series.get(group.name) or told[group.name])}


def fit(series: Mapping[str, tuple[WidthCost, ...]]) -> Staircase:
    """The staircases of measured series: sure enough of each step for as many widths as a sweep compares."""
    return Staircase.fit(series, certain_sd=CERTAIN_SD)


def staircase(architecture: Architecture, measurements: Iterable[Measurement]) -> Staircase:
    """The measured staircase of every group that was swept, or whose twin was; LatencyUnknown when none was."""
    return fit(with_twins(architecture, measured_series(architecture, measurements)))


def points_in_turns(latencies: Mapping[int, Latency], level_s: float) -> tuple[WidthCost, ...]:
    """Points from networks that a device measured in turns, by width; the widest is the anchor, whose cost is ``level_s``.

    A burst over a whole round (block k of all networks) is told by their median and taken out [Tukey1977]_; of what remains, each
    network's quieter half counts, for a short burst only adds. UsageError where the numbers of blocks differ.
    """
    widths = sorted(latencies, reverse=True)
    counts = {len(latencies[width].block_sizes) for width in widths}
    if len(counts) != 1:
        raise UsageError(f"networks in turns have {sorted(counts)} blocks; measure them together, in one run")
    logs = np.log([[np.quantile(block, 0.10) for block in unpreempted_blocks(latencies[width])] for width in widths])
    rounds = np.zeros(logs.shape[1])
    for _ in range(_POLISHINGS):
        own = np.median(logs - rounds, axis=1)
        rounds = np.median(logs - own[:, None], axis=0)
    found = [_quieter_half([float(one) for one in row]) for row in logs - rounds]
    costs = [level_s * math.exp(middle - found[0][0]) for middle, _ in found]
    return tuple(WidthCost(width, cost, cost * sd) for width, cost, (_, sd) in zip(widths, costs, found, strict=True))


def _quieter_half(figures: Sequence[float]) -> tuple[float, float]:
    """Mean of the smaller half and its standard error: where to cut is itself known from the figures only [Stigler1973]_."""
    ordered = sorted(figures)
    kept = max(1, len(ordered) // 2)
    quiet, share = ordered[:kept], kept / len(ordered)
    middle, cut = statistics.fmean(quiet), statistics.fmean(ordered[kept - 1 : kept + 1])
    spread = statistics.variance(quiet) + (1.0 - share) * (cut - middle) ** 2 if kept > 1 else 0.0
    return middle, math.sqrt(spread / kept)
