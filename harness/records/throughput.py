"""Throughput: how many pictures a second a device answers when several inferences run at once, which no latency tells and none may show."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Annotated

from harness.errors import RecordError
from harness.files.numbers import COUNT
from harness.records.conditions import Conditions
from harness.records.measurement import student_975


@dataclass(frozen=True, slots=True)
class Throughput:
    """Inferences of one network that several streams of a device ended, block by block.

    artefact_digest: SHA-256 of the ONNX bytes. configuration: as ``comparability`` calls it. ended, seconds: of every block, counted while
    every stream was busy. in_flight: inferences asked for at once. The streams are among the conditions. RecordError for what is none.
    """

    network: str
    architecture_digest: str
    artefact_digest: str
    configuration: str
    conditions: Conditions
    ended: tuple[Annotated[int, COUNT], ...]
    seconds: tuple[float, ...]
    in_flight: Annotated[int, COUNT]

    def __post_init__(self) -> None:
        if not self.ended or len(self.ended) != len(self.seconds) or min(self.ended) < 1:
            raise RecordError(f"a throughput of {self.network} has no blocks, or one in which nothing ended; measure again")
        if not all(math.isfinite(one) and one > 0 for one in self.seconds):
            raise RecordError(f"a block of {self.network} took {min(self.seconds)} s, no positive duration; measure again")

    @property
    def provenance(self) -> str:
        """``measured`` or ``SIMULATED``."""
        return "SIMULATED" if self.conditions.device.simulated else "measured"

    @property
    def rates_per_s(self) -> tuple[float, ...]:
        """Pictures a second, of every block."""
        return tuple(self.conditions.batch_size * count / took for count, took in zip(self.ended, self.seconds, strict=True))

    @property
    def median_per_s(self) -> float:
        """Pictures a second: the figure to quote."""
        return statistics.median(self.rates_per_s)

    @property
    def interval_per_s(self) -> tuple[float, float]:
        """Its 95 % interval, Student's over the blocks; that of all blocks where they are fewer than three."""
        rates = self.rates_per_s
        if len(rates) < 3:
            return min(rates), max(rates)
        margin = student_975(len(rates)) * statistics.stdev(rates) / math.sqrt(len(rates))
        return max(0.0, self.median_per_s - margin), self.median_per_s + margin
