"""A ledger that balances: whole network = layers + other operations + a remainder of which every part has a name.

The whole is the median of the unprofiled run; layer times come from profiled runs and are means. What a profiled run took
beyond its own nodes is the host's work, and what the runtime cut off when it wrote whole microseconds; what the profiled runs
took beyond the unprofiled one is bursts, which raise means, and the profiler's own cost, with the machine's drift between.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import RecordError
from harness.latency.verdict.undisturbed import unpreempted_blocks
from harness.records.architecture import Architecture, LayerSite
from harness.records.measurement import Latency, LayerLatency, Measurement

REMAINDER_LIMIT = 0.05  # beyond, the layers do not explain the whole and the ledger says so
_TICK_S = 1e-6  # a runtime whose times are all multiples of it cuts off half of it on average
_CUT = 1e-3  # of a tick: the distance within which a time counts as a multiple
OTHER, MOVED = "other operations", "reorders and copies"
MOVING_KINDS = ("reorder", "copy", "reformat", "transpose", "convert", "permute", "memcpy")


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one layer took, or several that run as one kernel.

    layers: the network's layers credited; two or more where one kernel runs them and cannot be divided. stage: of the first.
    seconds: median over the profiled compilations; low_s, high_s their range; runs_s: each of them. nodes: the runtime's names.
    """

    layers: tuple[str, ...]
    stage: str
    kind: str
    seconds: float
    low_s: float
    high_s: float
    nodes: tuple[str, ...]
    runs_s: tuple[float, ...]

    @property
    def name(self) -> str:
        """The layers' names."""
        return " + ".join(self.layers)


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One named part that belongs to no layer; seconds may be negative, see ``meaning``."""

    name: str
    seconds: float
    meaning: str


@dataclass(frozen=True)
class Ledger:
    """Rows and lines that add up to ``whole_s`` exactly.

    whole_s: median of the unprofiled run. rows: layers in network order. lines: everything else. unattributed: layers that no
    node names, though nodes without a layer are there to hold them.
    """

    whole_s: float
    rows: tuple[LedgerRow, ...]
    lines: tuple[LedgerLine, ...]
    unattributed: tuple[str, ...]

    @property
    def layers_s(self) -> float:
        """Sum of the rows, in seconds."""
        return math.fsum(row.seconds for row in self.rows)

    @property
    def remainder_s(self) -> float:
        """The whole less all layers, in seconds: the sum of the lines."""
        return self.whole_s - self.layers_s

    @property
    def remainder_ratio(self) -> float:
        """Remainder over the whole."""
        return self.remainder_s / self.whole_s

    @property
    def balanced(self) -> bool:
        """Whether the remainder is small enough for the layers to explain the whole."""
        return abs(self.remainder_ratio) <= REMAINDER_LIMIT

    def share(self, row: LedgerRow) -> float:
        """A row's share of the whole, a ratio."""
        return row.seconds / self.whole_s

    @property
    def stages(self) -> tuple[LedgerLine, ...]:
        """Seconds per stage of the network, in network order."""
        names = dict.fromkeys(row.stage for row in self.rows)
        members = {name: [row for row in self.rows if row.stage == name] for name in names}
        return tuple(LedgerLine(name, math.fsum(row.seconds for row in rows), f"{len(rows)} layers") for name, rows in members.items())


def balance(measurement: Measurement, architecture: Architecture) -> Ledger:
    """The ledger of a profiled measurement.

    Raises RecordError when it was not profiled, is of another architecture, or lacks a layer that nothing else can hold.
    """
    if not measurement.layers or measurement.profiled is None:
        raise RecordError(f"the measurement of {measurement.network} was not profiled; run: pytest bench/test_layer_latency.py")
    if measurement.config is not None and measurement.architecture_digest != architecture.digest:
        raise RecordError(
            f"the measurement is of architecture {measurement.architecture_digest}, not {architecture.digest}; give the one it was taken of"
        )
    config = measurement.config or architecture.dense()
    present = architecture.shapes(config)
    sites = {site.name: site for site in architecture.layers}
    rows, loose = _credit(measurement.layers, sites, architecture)
    unattributed = tuple(name for name in present if not any(name in row.layers for row in rows))
    if unattributed and not any(not _moves(node) for node in loose):
        raise RecordError(f"no profiled node runs {', '.join(unattributed[:3])}, and none is unattributed; profile the network again")
    whole_s = measurement.latency.median_s
    lines: tuple[LedgerLine, ...] = (
        LedgerLine(MOVED, _total(node for node in loose if _moves(node)), "nodes that only rearrange data"),
        LedgerLine(OTHER, _total(node for node in loose if not _moves(node)), "nodes of no layer, or that cannot be attributed"),
    )
    nodes_s = math.fsum([*(row.seconds for row in rows), *(line.seconds for line in lines)])
    lines += _beyond_nodes(measurement.layers, measurement.profiled, whole_s - nodes_s)
    return Ledger(whole_s, rows, lines, unattributed)


