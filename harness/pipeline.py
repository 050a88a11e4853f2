"""The way from a configuration to a smaller, tuned, exported network: compress, fine-tune, export."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.devices.measure import Subject
from harness.errors import PruningError
from harness.networks import datasets, export, groups, zoo
from harness.networks.drawing import draw
from harness.networks.own import source, torchvision_door
from harness.pruning import criteria, global_pruning, reconstruction, residuals, surgery
from harness.pruning.global_pruning import GlobalPruning
from harness.pruning.reconstruction import Moments
from harness.pruning.residuals import Reference
from harness.pruning.shape_exports import ShapeExports
from harness.quantisation import quantising
from harness.quantisation.calibration import Calibration
from harness.quantisation.for_latency import for_latency
from harness.quantisation.quantising import USUAL, Options, Quantised
from harness.records.accuracy import Accuracy
from harness.records.architecture import Architecture
from harness.records.pruning_config import PruningConfig
from harness.records.quantisation import IN_FLOAT, in_float_note, quantised_sentence
from harness.training import accuracy, baseline, finetune, guidance
from harness.training.checkpoint import Checkpoint
from harness.training.finetune import Looks
from harness.training.guidance import Guidance
from harness.training.recipes import Recipe

RECONSTRUCTION_IMAGES = 256  # 8,000 positions at least for the 576 features of a 3 x 3 convolution on 64 channels
CALIBRATION_IMAGES = 512  # enough for stable activation statistics, under a second on two cores

Progress = Callable[[int, int], None]  # steps done, steps in all


@dataclass(frozen=True)
class Network:
    """A dense network, evaluated but never changed, with its architecture.

    scores, guidance, moments, reference: the channels' scores by criterion, the network's answers to training images, what its
    layers see and what its blocks add up to, filled as they are asked for: pruning always starts from the dense network, and it is
    the teacher, so each is computed once. exports: of its shapes, by batch size. notes: what a person should know of how it and its
    weights were read, each a sentence. teacher: who answers the training images instead, with these; of a network that is another one's
    at another size of the images.
    """

    name: str
    model: nn.Module
    architecture: Architecture
    notes: tuple[str, ...] = ()
    teacher: tuple[Network, datasets.Dataset] | None = field(default=None, repr=False)
    _scores: dict[tuple[str, int], dict[str, Tensor]] = field(default_factory=dict, repr=False)
    _guidance: dict[tuple[str, bool], Guidance] = field(default_factory=dict, repr=False)
    _moments: dict[str, Moments] = field(default_factory=dict, repr=False)
    _reference: dict[str, Reference] = field(default_factory=dict, repr=False)
    _exports: dict[int, ShapeExports] = field(default_factory=dict, repr=False)

    # For another process: where the model is torchvision's, its classes can be found only after the door was passed; where it is of a
    # user's file, only after that ran.
    def __getstate__(self) -> dict[str, Any]:
        own = source.find(self.name) if source.is_own(self.name) else None
        before = {"is_torchvisions": torchvision_door.is_used_by(self.model), "source": own}
        return {**self.__dict__, "model": pickle.dumps(self.model), "_exports": {}, **before}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state.pop("is_torchvisions"):
            torchvision_door.torchvision()
        if (own := state.pop("source")) is not None:
            source.imported(own)
        self.__dict__.update(state, model=pickle.loads(state["model"]))

    @classmethod
    def wrap(cls, name: str, model: nn.Module, input_shape: tuple[int, int, int], classes: int) -> Network:
        """Find the channel groups of ``model``; PruningError when they cannot be found."""
        return cls(name, model, groups.architecture_of(model, name, input_shape, classes))

    @classmethod
    def by_name(
        cls, name: str, dataset: datasets.Dataset, weights: Path | None = None, input_shape: tuple[int, int, int] | None = None
    ) -> Network:
        """Build a network of the zoo for a dataset's images and classes, with weights from a file or at random.

        input_shape: channels x height x width of other images than the dataset's, for latency alone.
        """
        shape = input_shape or dataset.input_shape
        made = zoo.built(name, shape, dataset.classes)
        read = () if weights is None else zoo.load_weights(made.model, weights)
        return replace(cls.wrap(name, made.model, shape, dataset.classes), notes=(*made.notes, *read))

    def at(self, input_shape: tuple[int, int, int]) -> Network:
        """This network with its weights for images of another size.

        PruningError or UsageError, with the reason, where the network's shape does not allow that.
        """
        classes = self.architecture.classes
        made = Network.wrap(self.name, zoo.rebuilt(self.name, self.model, input_shape, classes), input_shape, classes)
        ours, theirs = ([(g.name, g.channels, g.removable, g.step) for g in one.architecture.groups] for one in (self, made))
        if ours != theirs:
            raise PruningError("other channels hang together there")
        return made

    def resized(self, full: datasets.Dataset, dataset: datasets.Dataset) -> Network:
        """This network, which sees the images of ``full``, for the same images at the size of ``dataset``; raises as ``at``.

        Batch norm statistics are recalibrated, and what is tuned from it learns from what this one answers to ``full``.
        """
        made = self.at(dataset.input_shape)
        finetune.recalibrate(made.model, draw(dataset.train, CALIBRATION_IMAGES).split.images)
        return replace(made, teacher=(self, full))

    def scores(self, criterion: str, dataset: datasets.Dataset, seed: int = 0) -> dict[str, Tensor]:
        """Scores per channel of every group, on a few training images of every class."""
        key = (criterion, 0 if criterion in global_pruning.IMPORTANCES else seed)
        if key not in self._scores and criterion in global_pruning.IMPORTANCES:
            self.global_pruning(criterion, dataset)
        elif key not in self._scores:
            seen = draw(dataset.train, CALIBRATION_IMAGES).split
            self._scores[key] = criteria.scores(criterion, self.model, self.architecture, seen.images, seen.labels, seed)
        return self._scores[key]

    def global_pruning(self, importance: str, dataset: datasets.Dataset) -> GlobalPruning:
        """Torch-Pruning's ranking of all channels, on the training images that every criterion sees."""
        seen = draw(dataset.train, CALIBRATION_IMAGES).split
        found = GlobalPruning(importance, self.model, self.architecture, seen.images, seen.labels)
        self._scores[importance, 0] = found.scores
        return found

    def moments(self, dataset: datasets.Dataset) -> Moments:
        """Second moments of what every layer sees of a few training images of every class."""
        if dataset.digest not in self._moments:
            images = draw(dataset.train, RECONSTRUCTION_IMAGES).split.images
            self._moments[dataset.digest] = reconstruction.moments(self.model, self.architecture, images)
        return self._moments[dataset.digest]

    def reference(self, dataset: datasets.Dataset) -> Reference:
        """What the residual blocks make of a few training images of every class."""
        if dataset.digest not in self._reference:
            images = draw(dataset.train, RECONSTRUCTION_IMAGES).split.images
            self._reference[dataset.digest] = residuals.reference(self.model, images)
        return self._reference[dataset.digest]

    def prepare(self, dataset: datasets.Dataset, recipe: Recipe) -> None:
        """Compute now what every tuning by this recipe needs, before processes that do the same are started."""
        self.guidance(dataset, recipe)
        if recipe.reconstruct:
            self.moments(dataset)
            self.reference(dataset)

    def exports(self, batch_size: int = 1) -> ShapeExports:
        """The exports of its shapes, for latency alone."""
        if batch_size not in self._exports:
            self._exports[batch_size] = ShapeExports(self.model, self.architecture, batch_size)
        return self._exports[batch_size]

    def guidance(self, dataset: datasets.Dataset, recipe: Recipe) -> Guidance | None:
        """The network's answers to the training images, for networks that learn from it; None where the recipe has no use for them."""
        if recipe.distillation <= 0 or recipe.epochs <= 0:
            return None
        if self.teacher is not None:
            taught_by, images = self.teacher
            return taught_by.guidance(images, recipe)
        key = (dataset.digest, finetune.mirrors(dataset, recipe))
        if key not in self._guidance:
            self._guidance[key] = guidance.answers(self.model, dataset, key[1], baseline.CACHE_DIR)
        return self._guidance[key]


