"""One small real campaign for calibrating the choice: digits divided anew, a small network, latencies by formula, half a minute at most.

Everything but the latency is real: the network is trained, searched, pruned, tuned, cross-fitted, chosen and judged by the product's own
steps. The latency is a formula with a staircase, so that no device is needed.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from sklearn.model_selection import train_test_split
from torch import nn

from harness.files import trust
from harness.networks import datasets
from harness.networks.datasets import Dataset, Split
from harness.pipeline import Network, compress
from harness.training import accuracy, baseline, recipes
from harness.training.recipes import Recipe
from search.campaign import campaign
from search.campaign.result import CampaignResult
from search.campaign.settings import CampaignSettings
from search.campaign.subject import Subject
from search.proof import entrants, proof, tuning
from search.proof.choosing import Chooser, Decision
from search.proof.tuning import Recipes, Tuned
from search.records import resolution
from search.records.display import Display
from search.records.losses.drop import Paired
from search.records.recipe_record import RecipeRecord, Reference
from search.records.request import Request
from search.records.trial import Floats, Ints, TuningChoice
from search.space.goals import goal_of
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace
from search.workers.evaluation import PipelineEvaluate

NETWORK_FILE = Path(__file__).with_name("small_network.py")
NETWORK = f"{NETWORK_FILE}:small"
trust.allow_here(NETWORK_FILE.read_bytes())  # it comes with this program: without that, what was tuned would be tuned again
VALIDATION, TEST = 200, 700  # of 1,797 pictures; a large test split tells more of what is true
DENSE_EPOCHS, FINALISTS = 12.0, 3


@dataclass(frozen=True)
class StaircaseLatency:
    """``KnownCost`` by formula: every four channels of the three layers cost, and so does the call. SIMULATED."""

    def costs(self, widths: Ints) -> Floats:
        """Seconds per inference of n x 3 widths."""
        first, second, third = (4.0 * np.ceil(widths[:, column] / 4) for column in range(3))
        return np.asarray(5e-6 + 1e-9 * (64 * 9 * first + 16 * 9 * first * second + 16 * 9 * second * third))


@dataclass(frozen=True, slots=True)
class Row:
    """What one campaign came to. chance: said of the chosen one; validation_points: its drop seen there.

    lost: test pictures that the chosen one lost less those that it won, squares: how many differed, of ``images``. naive_lost,
    naive_squares: the same of the fastest finalist that was seen to keep the limit on validation; -1 squares where none was. folds: of
    training pictures that the chosen one's configuration was judged on.
    """

    seed: int
    limit_points: float
    certainty: float
    chance: float
    latency_ratio: float
    validation_points: float
    folds: int
    lost: float
    squares: float
    images: int
    naive_lost: float
    naive_squares: float
    naive_latency_ratio: float
    seconds: float

    @property
    def paired(self) -> Paired:
        """Test pictures that the chosen one lost."""
        return Paired(self.lost, self.squares, self.images)

    @property
    def naive(self) -> Paired | None:
        """Those that the fastest one seen within the limit lost."""
        return None if self.naive_squares < 0 else Paired(self.naive_lost, self.naive_squares, self.images)


def divided(seed: int) -> Dataset:
    """All digits at 8 x 8, divided by ``seed`` into training, validation and test pictures, each class by its share."""
    digits = datasets.load("digits")
    parts = (digits.train, digits.validation, digits.test)
    images = nn.functional.avg_pool2d(torch.cat([part.images for part in parts]), 4)
    labels = torch.cat([part.labels for part in parts])
    rest, test = train_test_split(np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=seed)
    train, validation = train_test_split(rest, test_size=VALIDATION, stratify=labels[rest], random_state=seed)
    first, second, third = (Split(images[rows], labels[rows]) for rows in (train, validation, test))
    return Dataset("digits", f"8x8 divided by {seed}", (1, 8, 8), 10, first, second, third)


def run(seed: int, folder: Path, asked: Request) -> Row:
    """A whole campaign in ``folder``. asked: limit, certainty, folds, trials and lengths."""
    began, dataset = time.perf_counter(), divided(seed)
    request = replace(asked, network=NETWORK, dataset="digits", seed=seed, name=folder.name)
    dense_recipe = replace(recipes.dense_recipe("digits"), epochs=DENSE_EPOCHS, crop_margin=1, seed=seed)
    model = baseline.dense(NETWORK, dataset, dense_recipe, folder)
    network = Network.wrap(NETWORK, model, dataset.input_shape, dataset.classes)
    subject = Subject(network, dataset, accuracy.right(accuracy.answers(model, dataset.validation), dataset.validation))
    recipe = replace(recipes.tuning_recipe("digits", request.budget, seed), crop_margin=1)
    result = _search(request, subject, recipe, folder)
    by = Recipes(recipe, dense_recipe)
    entered = entrants.entrants(network.architecture, entrants.finalists(result, FINALISTS))
    tuned = tuning.tune(network, dataset, entered, by, 1, folder, lambda *_: None)
    right = proof.right_answers(tuned, dataset.validation)
    curses = entrants.curses(result, "f32")
    chooser = Chooser(folder, request, subject, StaircaseLatency(), by, dense_recipe, _silent(), folder)
    return _judged(request, subject, tuned, chooser.decide(tuned, right, curses), time.perf_counter() - began)


def _search(request: Request, subject: Subject, recipe: Recipe, folder: Path) -> CampaignResult:
    network, dataset = subject.network, subject.dataset
    dense = compress(network, dataset, network.architecture.dense(), "l1", recipe)
    reference = Reference(request.budget, dense.validation, Paired.of(dense.right[None], subject.right[None]))
    record = RecipeRecord(recipe, subject.dense, references=(reference,))
    legal = {group.name: tuple(range(4, group.channels + 1, 2)) for group in network.architecture.groups}
    usual = TuningChoice("l1", "one-shot", recipe.learning_rate, recipe.weight_decay, recipe.label_smoothing, recipe.distillation)
    rate, decay, smoothing = usual.learning_rate, usual.weight_decay, usual.label_smoothing
    ranges = RecipeRanges(
        distillation=(usual.distillation, usual.distillation),
        off_the_shelf=usual,
        learning_rate=(rate, rate),
        weight_decay=(decay, decay),
        label_smoothing=(smoothing, smoothing),
    )
    resolved = resolution.plan(request, None, dense.validation, len(dataset.train))
    settings = CampaignSettings(
        str(request.name),
        seed=request.seed,
        trials=request.trials,
        seeds=max(1, request.trials // 3),
        budget_epochs=request.budget,
        goal=goal_of(request),
        finalists=request.finalists,
        margin_points=0.0 if resolved is None else resolved.split.limit_points - resolved.whole.aim_points,
    )
    space = SearchSpace(network.architecture, legal, ranges, moves="layer")
    return campaign.run(settings, space, StaircaseLatency(), PipelineEvaluate(network, dataset, record, folder), folder)


def _judged(request: Request, subject: Subject, tuned: list[Tuned], decided: Decision, seconds: float) -> Row:
    """The test split, read once."""
    test, limit = subject.dataset.test, request.drop_limit_points or 0.0
    by_name = {entry.entrant.name: entry for entry in tuned}

    def right(name: str) -> Paired:
        ours, dense = (accuracy.right(accuracy.answers(by_name[one].judged[0].model, test), test)[None] for one in (name, "dense"))
        return Paired.of(ours, dense)

    latency, architecture = StaircaseLatency(), subject.network.architecture
    seconds_of = {
        name: float(latency.costs(np.array([[entry.entrant.config.kept(group.name) for group in architecture.groups]]))[0])
        for name, entry in by_name.items()
    }
    seen = {name: 100 * one.judged.total / one.judged.images for name, one in decided.known.items()}
    naive = min((name for name, points in seen.items() if points <= limit), key=seconds_of.__getitem__, default=None)
    chosen, lost = decided.chosen.name, right(decided.chosen.name)
    naive_lost = None if naive is None else right(naive)
    return Row(
        seed=request.seed,
        limit_points=limit,
        certainty=request.certainty,
        chance=decided.known[chosen].chance_within(limit),
        latency_ratio=seconds_of[chosen] / seconds_of["dense"],
        validation_points=seen[chosen],
        folds=len(decided.known[chosen].folds),
        lost=lost.total,
        squares=lost.squares,
        images=lost.images,
        naive_lost=0.0 if naive_lost is None else naive_lost.total,
        naive_squares=-1.0 if naive_lost is None else naive_lost.squares,
        naive_latency_ratio=1.0 if naive is None else seconds_of[naive] / seconds_of["dense"],
        seconds=seconds,
    )


def _silent() -> Display:
    return Display(Console(file=io.StringIO()))
