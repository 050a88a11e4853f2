"""Which way of computing trains a network fastest on this machine: tried with its own training steps, never read off a flag."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from harness.errors import TrainingError
from harness.files import json_text
from harness.networks import zoo
from harness.networks.datasets import Dataset
from harness.training import processor
from harness.training.processor import Way
from harness.training.recipes import Recipe, tuning_recipe
from harness.training.speed import answers, turns, waiting
from harness.training.stepping import EAGER_STEPS, Stepper

ALIKE = 0.98  # of the fastest's pictures a second: as good, and the more exact or the more modest way is taken
WARM_UP_STEPS = 2  # in them kernels are chosen and memory is taken
KIND = "ways"


@dataclass(frozen=True, slots=True)
class Tried:
    """One way. images_per_s: in training, NaN where the network cannot be trained so; failure: why it cannot, in one line."""

    way: Way
    images_per_s: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one network trains here.

    chosen: the way to take; tried: all, in the order of preference; note: what was wrong with a remembered answer, or nothing.
    """

    chosen: Way
    tried: tuple[Tried, ...]
    note: str = ""

    @property
    def images_per_s(self) -> float:
        """Of the chosen way."""
        return next(one.images_per_s for one in self.tried if one.way == self.chosen)

    @property
    def sentence(self) -> str:
        """The choice, its speed, and what the others that differ in one thing reach."""
        found = [
            f"{what} {one.images_per_s:.0f}" for one in self.tried if one.images_per_s > 0 and (what := self._only_difference(one.way))
        ]
        found += sorted({f"{one.way.format_word} cannot be run" for one in self.tried if one.failure})
        others = f" ({', '.join(found)})" if found else ""
        return f"training: {self.chosen.words}: {self.images_per_s:.0f} images/s{others}"

    def _only_difference(self, other: Way) -> str:
        ours, theirs = ([way.precision, way.format_word, way.threads_word] for way in (self.chosen, other))
        differing = [word for mine, word in zip(ours, theirs, strict=True) if mine != word]
        return differing[0] if len(differing) == 1 else ""


def settle(
    model: nn.Module, input_shape: tuple[int, int, int], classes: int, recipe: Recipe, most_threads: int, fresh: bool = False
) -> Speed:
    """The fastest way to train ``model`` by ``recipe``, from the cache where this machine tried it before.

    most_threads: that a training may use. fresh: try again whatever the cache says. What ``recipe`` or the environment decides is
    not tried otherwise. TrainingError, with the network's own words, where no way runs.
    """
    ways = candidates(recipe, most_threads)
    key = (
        KIND,
        _digest(model),
        json.dumps([*input_shape, classes, recipe.batch_size]),
        waiting.told(),
        json.dumps([asdict(way) for way in ways]),
    )
    text, note = (None, "") if fresh else answers.find(KIND, key)
    if text is not None:
        known = [Tried(Way(**one["way"]), float(one["images_per_s"]), one["failure"]) for one in json_text.parse(text)]
        return Speed(_fastest(known), tuple(known))
    busy = answers.is_busy()
    found = attempt(model, input_shape, classes, recipe, ways)
    answers.keep(KIND, key, json.dumps([asdict(one) for one in found]), busy)
    return Speed(_fastest(found), found, note)


def adopt(network: str, dataset: Dataset, most_threads: int) -> Speed:
    """Train by the fastest way from now on: that of tuning ``network`` on ``dataset``. Raises what building and ``settle`` raise."""
    model = zoo.build(network, dataset.input_shape, dataset.classes)
    found = settle(model, dataset.input_shape, dataset.classes, tuning_recipe(dataset.name, 1.0), most_threads)
    processor.adopt(found.chosen)
    return found


def refusal(network: str, dataset: Dataset, way: Way) -> str:
    """Why ``network`` cannot be trained in this way, in one line; "" where it can. Raises what building raises."""
    model, recipe = zoo.build(network, dataset.input_shape, dataset.classes), tuning_recipe(dataset.name, 1.0)
    (tried,) = attempt(model, dataset.input_shape, dataset.classes, recipe, [way])
    return tried.failure


