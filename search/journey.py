"""A campaign from the dense network to the report: each step a function, the order of steps here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from harness.errors import CampaignError, UsageError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.pruning import off_the_shelf, saved
from harness.records.accuracy import Accuracy
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy, baseline, recipes
from search import campaign, legal_widths, measurements, outcome, proof, report, summary
from search.campaign import CampaignResult, CampaignSettings
from search.command_line import Request, folder_name
from search.display import Display
from search.evaluation import PipelineEvaluate
from search.goals import Goal
from search.measurements import Bench, Stored
from search.outcome import MEASUREMENTS, Outcome
from search.space import SearchSpace
from search.watch import Watch

REQUEST, DENSE = "request.json", "dense/weights.safetensors"
SCHEMA = 1
FINALISTS = 3  # found configurations that enter the final comparison


@dataclass(frozen=True)
class Subject:
    """The dense network of a campaign with its data."""

    network: Network
    dataset: Dataset
    dense: Accuracy


def run(request: Request, display: Display) -> Path:
    """A new campaign, from the first step to the last; returns its folder.

    Whatever can be refused is refused before anything is written. Raises the harness's errors.
    """
    request = replace(request, name=_free_name(request))
    folder = request.campaigns / str(request.name)
    _print_request(request, display)
    dataset = datasets.load(request.dataset, request.data)
    subject = dense_network(request, dataset, display)
    stored = stored_latencies(request, subject.network, display)
    _begin(folder, request, subject.network, stored)
    return _search_and_prove(folder, request, subject, stored, display, resume=False)


def resume(name: str, reports: Path, display: Display) -> Path:
    """Go on with a campaign from its folder alone; CampaignError when there is none, or nothing is left to do."""
    folder = existing(name, reports)
    request = replace(_read_request(folder), reports=reports)
    if (folder / outcome.CONTENDERS).is_file() and (folder / outcome.PROOF).is_file():
        display.say(f"campaign {name} is finished; writing its report again")
        report.write(summary.load(folder))
        return folder
    dataset = datasets.load(request.dataset, request.data)
    subject = dense_network(replace(request, weights=folder / DENSE), dataset, display)
    stored = measurements.read(folder / MEASUREMENTS, subject.network.architecture, request.precision)
    return _search_and_prove(folder, request, subject, stored, display, resume=(folder / outcome.JOURNAL).is_file())


def existing(name: str, reports: Path) -> Path:
    """The folder of a campaign that exists; CampaignError names those that do."""
    folder = reports / "campaigns" / folder_name(name)
    if not (folder / REQUEST).is_file():
        known = sorted(found.parent.name for found in (reports / "campaigns").glob(f"*/{REQUEST}"))
        raise CampaignError(f"there is no campaign {name!r} in {reports / 'campaigns'}: choose one of {', '.join(known) or '(none yet)'}")
    return folder


def dense_network(request: Request, dataset: Dataset, display: Display) -> Subject:
    """The dense network, from ``--weights``, from the cache, or trained now; judged on the validation split."""
    if request.weights is not None:
        network = Network.by_name(request.network, dataset, request.weights)
    else:
        with display.step("training the dense network") as bar:
            recipe = recipes.dense_recipe(dataset.name)
            model = baseline.dense(request.network, dataset, recipe, progress=lambda done, steps: bar.at(done, steps))
        network = Network.wrap(request.network, model, dataset.input_shape, dataset.classes)
    judged = accuracy.evaluate(network.model, dataset.validation)
    display.say(f"dense {request.network}: validation top-1 {judged.top1_ratio:.2%} ({judged.correct} of {judged.total})")
    return Subject(network, dataset, judged)


def stored_latencies(request: Request, network: Network, display: Display) -> Stored:
    """The measurements from which latencies are predicted: found on disk, or measured now."""
    with display.timed("latencies of the designed networks"):
        stored = measurements.find_or_measure(bench_of(request), network.architecture, request.designs, display.say)
    judged = stored.predictor.held_out
    display.say("predictor: not judged, no held-out networks are stored" if judged is None else f"predictor: {judged.sentence()}")
    return stored


def bench_of(request: Request) -> Bench:
    """What a bench run must be told for this campaign."""
    return Bench(request.device, request.network, request.dataset, request.data, request.precision, request.reports)


def space_of(request: Request, network: Network, stored: Stored) -> tuple[SearchSpace, tuple[PruningConfig, ...]]:
    """The legal configurations, and the published ones that are tried as they are."""
    published = tuple(named.config for named in off_the_shelf.named_configs(network.architecture))
    legal = legal_widths.of(stored.predictor, network.architecture)
    return SearchSpace(network.architecture, legal, exact=published, moves=request.space), published


def _search_and_prove(folder: Path, request: Request, subject: Subject, stored: Stored, display: Display, resume: bool) -> Path:
    result = _search(folder, request, subject, stored, display, resume)
    told = _prove(folder, request, subject, stored, result, display)
    outcome.write(folder, told)
    with display.step("report"):
        report.write(summary.load(folder))
    return folder


def _search(folder: Path, request: Request, subject: Subject, stored: Stored, display: Display, resume: bool) -> CampaignResult:
    space, published = space_of(request, subject.network, stored)
    settings = CampaignSettings(
        name=str(request.name),
        seed=request.seed,
        trials=request.trials,
        budget_epochs=request.budget,
        goal=Goal(request.drop_limit_points, None if request.max_latency_ms is None else request.max_latency_ms * 1e-3),
        measurements=_digest((folder / MEASUREMENTS).read_bytes()),
        accuracy=_digest((folder / DENSE).read_bytes() + subject.dataset.digest.encode()),
    )
    evaluate = PipelineEvaluate(
        subject.network, subject.dataset, recipes.tuning_recipe(subject.dataset.name, request.budget, request.seed), subject.dense
    )
    with display.step("search", settings.trials) as bar:
        watch = Watch(display, bar)
        return campaign.run(settings, space, stored.predictor, evaluate, folder, watch, published=published, resume=resume)


def _prove(folder: Path, request: Request, subject: Subject, stored: Stored, result: CampaignResult, display: Display) -> Outcome:
    network, dataset = subject.network, subject.dataset
    found = proof.finalists(result, FINALISTS)
    entered = proof.entrants(network.architecture, stored.predictor, found)
    recipe = recipes.tuning_recipe(dataset.name, request.proof_budget, request.seed)
    with display.step("tuning the networks to compare", len(entered)) as bar:
        place = {entrant.name: index for index, entrant in enumerate(entered)}
        tuned = proof.tune(
            network, dataset, entered, recipe, lambda name, done, steps: bar.at(place[name] + done / max(steps, 1), note=name)
        )
    limit_s = None if request.max_latency_ms is None else request.max_latency_ms * 1e-3
    seconds = {entrant.name: proof.seconds_of(network.architecture, stored.predictor, entrant.config) for entrant in entered}
    chosen = proof.choose(tuned, seconds, request.drop_limit_points, limit_s)
    contenders = proof.write_contenders(network, dataset, tuned, chosen, folder)
    with display.timed("measuring the compared networks"):
        proof.measure(bench_of(request), folder, contenders, request.rounds, display.say)
    return Outcome(
        name=str(request.name),
        command=request.command,
        network=request.network,
        dataset=dataset.name,
        device=request.device,
        precision=request.precision,
        max_drop_points=request.drop_limit_points,
        max_latency_s=limit_s,
        settings=request.shown,
        split_sizes=(len(dataset.train.labels), len(dataset.validation.labels), len(dataset.test.labels)),
        proof_recipe=str(recipe),
        contenders=contenders,
        seconds=tuple(display.seconds.items()),
        finished_at=proof.now(),
    )


def _begin(folder: Path, request: Request, network: Network, stored: Stored) -> None:
    """Lay the campaign's folder: all that resuming needs, on this machine or another one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    laid = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(laid, ignore_errors=True)
    laid.mkdir()
    architecture = network.architecture
    saved.save((laid / DENSE).parent, architecture.dense(), network.model, network.name, architecture.input_shape, architecture.classes)
    shutil.copyfile(stored.path, laid / MEASUREMENTS)
    document = {"schema": SCHEMA, **{key: str(value) if isinstance(value, Path) else value for key, value in asdict(request).items()}}
    (laid / REQUEST).write_text(json.dumps(document, indent=1))
    try:
        os.rename(laid, folder)
    except OSError as error:
        shutil.rmtree(laid, ignore_errors=True)
        raise CampaignError(f"campaign {folder.name} exists already in {folder.parent}; choose another --name") from error


