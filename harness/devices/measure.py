"""Measure networks on an open device: one alone, or many in turns, into records with raw samples and conditions."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.devices.provenance import HostFacts, host_facts
from harness.devices.replies import Block, NodeTime
from harness.devices.samples import Subject as Subject
from harness.devices.samples import Turn, canary_quiet_s, conditions_of, latency_of, merge_runs, quiet_pairs, record
from harness.devices.session import Loaded, Session
from harness.errors import UsageError
from harness.records.measurement import Latency, LayerLatency, Measurement

MIN_BLOCKS = 3  # fewer block medians give no interval over blocks, so no reason to stop early
PROFILED_INFERENCES = 200  # the runtime's node times are means since compilation; the cold first ones then weigh 0.6 %
ADVISED_LOADS = 20  # of a comparison: where a load lies can make it a percent quicker, so a verdict counts loads, not blocks
FEWEST_LOADS = 6  # of a comparison of however few samples: fewer than five loads have no interval
ADVISED_QUIET_PAIRS = 20  # of a comparison: in the machine's fast state; then half as many as are advised in all
AGAIN_AT_MOST = 4  # times as many blocks as asked for, while the machine is seldom in its fast state,
AGAIN_S = 60.0  # and for no longer, where as many rounds are asked for as are advised; for fewer in proportion
ADVISED_ROUNDS = 1500  # samples of each network in a comparison
RELOADING_S = 60.0  # spent at most on loading networks again within one comparison, likewise,
LEAST_RELOADING = 0.15  # but never less of it; fewer rounds still get fewer loads instead
RELOAD_WARMUP_S = 0.02  # of every load of a comparison: a steady state is sought up to ten times as long, for each network and load
SUSTAINED_BLOCK_S = 1.0  # one row of the heating curve
Progress = Callable[[int, int], None]  # (turns done, turns at most)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How long and how often. Times in seconds.

    warmup_s: at least, then until steady. rounds, min_time_s: samples and seconds in all, split over ``blocks``.
    precision_target: half width of the median's 95 % interval over the median at which measuring stops early, never before
    ``MIN_BLOCKS`` blocks; None never stops early. pace_hz: inferences started a second, None for a tight loop. sustained_s: keep the device
    busy for that long instead. profile_compiles: fresh compilations whose nodes are timed. turn_warmup_rounds: untimed inferences when a
    turn of interleaved measuring begins (caches hold the previous network). loads: how often interleaved networks are loaded anew, each
    time for an equal share of the blocks, fewer where that takes over ``reloading_s``. quiet_pairs: in turns, go on up to ``AGAIN_AT_MOST``
    times as long, and for ``again_s``, until the canary saw the fast state beside so many blocks of each network. seed: of all orders.
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
    quiet_pairs: int = 0
    again_s: float = AGAIN_S
    reloading_s: float = RELOADING_S
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.rounds, self.blocks, self.loads) < 1:
            raise UsageError(f"{self.rounds} rounds in {self.blocks} blocks of {self.loads} loads measure nothing; give at least 1 of each")
        if min(self.warmup_s, self.min_time_s, self.sustained_s, self.warmup_rounds, self.turn_warmup_rounds, self.profile_compiles) < 0:
            raise UsageError("a protocol has a negative duration or count; give 0 or more")
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


def comparison(rounds: int, pairs: int) -> Protocol:
    """How networks are compared: ``rounds`` samples of each in ``pairs`` blocks, over as many loads as they are worth."""
    share = min(1.0, rounds / ADVISED_ROUNDS)
    worth = min(1.0, share / LEAST_RELOADING)
    loads = max(FEWEST_LOADS, round(worth * ADVISED_LOADS))
    asked = Protocol(rounds=rounds, blocks=pairs, loads=loads, profile_compiles=math.ceil(3 * worth))
    times = replace(asked, min_time_s=share, again_s=AGAIN_S * share, reloading_s=RELOADING_S * max(share, LEAST_RELOADING))
    return replace(times, warmup_s=RELOAD_WARMUP_S, precision_target=None, quiet_pairs=ADVISED_QUIET_PAIRS)


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
    when None. Raises ModelRefused and the errors of a failing device."""
    tell = progress or (lambda *_: None)
    most = protocol.blocks + protocol.profile_compiles
    before = session.snapshot()
    loaded = _load(session, subject, precision, batch_size)
    turns: list[Turn] = []
    notes: list[tuple[str, str]] = []
    warmup = (protocol.warmup_s, protocol.warmup_rounds)
    if protocol.sustained_s:
        turns, notes = _sustained(session, loaded, protocol)
    while not protocol.sustained_s and len(turns) < protocol.blocks and not _precise(turns, protocol):
        turns.append(Turn(loaded.infer(protocol.block_rounds, protocol.block_s, *warmup, pace_hz=protocol.pace_hz)))
        warmup = (0.0, 0)
        tell(len(turns), most)
    loaded.unload()
    layers, profiled = _profile(session, subject, protocol, precision, batch_size)
    tell(most, most)
    conditions = conditions_of(session, loaded, subject.precision or precision, before, session.snapshot(), host or host_facts())
    return record(subject, loaded, latency_of(turns), conditions, layers, profiled, (*notes, *_protocol_notes(protocol, turns)))


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
    enough and the order is balanced; goes on for ``protocol.quiet_pairs``. Returns measurements in the order of ``subjects``.
    """
    if not subjects:
        return ()
    tell = progress or (lambda *_: None)
    most = len(subjects) * protocol.blocks
    patience, shuffler = _Patience(protocol), random.Random(protocol.seed)
    before = session.snapshot()
    turns: list[list[Turn]] = [[] for _ in subjects]
    canaries_s: list[float] = []
    loaded = first = [_load(session, subject, precision, batch_size) for subject in subjects]
    for load, share in enumerate(_shares(len(subjects), protocol, sum(one.load_s for one in first))):
        if patience.ends(turns) or enough(turns, len(turns[0]), protocol):
            break
        loaded = loaded or _load_all(session, subjects, precision, batch_size, shuffler)
        canary = canary_of(loaded[0], protocol)
        for number, order in enumerate(share):
            if enough(turns, len(turns[0]), protocol) or (number % 2 == 0 and patience.ends(turns)):
                break
            for place, index in enumerate(order):
                tell(min(len(subjects) * len(turns[order[0]]) + place, most - 1), most)
                block = _block(loaded[index], protocol, canary, first=number == 0)
                turns[index].append(Turn(block, load, canaries_s[-1] if canaries_s else None))
                canaries_s += [] if block.canary_s is None else [block.canary_s]
        for one in loaded:
            one.unload()
        loaded = []
    tell(most, most)
    quiet_s = canary_quiet_s(canaries_s)
    profiles = [_profile(session, subject, protocol, precision, batch_size) for subject in subjects]
    after = session.snapshot()
    measurements = []
    for subject, one, found, (layers, profiled) in zip(subjects, first, turns, profiles, strict=True):
        conditions = conditions_of(session, one, subject.precision or precision, before, after, host or host_facts())
        notes = (("interleaved", str(len(subjects))), *_protocol_notes(protocol, found))
        measurements.append(record(subject, one, latency_of(found, quiet_s), conditions, layers, profiled, notes))
    return tuple(measurements)


def canary_of(loaded: Loaded, protocol: Protocol) -> Loaded | None:
    """The network whose time tells the state of the machine; None where every request is a process, or inferences keep a pace."""
    return None if protocol.pace_hz or loaded.facts.run_s else loaded


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


def _shares(count: int, protocol: Protocol, loading_s: float) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The turns of each load, and those of the loads that follow while the fast state was met too seldom."""
    again = AGAIN_AT_MOST if protocol.quiet_pairs else 1
    orders = turn_orders(count, replace(protocol, blocks=again * protocol.blocks))
    loads = _affordable(again * protocol.loads, loading_s, protocol.reloading_s)
    regular = load_shares(orders[: protocol.blocks], min(loads, protocol.loads))
    return regular + load_shares(orders[protocol.blocks :], max(1, loads - len(regular)))


