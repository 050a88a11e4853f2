"""An agent's samples and node times, as the records keep them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.devices.provenance import HostFacts
from harness.devices.replies import Block, NodeTime
from harness.devices.session import Loaded, Session
from harness.records.conditions import Conditions, Snapshot
from harness.records.measurement import Latency, LayerLatency


def merge_runs(runs: Sequence[Sequence[NodeTime]]) -> tuple[LayerLatency, ...]:
    """The same node of several compilations as one row, in the order of the first; a node that one lacks took 0 s there."""
    rows: dict[tuple[str, int], NodeTime] = {}
    times: dict[tuple[str, int], list[float]] = {}
    for number, run in enumerate(runs):
        seen: dict[str, int] = {}
        for node in run:
            key = node.node, seen.get(node.node, 0)  # runtimes may give one name to two nodes
            seen[node.node] = key[1] + 1
            rows.setdefault(key, node)
            times.setdefault(key, [0.0] * len(runs))[number] = node.seconds
    return tuple(LayerLatency(node.node, node.layers, node.kind, tuple(times[key])) for key, node in rows.items())


def latency_of(blocks: Sequence[Block]) -> Latency:
    """The samples of several blocks as one latency, in seconds."""
    told = all(block.cpu_ns for block in blocks)
    starts = [sum(len(block.wall_ns) for block in blocks[:number]) for number in range(len(blocks))]
    return Latency(
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
    )
