"""The recipe that all networks of a campaign are tuned by, settled before anything is searched, and the unpruned network tuned by it."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import CampaignError, TrainingError
from harness.networks.datasets import Dataset
from harness.networks.drawing import draw
from harness.pipeline import CALIBRATION_IMAGES, RECONSTRUCTION_IMAGES, Compressed, compress, prune
from harness.records.metric import TOP_1, Metric
from harness.training import accuracy, baseline, finetune, guidance, processor, recipes
from harness.training.recipes import Recipe
from harness.training.stored_sensitivity import weights_digest
from search.campaign import recipe_choice
from search.campaign.dense_check import DenseCheck
from search.campaign.recipe_choice import HARM_SHARE, MILD_RATIO, ProbeLengths, Right
from search.campaign.subject import Subject
from search.records import recipe_record, tuned_store
from search.records.display import Bar, Display
from search.records.losses.drop import Paired
from search.records.recipe_record import GIVEN, INHERITED, PROBED, TABLE, Longer, Probed, RecipeRecord, Reference
from search.records.request import Request
from search.records.tuned_store import Judged
from search.space.goals import goal_of

CRITERION = "l1"


def base(request: Request, dataset: Dataset) -> Recipe:
    """The recipe to begin with, for a full-length trial: the dataset's and its task's own, with what the command line says of it.

    Its precision is the one that this campaign trains in: another machine, to which it may be moved, keeps it.
    """
    usual = recipes.fitted(recipes.tuning_recipe(dataset.name, request.budget, request.seed), dataset.task)
    found = replace(usual, precision=processor.precision("auto"))
    return found if request.learning_rate is None else replace(found, learning_rate=request.learning_rate)


def known(folder: Path, request: Request, subject: Subject) -> RecipeRecord:
    """What a campaign's folder says; of one without a record, from before there were any, the dataset's recipe and untouched drops."""
    return recipe_record.read(folder) or RecipeRecord(base(request, subject.dataset), subject.dense)


def settle(folder: Path, request: Request, subject: Subject, seen: DenseCheck, display: Display) -> RecipeRecord:
    """The record in the campaign's folder, made now where there is none, and said.

    What another campaign settled for the same network, pictures and lengths is taken from the cache. Raises what tuning raises.
    """
    record = recipe_record.read(folder)
    if record is None:
        with display.step("settling the recipe") as bar:
            record = _settled(folder, request, subject, seen.precision, _Trainings(bar))
        record = replace(record, splits=seen.splits, path=seen.path, drawn=_drawn(subject, record.recipe))
        recipe_record.write(folder, record)
    for line in told(record, goal_of(request).drop_limit, request.search_epochs, subject.dataset.task.metric):
        display.say(line)
    return record


def told(record: RecipeRecord, limit_points: float, epochs: float, metric: Metric = TOP_1) -> tuple[str, ...]:
    """The recipe, why it, what it does to the unpruned network, and a warning where that is too much."""
    recipe, own = record.recipe, {GIVEN: "as asked for", TABLE: "the dataset's own", INHERITED: "as in the campaign that is forked"}
    rates = ", ".join(f"{rate:.2g}" for rate in sorted({one.recipe.learning_rate for one in record.tried}, reverse=True))
    at_length = f", and {_tried_at_length(record)}" if record.longer else ""
    why = own.get(record.source, f"of {rates}, tried on the unpruned network and at {MILD_RATIO:g} of every width{at_length}")
    cost = f"; {record.seconds:.0f} s, {record.trials_worth:.1f} trials' worth" if record.source == PROBED else ""
    lines = [f"recipe: learning rate {recipe.learning_rate:.2g} ({why}), distillation {recipe.distillation:g}{cost}"]
    reference = record.of_length(epochs)
    if reference is None:
        return tuple(lines)
    harm = reference.harm.drop
    lines.append(
        f"the unpruned network, tuned by it for {epochs:g} epochs: validation top-1 {metric.told(reference.validation.top1_ratio)}, "
        f"{harm.points:+.2f} points lost ({harm.low:+.2f} to {harm.high:+.2f}); drops are counted from it"
    )
    if harm.points > HARM_SHARE * limit_points:
        lines.append(
            f"that is more than a fifth of the limit of {limit_points:g} points, lost before anything is pruned: longer trials (--budget, "
            "--short), another --learning-rate, or more training pictures would help"
        )
    return tuple(lines)


def _tried_at_length(record: RecipeRecord) -> str:
    rates, epochs = ", ".join(f"{one.learning_rate:.2g}" for one in record.longer), record.longer[0].epochs
    return f"of {rates}, tried for {epochs:g} epoch{'' if epochs == 1 else 's'} at {recipe_choice.HEAVY_RATIO:g} of every width"


def _settled(folder: Path, request: Request, subject: Subject, precision: str, trainings: _Trainings) -> RecipeRecord:
    begun = replace(base(request, subject.dataset), precision=precision)
    record = RecipeRecord(begun, subject.dense, TABLE if request.learning_rate is None else GIVEN)
    inherited = None if request.old is None else recipe_record.read(request.campaigns / request.old)
    if inherited is not None and request.learning_rate is None:
        taken = inherited.recipe.with_epochs(request.budget).with_seed(request.seed)
        record = replace(record, recipe=taken, source=INHERITED)
    cached = baseline.CACHE_DIR / "recipes" / _digest(record, request, subject)
    try:
        if (found := recipe_record.read(cached)) is not None:
            return found
    except CampaignError:
        pass  # damaged: settled anew
    record = replace(record, recipe=_taught(subject, record.recipe))
    subject.network.prepare(subject.dataset, record.recipe)  # what all trials share is no part of the choice's cost
    lengths = dict.fromkeys(request.lengths)
    trainings.to_come = len(lengths)
    if record.source == TABLE:
        record = _probed(record, subject, request.search_epochs, goal_of(request).drop_limit, trainings)
    if record.source == PROBED and request.short is not None and request.minutes is None:
        record = _at_length(record, subject, request.budget, len(lengths), trainings)
    trainings.to_come = len(lengths)  # where less recipes were tried than might have been
    record = _referred(folder, record, request, subject, trainings)
    while _is_harmed(record, request.budget, goal_of(request).drop_limit):
        lower = max(one.learning_rate for one in record.longer if one.learning_rate < record.recipe.learning_rate)
        trainings.to_come = len(lengths)
        record = _referred(folder, replace(record, recipe=replace(record.recipe, learning_rate=lower)), request, subject, trainings)
    recipe_record.write(cached, record)
    return record


def _at_length(record: RecipeRecord, subject: Subject, full_epochs: float, to_come: int, trainings: _Trainings) -> RecipeRecord:
    """The record with a higher learning rate where that brings more of a heavily pruned network back in half a full-length trial."""
    began, dataset, epochs = time.perf_counter(), subject.dataset, recipe_choice.LONG_SHARE * full_epochs
    recipe, trainings.to_come = record.recipe.with_epochs(epochs), to_come + recipe_choice.MOST_LONG
    begun = prune(subject.network, dataset, subject.network.architecture.uniform(recipe_choice.HEAVY_RATIO), CRITERION, recipe)
    answered: dict[float, Right] = {}

    def judge(rate: float) -> float:
        try:
            taught = subject.network.guidance(dataset, recipe)
            tuned = finetune.finetune(begun, dataset, replace(recipe, learning_rate=rate), taught, trainings.begin())
        except TrainingError:
            return -math.inf
        answered[rate] = accuracy.scores(tuned.model, dataset.validation)
        return float(answered[rate].sum())

    found = recipe_choice.rates_at_length(recipe.learning_rate, judge)
    best, _ = max(found, key=lambda pair: (pair[1], pair[0]))
    longer = tuple(Longer(rate, epochs, accuracy.count(right)) for rate, right in answered.items())
    changed = replace(record.recipe, learning_rate=best)
    return replace(record, recipe=changed, longer=longer, seconds=record.seconds + time.perf_counter() - began)


def _is_harmed(record: RecipeRecord, epochs: float, limit_points: float) -> bool:
    """Whether a rate that was raised certainly costs the unpruned network more than its share of the limit, and there is a lower one."""
    found, lower = record.of_length(epochs), min((one.learning_rate for one in record.longer), default=math.inf)
    return found is not None and found.harm.drop.low > HARM_SHARE * limit_points and lower < record.recipe.learning_rate


def _referred(folder: Path, record: RecipeRecord, request: Request, subject: Subject, trainings: _Trainings) -> RecipeRecord:
    """The record with the unpruned network tuned alike, for every length of the campaign's trials."""
    began, references = time.perf_counter(), []
    for epochs in dict.fromkeys(request.lengths):
        recipe, dense = record.recipe.with_epochs(epochs), subject.network.architecture.dense()
        reference = compress(subject.network, subject.dataset, dense, CRITERION, recipe, trainings.begin())
        references.append(Reference(epochs, reference.validation, Paired.of(reference.right[None], subject.right[None])))
        if epochs == request.search_epochs:
            record = replace(record, trials_worth=record.seconds / (time.perf_counter() - began))
        if 0 < epochs == request.budget == request.proof_budget:
            _keep(folder, record.recipe, subject, reference)
        began = time.perf_counter()
    return replace(record, references=tuple(references))


