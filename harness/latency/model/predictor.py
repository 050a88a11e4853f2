"""The latency of any pruning configuration from stored measurements of whole networks, with an interval.

Whole networks are measured in place, and solved for what each layer costs at each pair of widths: fusion, reorders and
caches are inside the numbers. latency = constant + sum over present layers of f_class(input width, output width); the f
are Bayesian (``cost_features``), the interval is conformal: the 90 % quantile of the errors on held-out networks in units of
the model's own standard deviation [Papadopoulos2008]_; of leave-one-out errors, widened, while nothing is held out.

A prediction is the latency to be quoted (the median) on the machine's usual quiet stretches, see ``undisturbed``.

.. [Papadopoulos2008] H. Papadopoulos, A. Gammerman, V. Vovk. Normalized nonconformity measures for regression. AIA 2008.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import ConditionsDiffer, LatencyUnknown
from harness.latency.model.cost_features import FloatArray
from harness.latency.model.cost_table import CostTable
from harness.latency.model.held_out import HeldOutError, Judged
from harness.latency.model.sites import IntArray, SiteMap
from harness.latency.model.solution import Solution, solve
from harness.latency.verdict.undisturbed import doubt_ratio, quiet_blocks, undisturbed_s, usual_disturbance
from harness.records.architecture import Architecture
from harness.records.conditions import Conditions
from harness.records.measurement import Measurement, Prediction
from harness.records.pruning_config import PruningConfig

CONFIDENCE = 0.90
FEWEST_NETWORKS = 12  # below, a constant and a slope per class of layer are not even determined
FEWEST_BESIDE_PROXY = 8  # networks: to see whether the other device's table tells anything of this one
UNJUDGED_WIDENING = 1.3  # of leave-one-out intervals: amplitudes and noise were fitted on the left-out network, too
FEWEST_CALIBRATING = 20  # held-out networks; below, leave-one-out errors of the fitted ones join in
HELD_OUT = "held-out"


def configurations(architecture: Architecture) -> int:
    """How many networks ``architecture`` can become: every width of every group, and every branch there or gone."""
    return math.prod(group.channels // group.step + group.removable for group in architecture.groups)


def fewest_networks(architecture: Architecture, beside_proxy: bool = False) -> int:
    """Measured networks without which nothing is predicted; where fewer are possible, all of them, for none is left to guess."""
    return min(FEWEST_BESIDE_PROXY if beside_proxy else FEWEST_NETWORKS, configurations(architecture))


@dataclass(frozen=True)
class LatencyPredictor:
    """A fitted model for one network under one set of conditions; build it with ``fit``.

    conditions: those of the measurements. fitted_on: how many networks. usual_disturbance: what is quoted over the undisturbed
    latency that the model explains, see ``undisturbed``. conformal: the quantile that widens a standard deviation to the interval.
    held_out: error on networks measured for that purpose, None when there are none. learnt_from: the conditions of the proxy whose table
    helped, None where none did.
    """

    architecture: Architecture
    conditions: Conditions
    fitted_on: int
    usual_disturbance: float
    conformal: float
    held_out: HeldOutError | None
    _solution: Solution
    learnt_from: Conditions | None = None

    @property
    def table(self) -> CostTable:
        """Cost of every layer at every width."""
        return self._solution.table

    @property
    def surprise(self) -> float:
        """Mean negative log density of each fitted network predicted from all others, see ``Solution``; smaller is better."""
        return self._solution.surprise

    @property
    def learnt_sentence(self) -> str:
        """From which table it starts, of those that it could start from."""
        if self.learnt_from is None:
            return "predictor: starts from no other table, for what is measured here tells more"
        return f"predictor: starts from the table of {self.learnt_from.device.name} in {self.learnt_from.precision}"

    @classmethod
    def fit(
        cls, architecture: Architecture, measurements: Sequence[Measurement], proxies: Sequence[LatencyPredictor] = ()
    ) -> LatencyPredictor:
        """Fit on every measurement of ``architecture`` whose role is not "held-out", judge on those whose role is.

        proxies: predictors of the same network under other conditions. The one that makes the measured networks
        least surprising, each predicted from all the others, is learnt from, or none.
        Raises LatencyUnknown with the command to run when there are too few, ConditionsDiffer when they were not all taken
        under the same conditions. A network that is held out is never fitted on, whatever else it was measured for.
        """
        digest = architecture.digest
        ours = [m for m in measurements if m.architecture_digest == digest and m.config is not None]
        judged_on = {m.config for m in ours if m.role == HELD_OUT}
        fitted_on = _told_by_a_canary([m for m in ours if m.config not in judged_on])
        site_map = SiteMap.of(architecture)
        widths = site_map.widths([m.config for m in fitted_on if m.config is not None])
        telling = tuple(proxy for proxy in proxies if proxy.architecture.digest == digest and proxy.known(widths).all())
        if len(fitted_on) < fewest_networks(architecture, beside_proxy=bool(telling)):
            raise LatencyUnknown(_too_few(architecture, ours, len(fitted_on)))
        for other in ours[1:]:
            if differences := ours[0].conditions.differences(other.conditions):
                raise ConditionsDiffer(differences)
        usual = usual_disturbance(m.latency for m in fitted_on)
        seconds = np.array([usual * undisturbed_s(m.latency) for m in fitted_on])
        doubt = np.array([doubt_ratio(m.latency) for m in fitted_on])
        runs = [m.conditions.before.taken_at for m in fitted_on]
        helping: list[LatencyPredictor | None] = [*telling, *([None] if len(fitted_on) >= FEWEST_NETWORKS or not telling else [])]
        solved = [(solve(site_map, widths, seconds, runs, doubt, None if proxy is None else proxy.table), proxy) for proxy in helping]
        solution, helped = min(solved, key=lambda each: each[0].surprise)
        sure = doubt == 1.0
        conformal = UNJUDGED_WIDENING * _quantile(solution.left_out_scores[sure if sure.any() else slice(None)])
        model = cls(
            architecture,
            ours[0].conditions,
            len(fitted_on),
            usual,
            conformal,
            None,
            solution,
            None if helped is None else helped.conditions,
        )
        held = [m for m in ours if m.role == HELD_OUT]
        return model._judged_on(held) if held else model

    def predict(self, config: PruningConfig) -> Prediction:
        """Latency of ``config`` with its 90 % interval; LatencyUnknown where nothing was measured."""
        return self.predict_all([config])[0]

    def predict_all(self, configs: Sequence[PruningConfig]) -> tuple[Prediction, ...]:
        """The same for many configurations."""
        widths = self.table.site_map.widths(list(configs))
        seconds = self.seconds(widths)
        margins = self.conformal * self._solution.sd_s(widths, seconds)
        return tuple(_prediction(mid, margin) for mid, margin in zip(seconds, margins, strict=True))

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
        return self._solution.sd_s(widths, self.seconds(widths))

    def difference_sd_s(self, widths: IntArray, reference: IntArray) -> FloatArray:
        """Standard deviation of (each row's latency - that of the one row ``reference``), measurement noise left out, in seconds."""
        self.seconds(np.concatenate([widths, reference[None, :]]))
        return self._solution.difference_sd_s(widths, reference)

    def layers_sd_s(self, row: IntArray, sites: tuple[int, ...]) -> float:
        """Standard deviation of what some layers (positions in ``architecture.layers``) cost together, in seconds."""
        return self._solution.layers_sd_s(row, sites)

    def layer_sd_s(self, row: IntArray) -> FloatArray:
        """The same for every layer by itself."""
        return np.array([self.layers_sd_s(row, (site,)) for site in range(len(self.architecture.layers))])

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

    def _judged_on(self, held: Sequence[Measurement]) -> LatencyPredictor:
        """The same model with its stated error, and its interval calibrated on the held-out networks.

        Each of them is judged by an interval into which its own error did not enter, at the usual level of the machine: how
        far the run in which it was measured was off is known from the fitted networks of that run. One that was never seen in the
        machine's fast state says nothing of the model.
        """
        inside = self.known(self.table.site_map.widths([m.config for m in held if m.config is not None]))
        judged = [m for m, known in zip(held, inside, strict=True) if known and quiet_blocks(m.latency) != 0]
        if not judged:
            return self
        configs = [m.config for m in judged if m.config is not None]
        widths = self.table.site_map.widths(configs)
        seconds, sd = self.seconds(widths), self.sd_s(widths)
        levels = np.array([self._solution.level_ratio(m.conditions.before.taken_at) for m in judged])
        measured = np.array([self.usual_disturbance * undisturbed_s(m.latency) for m in judged]) * (1.0 - levels)
        scores = np.abs(measured - seconds) / sd
        fallback = UNJUDGED_WIDENING * self._solution.left_out_scores if len(judged) < FEWEST_CALIBRATING else np.zeros(0)
        rows = []
        for index, m in enumerate(judged):
            margin = _quantile(np.concatenate([np.delete(scores, index), fallback])) * sd[index]
            rows.append(Judged(configs[index], _prediction(seconds[index], margin), float(measured[index]), m.latency.median_s))
        error = HeldOutError(tuple(rows), len(held) - len(judged), self.fitted_on, self._solution.noise_ratio)
        return replace(self, conformal=_quantile(np.concatenate([scores, fallback])), held_out=error)

    def _refusal(self, row: IntArray) -> str:
        network, device = self.architecture.network, self.conditions.device.name
        return f"no measurement of {network} on {device} covers {self.table.why_unknown(row)}; run: {_command(network, device)}"


def _told_by_a_canary(measurements: list[Measurement]) -> list[Measurement]:
    """Where a canary was timed beside most, only those: of the others, measured alone, nobody knows in what state the machine was."""
    told = [m for m in measurements if m.latency.quiet]
    return told if 2 * len(told) > len(measurements) else measurements


def _prediction(mid_s: float, margin_s: float) -> Prediction:
    return Prediction(float(mid_s), float(max(0.0, mid_s - margin_s)), float(mid_s + margin_s), CONFIDENCE)


def _quantile(scores: FloatArray) -> float:
    """The ceil((n + 1) 0.9)-th smallest score: a new one is below it with a chance of at least 90 %."""
    rank = min(len(scores), math.ceil((len(scores) + 1) * CONFIDENCE))
    return float(np.sort(scores)[rank - 1])


def _command(network: str, device: str) -> str:
    return f"pytest bench/test_predictor.py --device={device} --network={network}"


def _too_few(architecture: Architecture, ours: Sequence[Measurement], fitted_on: int) -> str:
    device = ours[0].conditions.device.name if ours else "cpu"
    return (
        f"{fitted_on} measured networks are too few to predict {architecture.network} ({fewest_networks(architecture)} at least); "
        f"run: {_command(architecture.network, device)}"
    )
