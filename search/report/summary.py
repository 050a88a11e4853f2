"""A finished campaign as figures: what was predicted, what was measured, what was lost, read from the campaign's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.errors import CampaignError, ConditionsDiffer, HarnessError, RecordError
from harness.latency.explanation import width_series
from harness.latency.model import proxies
from harness.latency.model.held_out import HeldOutError, Judged
from harness.latency.model.predictor import LatencyPredictor
from harness.records import benchmark_json
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.records.conditions import Conditions
from harness.records.measurement import Measurement
from harness.records.pruning_config import PruningConfig
from search.records import journal, outcome, recipe_record
from search.records.outcome import Contender, Outcome
from search.records.recipe_record import RecipeRecord
from search.records.trial import RunsIn, Trial
from search.report.compared import Compared, at_limit, compare
from search.report.costs import explained
from search.report.costs.explain import Explanation
from search.report.layer_table import LayerTable, layer_table
from search.workers.sized import size_of


@dataclass(frozen=True)
class Summary:
    """A finished campaign, whole.

    compared: in the order of the comparison. trials: in the order in which they ran. front: numbers of the trials that no
    other of the same length beats in both predicted latency and validation top-1, fastest first. designs: measured networks
    that the latency predictor was fitted on. held_out: its error on others, None where there are none. layers: None where
    the device gave no times per layer. explained: costs of the dense network's parts, None where unknown. stopped: why the search
    ended, in the journal's words. imported: trials taken over from other campaigns. notes: what is missing from the figures and
    why, one sentence each. recipe: how all networks were tuned, and what drops refer to; None for a campaign of before there was any
    record of that. held_out_at: the predictor's error at every further size of the pictures and in every further precision, by its words.
    """

    folder: Path
    outcome: Outcome
    architecture: Architecture
    compared: tuple[Compared, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    designs: int
    held_out: HeldOutError | None
    layers: LayerTable | None
    explained: Explanation | None
    stopped: str
    imported: tuple[Trial, ...]
    elapsed_s: float
    notes: tuple[str, ...]
    recipe: RecipeRecord | None = None
    held_out_at: tuple[tuple[str, HeldOutError], ...] = ()

    def of_role(self, role: str) -> Compared | None:
        """The first compared network of a role, or None."""
        return next((entry for entry in self.compared if entry.contender.role == role), None)

    @cached_property
    def dense(self) -> Compared:
        """The unpruned network."""
        return next(entry for entry in self.compared if entry.contender.role == "dense")

    @cached_property
    def optimised(self) -> Compared:
        """The campaign's answer."""
        return next(entry for entry in self.compared if entry.contender.role == "optimised")

    @cached_property
    def off_the_shelf(self) -> Compared | None:
        """The fastest that anybody gets without a search and that keeps the limit, in whatever precision; of all, where none keeps it."""
        published = [entry for entry in self.compared if entry.contender.role == "off-the-shelf"]
        able = {one.name for one in at_limit(self.outcome, [entry.contender for entry in published])}
        return min((one for one in published if one.contender.name in able), key=lambda entry: entry.latency.median_s, default=None)

    @property
    def found(self) -> tuple[Compared, ...]:
        """What this campaign itself brought into the comparison, the unpruned network aside."""
        ours = [entry for entry in self.compared if entry.contender.role in ("optimised", "candidate")]
        runs_otherwise = [one for one in ours if one.contender.precision or one.contender.size]
        return tuple(one for one in ours if one in runs_otherwise or one.contender.config != self.dense.contender.config)

    @property
    def limit_missed(self) -> bool:
        """Whether a lowest latency within a drop was sought, and nothing found is within it on the validation split."""
        limit, pareto = self.outcome.max_drop_points, dict(self.outcome.settings).get("--pareto") == "True"
        drops = [entry.validation_drop.points for entry in self.found if entry.validation_drop is not None]
        return limit is not None and not pareto and min(drops, default=math.inf) > limit

    @property
    def forecasts(self) -> tuple[Judged, ...]:
        """Random networks that the predictor was not fitted on: what it said of each, and what was then measured."""
        return self.held_out.judged if self.held_out else ()

    @property
    def quoted(self) -> str:
        """What a latency of the comparison is: ``median``, or ``median in the fast state`` where the machine was loud."""
        return "median" if self.dense.fast_state is None else "median in the fast state"

    @property
    def provenance(self) -> str:
        """``measured``, or ``SIMULATED`` as soon as a single measurement was."""
        return "SIMULATED" if any(entry.measurement.provenance == "SIMULATED" for entry in self.compared) else "measured"

    @property
    def conditions(self) -> Conditions:
        """Of the final comparison: those of the optimised network, which all others must share."""
        return self.optimised.measurement.conditions