@dataclass(frozen=True)
class Compressed:
    """A pruned and tuned network with its validation accuracy, which images it answers rightly, and where the time went (seconds)."""

    config: PruningConfig
    model: nn.Module
    validation: Accuracy
    right: NDArray[np.bool_]
    prune_s: float
    tune_s: float
    evaluate_s: float


def compress(
    network: Network,
    dataset: datasets.Dataset,
    config: PruningConfig,
    criterion: str,
    recipe: Recipe,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    looks: Looks | None = None,
) -> Compressed:
    """Prune the dense network to ``config``, fine-tune it by ``recipe``, judge it on the validation split.

    The teacher for distillation, where the recipe asks for it, is the dense network. checkpoint: where a long fine-tuning
    leaves its steps, and goes on from. looks: who looks at the network on its way. Raises PruningError for a
    configuration that does not fit, TrainingError when training diverges.
    """
    started = time.perf_counter()
    pruned = prune(network, dataset, config, criterion, recipe)
    pruned_at = time.perf_counter()
    tuned = finetune.finetune(pruned, dataset, recipe, network.guidance(dataset, recipe), progress, checkpoint, looks)
    tuned_at = time.perf_counter()
    right = accuracy.right(accuracy.answers(tuned.model, dataset.validation), dataset.validation)
    validation, done = accuracy.count(right), time.perf_counter()
    return Compressed(config, tuned.model, validation, right, pruned_at - started, tuned_at - pruned_at, done - tuned_at)


