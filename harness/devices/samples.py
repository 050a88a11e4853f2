"""A subject's turns, an agent's samples and node times, as the records keep them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.devices.provenance import HostFacts
from harness.devices.replies import Block, NodeTime
from harness.devices.session import Loaded, Session
from harness.records.conditions import Conditions, Snapshot
from harness.records.measurement import CANARY_QUIET_WITHIN, Latency, LayerLatency, Measurement, Occasion
from harness.records.pruning_config import PruningConfig

QUIET_SHARE = 0.02  # the canary's quantile that stands for the fast state: it need not last, and the least of all is luck


def merge_runs(runs: Sequence[Sequence[NodeTime]]) -> tuple[LayerLatency, ...]:
    """The same node of several compilations as one row, in the order of the first; a node that one lacks took 0 s there.

    A compilation counts once, or as many times as its nodes tell runs of it.
    """
    rows: dict[tuple[str, int], NodeTime] = {}
    found: list[dict[tuple[str, int], tuple[float, ...]]] = []
    for run in runs:
        seen: dict[str, int] = {}
        found.append({})
        for node in run:
            key = node.node, seen.get(node.node, 0)  # runtimes may give one name to two nodes
            seen[node.node] = key[1] + 1
            rows.setdefault(key, node)
            found[-1][key] = node.runs_s or (node.seconds,)
    widths = [max((len(times) for times in one.values()), default=1) for one in found]
    return tuple(
        LayerLatency(
            node.node,
            node.layers,
            node.kind,
            tuple(time for one, width in zip(found, widths, strict=True) for time in _padded(one.get(key, ()), width)),
            precision=node.precision,
        )
        for key, node in rows.items()
    )


def _padded(times: tuple[float, ...], width: int) -> tuple[float, ...]:
    return (*times, *[0.0] * (width - len(times)))


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to measure: its ONNX bytes and what they are.

    config: None for a network that was not pruned by one. label: a name beside the network's, kept as a note. notes: what else is to be
    remembered of it, as ``(key, text)``. precision: what it runs in whatever is measured beside it; empty for what is asked for.
    """

    network: str
    architecture_digest: str
    config: PruningConfig | None
    onnx: bytes
    artefact_digest: str
    node_layers: tuple[tuple[str, str], ...] = ()
    role: str = "network"
    label: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    precision: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One block of a network's measurement: block, after how many earlier loads, beside what canary before it (seconds, or None)."""

    block: Block
    load: int = 0
    canary_before_s: float | None = None

    @property
    def canary_s(self) -> float | None:
        """The slower of the canary's times before and after the block."""
        told = [one for one in (self.canary_before_s, self.block.canary_s) if one is not None]
        return max(told, default=None)


def canary_quiet_s(canaries_s: Iterable[float]) -> float | None:
    """What the canary takes in the machine's fast state, by all of its times in a run; None where there is none."""
    ordered = sorted(canaries_s)
    return ordered[int(QUIET_SHARE * len(ordered))] if ordered else None


def quiet_pairs(turns: Sequence[Sequence[Turn]]) -> float:
    """Beside how many blocks of a network and of the first the canary saw the fast state, for the network that has fewest.

    turns: of every network, in the same order. Infinite where there was no canary.
    """
    quiet_s = canary_quiet_s(turn.canary_s for found in turns for turn in found if turn.canary_s is not None)
    if quiet_s is None:
        return math.inf
    most_s = (1.0 + CANARY_QUIET_WITHIN) * quiet_s
    first, *others = [[turn.canary_s is None or turn.canary_s <= most_s for turn in found] for found in turns]
    return min((sum(map(all, zip(first, other, strict=True))) for other in others), default=sum(first))


def latency_of(turns: Sequence[Turn], quiet_s: float | None = None) -> Latency:
    """The samples of several blocks as one latency, in seconds; ``quiet_s`` of the run's canary."""
    blocks = [turn.block for turn in turns]
    told = all(block.cpu_ns for block in blocks)
    starts = [sum(len(block.wall_ns) for block in blocks[:number]) for number in range(len(blocks))]
    return Latency(
        occasions=tuple(Occasion(turn.block.begin_s, turn.load, turn.canary_s, turn.block.energy_j) for turn in turns),
        canary_quiet_s=quiet_s,
        samples_s=tuple(ns * 1e-9 for block in blocks for ns in block.wall_ns),
        block_sizes=tuple(len(block.wall_ns) for block in blocks),
        preempted=tuple(start + index for start, block in zip(starts, blocks, strict=True) for index in block.preempted),
        cpu_samples_s=tuple(ns * 1e-9 for block in blocks for ns in block.cpu_ns) if told else (),
    )


def conditions_of(session: Session, loaded: Loaded, precision: str, before: Snapshot, after: Snapshot, host: HostFacts) -> Conditions:
    """The circumstances under which ``loaded`` was measured."""
    return Conditions(
        device=session.info,
        precision=precision,
        effective_precision=loaded.effective_precision,
        threads=loaded.threads,
        streams=loaded.streams,
        batch_size=loaded.batch_size,
        before=before,
        after=after,
        versions=host.versions,
        git_commit=host.git_commit,
        unready=session.unready,
    )


def record(
    subject: Subject,
    loaded: Loaded,
    latency: Latency,
    conditions: Conditions,
    layers: tuple[LayerLatency, ...],
    profiled: Latency | None,
    notes: tuple[tuple[str, str], ...],
) -> Measurement:
    """A network's measurement, whole."""
    return Measurement(
        network=subject.network,
        architecture_digest=subject.architecture_digest,
        config=subject.config,
        artefact_digest=subject.artefact_digest,
        artefact_bytes=len(subject.onnx),
        latency=latency,
        conditions=conditions,
        load_s=loaded.load_s,
        first_inference_s=loaded.first_inference_s,
        peak_memory_bytes=loaded.peak_memory_bytes,
        layers=layers,
        profiled=profiled,
        role=subject.role,
        notes=(*((("contender", subject.label),) if subject.label else ()), *subject.notes, *loaded.facts.notes, *notes),
    )
