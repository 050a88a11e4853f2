"""The final comparison of a campaign: who is in it, all tuned alike, and then measured where the device is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import CampaignError, HarnessError
from harness.networks.datasets import Dataset
from harness.networks.drawing import draw
from harness.quantisation import calibration
from harness.quantisation.answering import quantised_network, runs_int8
from harness.training import accuracy
from search.campaign import campaign, common_recipe, sharing
from search.campaign.result import CampaignResult
from search.campaign.subject import Subject, bench_of, dense_training, settings_of, space_of
from search.proof import entrants, global_cut, proof, tuning
from search.proof.choosing import Chooser
from search.proof.entrants import Entrant, Found
from search.proof.proof import Right
from search.proof.tuning import Recipes, Tuned
from search.records import folder as folders
from search.records import journal
from search.records.display import Display
from search.records.losses.certainty import Evidence
from search.records.outcome import IN_INT8, ROLES, Outcome, Untouched
from search.records.recipe_record import RecipeRecord
from search.records.request import QUANTISED, Request
from search.records.resolution import can_train_anew
from search.records.trial import KnownCost
from search.space.goals import Goal, objective_of
from search.space.knowledge import Knowledge
from search.space.screened_latency import cost_of
from search.workers.sized import at

MEASURING, COMPILING = "measuring the compared networks", "compiling the compared networks"  # the steps, for a person
FINALISTS = 3  # found configurations that enter the final comparison
FINALISTS_IN_DOUBT = 5  # where the predictor cannot tell neighbours apart, measuring must


@dataclass(frozen=True)
class Prepared:
    """The networks of the final comparison, tuned by ``by``, which of them stands for the campaign, and their validation answers.

    known: what is known of every candidate's drop, by name.
    """

    tuned: tuple[Tuned, ...]
    chosen: Entrant
    by: Recipes
    right: Right
    known: Mapping[str, Evidence]


def prepare(
    folder: Path, request: Request, subject: Subject, stored: Knowledge, record: RecipeRecord, result: CampaignResult, display: Display
) -> Prepared:
    """Tune every network of the comparison and choose among the found ones; nothing here needs the device."""
    network, dataset, known_cost = subject.network, subject.dataset, stored.known
    doubtful = stored.error_ratio > request.max_predictor_error
    full, smaller = (request.sizes or ("",))[0], request.sizes[1:]
    found = entrants.finalists(result, FINALISTS_IN_DOUBT if doubtful else FINALISTS, request.precisions[0], full=full)
    quantises = not objective_of(request).is_compiled and runs_int8(request.device) and _runs_in_int8(request, subject, display)
    shelf_stands = quantises and QUANTISED in request.precisions
    standing = found if request.pareto else entrants.with_published(network.architecture, found, shelf_stands, smaller)
    entered = entrants.entrants(network.architecture, standing, _rival(request, subject, stored), quantises, smaller)
    by = _proof_recipes(folder, request, dataset, record, result)
    for entrant in entered:
        if entrant.role == "random" and request.rival is not None:
            theirs = folders.existing(request.rival, request.reports)
            tuning.take_over(at(network, dataset, subject.sized, entrant.size), entrant, by, request.proof_seeds, theirs, folder)
    tuned = _tuned(folder, request, subject, entered, by, "tuning the networks to compare", request.proof_seeds, display)
    with display.timed("judging the tuned networks on the validation split"):
        right = proof.right_answers(tuned, dataset.validation, subject.sized_validation)
    dense = folders.dense_recipe(folder, request)
    trained = (dense or dense_training(request, dataset.task)) if can_train_anew(request, dense) else None
    curses = entrants.curses(result, request.precisions[0], full)
    decided = Chooser(folder, request, subject, known_cost, by, trained, display).decide(tuned, right, curses)
    right, chosen = decided.right, decided.chosen
    tuned = [entry for entry in decided.tuned if not entrants.is_spare(entry.entrant, found, chosen)]
    controls = _controls(request, subject, known_cost, chosen, display)
    seeds = len(tuned[0].judged)  # more than was asked for, where that was to help the choice
    held_against = _tuned(folder, request, subject, controls, by, "tuning what the chosen network is held against", seeds, display)
    right |= proof.right_answers(held_against, dataset.validation, subject.sized_validation)
    tuned += held_against
    known = dict(decided.known)
    if quantises and QUANTISED not in request.precisions:
        in_int8 = _chosen_in_int8(folder, request, subject, tuned, chosen, by, display)
        right |= proof.right_answers(in_int8, dataset.validation, subject.sized_validation)
        luck = {(config, there._replace(precision=QUANTISED)): points for (config, there), points in curses.items()}  # of f32, as chosen
        known |= proof.evidence([*tuned, *in_int8], right, luck, IN_INT8)
        tuned += in_int8
        _say_of_int8(known.get(IN_INT8), request.drop_limit_points, display)
    tuned.sort(key=lambda entry: ROLES.index(entry.entrant.role))
    return Prepared(tuple(tuned), chosen, by, right, known)


def _chosen_in_int8(
    folder: Path, request: Request, subject: Subject, tuned: Sequence[Tuned], chosen: Entrant, by: Recipes, display: Display
) -> list[Tuned]:
    """The chosen network quantised after training, tuned as it is already; none where it cannot be, which is said."""
    entrant = entrants.chosen_in_int8(chosen, [entry.entrant for entry in tuned])
    seeds = len(tuned[0].judged)
    try:
        return _tuned(folder, request, subject, [entrant], by, "quantising the chosen network", seeds, display)
    except HarnessError as error:
        display.say(f"the chosen network is not shown in INT8: {error}")
        return []


def _say_of_int8(known: Evidence | None, limit_points: float | None, display: Display) -> None:
    """What the chosen network loses in INT8 on the validation pictures, and how sure it is that it keeps the limit."""
    if known is None:
        return
    lost = known.drop
    chance = "" if limit_points is None else f", probability to keep the limit {known.chance_within(limit_points):.2f}"
    display.say(
        f"  {IN_INT8}: drop seen {known.seen_points:+.2f} points on {known.pictures} pictures, "
        f"true drop {lost.points:+.2f} ({lost.low:+.2f} to {lost.high:+.2f}){chance}"
    )


def _runs_in_int8(request: Request, subject: Subject, display: Display) -> bool:
    """Whether the dense network can be quantised, and then answers; said where it cannot: the comparison is held without it."""
    network, dataset = subject.network, subject.dataset
    try:
        with display.timed("quantising the dense network"):
            images = calibration.of(dataset, seed=request.seed)
            parts = (network.model, dataset.input_shape, network.name, images, request.device)
            quantised = quantised_network(*parts, request.layers_in_float)
            accuracy.scores(quantised, draw(dataset.validation, 1).split)
    except HarnessError as error:
        display.say(f"nothing quantised after training enters the comparison: {error}")
        return False
    return True


def _controls(request: Request, subject: Subject, known: KnownCost, chosen: Entrant, display: Display) -> list[Entrant]:
    """What the chosen network is held against, and is made in its likeness, at every size; what cannot be made is said.

    At a size at which the dense network is as fast as the chosen one already, that stands for it.
    """
    uniform = entrants.uniform(subject.network.architecture, known, chosen)
    if uniform.source:
        display.say(f"uniform is {uniform.source} ({chosen.name}): a uniform cut, tuned and measured once")
    elsewhere = _slower_sizes(request, subject, known, chosen)
    controls = [uniform, *(entrants.uniform(subject.network.architecture, known, chosen, size) for size in elsewhere)]
    if request.global_pruning:
        for size in (None, *elsewhere):
            with display.timed("cutting by global pruning"):
                there = at(subject.network, subject.dataset, subject.sized, chosen.size if size is None else size)
                cut = global_cut.entrants(*there, known, chosen, size, objective_of(request))
            controls += cut.entered
            for told in cut.left_out:
                display.say(told)
    return [*controls, entrants.from_scratch(chosen)] if request.from_scratch else controls


def _slower_sizes(request: Request, subject: Subject, known: KnownCost, chosen: Entrant) -> list[str]:
    """The other sizes than the chosen network's at which something must go for its latency; empty for the full one."""
    architecture, dense = subject.network.architecture, subject.network.architecture.dense()
    target_cost = cost_of(architecture, known, chosen.config, *chosen.runs_in)
    others = ["" if size == request.sizes[0] else size for size in request.sizes]
    return [size for size in others if size != chosen.size and cost_of(architecture, known, dense, chosen.precision, size) > target_cost]