def _read_request(folder: Path) -> Request:
    try:
        document: dict[str, Any] = json.loads((folder / REQUEST).read_bytes())
        if document.pop("schema") != SCHEMA:
            raise CampaignError(f"{folder / REQUEST} is of another schema than {SCHEMA}; use the Espalier that wrote it")
        paths = {field.name for field in fields(Request) if "Path" in str(field.type)}
        parsed: dict[str, Any] = {key: Path(value) if key in paths and value is not None else value for key, value in document.items()}
        return Request(**parsed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CampaignError(f"{folder / REQUEST} is broken ({error}); start the campaign again") from error


def _free_name(request: Request) -> str:
    if request.name is not None:
        if (request.campaigns / request.name).exists():
            raise UsageError(f"campaign {request.name} exists already in {request.campaigns}; resume it, or choose another --name")
        return request.name
    network, dataset = (Path(part.replace(":", "-").replace("/", "-")).name for part in (request.network, request.dataset))
    stem = folder_name(f"{network}-{dataset}-{request.device}" + ("" if request.precision == "f32" else f"-{request.precision}"))
    names: Sequence[str] = (stem, *(f"{stem}-{number}" for number in range(2, 10000)))
    return next(name for name in names if not (request.campaigns / name).exists())


def _print_request(request: Request, display: Display) -> None:
    for option, setting in request.shown:
        display.say(f"  {option:16} {setting}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
