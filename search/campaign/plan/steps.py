"""What a campaign will take, step by step, and how much less it does where that is more than it was given.

The steps are costed from what training was seen to reach here and from what measuring a network took here before. Where the time is
short, a campaign tries fewer configurations, then tunes all of its networks for less long, then measures fewer designed networks; how a
network is measured, and that the choice is proved, stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.devices.measure import ADVISED_QUIET_PAIRS, AGAIN_S
from harness.latency.model.predictor import FEWEST_NETWORKS
from harness.latency.verdict.judgement import ADVISED_PAIRS
from harness.progress import clock
from search.campaign.recipe_choice import LONG_SHARE, MOST_LONG
from search.records.request import QUANTISED, Request

MARGIN = 0.88  # of the time that is left: what may be planned, at most; neighbours take the rest
REPEATS = 2  # evaluations of every finalist with other seeds, as the search's settings have it
HELD_OUT = 30  # networks that the predictor is judged by, beside the designed ones
TRIAL_SHARE = 0.7  # of the dense network's training time: what a pruned one's takes, in the mean of a campaign
PRUNE_S = 0.8  # of a trial: choosing channels and solving what is behind them anew
CHOICE_TRIALS = 2.5  # trials' worth that settling the recipe may take (``recipe_choice.MOST_TRIALS``, and asking the pictures in between)
COMPARED = 7  # networks of a final comparison: dense, two published ones, three found ones, the uniform one
GLOBAL = 2  # more: Torch-Pruning's global pruning by two importances; tuned anew each, as they are made for the chosen network
AT_A_SIZE = 4  # more at every further size: dense, two published ones and the uniform one, each tuned
QUANTISED_TOO = 3  # more: the unpruned and the published ones in INT8, on a device that runs it, and the chosen one; not tuned anew
QUANTISE_S = 4.0  # of a network: calibrating it, and judging it by the device's arithmetic
NEWLY_TUNED = 3.0  # of these, in the mean, that the search has not tuned
REPORT_S = 8.0
COMPILE_S = 5.5  # of a network, by the stick's compiler, which mostly waits
LEAST_TRIALS = 6  # less finds no better than the published networks that every search begins with
# How seldom both networks of a pair of blocks meet the machine's fast state, which it is in for a share of the time: with this power of
# the share, between 1 (they meet the same state) and 2 (they do not know of each other); and how many such pairs are planned for, that
# most comparisons end with as many as are advised.
TOGETHER, PLANNED_PAIRS = 1.5, 1.3 * ADVISED_QUIET_PAIRS
FORWARD_SHARE = 1 / 3  # of a training step

DENSE, CHECK, DESIGNED, COMPILED, RECIPE, SEARCH, PROOF = (
    "training the dense network",
    "checking it",
    "measuring designed networks",
    "compiling designed networks",
    "settling the recipe",
    "search",
    "final comparison",
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go here.

    images_per_s: training the dense network; network_s, compared_s: measuring one network, a designed one or one of the comparison.
    """

    images_per_s: float
    network_s: float
    compared_s: float


