"""A campaign from the dense network to the report: each step a function, the order of steps here."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import CampaignError
from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.pruning import off_the_shelf
from harness.records.accuracy import Accuracy
from harness.records.pruning_config import PruningConfig
from harness.training import accuracy, baseline, recipes, stored_baseline
from search import campaign, entrants, journal, legal_widths, measurements, outcome, proof, report, sharing, summary, tuning, workers
from search import folder as folders
from search.command_line import Request
from search.compiled_widths import find_or_compile, of_campaign, replaced
from search.display import Display
from search.entrants import Entrant, Found
from search.evaluation import PipelineEvaluate
from search.goals import check_reachable
from search.measurements import Bench, Stored
from search.notes import recommendation
from search.outcome import MEASUREMENTS, Outcome
from search.pool import Pool
from search.pool import Progress as PoolProgress
from search.random_search import RandomSearch
from search.result import CampaignResult
from search.screened_latency import ScreenedLatency
from search.selector import Optimizer
from search.settings import CampaignSettings
from search.space import RecipeRanges, SearchSpace
from search.trial import Trial, TuningChoice
from search.tuning import Recipes, Tuned
from search.watch import Watch

FINALISTS = 3  # found configurations that enter the final comparison
DECISIVE = ("--trials", "--hours", "--patience", "--finalists", "--rival", "--from-scratch")  # what a comparison follows from


@dataclass(frozen=True)
class Subject:
    """The dense network of a campaign with its data."""

    network: Network
    dataset: Dataset
    dense: Accuracy


def run(request: Request, display: Display, without_device: bool = False) -> Path:
    """A new campaign, from the first step to the last; returns its folder.

    Where it is a fork, the old campaign's trials are taken over as far as they still apply. without_device: the device is elsewhere;
    latencies are predicted from stored measurements as they are, and the comparison is tuned but not measured: ``resume`` does that.
    Whatever can be refused is refused before anything is written. Raises the harness's errors.
    """
    if request.old is not None:
        folders.existing(request.old, request.reports)
    request = replace(request, name=folders.free_name(request))
    folder = request.campaigns / str(request.name)
    _print_request(request, display)
    if request.dask is not None:
        workers.check(request.dask)
    dataset = datasets.load(request.dataset, request.data)
    subject = dense_network(request, dataset, display)
    stored = stored_latencies(request, subject.network, display, without_device)
    _refuse_early(request, subject, stored)
    folders.lay(folder, request, subject.network, stored.path)
    stored.keep_widths(folder / MEASUREMENTS)
    return _search_and_prove(folder, request, subject, stored, display, resume=False, without_device=without_device)


def resume(
    name: str, reports: Path, display: Display, change: Callable[[Request], Request] = lambda old: old, without_device: bool = False
) -> Path:
    """Go on with a campaign from its folder alone; CampaignError when there is none.

    change: what is asked for anew, such as another number of trials; it is kept for the next time. A finished comparison is made
    again only when it lacks what is asked for: seeds, the rival, the shape trained from nothing. What was tuned is not tuned again.
    without_device: as for ``run``.
    """
    folder = folders.existing(name, reports)
    old = folders.read_request(folder)
    asked = change(old)
    request = replace(asked, reports=reports)
    if request.dask is not None:
        workers.check(request.dask)
    if asked != old:
        folders.write_request(folder, asked)
    if is_finished(folder, request):
        display.say(f"campaign {name} is finished; writing its report again")
        report.write(summary.load(folder))
        return folder
    dataset = datasets.load(request.dataset, request.data)
    if not (folder / folders.DENSE).is_file() and request.weights is not None:  # a campaign that came here without the large file
        folders.lay_dense(folder, Network.by_name(request.network, dataset, request.weights))
    subject = dense_network(replace(request, weights=folder / folders.DENSE), dataset, display)
    stored = measurements.read(folder / MEASUREMENTS, subject.network.architecture, request.precision)
    begun = (folder / outcome.JOURNAL).is_file()
    return _search_and_prove(folder, request, subject, stored, display, resume=begun, without_device=without_device)


def is_finished(folder: Path, request: Request) -> bool:
    """Whether the campaign's final comparison is on disk, made from what is asked for, with as many seeds."""
    if not outcome.is_compared(folder):
        return False
    try:
        told = outcome.read(folder)
    except CampaignError:  # broken: made again
        return False
    before, now = dict(told.settings), dict(request.shown)
    alike = all(before.get(name, now[name]) == now[name] for name in DECISIVE)
    return alike and all(len(contender.tests) >= request.proof_seeds for contender in told.contenders)


