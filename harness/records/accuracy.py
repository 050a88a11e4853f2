"""Top-1 accuracy as counts with an interval, on the host or on a device.

[Wilson1927] E. B. Wilson: Probable inference, the law of succession, and statistical inference. JASA 22.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from harness.errors import RecordError
from harness.files.numbers import COUNT

_Z_975 = 1.959964


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correct answers among ``total`` images; RecordError unless 0 <= correct <= total and total > 0."""

    correct: Annotated[int, COUNT]
    total: Annotated[int, COUNT]

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
    the same answer on both. largest_difference: largest absolute difference of two logits. These three are None where the
    host's answers are not known. batch_size: images per inference on the device.
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
    batch_size: int = 1

    def sentence(self) -> str:
        """The accuracy in words, with what was lost against the host's f32 where that is known."""
        low, high = self.on_device.interval_ratio
        told = f"{self.network} on {self.device}, {self.effective_precision}: {self.split} top-1 {self.on_device.top1_ratio:.2%}"
        told += f" (95 % interval {low:.1%}–{high:.1%}, {self.on_device.correct} of {self.on_device.total} on {self.dataset})"
        if self.on_host is None or self.agreement_ratio is None or self.largest_difference is None:
            return f"{told}; the host's answers are not known"
        lost = 100 * (self.on_host.top1_ratio - self.on_device.top1_ratio)
        told += f"; {lost:.2f} points lost against f32 on the host ({self.on_host.top1_ratio:.2%})"
        return f"{told}, the same answer to {self.agreement_ratio:.2%}, logits differ by {self.largest_difference:.3g} at most"
