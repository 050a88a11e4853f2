"""A campaign from the dense network to the report: each step a function, the order of steps here."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.devices import spec
from harness.errors import CampaignError
from harness.files import leftovers
from harness.latency.verdict.machine_state import fast_share
from harness.training import recipes, stored_baseline
from search.campaign import campaign, common_recipe, dense_check, ends, group_look, sharing
from search.campaign.dense_check import DenseCheck
from search.campaign.notes import budgets_differ, helped, recommendation
from search.campaign.plan import first_look, layers_in_float, planning, precision_speed, training_speed
from search.campaign.result import CampaignResult
from search.campaign.subject import DESIGNED, Subject, bench_of, dataset_of, dense_network, divided, settings_of, space_of, stored_latencies
from search.campaign.watch import Watch
from search.optimizer.random_search import RandomSearch
from search.optimizer.selector import Optimizer
from search.proof import comparison
from search.records import folder as folders
from search.records import journal, kept_source, outcome, recipe_record, resolution, sensitivity_record, training_record
from search.records.display import Display
from search.records.recipe_record import RecipeRecord
from search.records.request import Request
from search.report.compiled import telling
from search.space import compiling, knowledge
from search.space.goals import check_choice, check_reachable, goal_of, objective_of
from search.space.knowledge import Knowledge
from search.space.measurements import Stored
from search.workers import dask_pool
from search.workers.evaluation import PipelineEvaluate

# what a comparison follows from
DECISIVE = ("--trials", "--hours", "--patience", "--finalists", "--rival", "--from-scratch", "--global-pruning")


@dataclass(frozen=True, slots=True)
class Done:
    """A campaign that went as far as it was asked to. limit_missed: nothing found keeps the largest drop that was allowed."""

    folder: Path
    limit_missed: bool = False


def run(request: Request, display: Display, without_device: bool = False) -> Done:
    """A new campaign, from the first step to the last.

    Where it is a fork, the old campaign's trials are taken over as far as they still apply. without_device: the device is elsewhere;
    latencies are predicted from stored measurements as they are, and the comparison is tuned but not measured: ``resume`` does that.
    Whatever can be refused is refused before anything is written. Raises the harness's errors.
    """
    _refuse_words(request)
    if request.old is not None:
        kept_source.take_own(folders.existing(request.old, request.reports), request, display.say, missing_only=True)
    request = replace(request, name=folders.free_name(request))
    request = divided(request, display.say)
    folder = request.campaigns / str(request.name)
    _print_request(request, display)
    if request.dask is not None:
        dask_pool.check(request.dask)
    dataset = dataset_of(request)
    display.metric = dataset.task.metric
    for note in dataset.notes:
        display.say(note)
    with display.timed("a first look at the network, untrained" if request.weights is None else "a first look at the network"):
        architecture = first_look.look(request, dataset, display, without_device)
    if not without_device and not objective_of(request).is_compiled:
        request = precision_speed.look(request, dataset, display)
    trained = training_speed.begin(request, dataset, display)
    plan = planning.first(request, dataset, trained, display, architecture)
    request = plan.request
    subject = dense_network(request, dataset, display)
    seen = _checked(request, subject, display)
    request = layers_in_float.look(request, subject, display)
    plan = replace(plan, request=request)
    stored = _known(request, subject, display, without_device)
    _refuse_early(request, subject, stored)
    folders.lay(folder, request, subject.network, stored.path if isinstance(stored, Stored) else None)
    kept_source.take_own(folder, request, display.say)  # the user may go on editing the file
    training_record.write(folder, trained.record)
    stored = knowledge.keep(stored, folder)
    for told in helped(stored, request.sizes) if isinstance(stored, Stored) else ():
        display.say(told)
    record = common_recipe.settle(folder, request, subject, seen, display)
    measured = stored.file.measurements if isinstance(stored, Stored) else ()
    plan = planning.again(plan, dataset, record, fast_share(one.latency for one in measured), display)
    folders.write_request(folder, plan.request)
    ends_s = math.inf if plan.limit_s is None else plan.search_s
    return _search_and_prove(
        folder, plan.request, subject, stored, record, display, resume=False, without_device=without_device, ends_s=ends_s
    )


def resume(
    name: str, reports: Path, display: Display, change: Callable[[Request], Request] = lambda old: old, without_device: bool = False
) -> Done:
    """Go on with a campaign from its folder alone; CampaignError when there is none.

    change: what is asked for anew, such as another number of trials; it is kept for the next time. A finished comparison is made
    again only when it lacks what is asked for: seeds, the rival, the shape trained from nothing. What was tuned is not tuned again.
    without_device: as for ``run``.
    """
    folder = folders.existing(name, reports)
    leftovers.sweep_files(folder)
    old = folders.read_request(folder)
    asked = request = change(old)
    if request.dask is not None:
        dask_pool.check(request.dask)
    if asked != old:
        folders.write_request(folder, asked)
    if is_finished(folder, request):
        display.say(f"campaign {name} is finished; writing its report again")
        return Done(folder, telling.write(folder))
    kept_source.take_own(folder, request, display.say)
    with_dense = replace(request, weights=folders.dense(folder, request))
    dataset = dataset_of(with_dense)
    display.metric = dataset.task.metric
    display.say(dataset.size_sentence)
    training_speed.go_on(folder, request, dataset, display)
    subject = dense_network(with_dense, dataset, display)
    if knowledge.is_kept(folder, request):
        stored = knowledge.read(folder, request, subject.architectures)
    else:  # killed while its compilations were copied, which the store has
        stored = knowledge.keep(_known(request, subject, display, without_device), folder)
    begun = (folder / outcome.JOURNAL).exists()
    if begun or (folder / recipe_record.FILE).is_file():
        record = common_recipe.known(folder, request, subject)
    else:  # killed before its first trial
        record = common_recipe.settle(folder, request, subject, _checked(request, subject, display), display)
    return _search_and_prove(folder, request, subject, stored, record, display, resume=begun, without_device=without_device)


def _checked(request: Request, subject: Subject, display: Display) -> DenseCheck:
    """The dense network judged on every split and by the way that trials take, before anything long is begun."""
    dense_check.refuse_chance(request, subject)
    with display.timed("checking the dense network"):
        recipe = common_recipe.base(request, subject.dataset)
        seen = dense_check.check(subject, recipe, goal_of(request).drop_limit, request.weights is not None)
    display.say(f"dense {request.network}: {seen.metric.name} {seen.sentence}")
    resolved = resolution.plan(request, stored_baseline.recipe_of(request.weights), subject.dense, len(subject.dataset.train))
    for told in (*seen.doubts, *(() if resolved is None else resolved.sentences)):
        display.say(told)
    return seen


def is_finished(folder: Path, request: Request) -> bool:
    """Whether the campaign's final comparison is on disk, made from what is asked for, with as many seeds."""
    if not outcome.is_compared(folder):
        return False
    try:
        told = outcome.read(folder)
    except CampaignError:  # broken: made again
        return False
    before, now = {**dict(Request().shown), **dict(told.settings)}, dict(request.shown)  # of before an option was there: without it
    alike = all(before[name] == now[name] for name in DECISIVE)
    return alike and all(len(contender.tests) >= request.proof_seeds for contender in told.contenders)


