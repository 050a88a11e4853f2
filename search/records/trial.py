"""What a trial is: a request for an accuracy, and what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from harness.errors import HarnessError
from harness.files.numbers import EPOCHS, SECONDS, SHARE, Range
from harness.records.decoding import OneOf, OrUnknown
from harness.records.pruning_config import PruningConfig

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Why a trial was run.
SEED = "seed"  # initial design
MODEL = "model"  # the optimiser asked for it
PROMOTE = "promote"  # a good short trial, again at full length
SCREEN = "screen"  # a proposal, first judged with recalibrated batch norm only
REPEAT = "repeat"  # a finalist, again with another seed
JUDGED = "judged"  # what another trial tuned, judged in another precision
NEW = (SEED, MODEL)  # a configuration that was not tried before
PURPOSES = (SEED, MODEL, SCREEN, PROMOTE, REPEAT, JUDGED)

OK, CRASHED, STOPPED = "ok", "crashed", "stopped"  # how a trial ended

Seconds = Annotated[float, SECONDS]
MaybeSeconds = Annotated[float, OrUnknown(), SECONDS]  # of a trial whose campaign knows no latency
CompiledCost = Annotated[float, Range(0, 1e15)]  # in a compiler's own unit
Ratio = Annotated[float, SHARE]
Judged = Annotated[float, Range(-1e6, 1e6)]  # top-1, or another task's metric: errors count below 0, and some have no bound
MaybeJudged = Annotated[float, OrUnknown(), Range(-1e6, 1e6)]  # of a trial without an end it is not a number, null in its journal
Points = Annotated[float, Range(-1e8, 1e8)]  # hundredths of it
MaybePoints = Annotated[float, OrUnknown(), Range(-1e8, 1e8)]
Number = Annotated[int, Range(-(10**9), 10**9, whole=True)]  # those taken over from other campaigns count from -2 downwards

UNNUMBERED = -1  # number of a request that has no line in the journal yet

LEAST_DEVIATION_POINTS = 0.05  # no fine-tuning repeats itself more closely than this

Report = Callable[[str, float], None]
"""What an evaluation calls while it works: the phase ("prune", "tune", "evaluate") and the share of it done, in [0, 1]."""


class RunsIn(NamedTuple):
    """What a network runs in: its precision and its pictures' size (``HxW``), each empty for what the dense network is compared in."""

    precision: str = ""
    size: str = ""

    @property
    def words(self) -> str:
        """After a network's name, for a person; empty where nothing is to be told."""
        return ", ".join(part for part in (self.precision, f"at {self.size}" if self.size else "") if part)


@dataclass(frozen=True, slots=True)
class TuningChoice:
    """How channels are chosen and how accuracy is brought back.

    criterion: which channels go, a name in the pruning room. schedule: when they go ("one-shot", "iterative",
    "gradual"). distillation: weight of the dense network's soft labels in the loss, 0 to 1. precision: what the network runs in, where the
    campaign chooses among several; empty where it has one. size: of the pictures that it is tuned, judged and run on, alike.
    """

    criterion: str = "l1"
    schedule: str = "one-shot"
    learning_rate: Annotated[float, Range(0, 100)] = 0.01
    weight_decay: Ratio = 5e-4
    label_smoothing: Ratio = 0.0
    distillation: Ratio = 0.0
    precision: str = ""
    size: str = ""

    @property
    def runs_in(self) -> RunsIn:
        """Precision and size."""
        return RunsIn(self.precision, self.size)


@dataclass(frozen=True, slots=True)
class Floor:
    """Below ``top1_ratio`` after ``share`` of its steps a trial is stopped, for ``trial`` stood higher there and ended hopeless.

    least_points: the least drop of all that stood there and ended so.
    """

    share: Ratio
    top1_ratio: Judged
    least_points: Points
    trial: Number


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """One configuration to prune, fine-tune for ``budget_epochs`` (0: recalibrate batch norm only) and judge.

    number: counts from 0 within a campaign. purpose: one of ``PURPOSES``. origin: where the configuration came from, in
    words. seed: of everything random in the evaluation. of: number of an earlier trial of the same configuration that led
    to this one (its screen, its short trial, the one repeated), else -1. floors: where it is stopped early, if anywhere.
    """

    number: Number
    purpose: Annotated[str, OneOf(PURPOSES)]
    origin: str
    config: PruningConfig
    recipe: TuningChoice
    budget_epochs: Annotated[float, EPOCHS]
    seed: Annotated[int, Range(0, 2**63 - 1, whole=True)]
    of: Number = -1
    floors: tuple[Floor, ...] = ()