def candidates(recipe: Recipe, most_threads: int) -> tuple[Way, ...]:
    """All ways to try, the preferred ones of those that are alike first: float32, fewer threads."""
    has_gpu = processor.device().type == "cuda"
    lacks_bf16 = has_gpu and not torch.cuda.is_bf16_supported(including_emulation=False)
    precisions = (recipe.precision,) if recipe.precision != "auto" else ("f32",) if lacks_bf16 else ("f32", "bf16")
    doubled = {min(2**power, most_threads) for power in range(most_threads.bit_length() + 1)}
    threads = (most_threads,) if has_gpu else tuple(sorted(doubled))
    return tuple(Way(*one) for one in itertools.product(precisions, (True, False), threads))


def attempt(
    model: nn.Module, input_shape: tuple[int, int, int], classes: int, recipe: Recipe, ways: Sequence[Way], seconds: float = 0.0
) -> tuple[Tried, ...]:
    """Train in every way for a moment, in turns; with ``seconds``, in each for so long, in two visits."""
    rigs, failures = {}, {}
    threads = torch.get_num_threads()
    with torch.random.fork_rng(), torch.enable_grad():
        try:
            for way in ways:
                try:
                    rigs[way] = Rig(model, input_shape, classes, recipe, way)
                except (RuntimeError, ValueError, TypeError) as error:
                    failures[way] = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if seconds:
                timed = turns.visits(list(rigs), lambda way: rigs[way].turn(seconds / 2))
            else:
                timed = turns.race(list(rigs), lambda way: rigs[way].turn(turns.TURN_S))
        finally:
            torch.set_num_threads(threads)
    speeds = {one.choice: recipe.batch_size / one.step_s for one in timed}
    return tuple(Tried(way, speeds.get(way, math.nan), failures.get(way, "")) for way in ways)


class Rig:
    """A copy of a network set up to be trained in one way on made-up pictures; RuntimeError where it cannot be."""

    def __init__(self, model: nn.Module, input_shape: tuple[int, int, int], classes: int, recipe: Recipe, way: Way) -> None:
        self._way = way
        student = copy.deepcopy(model).to(processor.device()).train()
        student.to(memory_format=way.memory_format)  # type: ignore[call-overload]  # missing from torch's stubs
        self._images = torch.randn(recipe.batch_size, *input_shape)
        self._labels = torch.arange(recipe.batch_size) % classes
        with processor.adopted(way):
            self._step = Stepper(student, replace(recipe, precision=way.precision))
            for _ in range(WARM_UP_STEPS if self._step.place.type == "cpu" else EAGER_STEPS + WARM_UP_STEPS):
                self._timed()

    def turn(self, seconds: float) -> list[float]:
        """Steps for so long, ``turns.LEAST_STEPS`` at least; the seconds of each."""
        found: list[float] = []
        until = time.perf_counter() + seconds
        with processor.adopted(self._way):
            while len(found) < turns.LEAST_STEPS or time.perf_counter() < until:
                found.append(self._timed())
        return found

    def _timed(self) -> float:
        """One step at a learning rate of 0: whatever the pictures, the weights stay numbers."""
        began = time.perf_counter()
        self._step(self._images, self._labels, None, 0.0)
        return time.perf_counter() - began


def _fastest(tried: Sequence[Tried]) -> Way:
    running = [one for one in tried if one.images_per_s > 0]
    if not running:
        raise TrainingError(f"no training step of this network runs: {tried[0].failure}; mend the network, or give another --network")
    best = max(one.images_per_s for one in running)
    return next(one.way for one in running if one.images_per_s >= ALIKE * best)


def _digest(model: nn.Module) -> str:
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    return hashlib.sha256(f"{model!r}{shapes}".encode()).hexdigest()