def _refuse_words(request: Request) -> None:
    """Whatever the words alone tell to be impossible here ends the campaign before the dense network is trained."""
    folders.writable(request.campaigns)
    spec.find(request.device)
    precision_speed.check(request)
    dask_pool.parse_resources(request.resources or "")
    if request.compiled_for is not None:
        spec.find(request.compiled_for)
    if objective_of(request).is_compiled:
        compiling.check_device(request.device)
    for epochs in (request.budget, request.proof_budget):
        recipes.tuning_recipe(request.dataset, epochs, request.seed)
    for name in (request.rival, request.old, request.warm_start):
        if name is not None:
            recipe_record.read(folders.existing(name, request.reports))
    comparison.check_rival(request)


def _refuse_early(request: Request, subject: Subject, stored: Knowledge) -> None:
    """Whatever would end the search before its first trial ends it before anything is written."""
    if request.old is not None:
        sharing.of_fork(request.old, request, subject.network.architecture.digest)
    if request.warm_start is not None:
        sharing.drops_in_full(request.warm_start, request.reports, subject.network.architecture)
    if request.compiled_for is None:
        space, published = space_of(request, subject.network, stored, common_recipe.base(request, subject.dataset))
        check_choice(space, published, request.precisions, objective_of(request))
        if request.max_latency_s is not None:
            check_reachable(goal_of(request), space, stored.known)