def _refuse_early(request: Request, subject: Subject, stored: Stored) -> None:
    """Whatever would end the search before its first trial ends it before anything is written."""
    workers.parse_resources(request.resources or "")
    if request.old is not None:
        _forked(request.old, request.reports, subject)
    if request.max_latency_s is not None and request.compiled_for is None:
        space, _ = space_of(request, subject.network, stored, subject.dataset.name)
        check_reachable(request.goal, space, ScreenedLatency(stored.predictor))


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


def stored_latencies(request: Request, network: Network, display: Display, without_device: bool = False) -> Stored:
    """The measurements from which latencies are predicted: found on disk, or measured now where the device is here."""
    look = measurements.find if without_device else measurements.find_or_measure
    with display.timed("latencies of the designed networks"):
        stored = look(bench_of(request), network.architecture, request.designs, display.say)
    judged = stored.predictor.held_out
    display.say("predictor: not judged, no held-out networks are stored" if judged is None else f"predictor: {judged.sentence()}")
    display.say(legal_widths.of(stored.predictor, stored.file.measurements).sentence())
    if request.compiled_for is not None:
        with display.timed("widths by the compiler"):
            found = find_or_compile(bench_of(request), request.compiled_for, network.architecture, display.say)
        display.say(found.sentence())
    return stored


def bench_of(request: Request) -> Bench:
    """What a bench run must be told for this campaign."""
    return Bench(request.device, request.network, request.dataset, request.data, request.precision, request.reports)


def space_of(request: Request, network: Network, stored: Stored, dataset: str) -> tuple[SearchSpace, tuple[PruningConfig, ...]]:
    """The legal configurations, and the published ones that are tried as they are."""
    published = tuple(named.config for named in off_the_shelf.named_configs(network.architecture))
    legal = legal_widths.of(stored.predictor, stored.file.measurements).by_group()
    if request.compiled_for is not None:
        folder, bench = request.campaigns / str(request.name), bench_of(request)
        legal = replaced(legal, of_campaign(folder, bench, request.compiled_for, network.architecture))
    recipe = recipes.tuning_recipe(dataset, request.budget)
    usual = TuningChoice("l1", "one-shot", recipe.learning_rate, recipe.weight_decay, recipe.label_smoothing, recipe.distillation)
    guided = (usual.distillation, usual.distillation)
    ranges = RecipeRanges(distillation=guided, off_the_shelf=usual)
    if request.recipe == "fixed":
        rate, decay, smoothing = usual.learning_rate, usual.weight_decay, usual.label_smoothing
        ranges = replace(ranges, learning_rate=(rate, rate), weight_decay=(decay, decay), label_smoothing=(smoothing, smoothing))
    return SearchSpace(network.architecture, legal, ranges, moves=request.space, exact=published), published


def _search_and_prove(
    folder: Path, request: Request, subject: Subject, stored: Stored, display: Display, resume: bool, without_device: bool
) -> Path:
    result = _search(folder, request, subject, stored, display, resume)
    if request.proof_seeds == 0:
        display.say(recommendation(result))
        return folder
    prepared = _prepare_proof(folder, request, subject, stored, result, display)
    if without_device:
        display.say(f"tuned; {request.device} is elsewhere: copy {folder} to where it is, and measure there: {_resuming(request)}")
        return folder
    told = _prove(folder, request, subject, prepared, display)
    outcome.write(folder, told)
    with display.step("report"):
        report.write(summary.load(folder))
    return folder