def _taught(subject: Subject, recipe: Recipe) -> Recipe:
    """The recipe without a teacher whose answers to all training pictures are several, or more than memory holds."""
    if recipe.distillation <= 0 or recipe.epochs <= 0:
        return recipe
    mirrored = finetune.mirrors_guidance(subject.dataset, recipe)
    return recipe if guidance.fits(subject.network.model, subject.dataset, mirrored) else replace(recipe, distillation=0.0)


def _probed(record: RecipeRecord, subject: Subject, epochs: float, limit_points: float, trainings: _Trainings) -> RecipeRecord:
    """The record with the recipe that a probe chose, for trials of ``epochs``; as it is where they are too short for one."""
    began, recipe = time.perf_counter(), record.recipe.with_epochs(epochs)
    plan = None if epochs <= 0 else recipe_choice.lengths(recipe, len(subject.dataset.train), len(subject.dataset.validation))
    if plan is None:
        return record
    trainings.to_come += 2 * plan.recipes
    chosen, tried = _try(recipe, plan, subject, limit_points, trainings)
    kept = ("learning_rate", "distillation", "warm_up_ratio", "batch_size")
    changed = replace(record.recipe, **{name: getattr(chosen, name) for name in kept})
    return replace(record, recipe=changed, source=PROBED, tried=tried, seconds=time.perf_counter() - began)


