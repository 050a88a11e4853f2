"""Accuracy of a network with one group narrowed: one point of a sensitivity analysis, as it is stored."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records.accuracy import Accuracy


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
