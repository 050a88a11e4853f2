"""The latency of any pruning configuration from stored measurements of whole networks, with an interval.

Whole networks are measured in place, and solved for what each layer costs at each pair of widths: fusion, reorders and
caches are inside the numbers. latency = constant + sum over present layers of f_class(input width, output width); the f
are Bayesian (``cost_features``), the interval is conformal: 90 % quantile of leave-one-out errors in units of the model's
own standard deviation [Papadopoulos2008]_.

.. [Papadopoulos2008] H. Papadopoulos, A. Gammerman, V. Vovk. Normalized nonconformity measures for regression. AIA 2008.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import ConditionsDiffer, LatencyUnknown
from harness.latency import variance_components
from harness.latency.cost_features import Factor, FloatArray, design_matrices, factors
from harness.latency.cost_table import CostTable
from harness.latency.held_out import HeldOutError, Judged
from harness.latency.sites import IntArray, SiteMap
from harness.latency.undisturbed import disturbance_ratio, undisturbed_s
from harness.records.architecture import Architecture
from harness.records.conditions import Conditions
from harness.records.measurement import Measurement, Prediction
from harness.records.pruning_config import PruningConfig

CONFIDENCE = 0.90
FEWEST_NETWORKS = 12  # below, a constant and a slope per class of layer are not even determined
NOISE_FLOOR = 0.001  # relative: no clock on these machines repeats better, and the algebra stays well conditioned
HELD_OUT = "held-out"


@dataclass(frozen=True)
class LatencyPredictor:
    """A fitted model for one network under one set of conditions; build it with ``fit``.

    conditions: those of the measurements. table: cost of every layer at every width. held_out: error on networks measured
    for that purpose, None when there are none. conformal: the quantile that widens a standard deviation to the interval.
    """

    architecture: Architecture
    conditions: Conditions
    table: CostTable
    conformal: float
    held_out: HeldOutError | None
    _spread: _Spread

    @classmethod
    def fit(cls, architecture: Architecture, measurements: Sequence[Measurement]) -> LatencyPredictor:
        """Fit on every measurement of ``architecture`` whose role is not "held-out", judge on those whose role is.

        Raises LatencyUnknown with the command to run when there are too few, ConditionsDiffer when they were not all taken
        under the same conditions. A network that is held out is never fitted on, whatever else it was measured for.
        """
        ours = [m for m in measurements if m.architecture_digest == architecture.digest and m.config is not None]
        judged_on = {m.config for m in ours if m.role == HELD_OUT}
        fitted_on = [m for m in ours if m.config not in judged_on]
        if len(fitted_on) < FEWEST_NETWORKS:
            raise LatencyUnknown(_too_few(architecture, ours, len(fitted_on)))
        for other in ours[1:]:
            if differences := ours[0].conditions.differences(other.conditions):
                raise ConditionsDiffer(differences)
        site_map = SiteMap.of(architecture)
        usual = disturbance_ratio(m.latency for m in fitted_on)
        widths = site_map.widths([m.config for m in fitted_on if m.config is not None])
        seconds = np.array([usual * undisturbed_s(m.latency) for m in fitted_on])
        parts = factors(site_map, widths)
        spread, table = _solve(site_map, parts, widths, seconds)
        scores = np.abs(1.0 - spread.posterior.left_out_mean) / spread.posterior.left_out_sd
        model = cls(architecture, ours[0].conditions, table, _conformal_quantile(scores), None, spread)
        held = [m for m in ours if m.role == HELD_OUT]
        return replace(model, held_out=_judge(model, held, usual, len(fitted_on))) if held else model

    def predict(self, config: PruningConfig) -> Prediction:
        """Latency of ``config`` with its 90 % interval; LatencyUnknown where nothing was measured."""
        return self.predict_all([config])[0]

    def predict_all(self, configs: Sequence[PruningConfig]) -> tuple[Prediction, ...]:
        """The same for many configurations."""
        widths = self.table.site_map.widths(list(configs))
        seconds = self.seconds(widths)
        margins = self.conformal * self._spread.sd_s(widths, seconds)
        return tuple(
            Prediction(float(mid), float(max(0.0, mid - margin)), float(mid + margin), CONFIDENCE)
            for mid, margin in zip(seconds, margins, strict=True)
        )

    def seconds(self, widths: IntArray) -> FloatArray:
        """Latency in seconds of each row of ``n x groups`` widths (columns in ``architecture.groups`` order).

        Raises PruningError for widths that the network does not have, LatencyUnknown for the first row outside of what was
        measured; ``known`` tells which rows those are.
        """
        site_map = self.table.site_map
        site_map.check(widths)
        seconds = self.table.seconds(widths)
        unknown = np.flatnonzero(np.isnan(seconds))
        if len(unknown):
            raise LatencyUnknown(self._refusal(widths[unknown[0]]))
        return seconds

    def known(self, widths: IntArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which rows of ``widths`` lie inside of what was measured."""
        self.table.site_map.check(widths)
        return np.asarray(~np.isnan(self.table.seconds(widths)))

    def sd_s(self, widths: IntArray) -> FloatArray:
        """Standard deviation of a measurement around each row's prediction, in seconds."""
        return self._spread.sd_s(widths, self.seconds(widths))

    def require(self, conditions: Conditions) -> None:
        """Refuse to speak for other conditions than those measured: LatencyUnknown, naming what differs."""
        differences = self.conditions.differences(conditions)
        if differences:
            told = ", ".join(f"{key} {theirs} (measured: {ours})" for key, ours, theirs in differences)
            device, precision = conditions.device.name, conditions.precision
            raise LatencyUnknown(
                f"no measurements of {self.architecture.network} with {told}; run: "
                f"{_command(self.architecture.network, device)} --precision={precision}"
            )

    def _refusal(self, row: IntArray) -> str:
        network, device = self.architecture.network, self.conditions.device.name
        return f"no measurement of {network} on {device} covers {self.table.why_unknown(row)}; run: {_command(network, device)}"


