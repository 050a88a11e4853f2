"""Two engines layer by layer: aligned by the network's own layers, and why the smaller one is not faster, in words.

An engine's nodes are fused, renamed and joined by copies that the network does not have. Nodes that share a layer, in either engine, are
one row; what belongs to no layer is told apart. Convolutions run in blocks of channels, so that a width between two steps costs the next
one: which step, the precision suggests, and a sweep of widths measures (``bench/test_width_staircase.py``).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.latency.verdict.finding import Finding, from_bounds
from harness.latency.verdict.judgement import Outcome
from harness.records.measurement import LayerLatency, Measurement

EXPECTED_STEPS = {"int8": 32, "f16": 8, "bf16": 8, "f32": 8}  # channels that kernels compute at once, where nothing was measured
SAME_WITHIN = 0.02  # of a layer: profiles are truncated to microseconds
TOLD = 5  # rows that a sentence names


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine's profile: what it is called, its executed nodes in order, and what most of it runs in (empty: unknown)."""

    name: str
    nodes: tuple[LayerLatency, ...]
    precision: str = ""

    @property
    def seconds(self) -> float:
        """The sum of its nodes' medians."""
        return sum(node.median_s for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Aligned:
    """The nodes of both engines that run the same layers; ``finding`` compares their sums. One engine's part may be empty."""

    layers: tuple[str, ...]
    ours: tuple[LayerLatency, ...]
    theirs: tuple[LayerLatency, ...]
    finding: Finding

    @property
    def fused_otherwise(self) -> bool:
        """Whether the same layers are in another number of nodes."""
        return bool(self.ours and self.theirs) and len(self.ours) != len(self.theirs)

    @property
    def widths(self) -> tuple[int, int]:
        """Output channels of ours and of theirs, the widest node's; 0 where they are not known."""
        ours, theirs = (max((node.channels for node in nodes), default=0) for nodes in (self.ours, self.theirs))
        return ours, theirs


@dataclass(frozen=True, slots=True)
class Alignment:
    """Ours against theirs. rows: in the order of theirs, then what ours has beside them. loose: nodes of no layer, of each."""

    ours: Engine
    theirs: Engine
    rows: tuple[Aligned, ...]
    loose: tuple[LayerLatency, ...]
    their_loose: tuple[LayerLatency, ...]


def between(ours: Measurement, theirs: Measurement) -> tuple[str, ...]:
    """The reasons for two networks that were profiled in one run; none where one was not profiled."""
    if not ours.layers or not theirs.layers:
        return ()
    engines = [Engine(name, one.layers, one.conditions.effective_precision) for name, one in (("ours", ours), ("the other", theirs))]
    return reasons(align(*engines))


def align(ours: Engine, theirs: Engine) -> Alignment:
    """Rows of nodes that share a layer, directly or through a node of the other engine."""
    root: dict[str, str] = {}
    for node in (*theirs.nodes, *ours.nodes):
        for layer in node.source_layers:
            root[_root(root, layer)] = _root(root, node.source_layers[0])
    together: dict[str, tuple[list[LayerLatency], list[LayerLatency]]] = {}
    for place, engine in ((1, theirs), (0, ours)):
        for node in engine.nodes:
            if node.source_layers:
                together.setdefault(_root(root, node.source_layers[0]), ([], []))[place].append(node)
    rows = tuple(_aligned(*nodes) for nodes in together.values())
    loose, their_loose = (tuple(node for node in engine.nodes if not node.source_layers) for engine in (ours, theirs))
    return Alignment(ours, theirs, rows, loose, their_loose)


def _root(root: dict[str, str], layer: str) -> str:
    while root.setdefault(layer, layer) != layer:
        layer = root[layer]
    return layer


def _aligned(ours: Sequence[LayerLatency], theirs: Sequence[LayerLatency]) -> Aligned:
    layers = tuple(dict.fromkeys(layer for node in (*theirs, *ours) for layer in node.source_layers))
    name = "+".join(layers)
    mine, other = _sums(ours), _sums(theirs)
    if not mine or not other or min(mine) <= 0 or min(other) <= 0:
        finding = Finding(name, Outcome.CANNOT_TELL, float("nan"), 0.0, float("inf"), 0.0, "in one engine only, or too short to time")
        return Aligned(layers, tuple(ours), tuple(theirs), finding)
    ratio = statistics.median(mine) / statistics.median(other)
    if min(len(mine), len(other)) < 2:
        finding = Finding(name, Outcome.CANNOT_TELL, ratio, 0.0, float("inf"), 0.0, "one profile each has no interval: give several")
    else:
        how = f"range over {len(mine)} and {len(other)} profiles"
        finding = from_bounds(name, ratio, min(mine) / max(other), max(mine) / min(other), 0.0, SAME_WITHIN, how)
    return Aligned(layers, tuple(ours), tuple(theirs), finding)


def _sums(nodes: Sequence[LayerLatency]) -> tuple[float, ...]:
    """Of every profile the nodes' sum; of their medians where the nodes were not profiled equally often."""
    if len({len(node.runs_s) for node in nodes}) > 1:
        return (sum(node.median_s for node in nodes),)
    return tuple(map(sum, zip(*(node.runs_s for node in nodes), strict=True)))


def reasons(found: Alignment) -> tuple[str, ...]:
    """Why ours is not as much faster as it is smaller, one line for each reason, the costly ones first within a line."""
    whole = found.ours.seconds / found.theirs.seconds if found.theirs.seconds else float("nan")
    told = [f"{found.ours.name} takes {whole:.3f} of {found.theirs.name}'s time, by the sum of their nodes"]
    narrower = [row for row in found.rows if 0 < row.widths[0] < row.widths[1]]
    idle = sorted((row for row in narrower if _not_faster(row)), key=lambda row: -_sum(row.ours))
    if narrower:
        told.append(f"{len(narrower) - len(idle)} of {len(narrower)} narrower layers are faster")
    told += [_between_steps(row, found.ours.precision) for row in idle[:TOLD]]
    told += [f"and {len(idle) - TOLD} narrower layers more"] if len(idle) > TOLD else []
    split = [row for row in found.rows if row.fused_otherwise]
    if split:
        named = "; ".join(f"{row.finding.subject} ({len(row.ours)} nodes against {len(row.theirs)})" for row in split[:TOLD])
        told.append(f"fused otherwise: {named}{_more(split)}")
    told += _copies(found)
    for which, rows in (("only in", [r for r in found.rows if not r.theirs]), ("not in", [r for r in found.rows if not r.ours])):
        if rows:
            told.append(f"{which} {found.ours.name}: {'; '.join(row.finding.subject for row in rows[:TOLD])}{_more(rows)}")
    return tuple(told)


def _not_faster(row: Aligned) -> bool:
    """Not certainly faster; of one profile each, not by more than what is called the same."""
    if row.finding.high == float("inf"):
        return not row.finding.ratio < 1 - SAME_WITHIN
    return row.finding.outcome is not Outcome.FASTER


def _between_steps(row: Aligned, precision: str) -> str:
    ours, theirs = row.widths
    step = EXPECTED_STEPS.get(next((node.precision for node in row.ours if node.precision), precision), EXPECTED_STEPS["f32"])
    told = f"{row.finding.subject}: {theirs} to {ours} channels, {row.finding.outcome}, {row.finding.ratio:.3f} of the time"
    padded, below = -(-ours // step) * step, ours // step * step
    if ours % step and below > 0:
        return f"{told}; {ours} lies between two steps of {step} and is computed as {padded}: {below} would be the next to try (expected)"
    return f"{told}; {ours} is a whole step of {step}, so the layer waits for memory or for its launch: cut layers, not channels"


def _copies(found: Alignment) -> list[str]:
    """What belongs to no layer, and what of it is new."""
    ours_s, theirs_s = _sum(found.loose), _sum(found.their_loose)
    if not found.loose and not found.their_loose:
        return []
    known = {node.node for node in found.their_loose}
    new = sorted((node for node in found.loose if node.node not in known), key=lambda node: -node.median_s)
    told = f"copies, reformats and other nodes of no layer: {ours_s * 1e6:.1f} µs in {len(found.loose)} nodes"
    told += f" against {theirs_s * 1e6:.1f} µs in {len(found.their_loose)}"
    named = ", ".join(f"{node.node} ({node.median_s * 1e6:.1f} µs)" for node in new[:TOLD])
    return [f"{told}{f'; new: {named}{_more(new)}' if new else ''}"]


def _sum(nodes: Iterable[LayerLatency]) -> float:
    return sum(node.median_s for node in nodes)


def _more(listed: Sequence[object]) -> str:
    return f" and {len(listed) - TOLD} more" if len(listed) > TOLD else ""