def prune(network: Network, dataset: datasets.Dataset, config: PruningConfig, criterion: str, recipe: Recipe) -> nn.Module:
    """The dense network without the channels that ``config`` gives up, its weights solved anew where ``recipe`` says so; not tuned."""
    kept = surgery.chosen(network.architecture, config, network.scores(criterion, dataset, recipe.seed))
    pruned = surgery.remove(network.model, network.architecture, kept)
    if recipe.reconstruct:
        reconstruction.reconstruct(pruned, network.model, network.architecture, kept, network.moments(dataset))
        residuals.reconstruct(pruned, network.model, network.architecture, kept, network.reference(dataset))
    return pruned


def latency_subject(network: Network, config: PruningConfig, role: str = "network", batch_size: int = 1) -> Subject:
    """A network of the configuration's shape, for measurements of latency only: which channels stay does not matter to it."""
    with _one_thread():
        artefact = network.exports(batch_size).export(config)
    architecture = network.architecture
    return Subject(
        network=architecture.network,
        architecture_digest=architecture.digest,
        config=config,
        onnx=artefact.onnx,
        artefact_digest=artefact.digest,
        node_layers=artefact.node_layers,
        role=role,
    )


def artefact_of(subject: Subject) -> export.Artefact:
    """What a subject would send to a device, to be changed before."""
    return replace(export.parse(subject.onnx, subject.label or subject.network), node_layers=subject.node_layers)


def in_int8(subject: Subject, calibration: Calibration | None, options: Options = USUAL) -> Subject:
    """``subject`` quantised, with notes on how; one that is quantised already stays what it is, and is called so.

    calibration: None for a network whose latency alone matters, which takes milliseconds. Raises what ``quantising.quantise`` does.
    """
    artefact = artefact_of(subject)
    if quantising.is_quantised(artefact):
        return replace(subject, notes=(*subject.notes, ("calibration", "quantised elsewhere")))
    if calibration is not None:
        return with_int8(subject, quantising.quantise(artefact, calibration, options), options)
    with _one_thread():
        made = for_latency(artefact, options)
    notes = (*subject.notes, ("calibration", "none, for latency alone"), *_in_float(options))
    return replace(subject, onnx=made.onnx, artefact_digest=made.digest, notes=notes)


def with_int8(subject: Subject, quantised: Quantised, options: Options = USUAL) -> Subject:
    """``subject`` as it was quantised, with notes on how."""
    notes = (("calibration", quantised.calibration.sentence()), ("quantisation", quantised_sentence(quantised.layers)))
    made = quantised.artefact
    return replace(subject, onnx=made.onnx, artefact_digest=made.digest, notes=(*subject.notes, *notes, *_in_float(options)))


def _in_float(options: Options) -> tuple[tuple[str, str], ...]:
    """The note by which measurements with layers in float are told from those without."""
    return ((IN_FLOAT, in_float_note(options.in_float)),) if options.in_float else ()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small networks of batch one gain nothing from more, and lose by tens where other programs hold the processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