def _credit(
    nodes: Iterable[LayerLatency], sites: dict[str, LayerSite], architecture: Architecture
) -> tuple[tuple[LedgerRow, ...], list[LayerLatency]]:
    """Nodes gathered by the layers they name, in network order; and the nodes that name none."""
    order = {name: index for index, name in enumerate(sites)}
    gathered: dict[tuple[str, ...], list[LayerLatency]] = {}
    loose = []
    for node in nodes:
        layers = tuple(sorted((name for name in node.source_layers if name in sites), key=order.__getitem__))
        if layers:
            gathered.setdefault(layers, []).append(node)
        else:
            loose.append(node)
    rows = []
    for layers, members in sorted(gathered.items(), key=lambda entry: order[entry[0][0]]):
        runs = [math.fsum(times) for times in zip(*(node.runs_s for node in members), strict=False)]
        site = sites[layers[0]]
        kind = "fused" if len(layers) > 1 else ("depthwise" if site.depthwise else site.kind)
        names = tuple(node.node for node in members)
        times = statistics.median(runs), min(runs), max(runs)
        rows.append(LedgerRow(layers, stage_of(site, architecture), kind, *times, names, tuple(runs)))
    return tuple(rows), loose


def stage_of(site: LayerSite, architecture: Architecture) -> str:
    """The part of the network a layer belongs to: its branch's, its own channels', or its own name at the end."""
    if site.branch is not None:
        return architecture.group(site.branch).stage
    return site.name if site.out_group is None else architecture.group(site.out_group).stage


def _beyond_nodes(nodes: tuple[LayerLatency, ...], profiled: Latency, remainder_s: float) -> tuple[LedgerLine, ...]:
    """The parts of ``remainder_s``, the unprofiled median less all nodes.

    A profiled block is the run that its compilation's node times are means of, so their difference is free of drift. Where a runtime
    tells several runs of each compilation, usual times are compared.
    """
    blocks = unpreempted_blocks(profiled)
    middles = [statistics.median(block) for block in blocks]
    means = [statistics.fmean(block) for block in blocks]
    sums = [math.fsum(times) for times in zip(*(node.runs_s for node in nodes), strict=False)]
    if len(means) == len(sums):
        gap = statistics.median(mean - total for mean, total in zip(means, sums, strict=True))
        bursts = -statistics.median(mean - middle for mean, middle in zip(means, middles, strict=True))
    else:  # a runtime that tells several runs of a compilation tells what they usually took, which bursts do not raise
        gap, bursts = statistics.median(middles) - statistics.median(sums), 0.0
    cut = len(nodes) * _TICK_S / 2 if _whole_ticks(nodes) else 0.0
    return (
        LedgerLine("cut off", cut, "half a microsecond a node where the runtime cuts to whole ones, else none"),
        LedgerLine("host", gap - cut, "a profiled run beyond its nodes: the call, input and output, gaps"),
        LedgerLine("bursts", bursts, "negative where node times are means, which interrupted inferences raise"),
        LedgerLine("profiler and drift", remainder_s - gap - bursts, "unprofiled less profiled run; negative: profiling cost this much"),
    )


def _whole_ticks(nodes: tuple[LayerLatency, ...]) -> bool:
    ticks = [run / _TICK_S for node in nodes for run in node.runs_s]
    return all(abs(count - round(count)) < _CUT for count in ticks)


def _moves(node: LayerLatency) -> bool:
    return any(kind in node.kind.lower() for kind in MOVING_KINDS)


def _total(nodes: Iterable[LayerLatency]) -> float:
    return math.fsum(node.median_s for node in nodes)
