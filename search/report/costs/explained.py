"""A finished campaign's costs explained from what lies on disk: its own measurements and trials, and what was stored beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.latency.explanation.advice import LEAST_POINTS
from harness.latency.explanation.predicted_widths import predicted_series
from harness.latency.explanation.staircase import WidthCost
from harness.latency.model.predictor import LatencyPredictor
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.measurement import Measurement
from harness.training.stored_sensitivity import stored_weights_digest
from search.optimizer.importance import FEWEST_TRIALS, single_losses
from search.records.folder import DENSE
from search.records.outcome import MEASUREMENTS, Outcome
from search.records.trial import Trial
from search.report.costs import explain
from search.report.costs.explain import ESTIMATED, Analysis, Explanation
from search.space import known_costs

CRITERION = "l1"


def of_campaign(
    folder: Path,
    told: Outcome,
    predictor: LatencyPredictor | None,
    stored: BenchmarkFile,
    profiled: Sequence[Measurement],
    trials: Sequence[Trial],
) -> tuple[Explanation | None, str]:
    """What the dense network of a campaign costs, or None and the reason in a sentence.

    stored: the campaign's own measurements. profiled: those of the dense network, the one to divide first. Accuracy comes from
    a stored analysis of these very weights, else from the campaign's surrogate; where neither says anything, groups are sorted
    by time alone.
    """
    if predictor is None:
        return None, "Costs are not explained: the campaign holds no measurements to predict from."
    architecture = predictor.architecture
    beside = folder.parent.parent / "benchmarks" / told.device
    widths = known_costs.widths(beside, architecture, predictor.conditions, (folder / MEASUREMENTS, stored))
    analysis, missing = _analysis(folder, told, predictor, widths.series, trials)
    dense = next((one for one in profiled if one.layers and one.profiled is not None), None)
    notes = [f"Measure what is missing by: python -m search explain --name={folder.name}."] if missing or not widths.series else []
    try:
        probes = known_costs.roof_layers(beside, predictor.conditions)
        return explain.of(predictor, dense, widths.series, analysis, [*missing, *notes], probes), ""
    except HarnessError as error:
        return None, f"Costs are not explained: {error}."


def _analysis(
    folder: Path, told: Outcome, predictor: LatencyPredictor, measured: Mapping[str, Sequence[WidthCost]], trials: Sequence[Trial]
) -> tuple[Analysis | None, list[str]]:
    """The accuracy of single groups, measured or estimated, and what is missing of it."""
    architecture, weights = predictor.architecture, folder / DENSE
    if weights.is_file():
        stored = folder.parent.parent / "benchmarks" / told.device
        found = known_costs.sensitivities(stored, architecture, stored_weights_digest(weights), None, CRITERION)
        of_images = tuple(point for point in found.points if point.dataset == told.dataset)
        if of_images:
            return explain.analysed(of_images), []
    wanted = {name: [point.width for point in points] for name, points in measured.items()} or _modelled(architecture, predictor)
    count, epochs, losses = single_losses(architecture, trials, wanted)
    if not losses:
        return None, [f"No sensitivity is stored, and {count} full-length trials are too few to estimate it ({FEWEST_TRIALS} at least)."]
    least = max(LEAST_POINTS, 100 / told.split_sizes[1])  # of another metric too: what few pictures tell is no finer
    told_so = (
        f"Accuracy: estimated by the campaign's surrogate from {count} trials of {epochs:g} epochs, in which many groups were narrowed at "
        f"once; no group was analysed alone. Intervals are the surrogate's own"
    )
    is_counted = told.contender("dense").validation.is_counted
    told_so += f"; one of the {told.split_sizes[1]} validation images is {100 / told.split_sizes[1]:.2f} points." if is_counted else "."
    return Analysis(ESTIMATED, losses, least, told_so), ["No sensitivity analysis of these weights is stored."]


def _modelled(architecture: Architecture, predictor: LatencyPredictor) -> dict[str, list[int]]:
    """The widths that the latency model knows, where none are measured."""
    found = {}
    for group in architecture.groups:
        try:
            found[group.name] = [point.width for point in predicted_series(predictor, group.name)]
        except HarnessError:
            continue  # said by the explanation itself
    return found
