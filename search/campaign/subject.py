"""What a campaign is about: the dense network with its data, its latencies, the space of its configurations, and the settings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.networks import datasets, groups, input_size, outputs, zoo
from harness.networks.datasets import Dataset, Split
from harness.networks.drawing import Drawn
from harness.networks.pictures import division, preparing
from harness.networks.pictures.preparing import DATA, IMAGENET, SIDE, Preparation, pixels_of
from harness.networks.tasks.task import Scores, Task
from harness.pipeline import Network
from harness.pruning import off_the_shelf
from harness.quantisation.answering import as_taken
from harness.records.accuracy import Accuracy
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from harness.records.quantisation import in_float_note
from harness.training import accuracy, baseline, recipes, stored_baseline
from harness.training.recipes import Recipe
from search.campaign.settings import CampaignSettings
from search.records import folder as folders
from search.records import resolution
from search.records.display import Display
from search.records.recipe_record import RecipeRecord
from search.records.request import QUANTISED, Request
from search.records.trial import TuningChoice
from search.space import knowledge, legal_widths, measurements
from search.space.bench_run import Bench
from search.space.compiled_widths import find_or_compile, of_campaign, replaced
from search.space.goals import goal_of, objective_of
from search.space.knowledge import Knowledge
from search.space.measurements import Stored
from search.space.space import RecipeRanges, SearchSpace
from search.workers.sized import AtSize, Sized, network_at

BEFORE_SIZES = f"{SIDE}x{SIDE}"  # of the pictures of every campaign that was not asked for a size
DESIGNED = "latencies of the designed networks"  # the step, for a person


@dataclass(frozen=True)
class Subject:
    """The dense network of a campaign with its data.

    right: every validation image's part in the metric, such as whether it is answered rightly, untouched. sized: the same at every further
    size of the pictures among which the campaign chooses.
    """

    network: Network
    dataset: Dataset
    right: Scores
    sized: Sized = field(default_factory=dict)

    def right_of(self, drawn: Drawn) -> Scores:
        """The same of drawn validation images alone: a part in the metric of these is another than in that of all."""
        if self.right.dtype == bool:
            of_drawn: Scores = self.right[drawn.numbers.numpy()]
            return of_drawn
        return accuracy.scores(self.network.model, drawn.split)

    @property
    def dense(self) -> Accuracy:
        """Its validation accuracy, untouched."""
        return accuracy.count(self.right)

    @property
    def architectures(self) -> tuple[Architecture, ...]:
        """One for every size, the full one first."""
        return (self.network.architecture, *(one.network.architecture for one in self.sized.values()))

    @property
    def sized_validation(self) -> dict[str, Split]:
        """The validation pictures at every further size."""
        return {size: one.dataset.validation for size, one in self.sized.items()}

    def prepare(self, recipe: Recipe) -> None:
        """Compute now what every tuning by this recipe needs, at every size."""
        for network, dataset in (AtSize(self.network, self.dataset), *self.sized.values()):
            network.prepare(dataset, recipe)


def divided(request: Request, say: Callable[[str], None]) -> Request:
    """The request with how its pictures are sized, read and divided, decided where the command line leaves it open, and said.

    Weights from elsewhere may remember every training picture: what is missing of validation is then cut from the test split. A fork
    keeps the division of the campaign that it begins with.
    """
    zoo.check_has_code(request.network)
    if request.own_task:  # the pictures come as the task's own file has them
        say(f"task: {request.own_task}, which gives pictures, loss and metric")
        return replace(request, validation_from=request.validation_from or division.SOURCES[0])
    request = _several(_sized(request, say), request, say)
    channels = request.preparation.channels or zoo.wanted_channels(request.network, request.weights)
    decided = replace(request, channels=channels)
    if decided.validation_from is not None:
        return decided
    if request.old is not None:
        old = folders.read_request(folders.existing(request.old, request.reports))
        return replace(decided, validation_from=old.validation_from or division.SOURCES[0])
    known = request.weights is None or stored_baseline.is_about(request.weights, dataset_of(decided))
    return replace(decided, validation_from="train" if known else "test")


def _sized(request: Request, say: Callable[[str], None]) -> Request:
    """The request with the size of its pictures, decided and told where the command line leaves it open; a fork keeps its campaign's."""
    because = "as asked for" if request.input_shape else "as the set is known" if request.old is None else f"as in {request.old}"
    decided = request
    if request.input_shape is None and request.old is None and _varies(request):
        found = input_size.of(request.network, request.dataset)
        known = None
        if request.dataset == datasets.FASHION_MNIST:
            known = stored_baseline.size_of(request.weights, request.dataset, request.data, (found.text, BEFORE_SIZES))
        decided = replace(request, input_shape=known or found.text)
        because = found.because if known is None else "as the weights were trained on"
    standard = {DATA: "the training pictures' own", IMAGENET: "ImageNet's"}.get(request.preparation.standard, "as asked for")
    say(f"{_told_size(decided)}, {because}; mean and deviation: {standard}")
    return decided


