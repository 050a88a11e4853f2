"""Measure a designed set of networks in many short visits, until the machine was seen in its fast state often enough at each.

A neighbour on the sibling thread slows everything by half for seconds at a time: a few long blocks of a network may never see the
fast state. Short visits in shuffled rounds spread every network over the whole time; the canary beside each visit tells its state.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.devices.measure import Progress
from harness.devices.provenance import HostFacts, host_facts
from harness.devices.samples import Subject, Turn, canary_quiet_s, conditions_of, latency_of, record
from harness.devices.session import Loaded, Session
from harness.errors import DeviceError, UsageError
from harness.records.measurement import CANARY_QUIET_WITHIN, ENOUGH_QUIET, Measurement

AGAIN_AT_MOST = 4  # times as many visits as regular ones
KEPT_VISITS = 3  # of every network, for which what was measured before a device dropped is kept: fewer blocks have no interval
LEAST_ROUNDS = 10  # of a visit that is short for a slow network: one quick sample of each is enough for the undisturbed latency


@dataclass(frozen=True, slots=True)
class Visiting:
    """How often and how long. visit_rounds: timed inferences of a visit, after ``warmup_rounds`` untimed ones.

    visits: of every network, at least; whoever lacks ``quiet_visits`` in the machine's fast state is visited again, up to
    ``AGAIN_AT_MOST`` times as often in all, while that takes no more than ``patience_ratio`` of the time before. Where every request is a
    process of its own, there are ``process_visits`` with as many inferences in all. visit_s: a network for which a visit would take longer
    than that gets fewer inferences, ``LEAST_ROUNDS`` at least. seed: of the order. UsageError for counts below 1.
    """

    visits: int = 10
    visit_rounds: int = 30
    quiet_visits: int = ENOUGH_QUIET
    patience_ratio: float = 0.15
    warmup_rounds: int = 3
    process_visits: int = 5
    visit_s: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.visits, self.visit_rounds, self.process_visits) < 1:
            raise UsageError(f"{self.visits} visits of {self.visit_rounds} inferences measure nothing; give at least 1 of each")

    @classmethod
    def of_rounds(cls, rounds: int) -> Visiting:
        """As usual, with about so many timed inferences of every network, however slow it is."""
        return cls(visit_rounds=max(1, -(-rounds // cls().visits)), visit_s=math.inf)

    def rounds(self, inference_s: float) -> int:
        """Timed inferences of a visit to a network that takes so many seconds for one."""
        return min(self.visit_rounds, max(LEAST_ROUNDS, int(min(self.visit_s / inference_s, self.visit_rounds))))


@dataclass
class Visits:
    """Designed sets of one network, measured one after the other on one session; what the canary showed is kept from set to set.

    canary: the network that is timed around every visit, the same for all sets.
    """

    session: Session
    canary: Subject
    visiting: Visiting = Visiting()
    precision: str = "f32"
    batch_size: int = 1
    host: HostFacts | None = None
    canaries_s: list[float] = field(default_factory=list)

    def measure(self, subjects: Sequence[Subject], progress: Progress | None = None) -> tuple[Measurement, ...]:
        """Measure networks by visits in shuffled rounds, in the order of ``subjects``.

        A device that drops when every network was visited ``KEPT_VISITS`` times gives what those tell, with a note; what is asked of it
        next is refused, as it is quarantined. Raises ModelRefused, and the errors of a device that fails earlier.
        """
        if not subjects:
            return ()
        self.host = self.host or host_facts()
        before = self.session.snapshot()
        canary = self._load(self.canary)
        loaded = [self._load(one) for one in subjects]
        tour = _Tour(loaded, canary, self.visiting, self.canaries_s)
        notes: tuple[tuple[str, str], ...] = (("interleaved", str(len(subjects))),)
        try:
            tour.regular(progress)
            tour.again()
            after = self.session.snapshot()
            for one in (canary, *loaded):
                one.unload()
        except DeviceError as error:
            if min(map(len, tour.turns)) < KEPT_VISITS:
                raise
            after, notes = before, (*notes, ("the device dropped", str(error)))
        quiet_s = canary_quiet_s(self.canaries_s)
        notes = (*notes, ("visits", tour.sentence))
        found = []
        for subject, one, turns in zip(subjects, loaded, tour.turns, strict=True):
            conditions = conditions_of(self.session, one, self.precision, before, after, self.host)
            found.append(record(subject, one, latency_of(turns, quiet_s), conditions, (), None, notes))
        return tuple(found)

    def _load(self, subject: Subject) -> Loaded:
        return self.session.load(subject.onnx, subject.network, self.precision, False, subject.node_layers, self.batch_size)


class _Tour:
    """The visits of one loaded set."""

    def __init__(self, loaded: Sequence[Loaded], canary: Loaded, visiting: Visiting, canaries_s: list[float]) -> None:
        processes = canary.facts.run_s > 0
        self.loaded, self.canary = loaded, None if processes else canary
        self.visits = min(visiting.visits, visiting.process_visits) if processes else visiting.visits
        all_rounds = -(-visiting.visits * visiting.visit_rounds // self.visits)
        self.rounds = [all_rounds if processes else visiting.rounds(one.first_inference_s) for one in loaded]
        self.visiting = visiting
        self.shuffler = random.Random(visiting.seed)
        self.turns: list[list[Turn]] = [[] for _ in loaded]
        self.canaries_s, self.last_s = canaries_s, None if self.canary is None else canary.first_inference_s
        self.now_s = 0.0  # on the device's clock

    def regular(self, progress: Progress | None) -> None:
        """As many rounds as every network gets."""
        count = len(self.loaded)
        for number in range(self.visits):
            order = list(range(count))
            self.shuffler.shuffle(order)
            for place, index in enumerate(order):
                if progress is not None:
                    progress(number * count + place, self.visits * count)
                self._visit(index)
        if progress is not None:
            progress(self.visits * count, self.visits * count)

    def again(self) -> None:
        """Rounds of those that were not seen in the fast state often enough, while there is patience."""
        begun_s = self.turns[0][0].block.begin_s
        end_s = self.now_s + self.visiting.patience_ratio * (self.now_s - begun_s)
        while self.now_s < end_s and (lacking := self._lacking()):
            self.shuffler.shuffle(lacking)
            for index in lacking:
                self._visit(index)

    @property
    def sentence(self) -> str:
        """How it went, for the record."""
        most, lacking = max(len(turns) for turns in self.turns), len(self._lacking(any_number=True))
        fewest, usual = min(self.rounds), max(self.rounds)
        rounds = f"{usual}" if fewest == usual else f"{fewest} to {usual}"
        told = f"{self.visits} of {rounds} inferences" if most == self.visits else f"{self.visits} to {most} of {rounds} inferences"
        return told + (f"; {lacking} networks were seen less than {self.visiting.quiet_visits} times in the fast state" if lacking else "")

    def _visit(self, index: int) -> None:
        block = self.loaded[index].infer(self.rounds[index], warmup_rounds=self.visiting.warmup_rounds, canary=self.canary)
        self.now_s = block.begin_s
        self.turns[index].append(Turn(block, 0, self.last_s))
        self.last_s = block.canary_s
        self.canaries_s += [] if block.canary_s is None else [block.canary_s]

    def _lacking(self, any_number: bool = False) -> list[int]:
        """Networks that were not seen in the fast state often enough, and may be visited again (or ``any_number`` of times were)."""
        quiet_s = canary_quiet_s(self.canaries_s)
        if self.canary is None or quiet_s is None:
            return []
        limit_s, most = quiet_s * (1.0 + CANARY_QUIET_WITHIN), AGAIN_AT_MOST * self.visits
        return [
            index
            for index, turns in enumerate(self.turns)
            if (any_number or len(turns) < most)
            and sum(turn.canary_s is not None and turn.canary_s <= limit_s for turn in turns) < self.visiting.quiet_visits
        ]
