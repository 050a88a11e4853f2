"""How often the gate errs: changes of a known size, planted into what a simulated device answers, put to it in turns and stored.

``python -m harness.sweeps.gate`` draws changes evenly from −5 % to +5 %, measures a pair of equal networks as ``--against`` does and as
two runs of ``--baseline`` do, makes one of them longer or shorter by exactly that much, and asks. Nothing here is measured: SIMULATED.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.compare import comparing
from harness.compare.baseline import Counterpart
from harness.compare.limits import Limits
from harness.devices.measure import Protocol, measure, measure_interleaved
from harness.devices.provenance import host_facts
from harness.devices.session import Device, Session
from harness.errors import HarnessError, UsageError
from harness.files.numbers import whole
from harness.latency.verdict.finding import Finding, Kept
from harness.latency.verdict.judgement import ADVISED_PAIRS, SAME_WITHIN, Outcome
from harness.records.comparability import Differing
from harness.records.measurement import Measurement
from harness.sweeps import planted
from harness.sweeps.storms import STORMS, Storm

LARGEST = 0.05  # change that is planted
LAYERS = 4  # of the network: what is slow here is loading it, forty times for every pair
SEED = 1  # storms are tuned on 0
IN_TURNS, STORED = "in turns", "stored"
RIGHT, WRONG, UNDECIDED = "right", "wrong", "cannot tell"
WRONG_LIMIT = 0.01  # of the verdicts: what a gate that is trusted every day may err


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: the change that was planted, as a ratio, and what the gate found."""

    change: float
    finding: Finding

    @property
    def verdict(self) -> str:
        """Whether faster, slower or same is true: same is where the change is at most ``SAME_WITHIN``."""
        true = {
            Outcome.SLOWER: self.change > 0,
            Outcome.FASTER: self.change < 0,
            Outcome.SAME: abs(self.change) <= SAME_WITHIN,
        }.get(self.finding.outcome)
        return UNDECIDED if true is None else RIGHT if true else WRONG

    @property
    def limit(self) -> str:
        """Whether it failed what is slower than the limit, and nothing else."""
        if self.finding.kept is Kept.CANNOT_TELL:
            return UNDECIDED
        return RIGHT if self.finding.beyond == (self.change > self.finding.limit) else WRONG


def ask(session: Session, change: float, limits: Limits) -> dict[str, Asked]:
    """The gate's two ways on one pair; ``change`` is planted into the samples of ours."""
    chain, host = planted.chain(LAYERS), host_facts()
    ours, other = measure_interleaved(session, [chain, chain], planted.protocol(ADVISED_PAIRS), host=host)

    def longer() -> Measurement:
        return _longer(measure(session, chain, Protocol(profile_compiles=0), host=host), change)

    before = Counterpart(measure(session, chain, Protocol(profile_compiles=0), host=host), Differing((), ()))
    now = comparing.confirmed(longer(), before, limits, SAME_WITHIN, longer)
    in_turns = comparing.interleaved(_longer(ours, change), other, limits, SAME_WITHIN)[0]
    stored = comparing.stored(now, before, limits, SAME_WITHIN)[0]
    return {IN_TURNS: Asked(change, in_turns), STORED: Asked(change, stored)}


def sentence(asked: Sequence[Asked]) -> str:
    """The rates in one line."""
    verdicts, limits = (Counter(getattr(one, name) for one in asked) for name in ("verdict", "limit"))
    near = sum(one.limit == WRONG and abs(one.change - one.finding.limit) <= SAME_WITHIN for one in asked)
    told = ", ".join(f"{verdicts[kind]} {kind} ({verdicts[kind] / len(asked):.1%})" for kind in (RIGHT, WRONG, UNDECIDED))
    limit = ", ".join(f"{limits[kind]} {kind}" for kind in (RIGHT, WRONG, UNDECIDED))
    return f"verdict {told}; limit {limit}, {near} of the wrong within {SAME_WITHIN:.0%} of it"


def through(storm: Storm, changes: Sequence[float], seed: int) -> bool:
    """Print the rates on one simulated machine, of both ways; whether wrong verdicts are as rare as promised in turns."""
    with Device(storm.device(seed)).open() as session:
        found = [ask(session, change, Limits()) for change in changes]
    for way in (IN_TURNS, STORED):
        print(f"{storm.name:10s} {way:9s} {sentence([one[way] for one in found])}", flush=True)
    return sum(one[IN_TURNS].verdict == WRONG for one in found) <= WRONG_LIMIT * len(found)


def _longer(measurement: Measurement, change: float) -> Measurement:
    latency = measurement.latency
    return replace(measurement, latency=replace(latency, samples_s=tuple((1 + change) * one for one in latency.samples_s)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how often the gate is right, wrong and undecided; 1 where it is wrong too often, 2 for a mistake."""
    words = argparse.ArgumentParser(prog="python -m harness.sweeps.gate", description=main.__doc__)
    words.add_argument("--pairs", type=whole, default=200, help="pairs of networks, on every machine (default %(default)s)")
    words.add_argument("--machine", action="append", choices=[storm.name for storm in STORMS], help="repeatable (default quiet and loud)")
    words.add_argument("--seed", type=whole, default=SEED)
    options = words.parse_args(arguments)
    try:
        if options.pairs < 1:
            raise UsageError(f"--pairs={options.pairs}: give at least 1")
        changes = np.random.default_rng(options.seed).uniform(-LARGEST, LARGEST, options.pairs).tolist()
        told = f"changes of −{LARGEST:.0%} to +{LARGEST:.0%}, limit {Limits().network:.0%}, seed {options.seed}"
        print(f"SIMULATED: {options.pairs} pairs, {told}", flush=True)
        chosen = [storm for storm in STORMS if storm.name in (options.machine or ("quiet", "loud"))]
        good = [through(storm, changes, options.seed) for storm in chosen]
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
