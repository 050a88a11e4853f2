"""Plans a campaign on this machine: before its first step, and again when it is known how long the first ones took."""

from __future__ import annotations

from dataclasses import replace

from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.progress import clock
from harness.quantisation.answering import runs_int8
from harness.records.architecture import Architecture
from harness.training import baseline
from harness.training.speed import answers
from search.campaign.plan import steps
from search.campaign.plan.steps import Pace, Plan, Scope
from search.campaign.plan.training_speed import Trained
from search.campaign.subject import bench_of, dense_training
from search.records.display import Display
from search.records.recipe_record import RecipeRecord
from search.records.request import Request
from search.space import compiling
from search.space.goals import objective_of

NETWORK_S, COMPARED_S = 0.35, 5.0  # of measuring, on two cores of an AMD EPYC, where this machine has not measured this network before
UNTRIED_IMAGES_PER_S = 500.0  # a fork, which keeps its campaign's way of training and tries none
KIND, DESIGNED, COMPARED = "pace", "designed", "compared"


def first(request: Request, dataset: Dataset, trained: Trained, display: Display, architecture: Architecture | None = None) -> Plan:
    """The plan of a whole campaign, said. Its request asks for as much as there is time for. architecture: of one that will be compiled."""
    speed = trained.images_per_s or UNTRIED_IMAGES_PER_S
    pace = Pace(speed, _remembered(request, DESIGNED, NETWORK_S), _remembered(request, COMPARED, COMPARED_S))
    scope = _scope(request, dataset)
    if objective_of(request).is_compiled and architecture is not None:
        scope = replace(scope, to_compile=compiling.missing(bench_of(request), architecture))
    found = steps.fit(request, scope, pace, display.elapsed_s)
    for line in found.lines:
        display.say(line)
    return found


def again(before: Plan, dataset: Dataset, record: RecipeRecord, fast_share: float, display: Display) -> Plan:
    """The plan of what is left once the recipe is settled, by what that took and how often the machine was in its fast state.

    fast_share: of the blocks in which the designed networks were measured. Trials and repetitions grow again, to what was asked for at
    most, where there is time; whatever changes is said.
    """
    request, pace, asked = before.request, before.pace, before.asked or before.request
    if before.open_contender and request.global_pruning:
        request = replace(request, global_pruning=None)  # it may yet prove too much
    scope = replace(_scope(request, dataset), is_settled=True, fast_share=fast_share)
    if record.trials_worth > 0:
        trial_s = record.seconds / record.trials_worth
        tuning_s = max(trial_s - steps.PRUNE_S, trial_s / 2)  # pruning is planned by itself
        pace = replace(pace, images_per_s=request.search_epochs * scope.train_images / tuning_s)
    fullest = replace(request, trials=asked.trials, finalists=asked.finalists)
    found = steps.fit(fullest, scope, pace, display.elapsed_s)
    if changed := steps.cut(request, found.request):
        more = found.request.trials > request.trials or found.request.finalists > request.finalists
        why = "there is time for it" if more else "the first steps took longer than planned"
        display.say(f"plan: {'; '.join(changed)}, for {why}; about {clock(found.seconds)} in all")
    return found


def remember(request: Request, what: str, seconds: float, networks: int) -> None:
    """Keep for the next campaign how long measuring one network took, ``what`` being ``DESIGNED`` or ``COMPARED``."""
    if networks:
        answers.keep(KIND, _key(request, what), repr(seconds / networks))


def _remembered(request: Request, what: str, otherwise: float) -> float:
    text, _ = answers.find(KIND, _key(request, what))
    return otherwise if text is None else float(text)


def _key(request: Request, what: str) -> tuple[str, ...]:
    return (what, request.network, zoo.source_digest(request.network), request.device, request.precision)


def _scope(request: Request, dataset: Dataset) -> Scope:
    dense = dense_training(request, dataset.task)
    trained = request.weights is not None or baseline.cached_path(request.network, dataset, dense).is_file()
    compiled = objective_of(request).is_compiled
    folder, stem = bench_of(request).folder, bench_of(request).stem
    return Scope(
        train_images=len(dataset.train),
        seen_images=len(dataset.train) + len(dataset.validation) + len(dataset.test),
        dense_epochs=0.0 if trained else dense.epochs,
        is_measured=any(folder.glob(f"{stem}*.json")),
        runs_int8=not compiled and runs_int8(request.device),
        to_compile=0 if compiled else None,
    )
