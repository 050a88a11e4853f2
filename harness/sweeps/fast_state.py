"""Ways to tell a network's latency in the machine's fast state, against each other on recorded traces of designed networks.

``python -m harness.sweeps.fast_state FILE.json…`` reads files of ``pytest bench/test_predictor.py``, whose blocks carry their canary, and
prints by every way how far predictions lie from the held-out networks when the model is fitted on what that way says.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.errors import HarnessError, RecordError
from harness.latency.model.held_out import HeldOutError
from harness.latency.model.predictor import HELD_OUT, LatencyPredictor
from harness.latency.verdict.machine_state import fast_share
from harness.latency.verdict.undisturbed import QUICK_SHARE, quieter_half, undisturbed_s, unpreempted_blocks
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from harness.records.measurement import Latency

ROUNDS = 30  # of the mixture's iteration
STATE_SD = 0.03  # of a state's logarithms, to begin with
ONE_STATE = 0.10  # a spread of logarithms below that is one state


def ratio_to_canary(latency: Latency) -> float:
    """Median over the blocks of their quick samples over the canary's ratio, in seconds."""
    return statistics.median(quick / ratio for quick, ratio in zip(_quick_s(latency), latency.canary_ratios, strict=True))


def lower_envelope(latency: Latency) -> float:
    """The least of the blocks' quick samples, in seconds."""
    return min(_quick_s(latency))


def quieter_blocks(latency: Latency) -> float:
    """Mean of the smaller half of the blocks' quick samples, in seconds: what was used before there was a canary."""
    return quieter_half(_quick_s(latency))


def two_states(latency: Latency) -> float:
    """Centre of the faster of two normal components of the logarithms of the blocks' quick samples [McLachlan2000]_, in seconds.

    .. [McLachlan2000] G. McLachlan, D. Peel. Finite Mixture Models. 2000, ch. 3.
    """
    logs = np.log(_quick_s(latency))
    if np.ptp(logs) < ONE_STATE:
        return float(np.exp(np.median(logs)))
    low, high, sd = logs.min(), logs.max(), STATE_SD
    for _ in range(ROUNDS):
        fast, slow = (np.exp(-((logs - centre) ** 2) / (2 * sd**2)) + 1e-12 for centre in (low, high))
        share = fast / (fast + slow)
        low, high = float(np.average(logs, weights=share)), float(np.average(logs, weights=1.0 - share))
        sd = max(0.01, math.sqrt(float(np.mean(share * (logs - low) ** 2 + (1.0 - share) * (logs - high) ** 2))))
    return math.exp(low)


def plain_median(latency: Latency) -> float:
    """Median of all samples, in seconds."""
    return latency.median_s


WAYS: tuple[tuple[str, Callable[[Latency], float]], ...] = (
    ("blocks beside a quick canary (used)", undisturbed_s),
    ("mixture of two states", two_states),
    ("lower envelope of the blocks", lower_envelope),
    ("ratio to the canary", ratio_to_canary),
    ("quieter half of the blocks", quieter_blocks),
    ("median of all samples", plain_median),
)


def judged(file: BenchmarkFile, way: Callable[[Latency], float]) -> HeldOutError:
    """The held-out error where every measurement of ``file`` says only what ``way`` makes of it; RecordError where nothing is held out."""
    digest = next((m.architecture_digest for m in file.measurements if m.role == HELD_OUT and m.latency.canary_ratios), None)
    if digest is None:
        raise RecordError("no held-out networks with a canary in it; make it with: pytest bench/test_predictor.py --benchmark-json=FILE")
    ours = [m for m in file.measurements if m.architecture_digest == digest and m.role in (HELD_OUT, "design")]
    told = [replace(m, latency=Latency((way(m.latency),), (1,))) for m in ours]
    found = LatencyPredictor.fit(file.architecture(digest), told).held_out
    assert found is not None, "a held-out measurement was among them"
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every way's held-out error on every file; 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m harness.sweeps.fast_state", description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json", help="of pytest bench/test_predictor.py")
    try:
        for path in parser.parse_args(arguments).files:
            file = benchmark_json.read(path)
            first = file.measurements[0].conditions.device if file.measurements else None
            where = "nothing measured" if first is None else f"{first.model}{', SIMULATED' if first.simulated else ''}"
            print(f"{path} ({where}; {fast_share(m.latency for m in file.measurements):.0%} of the blocks in the machine's fast state)")
            for name, way in WAYS:
                error = judged(file, way)
                print(f"  {name:36} mean {error.mape_ratio:6.2%}  largest {error.max_ratio:6.2%}  rank correlation {error.rho:.4f}")
    except HarnessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _quick_s(latency: Latency) -> tuple[float, ...]:
    """The quick samples of every block: their ``QUICK_SHARE`` quantile, in seconds."""
    return tuple(float(np.quantile(block, QUICK_SHARE, method="inverted_cdf")) for block in unpreempted_blocks(latency))


if __name__ == "__main__":
    sys.exit(main())
