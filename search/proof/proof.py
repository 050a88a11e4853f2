"""The proof: the tuned networks are chosen from, exported, judged on the test split once, and measured together."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import nn

from harness.networks import export, onnx_graph
from harness.networks.datasets import Dataset, Split
from harness.networks.tasks.classification import CLASSIFICATION, whole
from harness.networks.tasks.task import Scores
from harness.pipeline import Network
from harness.pruning import saved
from harness.quantisation.answering import QuantisedNetwork
from harness.records import benchmark_json, stored_files
from harness.records.benchmark_json import BenchmarkFile
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy
from search.proof.entrants import Entrant
from search.proof.tuning import Tuned
from search.records import outcome
from search.records.losses.certainty import Evidence
from search.records.losses.drop import Drop, Paired, drop_over_seeds
from search.records.outcome import Contender, Repeat
from search.records.trial import RunsIn
from search.space import compiling
from search.space.bench_run import Bench, run_bench
from search.space.compiling import Tell
from search.workers.sized import AtSize, Sized, at

Right = dict[str, Scores]
"""Every image's part in the metric (which were answered rightly) for every entrant, by its name: seeds x images."""


Curses = Mapping[tuple[PruningConfig, RunsIn], float]
"""Points by which the search's luck flatters a configuration as it runs, which is named as entrants name it."""


def right_answers(tuned: Sequence[Tuned], split: Split, sized: Mapping[str, Split] = MappingProxyType({})) -> Right:
    """What every tuned network answers on ``split``. sized: its pictures at further sizes, for networks that run on those."""
    found = {}
    for entry in tuned:
        seen = sized[entry.entrant.size] if entry.entrant.size else split
        found[entry.entrant.name] = _scores(entry, seen)
    return found


def validation_drops(tuned: Sequence[Tuned], right: Right) -> dict[str, Drop]:
    """What every candidate lost against the dense network tuned alike, by name: over all seeds, image by image of ``right``."""
    seen = {entry.entrant.name: [one.validation for one in entry.judged] for entry in tuned}
    dense = next(entry.entrant.name for entry in tuned if entry.entrant.role == "dense")
    candidates = [entry.entrant.name for entry in tuned if entry.entrant.role == "candidate"]
    return {name: drop_over_seeds(seen[name], seen[dense], Paired.of(right[name], right[dense])) for name in candidates}


def evidence(tuned: Sequence[Tuned], right: Right, curses: Curses = MappingProxyType({}), role: str = "candidate") -> dict[str, Evidence]:
    """What is known of the true drop of every network of a role, of the candidates unless another is given; by name."""
    seen = {entry.entrant.name: [one.validation for one in entry.judged] for entry in tuned}
    dense = next(entry.entrant.name for entry in tuned if entry.entrant.role == "dense")
    return {
        one.name: Evidence.of(
            seen[one.name],
            seen[dense],
            Paired.of(right[one.name], right[dense]),
            curse_points=curses.get((one.config, one.runs_in), 0.0),
        )
        for one in (entry.entrant for entry in tuned)
        if one.role == role
    }


def choose(
    candidates: Sequence[Entrant],
    drops: Mapping[str, float],
    chances: Mapping[str, float],
    costs: Mapping[str, float],
    dense_cost: float,
    certainty: float,
    max_latency_s: float | None,
) -> Entrant:
    """The candidate to stand for the campaign, judged without the test split.

    drops: points lost. chances: probabilities of losing no more than the limit; empty where there is none. costs: as predicted. All by
    name. Of those that meet ``max_latency_s`` (or miss it by least) and are predicted faster than ``dense_cost`` (if any is) the fastest
    that keeps the limit with ``certainty``, else the most certain one. Without a limit the least drop decides alone.
    """
    ceiling = float("inf") if max_latency_s is None else max_latency_s
    least = min(max(0.0, costs[one.name] / ceiling - 1) for one in candidates)
    near = [one for one in candidates if max(0.0, costs[one.name] / ceiling - 1) == least]
    if not chances:
        return min(near, key=lambda one: drops[one.name])
    able = [one for one in near if costs[one.name] < dense_cost] or near
    certain = [one for one in able if chances[one.name] >= certainty]
    if certain:
        return min(certain, key=lambda one: costs[one.name])
    return min(able, key=lambda one: (-chances[one.name], drops[one.name], costs[one.name]))


