"""How often the verdict errs on a device, beside a real neighbour, or on simulated storms.

``python -m harness.sweeps.calibration --device=cpu`` loads networks, many times for every trial, and measures them in turns, as
every comparison does; what they are is told in ``planted``, the storms in ``storms``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from harness.devices import spec
from harness.devices.session import Device
from harness.devices.spec import DeviceSpec
from harness.errors import HarnessError, UsageError
from harness.files.numbers import option
from harness.latency.verdict.calibration import Calibration, calibrate
from harness.latency.verdict.judgement import ADVISED_PAIRS, FEWEST_PAIRS
from harness.sweeps.planted import EXTRA, LAYERS, PLANTED, SAMPLES, beside_neighbours, measuring
from harness.sweeps.storms import STORMS, TUNING_SEED
from harness.sweeps.tally import Tally

WAIT_S = 600.0  # for the device, when another run holds it
MOST_CONTENDERS = 8


def on_device(device: DeviceSpec, options: argparse.Namespace, what: str, keep: Path | None) -> Calibration:
    """Judge ``options.trials`` equal and as many planted pairs of freshly loaded networks; prints what is measured where."""
    with Device(device).open(wait_s=WAIT_S) as session, ExitStack() as stack:
        told = "SIMULATED" if session.info.simulated else "measured"
        tally = Tally.of(keep, f"{session.info.name} ({told}, {options.precision}): {what}", 2 * options.trials)
        if not options.storms:
            print(tally.what, flush=True)
        measure = measuring(session, options.pairs, options.precision, options.contenders)
        if options.neighbour:
            measure = stack.enter_context(beside_neighbours(measure))
        return calibrate(measure, options.trials, PLANTED, known=tally.known, keep=tally.keep)


def through_storms(options: argparse.Namespace, what: str) -> bool:
    """Print a line for every storm; whether all that had to pass did."""
    good = True
    for storm in STORMS:
        keep = None if options.keep is None else options.keep.with_name(f"{options.keep.name}-{storm.name.replace(' ', '-')}")
        found = on_device(storm.device(options.seed), options, f"{what}, {storm}, seed {options.seed}", keep)
        print(f"{storm.name + (' (blind)' if storm.blind else ''):26s} {found.sentence()}", flush=True)
        good &= found.honest if storm.blind else found.passed
    return good


def parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    words = argparse.ArgumentParser(prog="python -m harness.sweeps.calibration", description=main.__doc__)
    words.add_argument("--device", metavar="NAME", help="where to measure (default cpu)")
    words.add_argument("--storms", action="store_true", help="measure on simulated loud machines instead, one after the other")
    words.add_argument("--neighbour", action="store_true", help="beside a process that computes in bursts on another processor")
    words.add_argument(
        "--contenders",
        type=option("contenders"),
        default=2,
        help="networks measured at once, two of them equal (default %(default)s)",
    )
    words.add_argument("--trials", type=option("trials"), default=100, help="comparisons of each kind (default %(default)s)")
    words.add_argument("--pairs", type=option("pairs"), default=ADVISED_PAIRS, help="pairs of blocks in a comparison (default %(default)s)")
    words.add_argument("--precision", default="f32", help="what the runtime computes in (default %(default)s)")
    words.add_argument("--seed", type=option("seed"), default=TUNING_SEED + 1, help="of the storms; tuned on 0 (default %(default)s)")
    words.add_argument("--keep", type=Path, metavar="FILE", help="keep every comparison there, and go on with those that it holds")
    return words


def _check(options: argparse.Namespace) -> None:
    if options.trials < 1 or options.pairs < FEWEST_PAIRS:
        raise UsageError(f"--trials={options.trials} --pairs={options.pairs}: give at least 1 trial and {FEWEST_PAIRS} pairs")
    if not 2 <= options.contenders <= MOST_CONTENDERS:
        raise UsageError(f"--contenders={options.contenders}: give 2 to {MOST_CONTENDERS}")
    if options.storms and (options.device or options.neighbour):
        raise UsageError("--storms are simulated devices of their own; leave --device and --neighbour out")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how often the verdict errs on a device, or on simulated ones; 1 when a limit is missed, 2 for a mistake."""
    options = parser().parse_args(arguments)
    beside = " beside a neighbour" if options.neighbour else ""
    what = (
        f"{options.pairs} pairs of blocks of {SAMPLES} samples of each of {options.contenders} networks{beside}, chains of {LAYERS} equal "
        f"convolutions, planted: {LAYERS + EXTRA} of them, at most {PLANTED - 1:.2%} more work"
    )
    try:
        _check(options)
        if options.storms:
            print(f"SIMULATED storms of seed {options.seed}: {what}", flush=True)
            return 0 if through_storms(options, what) else 1
        found = on_device(spec.find(options.device or "cpu"), options, what, options.keep)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(found.sentence())
    return 0 if found.passed else 1


if __name__ == "__main__":
    sys.exit(main())
