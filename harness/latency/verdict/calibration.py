"""How often the verdict errs: planted differences on a simulated noisy clock, or on a real device through a function.

``python -m harness.latency.verdict.calibration`` prints it for three kinds of weather and fails when a limit is missed. All its
figures are SIMULATED; ``harness.sweeps.calibration`` gives ``calibrate`` a function that measures instead.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.files.numbers import option
from harness.latency.verdict import simulated_clock
from harness.latency.verdict.judgement import ADVISED_PAIRS, SAME_WITHIN, Outcome, verdicts
from harness.latency.verdict.simulated_clock import Weather
from harness.records.measurement import Latency

FALSE_LIMIT = 0.01  # false verdicts between equal networks, at most
FOUND_LIMIT = 0.95  # planted slowdowns found, at least
PLANTED = 1.03
BLOCKS = ADVISED_PAIRS  # what comparisons on a device use
SAMPLES = 30

Measure = Callable[[float, int], Sequence[Latency]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One comparison: its number, the true ratio that was planted (1 for none), what was judged and seen, and the seconds it took."""

    number: int
    planted: float
    outcome: Outcome
    ratio: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What became of ``trials`` comparisons each of two equal networks and of one that is slower by ``planted``.

    false: equal networks called faster or slower. found: slower ones called slower. reversed_: slower ones called faster.
    undecided_equal, undecided_slower: "cannot tell". seconds: what one comparison cost. seen, seen_low, seen_high: median and
    5th to 95th percentile of the ratios that the planted pairs showed.
    """

    trials: int
    planted: float
    false: int
    found: int
    reversed_: int
    undecided_equal: int
    undecided_slower: int
    seconds: float
    seen: float
    seen_low: float
    seen_high: float

    @property
    def honest(self) -> bool:
        """Whether false verdicts are as rare as promised."""
        return self.false <= FALSE_LIMIT * self.trials and self.reversed_ == 0

    @property
    def passed(self) -> bool:
        """Whether both limits hold and nothing was reversed."""
        return self.honest and self.found >= FOUND_LIMIT * self.trials

    def sentence(self) -> str:
        """The figures in one line."""
        same = self.trials - self.found - self.undecided_slower - self.reversed_
        return (
            f"{self.false} of {self.trials} equal pairs judged different ({self.undecided_equal} cannot tell), "
            f"{self.found} of {self.trials} slowdowns of {self.planted - 1:.1%} found ({self.undecided_slower} cannot tell, "
            f"{same} called the same, {self.reversed_} reversed; seen as {self.seen - 1:.2%}, 5th to 95th percentile "
            f"{self.seen_low - 1:.2%} to {self.seen_high - 1:.2%}), {self.seconds:.3g} s a comparison"
        )


def calibrate(
    measure: Measure,
    trials: int,
    planted: float = PLANTED,
    same_within: float = SAME_WITHIN,
    known: Iterable[Trial] = (),
    keep: Callable[[Trial], None] | None = None,
) -> Calibration:
    """Judge ``trials`` equal and ``trials`` planted pairs, by turns.

    measure: given the true ratio to plant (1.0 or ``planted``) and the trial's number, answers (ours, baseline, others ...) measured
    interleaved; others are held against the baseline too, and all corrected for that. On a real device the planted network is one
    that does that much more work. known: trials that an earlier run has done. keep: is told every new one.
    """
    done = {trial.number: trial for trial in known}
    for number in range(2 * trials):
        if number in done:
            continue
        ratio = planted if number % 2 else 1.0
        started = time.perf_counter()
        ours, baseline, *others = measure(ratio, number)
        seconds = time.perf_counter() - started
        judged = verdicts([(one, baseline) for one in (ours, *others)], same_within)[0]
        done[number] = Trial(number, ratio, judged.outcome, judged.ratio, seconds)
        if keep is not None:
            keep(done[number])
    return _count([done[number] for number in range(2 * trials)], trials, planted)


def _count(done: Sequence[Trial], trials: int, planted: float) -> Calibration:
    equal = [one.outcome for one in done if one.planted == 1.0]
    slower = [one.outcome for one in done if one.planted != 1.0]
    low, middle, high = np.quantile([one.ratio for one in done if one.planted != 1.0], (0.05, 0.5, 0.95))
    return Calibration(
        trials=trials,
        planted=planted,
        false=sum(outcome in (Outcome.FASTER, Outcome.SLOWER) for outcome in equal),
        found=slower.count(Outcome.SLOWER),
        reversed_=slower.count(Outcome.FASTER),
        undecided_equal=equal.count(Outcome.CANNOT_TELL),
        undecided_slower=slower.count(Outcome.CANNOT_TELL),
        seconds=sum(one.seconds for one in done) / len(done),
        seen=float(middle),
        seen_low=float(low),
        seen_high=float(high),
    )


def simulated(weather: Weather, seed: int, blocks: int = BLOCKS, samples: int = SAMPLES, interleaved: bool = True) -> Measure:
    """A measure function on the simulated clock; without interleaving it shows why interleaving is there."""
    schedule = simulated_clock.a_b_b_a if interleaved else simulated_clock.one_after_the_other

    def measure(ratio: float, trial: int) -> tuple[Latency, Latency]:
        rng = np.random.default_rng([seed, trial])
        ours, baseline = simulated_clock.run([ratio * 1e-3, 1e-3], schedule(2, blocks), samples, weather, rng)
        return ours, baseline

    return measure


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the calibration on quiet, shared and stormy simulated machines; 1 when a limit is missed on the first two."""
    parser = argparse.ArgumentParser(prog="python -m harness.latency.verdict.calibration", description=main.__doc__)
    parser.add_argument("--trials", type=option("trials"), default=300, help="comparisons of each kind (default %(default)s)")
    parser.add_argument("--blocks", type=option("blocks"), default=BLOCKS, help="blocks of each network (default %(default)s)")
    parser.add_argument("--planted", type=option("planted"), default=PLANTED, help="true ratio of the slower network (default %(default)s)")
    parser.add_argument("--seed", type=option("seed"), default=0)
    options = parser.parse_args(arguments)
    print(f"SIMULATED clock, seed {options.seed}, {options.blocks} blocks of {SAMPLES} samples for each of two networks")
    missed = False
    for name, weather, must_pass in (
        ("quiet", simulated_clock.QUIET, True),
        ("shared", simulated_clock.SHARED, True),
        ("stormy", simulated_clock.STORMY, False),
    ):
        found = calibrate(simulated(weather, options.seed, options.blocks), options.trials, options.planted)
        print(f"{name:7s} {found.sentence()}")
        missed |= (must_pass and not found.passed) or found.false > FALSE_LIMIT * found.trials
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