def write_contenders(
    network: Network,
    dataset: Dataset,
    tuned: Sequence[Tuned],
    chosen: Entrant,
    right: Right,
    untouched: Scores,
    folder: Path,
    known: Mapping[str, Evidence] = MappingProxyType({}),
    sized: Sized = MappingProxyType({}),
) -> tuple[Contender, ...]:
    """Export every tuned network into the campaign's folder and read the test split, once, after the choice is made.

    right: what all of them answered on the validation split. untouched: what the dense network, as it came, answers rightly of the test
    split. known: what the choice was made by. sized: network and data at further sizes of the pictures. The chosen one is also written as
    ``config.json``, ``weights.safetensors`` and ``model.onnx``.
    """
    (folder / "contenders").mkdir(exist_ok=True)
    each = [at(network, dataset, sized, entry.entrant.size) for entry in tuned]
    on_test = {entry.entrant.name: _scores(entry, seen.dataset.test) for entry, seen in zip(tuned, each, strict=True)}
    dense = next(entry.entrant.name for entry in tuned if entry.entrant.role == "dense")
    written = []
    for entry, subject in zip(tuned, each, strict=True):
        name = entry.entrant.name
        contender = _write_contender(subject, entry, name == chosen.name, folder, on_test[name])
        if name != dense:
            paired, paired_validation = (Paired.of(found[name], found[dense]) for found in (on_test, right))
            contender = replace(contender, paired=paired, paired_validation=paired_validation)
        if name in known:
            contender = replace(contender, folds=known[name].folds, curse_points=known[name].curse_points)
        written.append(replace(contender, paired_untouched=Paired.of(on_test[name], untouched[None])))
    return tuple(written)


def _write_contender(subject: AtSize, entry: Tuned, is_chosen: bool, folder: Path, scores: Scores) -> Contender:
    network, dataset = subject
    entrant, architecture, deployed = entry.entrant, network.architecture, entry.judged[0]
    role, name = ("optimised", "optimised") if is_chosen else (entrant.role, entrant.name)
    quantised = deployed.model.quantised if isinstance(deployed.model, QuantisedNetwork) else None
    in_float = deployed.model.in_float if isinstance(deployed.model, QuantisedNetwork) else deployed.model
    artefact = export.export(in_float, architecture.input_shape, name) if quantised is None else quantised.artefact
    if quantised is None and entrant.precision:
        artefact = onnx_graph.stamped(artefact, entrant.precision)
    path = folder / "contenders" / f"{name}.onnx"
    stored_files.replace(path, artefact.onnx)
    if dataset.task.name == CLASSIFICATION.name:  # others' outputs may be large: the host answers again where they are compared
        stored_files.replace(path.with_suffix(".logits.npy"), _npy(whole(accuracy.answers(deployed.model, dataset.test)).numpy()))
    if is_chosen:
        about = (network.name, architecture.input_shape, architecture.classes, dataset.preprocessing, dataset.task)
        saved.save(folder, entrant.config, in_float, *about)
        stored_files.replace(folder / "model.onnx", artefact.onnx)
    repeats = tuple(Repeat(one.seed, one.validation, accuracy.count(seen)) for one, seen in zip(entry.judged, scores, strict=True))
    return Contender(
        name=name,
        role=role,
        config=entrant.config,
        macs=architecture.macs(entrant.config),
        parameters=_parameters(deployed.model),
        validation=deployed.validation,
        test=repeats[0].test,
        artefact_digest=artefact.digest,
        onnx=str(path.relative_to(folder)),
        source=entrant.source,
        repeats=repeats,
        precision=entrant.precision,
        size=entrant.size,
    )


def measure(bench: Bench, folder: Path, contenders: Sequence[Contender], rounds: int, say: Callable[[str], None]) -> Path:
    """Measure all contenders on the device in interleaved rounds, and let the device itself answer the test split.

    A network that stands under two names is measured once.
    """
    different = {contender.artefact_digest: contender for contender in reversed(contenders)}
    given = [f"--contender={one.name}={folder / one.onnx}" for one in contenders if different[one.artefact_digest] is one]
    path = folder / outcome.PROOF
    run_bench(("test_verdict.py", "test_accuracy.py"), path, [*bench.options(), "--tell-only", f"--rounds={rounds}", *given], say)
    return path


def compile_all(bench: Bench, folder: Path, network: Network, contenders: Sequence[Contender], tell: Tell) -> Path:
    """The compiled cost of every contender's widths, which its weights do not move; nothing is measured.

    A configuration that stands under several names is compiled once, and one that was compiled before not at all.
    """
    found = compiling.compile_all(bench, network, dict.fromkeys(one.config for one in contenders), tell)
    benchmark_json.write(folder / outcome.COMPARED, BenchmarkFile((), (network.architecture,), compilations=tuple(found)))
    return folder / outcome.COMPARED


def now() -> str:
    """The present moment, ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _scores(entry: Tuned, split: Split) -> Scores:
    """Seeds x images."""
    stacked: Scores = np.array([accuracy.scores(one.model, split) for one in entry.judged])
    return stacked


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _npy(array: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