class _Patience:
    """Ends measuring in turns after the blocks asked for, or later: when the fast state was met often enough, or there is no time."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol, self.until_s = protocol, math.inf

    def ends(self, turns: Sequence[Sequence[Turn]]) -> bool:
        """Whether no further pair of turns is measured."""
        if len(turns[0]) < self.protocol.blocks:
            return False
        self.until_s = min(self.until_s, time.monotonic() + self.protocol.again_s)
        return quiet_pairs(turns) >= self.protocol.quiet_pairs or time.monotonic() >= self.until_s


def _load_all(session: Session, subjects: Sequence[Subject], precision: str, batch_size: int, shuffler: random.Random) -> list[Loaded]:
    """All networks, in a new order: who is loaded first must not always lie in the same place."""
    order = shuffler.sample(range(len(subjects)), len(subjects))
    loaded = {index: _load(session, subjects[index], precision, batch_size) for index in order}
    return [loaded[index] for index in range(len(subjects))]


def _affordable(loads: int, seconds: float, reloading_s: float) -> int:
    """``loads``, or as many as ``reloading_s`` pays for, as where loading means building an engine; at least one."""
    return min(loads, 1 + int(reloading_s / seconds)) if seconds > 0 else loads


def enough(turns: Sequence[Sequence[Turn]], number: int, protocol: Protocol) -> bool:
    """Whether interleaved measuring may end before turn ``number``: the order is balanced and every network precise."""
    return number % 2 == 0 and all(_precise(found, protocol) for found in turns)


def _block(loaded: Loaded, protocol: Protocol, canary: Loaded | None, first: bool) -> Block:
    warmup_s = protocol.warmup_s if first else 0.0
    rounds = max(protocol.turn_warmup_rounds, protocol.warmup_rounds if first else 0)
    return loaded.infer(protocol.block_rounds, protocol.block_s, warmup_s, rounds, pace_hz=protocol.pace_hz, canary=canary)


def _load(session: Session, subject: Subject, precision: str, batch_size: int, profile: bool = False) -> Loaded:
    return session.load(subject.onnx, subject.network, subject.precision or precision, profile, subject.node_layers, batch_size)


def _precise(turns: Sequence[Turn], protocol: Protocol) -> bool:
    if protocol.precision_target is None or len(turns) < MIN_BLOCKS:
        return False
    latency = latency_of(turns)
    low_s, high_s = latency.interval_s
    return (high_s - low_s) / 2 <= protocol.precision_target * latency.median_s


def _sustained(session: Session, loaded: Loaded, protocol: Protocol) -> tuple[list[Turn], list[tuple[str, str]]]:
    """Blocks of a second for ``sustained_s`` of timed inferences, with the device's state beside each."""
    turns: list[Turn] = []
    notes, busy_s = [], 0.0
    while busy_s < protocol.sustained_s:
        turns.append(Turn(loaded.infer(1, SUSTAINED_BLOCK_S, pace_hz=protocol.pace_hz)))
        busy_s += max(SUSTAINED_BLOCK_S, sum(turns[-1].block.wall_ns) * 1e-9)
        state = session.snapshot()
        clocks = f"{max(mhz for _, mhz in state.clocks_mhz):.0f} MHz" if state.clocks_mhz else "clocks unknown"
        heat = f"{max(degrees for _, degrees in state.temperatures_c):.1f} °C" if state.temperatures_c else "temperature unknown"
        notes.append((f"after {busy_s:.0f} s", f"{clocks}, {heat}"))
    return turns, notes