def misses_limit(prepared: Prepared, goal: Goal) -> bool:
    """Whether none of the found networks keeps the goal's largest drop on the validation split."""
    return goal.missed_by(lost.points for lost in proof.validation_drops(prepared.tuned, prepared.right).values())


def settle(folder: Path, request: Request, subject: Subject, prepared: Prepared, display: Display) -> Outcome:
    """Export what was tuned, read the test split once, and measure all on the device, or compile all where compiled cost was lowered."""
    network, dataset = subject.network, subject.dataset
    untouched = accuracy.scores(network.model, dataset.test)
    contenders = proof.write_contenders(
        network, dataset, prepared.tuned, prepared.chosen, prepared.right, untouched, folder, prepared.known, subject.sized
    )
    if objective_of(request).is_compiled:
        with display.step(COMPILING) as bar:
            proof.compile_all(bench_of(request), folder, network, contenders, lambda done, total: bar.at(done, total))
    else:
        with display.timed(MEASURING):
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
        untouched=Untouched(subject.dense, accuracy.count(untouched)),
        certainty=request.certainty,
        metric=dataset.task.metric,
    )


def _tuned(
    folder: Path, request: Request, subject: Subject, entered: Sequence[Entrant], by: Recipes, step: str, seeds: int, display: Display
) -> list[Tuned]:
    """The entrants, tuned, under one bar that counts entrants and seeds."""
    trainings = len(entered) * seeds
    with display.step(step, trainings) as bar:
        seen: dict[str, int] = {}

        def show(name: str, done: int, steps: int) -> None:
            bar.at(seen.setdefault(name, len(seen)) + done / max(steps, 1), note=name)

        return tuning.tune(subject.network, subject.dataset, entered, by, seeds, folder, show, request.workers, subject.sized)


