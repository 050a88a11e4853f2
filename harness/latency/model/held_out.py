"""How far predictions lie from measurements of networks that the fit never saw."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.records.measurement import Prediction
from harness.records.pruning_config import PruningConfig

CONFIDENCE = 0.90  # that two networks stand in the order in which they are predicted
FEWEST = 8  # fewer networks say little about an error


@dataclass(frozen=True, slots=True)
class Judged:
    """One network, predicted and measured. measured_s: undisturbed, at the level of all runs together; median_s: as quoted."""

    config: PruningConfig
    predicted: Prediction
    measured_s: float
    median_s: float

    @property
    def error_ratio(self) -> float:
        """(predicted - measured) / measured."""
        return self.predicted.seconds / self.measured_s - 1.0

    @property
    def covered(self) -> bool:
        """Whether the measured latency lies in the predicted interval."""
        return self.predicted.low_s <= self.measured_s <= self.predicted.high_s


@dataclass(frozen=True)
class HeldOutError:
    """The stated error of a latency model.

    judged: the held-out networks. refused: how many more the model could not predict. fitted_on: how many networks the model
    was fitted on. noise_ratio: relative standard deviation of one measurement that the model cannot explain; a perfect
    model's error is about 0.8 times as large.
    """

    judged: tuple[Judged, ...]
    refused: int
    fitted_on: int
    noise_ratio: float

    @property
    def errors_ratio(self) -> npt.NDArray[np.float64]:
        """Absolute relative error of each held-out network."""
        return np.abs([judged.error_ratio for judged in self.judged])

    @property
    def mape_ratio(self) -> float:
        """Mean absolute relative error."""
        return float(self.errors_ratio.mean())

    @property
    def median_ratio(self) -> float:
        """Median absolute relative error."""
        return float(np.median(self.errors_ratio))

    @property
    def max_ratio(self) -> float:
        """Largest absolute relative error."""
        return float(self.errors_ratio.max())

    @property
    def mape_of_medians_ratio(self) -> float:
        """Mean absolute relative error against the quoted medians, disturbances of the machine included."""
        return float(np.mean([abs(judged.predicted.seconds / judged.median_s - 1.0) for judged in self.judged]))

    @property
    def indistinct_ratio(self) -> float:
        """Two networks whose predicted latencies differ by less may well stand in the other order.

        The 90 % quantile of how far the errors of two held-out networks differ; the largest error where only one was judged.
        """
        errors = np.array([judged.error_ratio for judged in self.judged])
        apart = np.abs(errors[:, None] - errors[None, :])[np.triu_indices(len(errors), 1)]
        return float(np.quantile(apart, CONFIDENCE)) if len(apart) else self.max_ratio

    def doubt(self, limit_ratio: float) -> str:
        """What a mean error beyond ``limit_ratio`` means for a search, in one sentence; empty where it is within."""
        if self.mape_ratio <= limit_ratio:
            return ""
        return (
            f"the predictor's mean error, {self.mape_ratio:.1%}, is beyond {limit_ratio:.1%}: of two networks predicted within "
            f"{self.indistinct_ratio:.0%} of each other nobody can tell which is faster before they are measured"
        )

    def within_ratio(self, limit: float) -> float:
        """Share of the held-out networks whose error is at most ``limit`` (0.05, 0.10)."""
        return float(np.mean(self.errors_ratio <= limit))

    @property
    def rho(self) -> float:
        """Spearman's rank correlation of predicted and measured."""
        return spearman([j.predicted.seconds for j in self.judged], [j.measured_s for j in self.judged])

    @property
    def coverage_ratio(self) -> float:
        """Share of the held-out networks inside their predicted interval."""
        return float(np.mean([judged.covered for judged in self.judged]))

    def sentence(self) -> str:
        """All figures in one line, for terminals and reports."""
        return (
            f"{len(self.judged)} held-out networks after {self.fitted_on} measured: "
            f"mean error {self.mape_ratio:.2%}, largest {self.max_ratio:.2%}, within 5 % {self.within_ratio(0.05):.0%}, "
            f"within 10 % {self.within_ratio(0.10):.0%}, rank correlation {self.rho:.4f}, "
            f"90 % interval covers {self.coverage_ratio:.0%}"
        )


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Rank correlation, ties given their mean rank; NaN where one side does not vary."""
    ranks = [_ranks(np.asarray(side, dtype=np.float64)) for side in (first, second)]
    centred = [rank - rank.mean() for rank in ranks]
    scale = math.sqrt(float(np.sum(centred[0] ** 2) * np.sum(centred[1] ** 2)))
    return float(centred[0] @ centred[1]) / scale if scale else math.nan


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2
    return np.asarray(mean_rank[inverse.reshape(values.shape)], dtype=np.float64)
