"""Where training runs and in which way it computes: precision, memory format and threads, adopted here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

PRECISIONS = ("auto", "f32", "bf16")


@dataclass(frozen=True, slots=True)
class Way:
    """How training computes. precision: ``f32`` or ``bf16``; channels_last: the pictures' memory format; threads: 0 leaves them alone."""

    precision: str = "f32"
    channels_last: bool = False
    threads: int = 0

    @property
    def memory_format(self) -> torch.memory_format:
        """As torch calls it."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def words(self) -> str:
        """For people."""
        return ", ".join((self.precision, self.format_word, self.threads_word))

    @property
    def threads_word(self) -> str:
        """How many threads, for people."""
        return "1 thread" if self.threads == 1 else f"{self.threads} threads" if self.threads else "torch's own threads"

    @property
    def format_word(self) -> str:
        """The memory format for people."""
        return "channels-last" if self.channels_last else "contiguous"


UNTRIED = Way()  # runs every network anywhere; what is faster is found by trying (``harness.training.speed``), never by a flag
_adopted = [UNTRIED]


def way() -> Way:
    """How training computes in this process."""
    return _adopted[0]


def adopt(chosen: Way) -> None:
    """Train in this way from now on; of a machine with more processors, no more threads than this one has."""
    _adopted[0] = chosen
    if chosen.threads:
        use_threads(min(chosen.threads, processors()))


@contextmanager
def adopted(chosen: Way) -> Iterator[None]:
    """Train in this way for as long as it lasts."""
    before, threads = way(), torch.get_num_threads()
    adopt(chosen)
    try:
        yield
    finally:
        _adopted[0] = before
        torch.set_num_threads(threads)


def processors() -> int:
    """How many this process may use: those it is bound to, or what ``OMP_NUM_THREADS`` says, which a person decided."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(bound, int(asked))) if asked.isdecimal() else bound


def use_threads(count: int | None = None) -> int:
    """Let torch compute on ``count`` threads, by default one per processor that this process may use; returns the count."""
    torch.set_num_threads(max(1, processors() if count is None else count))
    return torch.get_num_threads()


def device() -> torch.device:
    """The GPU if torch sees one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def whole_float32() -> Iterator[None]:
    """Convolutions in float32 as it is written: a GPU otherwise rounds their inputs to 10 bits of mantissa (TF32)."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def laid(images: Tensor, memory_format: torch.memory_format | None = None) -> Tensor:
    """``images`` (``N x C x H x W``) in the memory format of training, or in ``memory_format``, by their strides too.

    Pictures of one channel are contiguous whatever their strides say, and layers choose their outputs' format by these: one that
    looks channels-last hands on what ``x.view(x.size(0), -1)`` cannot read.
    """
    chosen = way().memory_format if memory_format is None else memory_format
    right = images.contiguous(memory_format=chosen)
    return right.flatten().view(right.shape) if chosen is torch.contiguous_format else right


def precision(wanted: str) -> str:
    """``f32`` or ``bf16`` for "auto", as this process trains; the others as they are."""
    return wanted if wanted != "auto" else way().precision
