"""Solve measured whole networks for what their layers cost: the fit behind the latency predictor.

Every equation is divided by its measured latency, so that noise is a share of it. Networks measured in one run share that
run's level (a warmer processor, other neighbours); the levels are unknowns of their own and belong to no layer.

Where the same network was measured on another device before, a *proxy* [Lu2021]_, that device's table is one more component, with one
unknown: how much of this device's latency it explains. What it leaves, the others explain, as without it.

.. [Lu2021] B. Lu, J. Yang, W. Jiang, Y. Shi, S. Ren. One proxy device is enough for hardware-aware neural architecture search.
   POMACS 5(3), 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.latency.model import variance_components
from harness.latency.model.cost_features import Factor, FloatArray, design_matrices, factors
from harness.latency.model.cost_table import CostTable
from harness.latency.model.sites import IntArray, SiteMap

NOISE_FLOOR = 0.001  # relative: no clock on these machines repeats better, and the algebra stays well conditioned
FEWEST_IN_RUN = 3  # networks measured at one time; fewer do not show the level of that time


@dataclass(frozen=True)
class Solution:
    """Fitted costs, and what the standard deviation of a prediction is computed from.

    table: cost of every layer at every width. parts, component_of, designs: the prior's functions, the component of each (0
    is the constant) and their matrices over the fitted networks. unit_s: the latency in whose units the weights are. levels:
    how much longer than usual everything took in each run, relative; empty where one run holds (nearly) everything. proxy: another
    device's table, in units of its own typical latency, whose component is the one after the parts'.
    """

    table: CostTable
    parts: tuple[Factor, ...]
    component_of: tuple[int, ...]
    designs: tuple[FloatArray, ...]
    posterior: variance_components.Posterior
    unit_s: float
    levels: tuple[tuple[str, float], ...] = ()
    proxy: CostTable | None = None

    def level_ratio(self, run: str) -> float:
        """How much longer than usual everything took in ``run``, relative; 0 for a run of which too little was fitted."""
        return dict(self.levels).get(run, 0.0)

    @property
    def noise_ratio(self) -> float:
        """Relative standard deviation of one measurement that the model cannot explain."""
        return math.sqrt(self.posterior.noise)

    @property
    def surprise(self) -> float:
        """Mean negative log density of each fitted network, predicted from all the others [Rasmussen2006, eq. 5.11]; smaller is better."""
        sd = self.posterior.left_out_sd
        return float(np.mean(np.log(sd) + 0.5 * ((1.0 - self.posterior.left_out_mean) / sd) ** 2))

    @property
    def left_out_scores(self) -> FloatArray:
        """Error of each fitted network predicted from all the others, in units of that prediction's standard deviation."""
        return np.asarray(np.abs(1.0 - self.posterior.left_out_mean) / self.posterior.left_out_sd)

    def sd_s(self, widths: IntArray, seconds: FloatArray) -> FloatArray:
        """Standard deviation of a measurement around the predicted ``seconds`` of each row, noise included, in seconds."""
        return np.asarray(np.sqrt(self._variance(self._fresh(widths)) + self.posterior.noise * seconds**2))

    def difference_sd_s(self, widths: IntArray, reference: IntArray) -> FloatArray:
        """Standard deviation of each row's true latency less that of the network ``reference`` (a row), in seconds."""
        here, there = self._fresh(widths), self._fresh(reference[None, :])
        return np.asarray(np.sqrt(self._variance(tuple(ours - theirs for ours, theirs in zip(here, there, strict=True)))))

    def layers_sd_s(self, row: IntArray, sites: tuple[int, ...]) -> float:
        """Standard deviation of what the layers at ``sites`` cost together in one configuration, in seconds."""
        parts = tuple(replace(part, sites=tuple(site for site in part.sites if site in sites)) for part in self.parts)
        fresh = [np.zeros((1, 1)), *design_matrices(self.table.site_map, parts, row[None, :])]
        if self.proxy is not None:
            fresh.append(self.proxy.layer_seconds(row[None, :])[:, list(sites)].sum(axis=1, keepdims=True))
        return float(np.sqrt(self._variance(tuple(fresh)))[0])

    def _fresh(self, widths: IntArray) -> tuple[FloatArray, ...]:
        return _plain_designs(self.table.site_map, self.parts, widths, self.proxy)

    def _variance(self, fresh: tuple[FloatArray, ...]) -> FloatArray:
        """Posterior variance of what ``fresh`` design matrices stand for, without noise."""
        count = len(fresh[0])
        cross, own = np.zeros((count, len(self.posterior.alpha))), np.zeros(count)
        for component, stored, new in zip(self.component_of, self.designs, fresh, strict=True):
            amplitude = self.posterior.amplitudes[component]
            cross += amplitude * self.unit_s * (new @ stored.T)
            own += amplitude * self.unit_s**2 * np.sum(new**2, axis=1)
        explained = np.sum((cross @ self.posterior.precision) * cross, axis=1)
        return np.asarray(np.maximum(own - explained, 0.0))