def _try(
    recipe: Recipe, plan: ProbeLengths, subject: Subject, limit_points: float, trainings: _Trainings
) -> tuple[Recipe, tuple[Probed, ...]]:
    seen = draw(subject.dataset.validation, plan.judged_images)
    dataset, architecture = replace(subject.dataset, validation=seen.split), subject.network.architecture
    short = replace(recipe, epochs=plan.epochs, calibration_images=plan.calibration_images)
    configs = (architecture.dense(), architecture.uniform(MILD_RATIO))
    begun = [prune(subject.network, dataset, config, CRITERION, short) for config in configs]  # once, and not for every recipe

    def judge(tried: Recipe, pruned: bool) -> Right:
        taught = subject.network.guidance(dataset, tried)
        tuned = finetune.finetune(begun[pruned], dataset, tried, taught, trainings.begin())
        return accuracy.scores(tuned.model, dataset.validation)

    untouched = subject.right_of(seen)
    training = dataset.task.training
    taught = training is None or recipe.distillation > 0  # of other tasks only where their outputs can be learnt from, and fit
    return recipe_choice.choose(short, judge, untouched, limit_points, plan.recipes, taught)


def _keep(folder: Path, recipe: Recipe, subject: Subject, tuned: Compressed) -> None:
    """The final comparison will want the dense network tuned by this very recipe."""
    place = tuned_store.place(folder, tuned.config, CRITERION, recipe, subject.dataset)
    tuned_store.keep(place, "dense", tuned.config, recipe, subject.network, Judged(recipe.seed, tuned.model, tuned.validation))


@dataclass
class _Trainings:
    """One bar for all trainings of the settling, as if they were equally long."""

    bar: Bar
    done: int = 0
    to_come: int = 0

    def begin(self) -> Callable[[int, int], None]:
        """The progress of the next one, in steps."""
        before, self.done, self.to_come = self.done, self.done + 1, self.to_come - 1
        in_all = self.done + max(self.to_come, 0)
        return lambda done, steps: self.bar.at(before + done / max(steps, 1), in_all)


def _drawn(subject: Subject, recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Which training pictures stand for all of them, by purpose."""
    train = subject.dataset.train
    found = [("batch norm statistics", finetune.calibration(subject.dataset, recipe)), ("criteria", draw(train, CALIBRATION_IMAGES))]
    if recipe.reconstruct:
        found.append(("reconstruction", draw(train, RECONSTRUCTION_IMAGES)))
    return tuple((purpose, drawn.sentence) for purpose, drawn in found)


def _digest(record: RecipeRecord, request: Request, subject: Subject) -> str:
    decisive = (
        weights_digest(subject.network.model),
        subject.dataset.digest,
        record.source,
        record.recipe.canonical,
        baseline.training_digest(record.recipe),
        repr(
            (
                request.short,
                request.minutes is None,
                request.lengths,
                request.search_epochs,
                goal_of(request).drop_limit,
                recipe_record.SCHEMA,
            )
        ),
        hashlib.sha256(Path(recipe_choice.__file__).read_bytes()).hexdigest(),
    )
    return hashlib.sha256("\n".join(decisive).encode()).hexdigest()[:24]