def load(folder: Path, proof_name: str = outcome.PROOF) -> Summary:
    """Read a finished campaign; CampaignError, one line, when a part is missing, broken or belongs to something else.

    proof_name: the file in ``folder`` that holds the measured comparison, of which there may be others in other precisions: of what ran in
    the dense network's then.
    """
    told, path = outcome.read(folder), folder / proof_name
    if told.is_compiled:
        measuring = f"python -m search fork {folder.name} --objective=latency"
        raise CampaignError(
            f"campaign {folder.name} lowered compiled cost, of which nothing was measured; measure where the device is: {measuring}"
        )
    if proof_name != outcome.PROOF:
        told = replace(told, contenders=tuple(one for one in told.contenders if one.runs_in == RunsIn()))
    proof, stored = _file(folder, proof_name), _file(folder, outcome.MEASUREMENTS)
    tried = journal.read(folder)
    measured = {contender.name: _measurement(proof, contender, path) for contender in told.contenders}
    dense, optimised = (measured[told.contender(role).name] for role in ("dense", "optimised"))
    _check_conditions(path, measured, dense)
    try:
        known = BenchmarkFile((), (*proof.architectures, *stored.architectures))
        architecture = known.architecture(dense.architecture_digest)
        chosen = known.architecture(optimised.architecture_digest)  # another one at another size of the pictures
    except RecordError as error:
        raise CampaignError(f"{path}: {error}") from error
    ours = [m for m in stored.measurements if m.architecture_digest == architecture.digest and m.config is not None]
    ours = [m for m in ours if m.role != width_series.ROLE]  # swept widths are judged, never fitted on
    others = {m.conditions.precision for m in ours} - {dense.conditions.precision}
    apart = {one: [m for m in ours if m.conditions.precision == one] for one in (dense.conditions.precision, *sorted(others))}
    fitted = {RunsIn(one): _predictor(stored, taken, dense) for one, taken in apart.items()}
    ours, (predictor, notes) = apart[dense.conditions.precision], fitted[RunsIn(dense.conditions.precision)]
    fitted |= _fitted_elsewhere(stored, architecture, tuple(apart), dense)
    predictors = {one: found for one, (found, _) in fitted.items() if found is not None}
    profiled = [dense, *(m for m in ours if m.layers and m.config == architecture.dense())]
    layers, doubt = _layers(architecture, told.contender("optimised").config, dense, optimised, chosen)
    at_full = [one for one in (*tried.imported, *tried.finished) if one.request.recipe.size in ("", size_of(architecture))]
    explanation, missing = explained.of_campaign(folder, told, predictor, stored, profiled, at_full)
    return Summary(
        folder=folder,
        outcome=told,
        architecture=architecture,
        compared=compare(told, measured, predictors, dense.conditions.precision, proof.accuracies),
        held_out_at=_errors_elsewhere(predictors, dense.conditions.precision),
        trials=tried.finished,
        front=front(tried.finished),
        designs=sum(m.role != "held-out" for m in ours),
        held_out=predictor.held_out if predictor and predictor.held_out and predictor.held_out.judged else None,
        layers=layers,
        explained=explanation,
        stopped=tried.stopped,
        imported=tried.imported,
        elapsed_s=tried.seconds,
        notes=(*notes, *(said for said in (doubt, missing if predictor else "") if said)),
        recipe=recipe_record.read(folder),
    )


def front(trials: Sequence[Trial]) -> tuple[int, ...]:
    """Numbers of the trials at the longest budget that no other one beats in latency and top-1 together, fastest first."""
    longest = max((trial.request.budget_epochs for trial in trials if trial.outcome.ok), default=0.0)
    full = [trial for trial in trials if trial.outcome.ok and trial.request.budget_epochs == longest]
    found: list[Trial] = []
    for trial in sorted(full, key=lambda t: (t.cost, -t.outcome.top1_ratio, t.number)):
        if not found or trial.outcome.top1_ratio > found[-1].outcome.top1_ratio:
            found.append(trial)
    return tuple(trial.number for trial in found)


