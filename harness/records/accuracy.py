"""What networks reach, with an interval: top-1 as counts, any other metric as a mean over pictures; on the host or on a device.

[Wilson1927] E. B. Wilson: Probable inference, the law of succession, and statistical inference. JASA 22.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from harness.errors import RecordError
from harness.files.numbers import COUNT
from harness.records.metric import TOP_1, Metric

_Z_975 = 1.959964


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Correct answers among ``total`` images; RecordError unless 0 <= correct <= total and total > 0.

    mean, low, high: of a task whose pictures are not just right or wrong, its metric as a ratio of which more is better, with its 95 %
    interval; ``correct`` is 0 then.
    """

    correct: Annotated[int, COUNT]
    total: Annotated[int, COUNT]
    mean: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total or self.total < 1:
            raise RecordError(f"{self.correct} correct of {self.total} is no accuracy; evaluate again")
        given = [one for one in (self.mean, self.low, self.high) if one is not None]
        if len(given) not in (0, 3) or not all(map(math.isfinite, given)) or sorted(given[1:]) != given[1:]:
            raise RecordError(f"a metric of {self.mean} within {self.low} to {self.high} is no accuracy; evaluate again")

    @property
    def is_counted(self) -> bool:
        """Whether it is a share of correct answers."""
        return self.mean is None

    @property
    def top1_ratio(self) -> float:
        """Share of correct answers, in [0, 1]; of another task its metric."""
        return self.correct / self.total if self.mean is None else self.mean

    @property
    def interval_ratio(self) -> tuple[float, float]:
        """95 % interval of the share, after Wilson [Wilson1927]_, which stays inside [0, 1] and is right near 1; else as it was found."""
        if self.low is not None and self.high is not None:
            return self.low, self.high
        n, share, z2 = self.total, self.top1_ratio, _Z_975**2
        centre = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z_975 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    @property
    def variance(self) -> float:
        """Of a picture's part in it, as far as the interval tells."""
        low, high = self.interval_ratio
        return self.total * ((high - low) / (2 * _Z_975)) ** 2

    @property
    def told(self) -> str:
        """On how many pictures it rests: ``349 of 360``, or ``360 pictures``."""
        return f"{self.correct} of {self.total}" if self.is_counted else f"{self.total} pictures"


@dataclass(frozen=True, slots=True)
class DeviceAccuracy:
    """Accuracy of one exported artefact, answered by the device itself, beside the host's answer for the same images.

    artefact_digest: SHA-256 of the ONNX bytes, shared with the latency records. agreement_ratio: share of images with
    the same answer on both. largest_difference: largest absolute difference of two logits. These three are None where the
    host's answers are not known, the first of them also where the task does not say what an answer is. batch_size: images per inference
    on the device. metric: what is judged.
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
    metric: Metric = TOP_1

    def sentence(self) -> str:
        """The accuracy in words, with what was lost against the host's f32 where that is known."""
        (low, high), name, metric = self.on_device.interval_ratio, self.metric.name, self.metric
        told = f"{self.network} on {self.device}, {self.effective_precision}: {self.split} {name} {metric.told(self.on_device.top1_ratio)}"
        between = f"{low:.1%}–{high:.1%}" if metric.is_share and metric.better_is_higher else metric.between(low, high)
        told += f" (95 % interval {between}, {self.on_device.told} on {self.dataset})"
        if self.on_host is None or self.largest_difference is None:
            return f"{told}; the host's answers are not known"
        lost = 100 * (self.on_host.top1_ratio - self.on_device.top1_ratio)
        told += f"; {lost:.2f} {metric.unit} lost against f32 on the host ({metric.told(self.on_host.top1_ratio)})"
        told += "" if self.agreement_ratio is None else f", the same answer to {self.agreement_ratio:.2%}"
        return f"{told}, {'logits' if self.on_device.is_counted else 'outputs'} differ by {self.largest_difference:.3g} at most"


@dataclass(frozen=True, slots=True)
class WidthAccuracy:
    """Top-1 on the validation split with ``group`` at ``channels`` and every other group whole, batch norm recalibrated.

    weights_digest: SHA-256 of the dense network's weights, for the answer is theirs alone. criterion: which channels stayed.
    dense: the unpruned network, recalibrated alike.
    """

    architecture_digest: str
    weights_digest: str
    dataset: str
    dataset_digest: str
    criterion: str
    group: str
    channels: int
    accuracy: Accuracy
    dense: Accuracy

    @property
    def points_lost(self) -> float:
        """Percentage points below the dense network; negative when above it."""
        return 100 * (self.dense.top1_ratio - self.accuracy.top1_ratio)
