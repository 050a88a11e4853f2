"""Latency for the search: what the predictor cannot answer for is out of reach, not an error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from search.records.trial import Floats, Ints, KnownLatency

OUT_OF_REACH_S = 1e6  # seconds an inference; finite, so that differences of latencies stay numbers


@dataclass(frozen=True)
class ScreenedLatency:
    """``KnownLatency`` over a fitted predictor; ``OUT_OF_REACH_S`` for configurations outside of what was measured."""

    predictor: LatencyPredictor

    def seconds(self, widths: Ints) -> Floats:
        """Seconds per inference; ``widths`` is n x G channels kept, columns in the order of ``architecture.groups``."""
        known = self.predictor.known(widths)
        found = np.full(len(widths), OUT_OF_REACH_S)
        if known.any():
            found[known] = self.predictor.seconds(widths[known])
        return found


def seconds_of(architecture: Architecture, latency: KnownLatency, config: PruningConfig) -> float:
    """Predicted seconds of one configuration."""
    row = np.array([[config.kept(group.name) for group in architecture.groups]], dtype=np.int64)
    return float(latency.seconds(row)[0])