@dataclass(frozen=True, slots=True)
class Scope:
    """What there is to do. train_images, seen_images: of the training split, and of all three; dense_epochs: 0 where it is trained already.

    is_measured: designed networks are stored. is_settled: the recipe is known, so that lengths stay as they are. runs_int8: the device
    does. to_compile: networks that the device's compiler must yet be given; None where networks are measured.
    fast_share: of the time that the machine was in its fast state while designed networks were measured; 0 where nobody knows.
    """

    train_images: int
    seen_images: int
    dense_epochs: float = 0.0
    is_measured: bool = False
    is_settled: bool = False
    runs_int8: bool = False
    fast_share: float = 0.0
    to_compile: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step, what it does, and how long it will take."""

    name: str
    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done. request: with what there is time for; cut: what was asked for and is not done, one phrase each.

    spent_s: before this plan, since the campaign was started; pace: what the steps are costed by. open_contender: nobody said whether
    global pruning enters the comparison, so that it does where there is time. asked: what was asked for. waiting_s: kept free, for the
    comparison may wait for the machine's fast state.
    """

    request: Request
    steps: tuple[Step, ...]
    cut: tuple[str, ...]
    spent_s: float
    pace: Pace
    open_contender: bool = False
    asked: Request | None = None
    waiting_s: float = AGAIN_S

    @property
    def seconds(self) -> float:
        """From the start of the campaign to its end."""
        return self.spent_s + sum(step.seconds for step in self.steps)

    @property
    def search_s(self) -> float:
        """That the search may take: what was planned for it, and what is left over where there is a limit."""
        planned = sum(step.seconds for step in self.steps if step.name == SEARCH)
        return (
            planned
            if self.limit_s is None
            else max(planned, planned + _plannable_s(self.limit_s - self.spent_s, self.waiting_s) - (self.seconds - self.spent_s))
        )

    @property
    def limit_s(self) -> float | None:
        """What the campaign was given, in seconds; None without a limit."""
        return None if self.request.minutes is None else 60 * self.request.minutes

    @property
    def lines(self) -> tuple[str, ...]:
        """For the first screen."""
        limit = "" if self.request.minutes is None else f" of {clock(60 * self.request.minutes)}"
        told = [f"plan: about {clock(self.seconds)}{limit}"]
        told += [f"  {step.name:28}{clock(step.seconds):>12}  {step.what}" for step in self.steps]
        if self.cut:
            told.append(f"  so that it ends in time: {'; '.join(self.cut)}")
        if self.limit_s is not None and self.seconds > self.limit_s:
            told.append(
                f"  less is not worth doing, and this is more than --minutes={self.request.minutes:g}: "
                f"give {math.ceil(max(self.seconds / MARGIN, self.seconds + AGAIN_S) / 60)}"
            )
        return tuple(told)


def fit(asked: Request, scope: Scope, pace: Pace, spent_s: float) -> Plan:
    """As much of ``asked`` as there is time for; all of it without ``minutes``. spent_s: seconds since the campaign was started."""
    left_s = math.inf if asked.minutes is None else 60 * asked.minutes - spent_s
    for request in _lesser(asked, scope):
        found, waiting_s = steps(request, scope, pace), _waiting_s(request, scope, pace)
        if sum(step.seconds for step in found) <= _plannable_s(left_s, waiting_s):
            break
    return Plan(request, found, cut(asked, request), spent_s, pace, asked.global_pruning is None, asked, waiting_s)


def steps(request: Request, scope: Scope, pace: Pace) -> tuple[Step, ...]:
    """What is left to do for ``request``, with the seconds of each step."""
    full_s, short_s = (_trial_s(request, epochs, scope, pace) for epochs in (request.budget, request.search_epochs))
    repeated = REPEATS * request.finalists
    promoted = 0 if request.short is None else request.finalists + request.trials / 4
    search_s = (request.trials * short_s + (repeated + promoted) * full_s) * TRIAL_SHARE / request.workers
    choice_s = CHOICE_TRIALS * short_s * (request.learning_rate is None and request.search_epochs > 0)
    if request.short is not None and request.minutes is None and choice_s:
        choice_s += MOST_LONG * LONG_SHARE * TRIAL_SHARE * full_s  # of a heavily pruned network
    sizes, compared, quantised = max(1, len(request.sizes)), _compared(request, scope), _quantised(request, scope)
    by_torch_pruning = sizes * GLOBAL if request.global_pruning else 0
    tuned = (NEWLY_TUNED + compared - COMPARED - quantised) * max(1, request.proof_seeds)
    proof_s = _trial_s(request, request.proof_budget, scope, pace) * TRIAL_SHARE * tuned / request.workers + quantised * QUANTISE_S
    told = f", {by_torch_pruning} of them by Torch-Pruning," if by_torch_pruning else ""
    measures = scope.to_compile is None
    designed = (request.designs + HELD_OUT) * len(request.precisions) * sizes
    found = [
        Step(SEARCH, f"{request.trials} trials of {request.search_epochs:g} epochs, up to {repeated} repetitions", search_s),
        Step(
            PROOF,
            f"{compared} networks{told} tuned, {'measured in turns' if measures else 'compiled'}, and told",
            proof_s + compared * (pace.compared_s if measures else COMPILE_S) + REPORT_S,
        ),
    ]
    if request.proof_seeds == 0:
        found.pop()
    if scope.is_settled:
        return tuple(found)
    dense_s, seen_s = scope.dense_epochs * scope.train_images / pace.images_per_s, scope.seen_images * FORWARD_SHARE / pace.images_per_s
    before = [
        Step(DENSE, f"{scope.dense_epochs:g} epochs of {scope.train_images} pictures", dense_s),
        Step(CHECK, f"{scope.seen_images} pictures, the way that trials take too", 2 * seen_s + PRUNE_S),
        Step(DESIGNED, f"up to {designed} networks", 0.0 if scope.is_measured else designed * pace.network_s)
        if scope.to_compile is None
        else Step(COMPILED, f"up to {scope.to_compile} networks", scope.to_compile * COMPILE_S),
        Step(
            RECIPE, "short trainings, and the unpruned network in full", choice_s + full_s + (short_s if request.short is not None else 0.0)
        ),
    ]
    return (*(step for step in before if step.seconds), *found)


