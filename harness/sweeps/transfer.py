"""``python -m harness.sweeps.transfer --before=A.json --here=B.json``: how many networks a new device needs beside another one's table.

Both are benchmark files (or campaigns) of the same network; of ``--here`` the first networks of the design are taken as if no more had been
measured, and the predictor is judged on all of its held-out ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, RecordError
from harness.latency.model import proxies
from harness.latency.model.held_out import HeldOutError
from harness.latency.model.instalments import DESIGN
from harness.latency.model.predictor import FEWEST_BESIDE_PROXY, FEWEST_NETWORKS, HELD_OUT, LatencyPredictor
from harness.records import benchmark_json
from harness.records.measurement import Measurement

COUNTS = (8, 10, 12, 20, 30, 60, 100)


@dataclass(frozen=True)
class After:
    """Held-out errors after ``count`` networks: beside the proxies (``told``: from which one), and alone, None where they are too few."""

    count: int
    beside: HeldOutError
    alone: HeldOutError | None
    told: str


def curve(here: Sequence[Measurement], helping: Sequence[LatencyPredictor], architecture_of: benchmark_json.BenchmarkFile) -> list[After]:
    """After the first networks of ``here``, more and more of them; RecordError where nothing in it is designed, or held out."""
    designed, held = ([m for m in here if m.role == role] for role in (DESIGN, HELD_OUT))
    if len(designed) < FEWEST_BESIDE_PROXY or not held:
        raise RecordError("too few designed networks, or none held out; measure with: pytest bench/test_predictor.py --benchmark-json=FILE")
    architecture = architecture_of.architecture(here[0].architecture_digest)
    found = []
    for count in sorted({*(count for count in COUNTS if count <= len(designed)), len(designed)}):
        taken = [*designed[:count], *held]
        beside = LatencyPredictor.fit(architecture, taken, helping)
        alone = LatencyPredictor.fit(architecture, taken).held_out if count >= FEWEST_NETWORKS else None
        if beside.held_out is None:
            raise RecordError("no held-out network lies within what was measured; measure more designed networks")
        found.append(After(count, beside.held_out, alone, "" if beside.learnt_from is None else beside.learnt_from.device.name))
    return found


def lines(found: Sequence[After]) -> list[str]:
    """A row for every number of networks: mean errors, rank correlations, and how many 90 % intervals beside the table cover."""
    told = ["networks   beside the table, covered    alone              starts from"]
    for after in found:
        beside = f"{after.beside.mape_ratio:6.2%} rho {after.beside.rho:.3f}, {after.beside.coverage_ratio:4.0%}"
        alone = f"{after.alone.mape_ratio:6.2%} rho {after.alone.rho:.3f}" if after.alone else "       too few   "
        told.append(f"{after.count:8}   {beside}     {alone}   {after.told or 'nothing'}")
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the held-out error by the number of networks, beside another device's table and alone; 2 for a file that cannot serve."""
    words = argparse.ArgumentParser(prog="python -m harness.sweeps.transfer", description=main.__doc__)
    words.add_argument("--before", required=True, metavar="FILE,...", help="measured before, on another device or in another precision")
    words.add_argument("--here", required=True, type=Path, metavar="FILE", help="measured on the new device, with held-out networks")
    words.add_argument("--precision", metavar="P", help="of --before and --here, where a file holds several, as f32:int8")
    asked = words.parse_args(arguments)
    then, _, now = (asked.precision or ":").partition(":")
    try:
        path = proxies.file_at(asked.here)
        file = benchmark_json.read(path)
        here = [m for m in file.measurements if m.role in (DESIGN, HELD_OUT) and (not now or m.conditions.precision == now)]
        if not here:
            raise RecordError(
                f"{path} holds no designed networks{f' in {now}' if now else ''}; make some with pytest bench/test_predictor.py"
            )
        architecture = file.architecture(here[0].architecture_digest)
        before = [m for m in proxies.read(asked.before, architecture) if not then or m.conditions.precision == then]
        helping = proxies.fitted(architecture, before)
        for one in (*(proxy.conditions for proxy in helping), here[0].conditions):
            device = one.device
            where = f"{device.name} ({device.runtime}, {device.model}{', SIMULATED' if device.simulated else ''})"
            print(f"{'here:  ' if one is here[0].conditions else 'before:'} {architecture.network} in {one.precision} on {where}")
        print("\n".join(lines(curve(here, helping, file))))
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