def _profile(
    session: Session, subject: Subject, protocol: Protocol, precision: str, batch_size: int
) -> tuple[tuple[LayerLatency, ...], Latency | None]:
    """Times of nodes from fresh compilations, and the whole network's latency meanwhile."""
    runs: list[tuple[NodeTime, ...]] = []
    turns = []
    for _ in range(protocol.profile_compiles):
        loaded = _load(session, subject, precision, batch_size, profile=True)
        turns.append(Turn(loaded.infer(max(PROFILED_INFERENCES, protocol.block_rounds), warmup_rounds=protocol.warmup_rounds)))
        runs.append(loaded.profile(0))
        loaded.unload()
    layers = merge_runs(runs)
    return layers, latency_of(turns) if layers else None


def _protocol_notes(protocol: Protocol, turns: Sequence[Turn]) -> tuple[tuple[str, str], ...]:
    blocks = [turn.block for turn in turns]
    notes = [("warm-up", f"{blocks[0].warmup_s:.3f} s, {blocks[0].warmup_inferences} inferences")]
    if protocol.warmup_s and not blocks[0].steady:
        notes.append(("warm-up", "never became steady"))
    if protocol.pace_hz:
        notes.append(("pace", f"{protocol.pace_hz:g} Hz"))
    if protocol.sustained_s:
        notes.append(("sustained", f"{protocol.sustained_s:g} s"))
    return (*notes, *(note for block in blocks for note in block.notes))
