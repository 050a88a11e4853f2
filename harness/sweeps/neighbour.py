"""A loud neighbour on purpose: another process that multiplies matrices or reads memory at random, in bursts, beside a command.

``python -m harness.sweeps.neighbour -- pytest bench/test_predictor.py`` runs the command beside it and ends with the command's exit
code. It computes on another processor than the first that this process may use, where there is another.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from harness.errors import UsageError
from harness.files import numbers

KINDS = ("mixed", "matrices", "memory")
MATRIX_SIDE = 384  # three such matrices of float32 fill a second-level cache
MEMORY_BYTES = 256 << 20  # beyond every last-level cache's share
READS = 1 << 16
LEAST_S, MOST_S = 0.05, 5.0  # of a burst, drawn evenly on a logarithmic scale
SHARE = 0.5


@contextmanager
def neighbour(kind: str = "mixed", share: float = SHARE, seed: int = 0) -> Iterator[None]:
    """A neighbour for as long as the context lasts.

    kind: one of ``KINDS``; mixed draws one of the two for every burst. share: of the time that it computes, above 0, at most 1. Raises
    UsageError for others.
    """
    if kind not in KINDS or not 0.0 < share <= 1.0:
        raise UsageError(
            f"a neighbour of kind {kind} for a share of {share}; give one of {', '.join(KINDS)} and a share above 0, at most 1"
        )
    process = multiprocessing.get_context("spawn").Process(target=_live, args=(kind, share, seed, os.getpid()), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def bursts(share: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Seconds of work and seconds of rest, again and again, about ``share`` of the time in work."""
    mean_s = (MOST_S - LEAST_S) / math.log(MOST_S / LEAST_S)
    while True:
        yield float(np.exp(rng.uniform(math.log(LEAST_S), math.log(MOST_S)))), float(rng.exponential(mean_s * (1.0 - share) / share))


def _live(kind: str, share: float, seed: int, parent: int) -> None:
    if len(processors := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, processors[1:])
    rng = np.random.default_rng(seed)
    matrix = rng.random((MATRIX_SIDE, MATRIX_SIDE), dtype=np.float32)
    memory = np.zeros(MEMORY_BYTES // 8)
    with threadpool_limits(limits=1):
        for work_s, rest_s in bursts(share, rng):
            doing = kind if kind != "mixed" else KINDS[1 + int(rng.integers(2))]
            end = time.monotonic() + work_s
            while time.monotonic() < end:
                if doing == "matrices":
                    np.matmul(matrix, matrix)
                else:
                    memory[rng.integers(0, len(memory), READS)].sum()
            if os.getppid() != parent:  # whom it disturbed is gone
                return
            time.sleep(rest_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command beside a loud neighbour; ends with its exit code, or 2 for a mistake."""
    parser = argparse.ArgumentParser(prog="python -m harness.sweeps.neighbour", description=main.__doc__)
    parser.add_argument("--kind", choices=KINDS, default="mixed", help="what it does (default %(default)s)")
    parser.add_argument("--share", type=numbers.option("share"), default=SHARE, help="of the time that it computes (default %(default)s)")
    parser.add_argument("--seed", type=numbers.option("seed"), default=0, help="of its bursts (default %(default)s)")
    parser.add_argument("command", nargs="+", help="what runs beside it, after --")
    options = parser.parse_args(arguments)
    try:
        with neighbour(options.kind, options.share, options.seed):
            return subprocess.run(options.command).returncode
    except (UsageError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