def _search_and_prove(
    folder: Path,
    request: Request,
    subject: Subject,
    stored: Knowledge,
    record: RecipeRecord,
    display: Display,
    resume: bool,
    without_device: bool,
    ends_s: float = math.inf,
) -> Done:
    result = _search(folder, request, subject, stored, record, display, resume, ends_s)
    reference = record.of_length(request.budget)
    end = ends.of(result, ends.lost_by_tuning(result) if reference is None else reference.harm.drop)
    ends.refuse(end)
    if request.proof_seeds == 0:
        display.say(recommendation(result, end))
        return Done(folder, end is not None)
    if end is not None:
        display.say(end.sentence)
    prepared = comparison.prepare(folder, request, subject, stored, record, result, display)
    compiled = objective_of(request).is_compiled
    if without_device and not compiled:
        display.say(f"tuned; {request.device} is elsewhere: copy {folder} to where it is, and measure there: {_resuming(request)}")
        return Done(folder, comparison.misses_limit(prepared, goal_of(request)))
    told = comparison.settle(folder, request, subject, prepared, display)
    if not compiled:
        planning.remember(request, planning.COMPARED, display.seconds[comparison.MEASURING], len(told.contenders))
    outcome.write(folder, told)
    with display.step("report"):
        limit_missed = telling.write(folder)
    return Done(folder, limit_missed)


def _known(request: Request, subject: Subject, display: Display, without_device: bool) -> Knowledge:
    """Stored measurements, or new ones, of which the next campaign shall know how long they took; or compilations."""
    if objective_of(request).is_compiled:
        return knowledge.compiled(bench_of(request), subject.network, display)
    before = set(bench_of(request).folder.glob("*.json"))
    stored = stored_latencies(request, subject.architectures, display, without_device)
    new = [one for one in (stored, *stored.others) if one.path not in before]
    planning.remember(request, planning.DESIGNED, display.seconds[DESIGNED], sum(len(one.file.measurements) for one in new))
    return stored


def _search(
    folder: Path,
    request: Request,
    subject: Subject,
    stored: Knowledge,
    record: RecipeRecord,
    display: Display,
    resume: bool,
    ends_s: float,
) -> CampaignResult:
    space, published = space_of(request, subject.network, stored, record.recipe)
    settings = replace(settings_of(folder, request, subject, record), ends_s=ends_s)
    if request.proof_seeds and (doubt := budgets_differ(request.budget, request.proof_budget)):
        display.say(doubt)
    kept = folder if request.proof_budget == request.budget else None  # a comparison, or a rival's, may yet want them
    precisions = request.precisions if len(request.precisions) > 1 else ()
    parts = (subject.network, subject.dataset, record, kept)
    evaluate = PipelineEvaluate(*parts, precisions=precisions, device=request.device, in_float=request.layers_in_float, sized=subject.sized)
    if resume:
        imported = journal.read(folder).imported
    else:
        imported = sharing.taken_over(request, subject.network.architecture.digest, settings.accuracy, display.say)
    space, imported = sharing.widened(space, imported, settings.lengths)
    imported = imported if resume else record.restated(imported)
    if imported:
        display.say(f"search: {len(imported)} trials of other campaigns on this network are taken over")
    seen = None
    if request.optimizer != "random" and not (
        resume and journal.read(folder).finished and not (folder / sensitivity_record.FILE).is_file()
    ):
        seen = group_look.settle(folder, subject, record.recipe.with_epochs(request.search_epochs), display)
    with display.step("search", settings.trials) as bar:
        watch = Watch(display, bar)
        return campaign.run(
            settings,
            space,
            stored.known,
            evaluate,
            folder,
            watch,
            published=published,
            imported=imported,
            resume=resume,
            guard=folders.unchanged(folders.known(folder, request)),
            pool=dask_pool.asked_for(request.dask, request.resources, request.trial_timeout, evaluate),
            prepare=lambda: subject.prepare(record.recipe),  # once, here, and not by every worker
            sensitivity=seen,
            warm=sharing.warm_start(request, space, stored.known, display.say),
            optimizer_class=RandomSearch if request.optimizer == "random" else Optimizer,
        )


def _resuming(request: Request) -> str:
    elsewhere = [] if request.reports == Request().reports else [f"--reports={request.reports}"]
    return shlex.join(["python", "-m", "search", "resume", str(request.name), *elsewhere])


def _print_request(request: Request, display: Display) -> None:
    for option, setting in request.shown:
        display.say(f"  {option:16} {setting}")