def _several(decided: Request, asked: Request, say: Callable[[str], None]) -> Request:
    """The request with all sizes among which it chooses named, the full one first, and told.

    Where nobody said which is the full one, nor the weights, it is the largest: what is smaller is judged against that.
    """
    if asked.input_size is None:
        return decided
    known = stored_baseline.size_of(asked.weights, asked.dataset, asked.data, (decided.preparation.size,))
    free = asked.input_shape is None and asked.old is None and known is None
    full = max((decided.preparation.size, *preparing.parsed_sizes(asked.input_size)), key=pixels_of) if free else decided.preparation.size
    decided = replace(decided, input_shape=decided.input_shape if full == decided.preparation.size else full)
    sizes = decided.sizes
    if sizes:
        told = ", ".join(sizes[1:])
        say(f"sizes of pictures to choose among: {full}, from which speed-ups and drops are counted, and {told}")
    return replace(decided, input_size=",".join(sizes) or full)


def _told_size(request: Request) -> str:
    """The size of the pictures and how they get there."""
    prepared = request.preparation
    return replace(prepared, resize=datasets.way_of(request.dataset, prepared)).sentence


def _varies(request: Request) -> bool:
    """Whether the dataset has pictures of other sizes than the one that was taken before it was asked for."""
    if request.own_task:
        return False
    return request.dataset not in datasets.DATASETS or request.dataset == datasets.FASHION_MNIST


def dataset_of(request: Request) -> Dataset:
    """The campaign's pictures. A request of before that was told of has them cut from the training split."""
    if request.own_task:
        return datasets.load(request.dataset)
    source = request.validation_from or division.SOURCES[0]
    return datasets.load(request.dataset, request.data, validation_from=source, asked=_asked(request))


def _asked(request: Request) -> Preparation:
    asked = request.preparation
    return replace(asked, channels=asked.channels or zoo.wanted_channels(request.network, request.weights))


def sized(request: Request, network: Network, dataset: Dataset) -> Sized:
    """The network with its pictures at every further size; UsageError for one that it does not allow."""
    source, found = request.validation_from or division.SOURCES[0], {}
    for size in request.sizes[1:]:
        network_at(network, size)
        pictures = datasets.at_size(dataset, _asked(request), size, request.data, source)
        found[size] = AtSize(network.resized(dataset, pictures), pictures)
    return found


def dense_training(request: Request, task: Task) -> Recipe:
    """How the dense network is trained where no weights are given."""
    found = recipes.fitted(recipes.dense_recipe(request.dataset), task, is_dense=True)
    epochs = found.epochs if request.dense_epochs is None else request.dense_epochs
    return replace(found, epochs=epochs, learning_rate=request.dense_learning_rate or found.learning_rate)


def dense_network(request: Request, dataset: Dataset, display: Display) -> Subject:
    """The dense network, from ``--weights``, from the cache, or trained now; judged on the validation split."""
    if request.weights is not None:
        network = Network.by_name(request.network, dataset, request.weights)
    else:
        with display.step("training the dense network") as bar:
            recipe = dense_training(request, dataset.task)
            model = baseline.dense(request.network, dataset, recipe, progress=lambda done, steps: bar.at(done, steps))
        network = Network.wrap(request.network, model, dataset.input_shape, dataset.classes, dataset.task)
    right = accuracy.scores(network.model, dataset.validation)
    subject = Subject(network, dataset, right, sized(request, network, dataset))
    judged = subject.dense
    told = (outputs.note(network.model), groups.sentence(network.architecture, groups.coupling_of(network.model, dataset.input_shape)))
    for line in filter(None, told):
        display.say(line)
    metric = dataset.task.metric
    display.say(f"dense {request.network}: validation {metric.name} {metric.told(judged.top1_ratio)} ({judged.told})")
    return subject