def check_rival(request: Request) -> None:
    """CampaignError for a rival that lowers another kind of cost: what it recommends is no answer to what is asked here."""
    if request.rival is None:
        return
    theirs = folders.read_request(folders.existing(request.rival, request.reports)).objective
    if theirs != request.objective:
        raise CampaignError(
            f"--rival={request.rival} lowers {theirs}, this campaign {request.objective}; name one with the same --objective"
        )


def _rival(request: Request, subject: Subject, stored: Knowledge) -> Found | None:
    """What the campaign named by ``--rival`` recommends of its own trials; CampaignError when it is about another network, or has none.

    What it took over from other campaigns was found by whoever proposed it there.
    """
    if request.rival is None:
        return None
    check_rival(request)
    folder = folders.existing(request.rival, request.reports)
    theirs, told = folders.read_request(folder), journal.read(folder)
    if told.header.architecture != subject.network.architecture.digest:
        raise CampaignError(f"--rival={request.rival} is a campaign on another network; choose one on {request.network}")
    told = replace(told, imported=())
    if not told.finished:
        raise CampaignError(f"--rival={request.rival} has no trial of its own; give it some: python -m search resume {request.rival}")
    if unknown := [size for size in theirs.sizes if size not in (request.sizes or (theirs.preparation.size,))]:
        all_sizes = ",".join(dict.fromkeys((*request.sizes, *theirs.sizes)))
        raise CampaignError(
            f"--rival={request.rival} may run at {unknown[0]}, which is no size here; start one with --input-size={all_sizes}"
        )
    record = common_recipe.known(folder, theirs, subject)
    space, _ = space_of(theirs, subject.network, stored, record.recipe)
    settings = settings_of(folder, theirs, subject, record)
    space, _ = sharing.widened(space, (), settings.lengths)
    result = campaign.result_of(settings, space, stored.known, told)
    return entrants.finalists(result, 1, request.precisions[0], theirs.precisions[0], (request.sizes or ("",))[0])[0]


def _proof_recipes(folder: Path, request: Request, dataset: Dataset, record: RecipeRecord, result: CampaignResult) -> Recipes:
    """How the compared networks are tuned: as the trials are, or with --recipe=searched as the recommended one was.

    From nothing, a network is trained as long as the dense one and the fine-tuning together.
    """
    tuned = record.recipe.with_epochs(request.proof_budget).with_seed(request.seed)
    dense = folders.dense_recipe(folder, request) or dense_training(request, dataset.task)
    scratch = replace(dense, epochs=dense.epochs + request.proof_budget, seed=request.seed)
    if request.recipe == "fixed" or result.chosen is None:
        return Recipes(tuned, scratch, request.device, request.layers_in_float)
    found = result.chosen.recipe
    searched = replace(tuned, learning_rate=found.learning_rate, weight_decay=found.weight_decay, label_smoothing=found.label_smoothing)
    return Recipes(searched, scratch, request.device, request.layers_in_float)