def _compared(request: Request, scope: Scope) -> int:
    """Networks of the final comparison."""
    sizes = max(1, len(request.sizes))
    return COMPARED + (sizes - 1) * AT_A_SIZE + (sizes * GLOBAL if request.global_pruning else 0) + _quantised(request, scope)


def _quantised(request: Request, scope: Scope) -> int:
    """Those of them that are in INT8."""
    return max(1, len(request.sizes)) * QUANTISED_TOO + 1 if scope.runs_int8 else 0


def _plannable_s(left_s: float, waiting_s: float) -> float:
    """Of what is left: loud neighbours take a part, and the comparison may wait so long for the machine's fast state."""
    return left_s if math.isinf(left_s) else left_s - max((1.0 - MARGIN) * left_s, waiting_s)


def _waiting_s(request: Request, scope: Scope, pace: Pace) -> float:
    """How long the comparison is likely to go on beyond the blocks asked for, by how often the machine was in its fast state lately.

    As long as it may where nobody knows.
    """
    if scope.to_compile is not None:
        return 0.0
    if scope.fast_share <= 0:
        return AGAIN_S
    blocks: float = PLANNED_PAIRS / scope.fast_share**TOGETHER
    return min(AGAIN_S, max(0.0, blocks / ADVISED_PAIRS - 1) * pace.compared_s * _compared(request, scope))


def _trial_s(request: Request, epochs: float, scope: Scope, pace: Pace) -> float:
    """Seconds of tuning and judging the unpruned network."""
    judged = (scope.seen_images - scope.train_images) / 2
    in_int8_s = QUANTISE_S if QUANTISED in request.precisions else 0.0
    return (epochs * scope.train_images + FORWARD_SHARE * judged) / pace.images_per_s + PRUNE_S + in_int8_s


def _lesser(asked: Request, scope: Scope) -> Iterator[Request]:
    """What was asked for, then ever less of it: global pruning unless asked for, trials and repetitions, epochs, designed networks."""
    if asked.global_pruning is None:
        yield replace(asked, global_pruning=True)
        asked = replace(asked, global_pruning=False)
    yield asked
    if asked.minutes is None:
        return
    ladder = ((1.0, 1.0, 0.3),) if scope.is_settled else ((1.0, 1.0, 0.6), (1.0, 0.5, 0.4), (2 / 3, 0.5, 0.3))
    for designs, epochs, least in ladder:
        fewest = min(asked.trials, max(LEAST_TRIALS, math.ceil(least * asked.trials)))
        for trials in range(asked.trials, fewest - 1, -1):
            finalists = min(asked.finalists, max(2, round(asked.finalists * trials / asked.trials)))
            short = None if asked.short is None else epochs * asked.short
            lengths = {"budget": epochs * asked.budget, "proof_budget": epochs * asked.proof_budget, "short": short}
            measured = (
                asked.designs
                if scope.to_compile is not None
                else min(asked.designs, max(FEWEST_NETWORKS, math.ceil(designs * asked.designs)))
            )
            yield replace(asked, trials=trials, finalists=finalists, designs=measured, **lengths)  # type: ignore[arg-type]


def cut(asked: Request, request: Request) -> tuple[str, ...]:
    """In what ``request`` differs from what was asked for, one phrase each."""
    words = {"trials": "trials", "budget": "epochs of each", "finalists": "finalists that are repeated", "designs": "designed networks"}
    is_less = asked.global_pruning is None and not request.global_pruning and asked.proof_seeds > 0
    return (("no global pruning to compare with",) if is_less else ()) + tuple(
        f"{getattr(request, name):g} {word} instead of {getattr(asked, name):g}"
        for name, word in words.items()
        if getattr(request, name) != getattr(asked, name)
    )