def stored_latencies(request: Request, architectures: Sequence[Architecture], display: Display, without_device: bool = False) -> Stored:
    """The measurements from which latencies are predicted, at every size: found on disk, or measured now where the device is here."""
    look = measurements.find if without_device else measurements.find_or_measure
    each = itertools.product(zip(request.sizes or ("",), architectures, strict=True), request.precisions)
    with display.timed(DESIGNED):
        first, *others = (look(bench_of(request, one, size), there, request.designs, display.say) for (size, there), one in each)
    stored = replace(first, others=tuple(others))
    for one in (stored, *others):
        judged, named = one.predictor.held_out, f"{one.named(request.sizes)}: " if others else ""
        told = "predictor: not judged, no held-out networks are stored" if judged is None else f"predictor: {judged.sentence()}"
        display.say(f"{named}{told}")
        if judged is not None and (doubt := judged.doubt(request.max_predictor_error)):
            display.say(f"{named}{doubt}; the final comparison takes more found networks")
        display.say(f"{named}{legal_widths.of(one.predictor, one.file.measurements).sentence()}")
    if request.compiled_for is not None:
        with display.timed("widths by the compiler"):
            found = find_or_compile(bench_of(request), request.compiled_for, architectures[0], display.say)
        display.say(found.sentence())
    return stored


def bench_of(request: Request, precision: str | None = None, size: str = "") -> Bench:
    """What a bench run must be told for this campaign. precision, size: one of its several, by default the first."""
    one = precision or request.precisions[0]
    asked = (request.device, request.network, request.dataset, request.data, one, request.reports)
    shape, resize = request.input_shape or (BEFORE_SIZES if _varies(request) else None), request.resize
    if size and size != request.preparation.size:
        shape, resize = size, None if resize is None else request.preparation.at_size(size).resize
    prepared, named = (shape, resize, request.mean, request.std), size if request.sizes and size != request.sizes[0] else ""
    in_float = request.layers_in_float if one == QUANTISED else ()
    source = request.validation_from or division.SOURCES[0]
    return Bench(
        *asked, source, request.channels, request.max_predictor_error, *prepared, in_float, named, None if named else request.learn_from
    )


def space_of(request: Request, network: Network, known: Knowledge, recipe: Recipe) -> tuple[SearchSpace, tuple[PruningConfig, ...]]:
    """The legal configurations, tuned by ``recipe`` or by what lies around it, and the published ones that are tried as they are."""
    published = tuple(named.config for named in off_the_shelf.named_configs(network.architecture))
    legal = knowledge.legal(known)
    if request.compiled_for is not None and not objective_of(request).is_compiled:
        folder, bench = request.campaigns / str(request.name), bench_of(request)
        legal = replaced(legal, of_campaign(folder, bench, request.compiled_for, network.architecture))
    usual = TuningChoice("l1", "one-shot", recipe.learning_rate, recipe.weight_decay, recipe.label_smoothing, recipe.distillation)
    guided = (usual.distillation, usual.distillation)
    precisions = request.precisions if len(request.precisions) > 1 else ("",)
    ranges = RecipeRanges(distillation=guided, off_the_shelf=usual, precisions=precisions, sizes=request.sizes or ("",))
    if request.recipe == "fixed":
        rate, decay, smoothing = usual.learning_rate, usual.weight_decay, usual.label_smoothing
        ranges = replace(ranges, learning_rate=(rate, rate), weight_decay=(decay, decay), label_smoothing=(smoothing, smoothing))
    return SearchSpace(network.architecture, legal, ranges, moves=request.space, exact=published), published


def settings_of(folder: Path, request: Request, subject: Subject, record: RecipeRecord) -> CampaignSettings:
    """What the search is run with; the digests are those of what lies in the campaign's ``folder``.

    Trials of campaigns that count their drops otherwise, or tune otherwise, are no trials of this one.
    """
    dataset, pictures = subject.dataset, {size: one.dataset for size, one in subject.sized.items()}
    decisive = folders.dense(folder, request).read_bytes() + dataset.digest.encode() + request.recipe.encode()
    if QUANTISED in request.precisions:
        decisive += (QUANTISED + in_float_note(request.layers_in_float)).encode()  # a trial of such a campaign may be one of INT8
        decisive += b"signed" * as_taken(request.device).signed  # which answers otherwise than what a processor takes
    if request.sizes:
        decisive += "".join(f"size {size} {one.digest}" for size, one in sorted(pictures.items())).encode()
    if record.counts_alike:
        decisive += record.recipe.with_epochs(0).with_seed(0).canonical.encode()
    resolved = resolution.plan(request, folders.dense_recipe(folder, request), record.reference(request.budget), len(dataset.train))
    return CampaignSettings(
        name=str(request.name),
        seed=request.seed,
        trials=request.trials,
        budget_epochs=request.budget,
        short_epochs=request.short,
        screen=request.screen,
        goal=goal_of(request),
        hours=math.inf if request.hours is None else request.hours,
        patience=request.patience,
        finalists=request.finalists,
        workers=request.workers,
        trial_timeout_s=math.inf if request.trial_timeout is None else request.trial_timeout,
        measurements=folders.digest(folders.known(folder, request).read_bytes()),
        accuracy=folders.digest(decisive),
        margin_points=0.0 if resolved is None else resolved.split.limit_points - resolved.whole.aim_points,
    )