@dataclass(frozen=True)
class _Spread:
    """What the standard deviation of a prediction is computed from: the fitted networks' designs and the posterior."""

    site_map: SiteMap
    parts: tuple[Factor, ...]
    component_of: tuple[int, ...]
    designs: tuple[FloatArray, ...]
    posterior: variance_components.Posterior
    unit_s: float

    def sd_s(self, widths: IntArray, seconds: FloatArray) -> FloatArray:
        """Standard deviation, noise included, in seconds."""
        cross = np.zeros((len(widths), len(self.posterior.alpha)))
        own = np.zeros(len(widths))
        fresh = (np.ones((len(widths), 1)), *design_matrices(self.site_map, self.parts, widths))
        for component, stored, new in zip(self.component_of, self.designs, fresh, strict=True):
            amplitude = self.posterior.amplitudes[component]
            cross += amplitude * self.unit_s * (new @ stored.T)
            own += amplitude * self.unit_s**2 * np.sum(new**2, axis=1)
        explained = np.einsum("ij,jk,ik->i", cross, self.posterior.precision, cross, optimize=True)
        variance: FloatArray = np.maximum(own - explained, 0.0) + self.posterior.noise * seconds**2
        return np.asarray(np.sqrt(variance))


def _solve(site_map: SiteMap, parts: tuple[Factor, ...], widths: IntArray, seconds: FloatArray) -> tuple[_Spread, CostTable]:
    """Fit in relative terms: every equation is divided by its measured latency, so that noise is a share."""
    names = ["constant", *dict.fromkeys(part.component for part in parts)]
    component_of = (0, *(names.index(part.component) for part in parts))
    plain = (np.ones((len(widths), 1)), *design_matrices(site_map, parts, widths))
    unit = float(np.median(seconds))  # amplitudes near 1, whatever the device's speed
    designs = tuple(matrix * (unit / seconds)[:, None] for matrix in plain)
    grams = [np.zeros((len(widths), len(widths))) for _ in names]
    for component, design in zip(component_of, designs, strict=True):
        grams[component] += design @ design.T
    relative = variance_components.fit(tuple(grams), np.ones(len(widths)), NOISE_FLOOR)
    weights = [relative.weights(component, design) for component, design in zip(component_of, designs, strict=True)]
    table = CostTable.of(site_map, unit * float(weights[0][0]), parts, [unit * part for part in weights[1:]], widths)
    return _Spread(site_map, parts, component_of, designs, relative, unit), table


def _judge(model: LatencyPredictor, held: Sequence[Measurement], usual: float, fitted_on: int) -> HeldOutError:
    known = model.known(model.table.site_map.widths([m.config for m in held if m.config is not None]))
    covered = [m for m, inside in zip(held, known, strict=True) if inside]
    predictions = model.predict_all([m.config for m in covered if m.config is not None])
    judged = tuple(
        Judged(m.config, prediction, usual * undisturbed_s(m.latency), m.latency.median_s)
        for m, prediction in zip(covered, predictions, strict=True)
        if m.config is not None
    )
    return HeldOutError(judged, len(held) - len(covered), fitted_on, math.sqrt(model._spread.posterior.noise))


def _conformal_quantile(scores: FloatArray) -> float:
    """The ceil((n + 1) 0.9)-th smallest score: a new one is below it with probability of at least 90 %."""
    rank = min(len(scores), math.ceil((len(scores) + 1) * CONFIDENCE))
    return float(np.sort(scores)[rank - 1])


def _command(network: str, device: str) -> str:
    return f"pytest bench/test_predictor.py --device={device} --network={network}"


def _too_few(architecture: Architecture, ours: Sequence[Measurement], fitted_on: int) -> str:
    device = ours[0].conditions.device.name if ours else "cpu"
    return (
        f"{fitted_on} measured networks are too few to predict {architecture.network} ({FEWEST_NETWORKS} at least); "
        f"run: {_command(architecture.network, device)}"
    )
