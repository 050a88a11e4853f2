"""Latency for the search: what the predictor cannot answer for is out of reach, not an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import UnknownName
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from search.records.trial import Floats, Ints, KnownCost, RunsIn

OUT_OF_REACH_S = 1e6  # seconds an inference; finite, so that differences of latencies stay numbers


@dataclass(frozen=True)
class ScreenedLatency:
    """``KnownCost`` over a fitted predictor; ``OUT_OF_REACH_S`` for configurations outside of what was measured."""

    predictor: LatencyPredictor

    def costs(self, widths: Ints) -> Floats:
        """Seconds per inference; ``widths`` is n x G channels kept, columns in the order of ``architecture.groups``."""
        known = self.predictor.known(widths)
        found = np.full(len(widths), OUT_OF_REACH_S)
        if known.any():
            found[known] = self.predictor.seconds(widths[known])
        return found


@dataclass(frozen=True)
class LatencyByPrecision:
    """``KnownCost`` of a network that may run in several precisions; by itself, of the first, which speed-ups are counted from."""

    by_precision: Mapping[str, KnownCost]

    def costs(self, widths: Ints) -> Floats:
        """Seconds per inference in the first precision."""
        return next(iter(self.by_precision.values())).costs(widths)


@dataclass(frozen=True)
class LatencyBySize:
    """The same of a network that may run at several sizes of its pictures (``HxW``); by itself, at the full one, which is first."""

    by_size: Mapping[str, KnownCost]

    def costs(self, widths: Ints) -> Floats:
        """Seconds per inference at the full size, in the first precision."""
        return next(iter(self.by_size.values())).costs(widths)


def in_precision(known: KnownCost, precision: str) -> KnownCost:
    """What is known of latency in one precision; all that is known where there is one only, or ``precision`` is empty."""
    if not precision or not isinstance(known, LatencyByPrecision):
        return known
    if precision not in known.by_precision:
        raise UnknownName("precision", precision, known.by_precision, "as the campaign was asked for")
    return known.by_precision[precision]


def at_size(known: KnownCost, size: str) -> KnownCost:
    """What is known of latency at one size; all that is known where there is one only, or ``size`` is empty."""
    if not size or not isinstance(known, LatencyBySize):
        return known
    if size not in known.by_size:
        raise UnknownName("size of the pictures", size, known.by_size, "as the campaign was asked for")
    return known.by_size[size]


def as_it_runs(known: KnownCost, runs_in: RunsIn) -> KnownCost:
    """What is known of latency in one precision and at one size, each as far as there are several."""
    found = at_size(known, runs_in.size)
    if runs_in.precision and isinstance(found, LatencyBySize):
        found = next(iter(found.by_size.values()))
    return in_precision(found, runs_in.precision)


def cost_of(architecture: Architecture, known: KnownCost, config: PruningConfig, precision: str = "", size: str = "") -> float:
    """Predicted cost of one configuration, in ``precision`` and at ``size`` where there are several."""
    row = np.array([[config.kept(group.name) for group in architecture.groups]], dtype=np.int64)
    return float(as_it_runs(known, RunsIn(precision, size)).costs(row)[0])


def fastest_precision(architecture: Architecture, known: KnownCost) -> str:
    """In which the unpruned network is predicted to be fastest, at the full size; empty where there is one only."""
    latency = next(iter(known.by_size.values())) if isinstance(known, LatencyBySize) else known
    if not isinstance(latency, LatencyByPrecision):
        return ""
    return min(latency.by_precision, key=lambda one: cost_of(architecture, known, architecture.dense(), one))
