"""Where training runs, on how many threads, and in which precision: decided here and nowhere else."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# Processors with these flags multiply bfloat16 in hardware. Measured, ResNet-20, two cores, channels last: 535 -> 980
# images/s with avx512_bf16 (EPYC Zen 4), 643 -> 1132 with amx_bf16 (Xeon). Without them it is emulated, and slower.
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
PRECISIONS = ("auto", "f32", "bf16")


def use_threads(count: int | None = None) -> int:
    """Let torch compute on ``count`` threads, by default one per processor that this process may use; returns the count."""
    chosen = count if count is not None else len(os.sched_getaffinity(0))
    torch.set_num_threads(max(1, chosen))
    return torch.get_num_threads()


def device() -> torch.device:
    """The GPU if torch sees one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def whole_float32() -> Iterator[None]:
    """Convolutions in float32 as it is written: a GPU otherwise rounds their inputs to 10 bits of mantissa (TF32)."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@functools.cache
def multiplies_bf16() -> bool:
    """Whether training in bfloat16 is faster here than in float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux: float32 is right everywhere
        return False
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _BF16_FLAGS.isdisjoint(flags.split())


def precision(wanted: str) -> str:
    """``f32`` or ``bf16`` for "auto"; the others as they are."""
    return wanted if wanted != "auto" else ("bf16" if multiplies_bf16() else "f32")