def _search(folder: Path, request: Request, subject: Subject, stored: Stored, display: Display, resume: bool) -> CampaignResult:
    space, published = space_of(request, subject.network, stored, subject.dataset.name)
    settings = _settings(folder, request, subject.dataset)
    base = recipes.tuning_recipe(subject.dataset.name, request.budget, request.seed)
    subject.network.prepare(subject.dataset, base)  # once, here, and not by every worker
    kept = folder if request.proof_seeds and request.proof_budget == request.budget else None
    evaluate = PipelineEvaluate(subject.network, subject.dataset, base, subject.dense, kept)
    imported: tuple[Trial, ...] = ()
    if resume:
        imported = journal.read(folder).imported
    elif request.old is not None:
        imported = _forked(request.old, request.reports, subject)
    elif request.share:
        imported = sharing.gather(request.campaigns, subject.network.architecture.digest, settings.accuracy, str(request.name))
    space, imported = sharing.widened(space, imported, settings.lengths)
    if imported:
        display.say(f"search: {len(imported)} trials of other campaigns on this network are taken over")
    with display.step("search", settings.trials) as bar:
        watch = Watch(display, bar)
        return campaign.run(
            settings,
            space,
            ScreenedLatency(stored.predictor),
            evaluate,
            folder,
            watch,
            published=published,
            imported=imported,
            resume=resume,
            guard=folders.unchanged(folder),
            pool=_cluster(request, evaluate),
            optimizer_class=RandomSearch if request.optimizer == "random" else Optimizer,
        )


def _forked(old: str, reports: Path, subject: Subject) -> tuple[Trial, ...]:
    """What a fork takes over; CampaignError where there is no such campaign, or it is about another network."""
    return sharing.fork(journal.read(folders.existing(old, reports)), subject.network.architecture.digest)


def _settings(folder: Path, request: Request, dataset: Dataset) -> CampaignSettings:
    return CampaignSettings(
        name=str(request.name),
        seed=request.seed,
        trials=request.trials,
        budget_epochs=request.budget,
        short_epochs=request.short,
        screen=request.screen,
        goal=request.goal,
        hours=math.inf if request.hours is None else request.hours,
        patience=request.patience,
        finalists=request.finalists,
        workers=request.workers,
        trial_timeout_s=math.inf if request.trial_timeout is None else request.trial_timeout,
        measurements=folders.digest((folder / MEASUREMENTS).read_bytes()),
        accuracy=folders.digest((folder / folders.DENSE).read_bytes() + dataset.digest.encode() + request.recipe.encode()),
    )


def _cluster(request: Request, evaluate: PipelineEvaluate) -> Callable[[PoolProgress], Pool] | None:
    if request.dask is None:
        return None
    address, needed = request.dask, workers.parse_resources(request.resources or "")
    timeout_s = math.inf if request.trial_timeout is None else request.trial_timeout
    return lambda progress: workers.DaskPool(address, evaluate, progress, timeout_s, needed)


@dataclass(frozen=True)
class _Prepared:
    """The networks of the final comparison, tuned by ``by``, and which of them stands for the campaign."""

    tuned: tuple[Tuned, ...]
    chosen: Entrant
    by: Recipes