def _file(folder: Path, name: str) -> BenchmarkFile:
    path = folder / name
    if not path.is_file():
        raise CampaignError(f"{path} is missing, the campaign is unfinished; run: python -m search resume {folder.name}")
    try:
        return benchmark_json.read(path)
    except RecordError as error:
        raise CampaignError(f"{error}; then run: python -m search resume {folder.name}") from error


def _measurement(proof: BenchmarkFile, contender: Contender, path: Path) -> Measurement:
    """The contender's measurement: by artefact, and by name where two contenders are the same network."""
    found = [m for m in proof.measurements if m.artefact_digest == contender.artefact_digest]
    found = [m for m in found if dict(m.notes).get("contender") == contender.name] or found
    if not found:
        raise CampaignError(
            f"{path} holds no measurement of {contender.name} ({contender.artefact_digest[:12]}); "
            f"run: python -m search resume {path.parent.name}"
        )
    return found[-1]


def _check_conditions(path: Path, measured: Mapping[str, Measurement], dense: Measurement) -> None:
    for name, measurement in measured.items():
        differences = dense.conditions.differences(measurement.conditions, across_precisions=True)
        if differences:
            raise CampaignError(f"{path}: dense and {name} were {ConditionsDiffer(differences)}")


def _fitted_elsewhere(
    stored: BenchmarkFile, architecture: Architecture, precisions: Sequence[str], dense: Measurement
) -> dict[RunsIn, tuple[LatencyPredictor | None, tuple[str, ...]]]:
    """The predictors of the same network at further sizes of the pictures."""
    found = {}
    for other in stored.architectures:
        taken = [m for m in stored.measurements if m.architecture_digest == other.digest and m.config is not None]
        taken = [m for m in taken if m.role != width_series.ROLE]
        if other.network != architecture.network or size_of(other) == size_of(architecture):
            continue
        for precision in precisions:
            ours = [m for m in taken if m.conditions.precision == precision]
            if ours:
                found[RunsIn(precision, size_of(other))] = _predictor(stored, ours, dense)
    return found


def _errors_elsewhere(predictors: Mapping[RunsIn, LatencyPredictor], reference: str) -> tuple[tuple[str, HeldOutError], ...]:
    return tuple(
        (f"at {one.size} in {one.precision}" if one.size else f"in {one.precision}", found.held_out)
        for one, found in predictors.items()
        if one != RunsIn(reference) and found.held_out is not None and found.held_out.judged
    )


def _layers(
    architecture: Architecture, config: PruningConfig, dense: Measurement, optimised: Measurement, pruned: Architecture
) -> tuple[LayerTable | None, str]:
    """The layers before and after, the latter of ``pruned``, or None and what is wrong with their profiles."""
    try:
        return layer_table(architecture, config, dense, optimised, pruned), ""
    except RecordError as error:
        return None, f"Times per layer are not shown: {error}."


def _predictor(stored: BenchmarkFile, ours: Sequence[Measurement], dense: Measurement) -> tuple[LatencyPredictor | None, tuple[str, ...]]:
    """The predictor that the campaign used, or None, and what the reader must be told about it."""
    if not any(m.role == "design" for m in ours):
        return None, ("No designed networks are stored with the campaign, so nothing is predicted here.",)
    try:
        architecture = stored.architecture(ours[0].architecture_digest)
        predictor = LatencyPredictor.fit(architecture, ours, proxies.of_file(stored, ours))
    except HarnessError as error:
        return None, (f"Nothing is predicted here: {error}.",)
    apart = ours[0].conditions.precision != dense.conditions.precision
    differences = ours[0].conditions.differences(dense.conditions, across_precisions=apart)
    if not differences:
        return predictor, ()
    told = ", ".join(f"{key} ({then} then, {now} now)" for key, then, now in differences)
    return predictor, (f"Predictions rest on measurements taken under other conditions than the comparison: {told}.",)
