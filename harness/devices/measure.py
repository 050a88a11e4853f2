"""Measure networks on an open device: one alone, or many in turns, into records with raw samples and conditions."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.devices.provenance import HostFacts, host_facts
from harness.devices.replies import Block, NodeTime
from harness.devices.samples import conditions_of, latency_of, merge_runs
from harness.devices.session import Loaded, Session
from harness.errors import UsageError
from harness.records.conditions import Conditions
from harness.records.measurement import Latency, LayerLatency, Measurement
from harness.records.pruning_config import PruningConfig

MIN_BLOCKS = 3  # fewer block medians give no interval over blocks, so no reason to stop early
PROFILED_INFERENCES = 200  # the runtime's node times are means since compilation; the cold first ones then weigh 0.6 %
ADVISED_LOADS = 8  # of a comparison: two loads of one network were seen to differ by a percent in some 5 of 100 cases
RELOADING_S = 60.0  # spent at most on loading networks again within one comparison
SUSTAINED_BLOCK_S = 1.0  # one row of the heating curve

Progress = Callable[[int, int], None]  # (turns done, turns at most)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How long and how often. Times in seconds.

    warmup_s: at least, then until steady. rounds, min_time_s: samples and seconds in all, split over ``blocks``.
    precision_target: half width of the median's 95 % interval over the median at which measuring stops early, never
    before ``MIN_BLOCKS`` blocks; None never stops early. pace_hz: inferences started a second, None for a tight loop.
    sustained_s: keep the device busy for that long instead. profile_compiles: fresh compilations whose nodes are timed.
    turn_warmup_rounds: untimed inferences when a turn of interleaved measuring begins (caches hold the previous network).
    loads: how often interleaved networks are loaded anew, each time for an equal share of the blocks: where a load lies in
    memory can alone make it a percent faster or slower; fewer where that takes over ``RELOADING_S``. seed: of the order of turns.
    """

    warmup_s: float = 0.2
    warmup_rounds: int = 20
    rounds: int = 500
    min_time_s: float = 1.0
    blocks: int = 5
    precision_target: float | None = 0.01
    pace_hz: float | None = None
    sustained_s: float = 0.0
    profile_compiles: int = 3
    turn_warmup_rounds: int = 10
    loads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.blocks < 1:
            raise UsageError(f"{self.rounds} rounds in {self.blocks} blocks measure nothing; give at least 1 of each")
        if min(self.warmup_s, self.min_time_s, self.sustained_s, self.warmup_rounds, self.turn_warmup_rounds, self.profile_compiles) < 0:
            raise UsageError("a protocol has a negative duration or count; give 0 or more")
        if self.loads < 1:
            raise UsageError(f"networks loaded {self.loads} times cannot be measured; give at least 1")
        if self.precision_target is not None and not 0 < self.precision_target < 1:
            raise UsageError(f"a precision target of {self.precision_target} is no share; give for example 0.01 for 1 %")
        if self.pace_hz is not None and not 0 < self.pace_hz <= 1e4:
            raise UsageError(f"a pace of {self.pace_hz} Hz cannot be kept; give for example 30")

    @property
    def block_rounds(self) -> int:
        """Timed inferences of one block."""
        return -(-self.rounds // self.blocks)

    @property
    def block_s(self) -> float:
        """Seconds of one block, at least."""
        return self.min_time_s / self.blocks


# For a designed set of a hundred small networks: the fit over all of them, not the single network, needs the precision.
DESIGNED_SET = Protocol(warmup_s=0.005, warmup_rounds=15, rounds=300, min_time_s=0.0, precision_target=None, profile_compiles=0)


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to measure: its ONNX bytes and what they are.

    config: None for a network that was not pruned by one. label: a name beside the network's, kept as a note.
    """

    network: str
    architecture_digest: str
    config: PruningConfig | None
    onnx: bytes
    artefact_digest: str
    node_layers: tuple[tuple[str, str], ...] = ()
    role: str = "network"
    label: str = ""


def measure(
    session: Session,
    subject: Subject,
    protocol: Protocol = Protocol(),
    precision: str = "f32",
    batch_size: int = 1,
    host: HostFacts | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measure one network alone: load, warm up, blocks of samples, then profiled runs in compilations of their own.

    batch_size: images per inference; the samples are of whole inferences. host: versions and commit to record, gathered
    when None. Raises ModelRefused and the errors of a failing device.
    """
    tell = progress or _silent
    turns = protocol.blocks + protocol.profile_compiles
    before = session.snapshot()
    loaded = _load(session, subject, precision, batch_size)
    blocks: list[Block] = []
    notes: list[tuple[str, str]] = []
    warmup = (protocol.warmup_s, protocol.warmup_rounds)
    if protocol.sustained_s:
        blocks, notes = _sustained(session, loaded, protocol)
    while not protocol.sustained_s and len(blocks) < protocol.blocks and not _precise(blocks, protocol):
        blocks.append(loaded.infer(protocol.block_rounds, protocol.block_s, *warmup, pace_hz=protocol.pace_hz))
        warmup = (0.0, 0)
        tell(len(blocks), turns)
    loaded.unload()
    layers, profiled = _profile(session, subject, protocol, precision, batch_size)
    tell(turns, turns)
    conditions = conditions_of(session, loaded, precision, before, session.snapshot(), host or host_facts())
    return _record(subject, loaded, blocks, conditions, layers, profiled, (*notes, *_protocol_notes(protocol, blocks)))


def measure_interleaved(
    session: Session,
    subjects: Sequence[Subject],
    protocol: Protocol = Protocol(),
    precision: str = "f32",
    batch_size: int = 1,
    host: HostFacts | None = None,
    progress: Progress | None = None,
) -> tuple[Measurement, ...]:
    """Measure several networks in turns, so that whatever drifts drifts for all of them.

    All are loaded at once, ``protocol.loads`` times in all. In every second block the order is that of the block before,
    backwards (A-B-B-A); each pair of blocks starts from a new shuffle. Stops early only when every network is precise
    enough and the order is balanced. Returns measurements in the order of ``subjects``.
    """
    if not subjects:
        return ()
    tell = progress or _silent
    turns = len(subjects) * protocol.blocks
    before = session.snapshot()
    blocks: list[list[Block]] = [[] for _ in subjects]
    loaded = first = [_load(session, subject, precision, batch_size) for subject in subjects]
    for share in load_shares(turn_orders(len(subjects), protocol), _affordable(protocol.loads, sum(one.load_s for one in first))):
        if enough(blocks, len(blocks[0]), protocol):
            break
        loaded = loaded or [_load(session, subject, precision, batch_size) for subject in subjects]
        for number, order in enumerate(share):
            if enough(blocks, len(blocks[0]), protocol):
                break
            for place, index in enumerate(order):
                tell(len(subjects) * len(blocks[order[0]]) + place, turns)
                blocks[index].append(_turn(loaded[index], protocol, first=number == 0))
        for one in loaded:
            one.unload()
        loaded = []
    tell(turns, turns)
    profiles = [_profile(session, subject, protocol, precision, batch_size) for subject in subjects]
    after = session.snapshot()
    measurements = []
    for subject, one, found, (layers, profiled) in zip(subjects, first, blocks, profiles, strict=True):
        conditions = conditions_of(session, one, precision, before, after, host or host_facts())
        notes = (("interleaved", str(len(subjects))), *_protocol_notes(protocol, found))
        measurements.append(_record(subject, one, found, conditions, layers, profiled, notes))
    return tuple(measurements)


def turn_orders(count: int, protocol: Protocol) -> tuple[tuple[int, ...], ...]:
    """The order of ``count`` networks in every block: pairs of a shuffle and the same backwards."""
    shuffler = random.Random(protocol.seed)
    orders: list[tuple[int, ...]] = []
    while len(orders) < protocol.blocks:
        order = list(range(count))
        shuffler.shuffle(order)
        orders += [tuple(order), tuple(reversed(order))]
    return tuple(orders[: protocol.blocks])


def load_shares(orders: Sequence[tuple[int, ...]], loads: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The turns of each load: about equally many, whole pairs of an order and its reverse; fewer loads where pairs are fewer."""
    pairs = [tuple(orders[start : start + 2]) for start in range(0, len(orders), 2)]
    count = min(loads, len(pairs))
    edges = [round(len(pairs) * part / count) for part in range(count + 1)] if count else []
    return tuple(tuple(order for pair in pairs[low:high] for order in pair) for low, high in itertools.pairwise(edges))


def _affordable(loads: int, seconds: float) -> int:
    """``loads``, or as many as ``RELOADING_S`` pays for where loading means building an engine; at least one."""
    return min(loads, 1 + int(RELOADING_S / seconds)) if seconds > 0 else loads


def enough(blocks: Sequence[Sequence[Block]], number: int, protocol: Protocol) -> bool:
    """Whether interleaved measuring may end before turn ``number``: the order is balanced and every network precise."""
    return number % 2 == 0 and all(_precise(found, protocol) for found in blocks)


def _turn(loaded: Loaded, protocol: Protocol, first: bool) -> Block:
    warmup_s = protocol.warmup_s if first else 0.0
    rounds = max(protocol.turn_warmup_rounds, protocol.warmup_rounds if first else 0)
    return loaded.infer(protocol.block_rounds, protocol.block_s, warmup_s, rounds, pace_hz=protocol.pace_hz)


def _load(session: Session, subject: Subject, precision: str, batch_size: int, profile: bool = False) -> Loaded:
    return session.load(subject.onnx, subject.network, precision, profile, subject.node_layers, batch_size)


def _precise(blocks: Sequence[Block], protocol: Protocol) -> bool:
    if protocol.precision_target is None or len(blocks) < MIN_BLOCKS:
        return False
    latency = latency_of(blocks)
    low_s, high_s = latency.interval_s
    return (high_s - low_s) / 2 <= protocol.precision_target * latency.median_s


def _sustained(session: Session, loaded: Loaded, protocol: Protocol) -> tuple[list[Block], list[tuple[str, str]]]:
    """Blocks of a second for ``sustained_s`` of timed inferences, with the device's state beside each."""
    blocks: list[Block] = []
    notes, busy_s = [], 0.0
    while busy_s < protocol.sustained_s:
        blocks.append(loaded.infer(1, SUSTAINED_BLOCK_S, pace_hz=protocol.pace_hz))
        busy_s += max(SUSTAINED_BLOCK_S, sum(blocks[-1].wall_ns) * 1e-9)
        state = session.snapshot()
        clocks = f"{max(mhz for _, mhz in state.clocks_mhz):.0f} MHz" if state.clocks_mhz else "clocks unknown"
        heat = f"{max(degrees for _, degrees in state.temperatures_c):.1f} °C" if state.temperatures_c else "temperature unknown"
        notes.append((f"after {busy_s:.0f} s", f"{clocks}, {heat}"))
    return blocks, notes


def _profile(
    session: Session, subject: Subject, protocol: Protocol, precision: str, batch_size: int
) -> tuple[tuple[LayerLatency, ...], Latency | None]:
    """Times of nodes from fresh compilations, and the whole network's latency meanwhile."""
    runs: list[tuple[NodeTime, ...]] = []
    blocks = []
    for _ in range(protocol.profile_compiles):
        loaded = _load(session, subject, precision, batch_size, profile=True)
        blocks.append(loaded.infer(max(PROFILED_INFERENCES, protocol.block_rounds), warmup_rounds=protocol.warmup_rounds))
        runs.append(loaded.profile(0))
        loaded.unload()
    return merge_runs(runs), latency_of(blocks) if blocks else None


def _protocol_notes(protocol: Protocol, blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
    notes = [("warm-up", f"{blocks[0].warmup_s:.3f} s, {blocks[0].warmup_inferences} inferences")]
    if protocol.warmup_s and not blocks[0].steady:
        notes.append(("warm-up", "never became steady"))
    if protocol.pace_hz:
        notes.append(("pace", f"{protocol.pace_hz:g} Hz"))
    if protocol.sustained_s:
        notes.append(("sustained", f"{protocol.sustained_s:g} s"))
    return (*notes, *(note for block in blocks for note in block.notes))


def _record(
    subject: Subject,
    loaded: Loaded,
    blocks: Sequence[Block],
    conditions: Conditions,
    layers: tuple[LayerLatency, ...],
    profiled: Latency | None,
    notes: tuple[tuple[str, str], ...],
) -> Measurement:
    return Measurement(
        network=subject.network,
        architecture_digest=subject.architecture_digest,
        config=subject.config,
        artefact_digest=subject.artefact_digest,
        artefact_bytes=len(subject.onnx),
        latency=latency_of(blocks),
        conditions=conditions,
        load_s=loaded.load_s,
        first_inference_s=loaded.first_inference_s,
        peak_memory_bytes=loaded.peak_memory_bytes,
        layers=layers,
        profiled=profiled,
        role=subject.role,
        notes=(*((("contender", subject.label),) if subject.label else ()), *loaded.facts.notes, *notes),
    )


def _silent(done: int, turns: int) -> None:
    """No progress is shown."""