def solve(
    site_map: SiteMap,
    widths: IntArray,
    seconds: FloatArray,
    runs: Sequence[str],
    doubt: FloatArray | None = None,
    proxy: CostTable | None = None,
) -> Solution:
    """Fit ``seconds`` (n) measured of networks of ``widths`` (n x groups).

    runs: names the run of each measurement. doubt: by what factor the noise of each exceeds the usual one, where that is known.
    proxy: the same network's table on another device, which must know all ``widths``.
    """
    parts = factors(site_map, widths)
    names = ["constant", *dict.fromkeys(part.component for part in parts)]
    component_of = (0, *(names.index(part.component) for part in parts))
    if proxy is not None:
        proxy = proxy.scaled(1.0 / float(np.median(proxy.seconds(widths))))
        names, component_of = [*names, "proxy"], (*component_of, len(names))
    plain = _plain_designs(site_map, parts, widths, proxy)
    unit = float(np.median(seconds))  # amplitudes near 1, whatever the device's speed
    designs = tuple(matrix * (unit / seconds)[:, None] for matrix in plain)
    grams = [np.zeros((len(widths), len(widths))) for _ in names]
    for component, design in zip(component_of, designs, strict=True):
        grams[component] += design @ design.T
    levels = _levels(runs)
    if levels is not None:
        grams.append(levels @ levels.T)
    posterior = variance_components.fit(tuple(grams), np.ones(len(widths)), NOISE_FLOOR, doubt)
    weights = [unit * posterior.weights(component, design) for component, design in zip(component_of, designs, strict=True)]
    borrowed = None if proxy is None else proxy.scaled(float(weights[-1][0]))
    table = CostTable.of(site_map, float(weights[0][0]), parts, weights[1 : 1 + len(parts)], widths, borrowed)
    found: tuple[tuple[str, float], ...] = ()
    if levels is not None:
        told = levels @ posterior.weights(len(names), levels)
        found = tuple({run: float(level) for run, level in zip(runs, told, strict=True)}.items())
    return Solution(table, parts, component_of, designs, posterior, unit, found, proxy)


def _plain_designs(site_map: SiteMap, parts: tuple[Factor, ...], widths: IntArray, proxy: CostTable | None) -> tuple[FloatArray, ...]:
    """Of the constant, of each part, and of the proxy where there is one."""
    designs = (np.ones((len(widths), 1)), *design_matrices(site_map, parts, widths))
    return designs if proxy is None else (*designs, proxy.seconds(widths)[:, None])


def _levels(runs: Sequence[str]) -> FloatArray | None:
    """How each measurement's run differs from the mean run, ``n x runs``; None where one run holds (nearly) everything.

    Rows add up to 0: a level that all runs share is the network's own latency, never the runs'.
    """
    names = sorted({run for run in runs if runs.count(run) >= FEWEST_IN_RUN})
    if len(names) < 2:
        return None
    lone = np.zeros(len(names))
    return np.array([np.equal(names, run) - 1.0 / len(names) if run in names else lone for run in runs])
