"""Top-1 accuracy as counts with an interval, on the host or on a device.

[Wilson1927] E. B. Wilson: Probable inference, the law of succession, and statistical inference. JASA 22.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import RecordError

_Z_975 = 1.959964


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correct answers among ``total`` images; RecordError unless 0 <= correct <= total and total > 0."""

    correct: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total or self.total < 1:
            raise RecordError(f"{self.correct} correct of {self.total} is no accuracy; evaluate again")

    @property
    def top1_ratio(self) -> float:
        """Share of correct answers, in [0, 1]."""
        return self.correct / self.total

    @property
    def interval_ratio(self) -> tuple[float, float]:
        """95 % interval of the share, after Wilson [Wilson1927]_, which stays inside [0, 1] and is right near 1."""
        n, share, z2 = self.total, self.top1_ratio, _Z_975**2
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z_975 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class DeviceAccuracy:
    """Accuracy of one exported artefact, answered by the device itself, beside the host's answer for the same images.

    artefact_digest: SHA-256 of the ONNX bytes, shared with the latency records. agreement_ratio: share of images with
    the same answer on both. largest_difference: largest absolute difference of two logits. The last three are None where the
    host's answers are not known.
    """

    artefact_digest: str
    network: str
    device: str
    effective_precision: str
    dataset: str
    dataset_digest: str
    split: str
    on_device: Accuracy
    on_host: Accuracy | None
    agreement_ratio: float | None
    largest_difference: float | None
