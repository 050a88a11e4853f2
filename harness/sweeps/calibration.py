"""How often the verdict errs on a real device: equal networks, and one that does a known share more work.

``python -m harness.sweeps.calibration --device=cpu`` loads two networks, several times for every trial, and measures them in turns, as
every comparison does. The slower one is planted by construction: a chain of ``LAYERS + EXTRA`` equal convolutions against one of
``LAYERS``. What a layer costs cancels. The call and the copies in and out stand outside of the chain and dilute the extra layer, so that
the true slowdown is a little below ``PLANTED``, never above: to find it is no easier than to find ``PLANTED``. What the pairs
showed is printed beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import nn

from harness.devices import spec
from harness.devices.measure import ADVISED_LOADS, Protocol, Subject, measure_interleaved
from harness.devices.provenance import host_facts
from harness.devices.session import Device, Session
from harness.errors import HarnessError, UsageError
from harness.latency.verdict.calibration import Calibration, calibrate
from harness.latency.verdict.judgement import ADVISED_PAIRS, FEWEST_PAIRS
from harness.networks import export
from harness.records.measurement import Latency

LAYERS, EXTRA = 33, 1
PLANTED = (LAYERS + EXTRA) / LAYERS  # 1.0303
CHANNELS, SIDE = 16, 32  # a layer of the first stage of the small residual networks
SAMPLES = 20  # in a block: some 20 ms, shorter than most of what disturbs, so that both halves of a pair meet the same
WAIT_S = 600.0  # for the device, when another run holds it


@lru_cache
def chain(layers: int) -> Subject:
    """A network of ``layers`` equal convolutions, each of which passes on what it was given."""
    model = nn.Sequential(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(layers)))
    with torch.no_grad():
        for number, layer in enumerate(model):
            nn.init.dirac_(layer.weight)  # type: ignore[arg-type]
            nn.init.constant_(layer.bias, 1e-3 * number)  # type: ignore[arg-type]
    artefact = export.export(model.eval(), (CHANNELS, SIDE, SIDE), f"chain{layers}", 1)
    return Subject("chain", "none", None, artefact.onnx, artefact.digest, artefact.node_layers, label=f"{layers} layers")


def on_device(session: Session, trials: int, pairs: int, precision: str) -> Calibration:
    """Judge ``trials`` equal and ``trials`` planted pairs of freshly loaded networks, each in ``pairs`` pairs of blocks."""
    chosen = Protocol(
        warmup_s=0.02,
        rounds=SAMPLES * pairs,
        min_time_s=0.0,
        blocks=pairs,
        precision_target=None,
        turn_warmup_rounds=5,
        profile_compiles=0,
        loads=ADVISED_LOADS,
    )
    host = host_facts()
    show = sys.stderr.isatty()

    def measure(ratio: float, trial: int) -> tuple[Latency, Latency]:
        subjects = [chain(LAYERS if ratio == 1.0 else LAYERS + EXTRA), chain(LAYERS)]
        ours, baseline = measure_interleaved(session, subjects, chosen, precision, host=host)
        if show:
            print(f"\r{trial + 1} of {2 * trials} comparisons", end="\n" if trial + 1 == 2 * trials else "", file=sys.stderr, flush=True)
        return ours.latency, baseline.latency

    return calibrate(measure, trials, PLANTED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how often the verdict errs on a device; 1 when a limit is missed, 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m harness.sweeps.calibration", description=main.__doc__)
    parser.add_argument("--device", default="cpu", metavar="NAME", help="where to measure (default %(default)s)")
    parser.add_argument("--trials", type=int, default=100, help="comparisons of each kind (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=ADVISED_PAIRS, help="pairs of blocks in a comparison (default %(default)s)")
    parser.add_argument("--precision", default="f32", help="what the runtime computes in (default %(default)s)")
    options = parser.parse_args(arguments)
    try:
        if options.trials < 1 or options.pairs < FEWEST_PAIRS:
            raise UsageError(f"--trials={options.trials} --pairs={options.pairs}: give at least 1 trial and {FEWEST_PAIRS} pairs")
        with Device(spec.find(options.device)).open(wait_s=WAIT_S) as session:
            told = "SIMULATED" if session.info.simulated else "measured"
            print(f"{session.info.name} ({told}, {options.precision}): {options.pairs} pairs of blocks of {SAMPLES} samples,")
            print(f"chains of {LAYERS} equal convolutions, planted: {LAYERS + EXTRA} of them, at most {PLANTED - 1:.2%} more work")
            found = on_device(session, options.trials, options.pairs, options.precision)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(found.sentence())
    return 0 if found.passed else 1


if __name__ == "__main__":
    sys.exit(main())