def _prepare_proof(folder: Path, request: Request, subject: Subject, stored: Stored, result: CampaignResult, display: Display) -> _Prepared:
    network, dataset, latency = subject.network, subject.dataset, ScreenedLatency(stored.predictor)
    found = entrants.finalists(result, FINALISTS)
    entered = entrants.entrants(network.architecture, latency, found, _rival(request, subject, stored))
    by = _proof_recipes(request, dataset, result)
    tuned = _tuned(folder, request, subject, entered, by, "tuning the networks to compare", display)
    seconds = {entrant.name: entrants.seconds_of(network.architecture, latency, entrant.config) for entrant in entered}
    chosen = proof.choose(tuned, seconds, request.drop_limit_points, request.max_latency_s)
    if request.from_scratch:
        tuned += _tuned(folder, request, subject, [entrants.from_scratch(chosen)], by, "training the chosen shape from nothing", display)
    return _Prepared(tuple(tuned), chosen, by)


def _prove(folder: Path, request: Request, subject: Subject, prepared: _Prepared, display: Display) -> Outcome:
    network, dataset = subject.network, subject.dataset
    contenders = proof.write_contenders(network, dataset, prepared.tuned, prepared.chosen, folder)
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
        max_latency_s=request.max_latency_s,
        settings=request.shown,
        split_sizes=(len(dataset.train.labels), len(dataset.validation.labels), len(dataset.test.labels)),
        proof_recipe=str(prepared.by.tuning),
        contenders=contenders,
        seconds=tuple(display.seconds.items()),
        finished_at=proof.now(),
    )


def _tuned(
    folder: Path, request: Request, subject: Subject, entered: Sequence[Entrant], by: Recipes, step: str, display: Display
) -> list[Tuned]:
    """The entrants, tuned, under one bar that counts entrants and seeds."""
    trainings = len(entered) * request.proof_seeds
    with display.step(step, trainings) as bar:
        seen: dict[str, int] = {}

        def show(name: str, done: int, steps: int) -> None:
            bar.at(seen.setdefault(name, len(seen)) + done / max(steps, 1), note=name)

        return tuning.tune(subject.network, subject.dataset, entered, by, request.proof_seeds, folder, show, request.workers)


def _rival(request: Request, subject: Subject, stored: Stored) -> Found | None:
    """What the campaign named by ``--rival`` recommends, from its journal; CampaignError when it is about another network."""
    if request.rival is None:
        return None
    folder = folders.existing(request.rival, request.reports)
    theirs, told = folders.read_request(folder), journal.read(folder)
    if told.header.architecture != subject.network.architecture.digest:
        raise CampaignError(f"--rival={request.rival} is a campaign on another network; choose one on {request.network}")
    space, _ = space_of(theirs, subject.network, stored, subject.dataset.name)
    settings = _settings(folder, theirs, subject.dataset)
    space, _ = sharing.widened(space, told.imported, settings.lengths)
    return entrants.finalists(campaign.result_of(settings, space, ScreenedLatency(stored.predictor), told), 1)[0]


def _proof_recipes(request: Request, dataset: Dataset, result: CampaignResult) -> Recipes:
    """How the compared networks are tuned: the dataset's recipe, or with --recipe=searched the recommended trial's.

    From nothing, a network is trained as long as the dense one and the fine-tuning together.
    """
    tuned = recipes.tuning_recipe(dataset.name, request.proof_budget, request.seed)
    dense = stored_baseline.recipe_of(request.weights) or recipes.dense_recipe(dataset.name)
    scratch = replace(dense, epochs=dense.epochs + request.proof_budget, seed=request.seed)
    if request.recipe == "fixed" or result.chosen is None:
        return Recipes(tuned, scratch)
    found = result.chosen.recipe
    searched = replace(tuned, learning_rate=found.learning_rate, weight_decay=found.weight_decay, label_smoothing=found.label_smoothing)
    return Recipes(searched, scratch)


def _resuming(request: Request) -> str:
    return shlex.join(["python", "-m", "search", "resume", str(request.name), *_elsewhere(request)])


def _elsewhere(request: Request) -> list[str]:
    return [] if request.reports == Request().reports else [f"--reports={request.reports}"]


def _print_request(request: Request, display: Display) -> None:
    for option, setting in request.shown:
        display.say(f"  {option:16} {setting}")
