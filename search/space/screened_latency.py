"""Latency for the search: what the predictor cannot answer for is out of reach, not an error."""

from __future__ import annotations

from collections.abc import Mapping
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


@dataclass(frozen=True)
class LatencyByPrecision:
    """``KnownLatency`` of a network that may run in several precisions; by itself, of the first, which speed-ups are counted from."""

    by_precision: Mapping[str, KnownLatency]

    def seconds(self, widths: Ints) -> Floats:
        """Seconds per inference in the first precision."""
        return next(iter(self.by_precision.values())).seconds(widths)


def in_precision(latency: KnownLatency, precision: str) -> KnownLatency:
    """What is known of latency in one precision; all that is known where there is one only, or ``precision`` is empty."""
    return latency.by_precision[precision] if precision and isinstance(latency, LatencyByPrecision) else latency


def seconds_of(architecture: Architecture, latency: KnownLatency, config: PruningConfig, precision: str = "") -> float:
    """Predicted seconds of one configuration, in ``precision`` where there are several."""
    row = np.array([[config.kept(group.name) for group in architecture.groups]], dtype=np.int64)
    return float(in_precision(latency, precision).seconds(row)[0])


def fastest_precision(architecture: Architecture, latency: KnownLatency) -> str:
    """In which the unpruned network is predicted to be fastest; empty where there is one only."""
    if not isinstance(latency, LatencyByPrecision):
        return ""
    return min(latency.by_precision, key=lambda one: seconds_of(architecture, latency, architecture.dense(), one))