@dataclass(frozen=True, slots=True)
class InPrecision:
    """What a tuned network answers in one more precision: top-1 in [0, 1] with its 95 % interval, points lost, and how long that took."""

    precision: str
    top1_ratio: MaybeJudged
    top1_low: MaybeJudged
    top1_high: MaybeJudged
    drop_points: MaybePoints
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What an evaluation found.

    top1_ratio: validation accuracy in [0, 1], of another task its metric (``harness.records.metric``); top1_low, top1_high: its 95 %
    interval. drop_points: percentage points
    lost against the dense network. prune_s, tune_s, evaluate_s: how long each part took. status: "ok", "crashed", or "stopped" before
    its end as hopeless, with the reason; the accuracies of a trial without an end are not numbers. curve: validation top-1 on the
    way, by share of the steps. least_points: what a stopped trial would have lost at least, by those that stood higher. others: the same
    network in the campaign's other precisions.
    """

    top1_ratio: MaybeJudged
    top1_low: MaybeJudged
    top1_high: MaybeJudged
    drop_points: MaybePoints
    prune_s: Seconds = 0.0
    tune_s: Seconds = 0.0
    evaluate_s: Seconds = 0.0
    status: Annotated[str, OneOf((OK, CRASHED, STOPPED))] = OK
    reason: str = ""
    curve: tuple[tuple[Ratio, Judged], ...] = ()
    least_points: MaybePoints = math.nan
    others: tuple[InPrecision, ...] = ()

    @classmethod
    def stopped(cls, floor: Floor, curve: tuple[tuple[float, float], ...], epochs: float, seconds: float = 0.0) -> TrialOutcome:
        """A trial of ``epochs`` that stood below ``floor``, as the last point of ``curve`` says."""
        share, top1 = curve[-1]
        told = (
            f"stopped after {share * epochs:g} of {epochs:g} epochs at a top-1 of {top1:.1%}: "
            f"trial {floor.trial} stood higher there and lost {floor.least_points:.1f} points or more"
        )
        unknown = (math.nan,) * 4
        return cls(*unknown, tune_s=seconds, status=STOPPED, reason=told, curve=curve, least_points=floor.least_points)

    @classmethod
    def crashed(cls, reason: str, seconds: float = 0.0) -> TrialOutcome:
        """An evaluation that gave no accuracy; ``reason`` is cut to one line."""
        line = " ".join(reason.split())[:500] or "no reason given"
        return cls(math.nan, math.nan, math.nan, math.nan, tune_s=seconds, status=CRASHED, reason=line)

    @property
    def ok(self) -> bool:
        """Whether there is an accuracy."""
        return self.status == OK

    @property
    def failed(self) -> bool:
        """Whether it crashed; a trial that was stopped did not."""
        return self.status == CRASHED

    @property
    def seconds(self) -> float:
        """How long the evaluation took, in seconds."""
        return self.prune_s + self.tune_s + self.evaluate_s

    @property
    def deviation_points(self) -> float:
        """Standard deviation of the observed drop that the size of the validation split explains, in points."""
        return max((self.top1_high - self.top1_low) * 100 / (2 * 1.96), LEAST_DEVIATION_POINTS)

    def checked(self) -> TrialOutcome:
        """The same, or a crashed one when the accuracies are not usable numbers."""
        if self.ok and not all(map(math.isfinite, (self.drop_points, self.top1_ratio, self.top1_low, self.top1_high))):
            return TrialOutcome.crashed(f"the accuracy is not usable: top-1 {self.top1_ratio}, drop {self.drop_points}", self.seconds)
        return self


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial. ask_s: time the optimiser took to propose it.

    latency_s: predicted from stored measurements, or compiled_cost: predicted from compilations, in the compiler's own unit: of the two
    the one that its campaign lowers; the other is not a number, and None.
    """

    request: TrialRequest
    outcome: TrialOutcome
    latency_s: MaybeSeconds
    ask_s: Seconds = 0.0
    compiled_cost: CompiledCost | None = None

    @property
    def cost(self) -> float:
        """What its campaign lowers: only to be compared with costs of the same campaign."""
        return self.latency_s if self.compiled_cost is None else self.compiled_cost

    @property
    def number(self) -> int:
        """The request's number."""
        return self.request.number

    @property
    def tuned(self) -> bool:
        """Whether it ran; one that only judged in another precision what another trial tuned has no time of its own."""
        return self.request.purpose != JUDGED


class KnownCost(Protocol):
    """What a campaign lowers, of any configuration, computed: seconds of latency, or a compiler's cost in its own unit."""

    def costs(self, widths: Ints) -> Floats:
        """The cost of each; ``widths`` is n x G channels kept, columns in the order of ``architecture.groups``."""
        ...


class Evaluate(Protocol):
    """Accuracy of one configuration. Must be picklable when trials run in other processes."""

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        """Prune, fine-tune and judge; exceptions count as a crashed trial."""
        ...


def attempt(evaluate: Evaluate, request: TrialRequest, report: Report) -> TrialOutcome:
    """One evaluation whose failure is an outcome: the campaign must survive any configuration."""
    began = time.perf_counter()
    try:
        return evaluate(request, report).checked()
    except HarnessError as error:
        return TrialOutcome.crashed(str(error), time.perf_counter() - began)
    except Exception as error:
        return TrialOutcome.crashed(f"{type(error).__name__}: {error}", time.perf_counter() - began)


def crashes_in_a_row(trials: Sequence[Trial]) -> int:
    """How many of the last trials crashed, one after the other."""
    count = 0
    for trial in reversed(trials):
        if not trial.outcome.failed:
            break
        count += 1
    return count
