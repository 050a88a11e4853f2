"""The proof: the found networks, the dense one, the off-the-shelf ones and a uniform one, tuned alike and measured together."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from harness.errors import CampaignError
from harness.networks import export
from harness.networks.datasets import Dataset
from harness.pipeline import Compressed, Network, compress
from harness.pruning import off_the_shelf, saved
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy
from harness.training.recipes import Recipe
from search import choice, outcome
from search.measurements import Bench, run_bench
from search.outcome import Contender
from search.result import CampaignResult
from search.trial import KnownLatency

Progress = Callable[[str, int, int], None]  # contender, steps done, steps in all


@dataclass(frozen=True)
class Entrant:
    """A configuration that enters the final comparison, not yet tuned. criterion: which of its channels stay."""

    name: str
    role: str
    config: PruningConfig
    criterion: str = "l1"
    source: str = ""


def finalists(result: CampaignResult, count: int) -> list[tuple[PruningConfig, str]]:
    """``(configuration, criterion)`` of the recommended one, then of those that might be chosen, each configuration once.

    CampaignError when no trial succeeded.
    """
    if result.chosen is None:
        raise CampaignError(
            "no trial of the campaign succeeded, so there is nothing to compare; look into its journal, then start it again"
        )
    ranked = [result.chosen, *choice.finalists(result.standings, result.settings.goal, count), *result.front]
    distinct: dict[PruningConfig, str] = {}
    for standing in ranked:
        distinct.setdefault(standing.config, standing.recipe.criterion)
    return list(distinct.items())[:count]


def entrants(architecture: Architecture, latency: KnownLatency, found: Sequence[tuple[PruningConfig, str]]) -> list[Entrant]:
    """Who is compared: dense, the published configurations, a uniform one at the best found one's latency, the found ones.

    found: ``(configuration, criterion)`` pairs, best first; all start as candidates.
    """
    published = [
        Entrant(named.name, "off-the-shelf", named.config, source=named.source) for named in off_the_shelf.named_configs(architecture)
    ]
    equal = uniform_at(architecture, latency, float(seconds_of(architecture, latency, found[0][0])))
    best = [Entrant(f"optimised-{place}", "candidate", config, criterion) for place, (config, criterion) in enumerate(found, start=1)]
    return [Entrant("dense", "dense", architecture.dense()), *published, Entrant("uniform", "uniform", equal), *best]


def seconds_of(architecture: Architecture, latency: KnownLatency, config: PruningConfig) -> float:
    """Predicted seconds of one configuration."""
    row = np.array([[config.kept(group.name) for group in architecture.groups]], dtype=np.int64)
    return float(latency.seconds(row)[0])


def uniform_at(architecture: Architecture, latency: KnownLatency, seconds: float) -> PruningConfig:
    """The uniform keep ratio, in steps of 1 %, whose predicted latency is nearest to ``seconds``."""
    ratios = np.arange(0.05, 1.0001, 0.01)
    configs = [architecture.uniform(float(ratio)) for ratio in ratios]
    rows = np.array([[config.kept(group.name) for group in architecture.groups] for config in configs], dtype=np.int64)
    return configs[int(np.argmin(np.abs(latency.seconds(rows) - seconds)))]


@dataclass(frozen=True)
class Tuned:
    """An entrant after the common fine-tuning."""

    entrant: Entrant
    compressed: Compressed


def tune(network: Network, dataset: Dataset, entered: Sequence[Entrant], recipe: Recipe, progress: Progress) -> list[Tuned]:
    """Fine-tune every entrant by the same recipe; the dense network too, so that more training is no advantage."""
    tuned = []
    for entrant in entered:
        progress(entrant.name, 0, 1)
        steps = _steps(entrant.name, progress)
        tuned.append(Tuned(entrant, compress(network, dataset, entrant.config, entrant.criterion, recipe, steps)))
    return tuned


def _steps(name: str, progress: Progress) -> Callable[[int, int], None]:
    return lambda done, steps: progress(name, done, steps)


def choose(tuned: Sequence[Tuned], seconds: Mapping[str, float], max_drop_points: float | None, max_latency_s: float | None) -> str:
    """Name of the candidate to stand for the campaign, judged on validation only.

    seconds: predicted latency by entrant. The fastest that loses at most ``max_drop_points`` against the dense network
    tuned alike and meets ``max_latency_s``; with no drop limit the most accurate that meets the latency; where none qualifies, the one that
    misses by least.
    """
    dense = next(entry for entry in tuned if entry.entrant.role == "dense").compressed.validation.top1_ratio
    limit = float("inf") if max_drop_points is None else max_drop_points
    ceiling = float("inf") if max_latency_s is None else max_latency_s

    def merit(entry: Tuned) -> tuple[float, float]:
        drop, cost = 100 * (dense - entry.compressed.validation.top1_ratio), seconds[entry.entrant.name]
        missed = max(0.0, drop - limit) + 100 * max(0.0, cost / ceiling - 1)
        return missed, drop if max_drop_points is None else cost

    return min((entry for entry in tuned if entry.entrant.role == "candidate"), key=merit).entrant.name


def write_contenders(network: Network, dataset: Dataset, tuned: Sequence[Tuned], chosen: str, folder: Path) -> tuple[Contender, ...]:
    """Export every tuned network into the campaign's folder and read the test split, once, after the choice is made.

    The chosen one is also written as ``config.json``, ``weights.safetensors`` and ``model.onnx``.
    """
    exported = folder / "contenders"
    exported.mkdir(exist_ok=True)
    contenders = []
    for entry in tuned:
        entrant, model = entry.entrant, entry.compressed.model
        role, name = ("optimised", "optimised") if entrant.name == chosen else (entrant.role, entrant.name)
        artefact = export.export(model, network.architecture.input_shape, name)
        path = exported / f"{name}.onnx"
        _write_whole(path, artefact.onnx)
        logits = accuracy.answers(model, dataset.test)
        _write_whole(path.with_suffix(".logits.npy"), _npy(logits.numpy()))
        if role == "optimised":
            saved.save(folder, entrant.config, model, network.name, network.architecture.input_shape, network.architecture.classes)
            _write_whole(folder / "model.onnx", artefact.onnx)
        contenders.append(
            Contender(
                name=name,
                role=role,
                config=entrant.config,
                macs=network.architecture.macs(entrant.config),
                parameters=_parameters(model),
                validation=entry.compressed.validation,
                test=accuracy.of(logits, dataset.test),
                artefact_digest=artefact.digest,
                onnx=str(path.relative_to(folder)),
                source=entrant.source,
            )
        )
    return tuple(contenders)


def measure(bench: Bench, folder: Path, contenders: Sequence[Contender], rounds: int, say: Callable[[str], None]) -> Path:
    """Measure all contenders on the device in interleaved rounds, and let the device itself answer the test split."""
    given = [f"--contender={contender.name}={folder / contender.onnx}" for contender in contenders]
    path = folder / outcome.PROOF
    run_bench(("test_verdict.py", "test_accuracy.py"), path, [*bench.options(), f"--rounds={rounds}", *given], say)
    return path


def now() -> str:
    """The present moment, ISO 8601, UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _npy(array: NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
