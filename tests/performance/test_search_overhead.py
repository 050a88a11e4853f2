"""What the search costs beside its trials: asking and telling, resuming, memory, and what a second worker brings.

``pytest tests/performance/test_search_overhead.py --benchmark-only -s`` checks the limits; without that flag a busy machine may
be slow, the campaigns are smaller, and only the figures are printed.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.records.architecture import Architecture, ChannelGroup
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.optimizer.selector import Optimizer
from search.records import journal
from search.records.journal import Journal
from search.records.trial import MODEL, Floats, Ints, Trial, TrialOutcome, TrialRequest
from search.space.goals import Goal
from search.space.recipe_ranges import RecipeRanges
from search.space.space import SearchSpace

DIMENSIONS = 56
ASK_LIMITS_S = {100: 0.1, 300: 0.3, 1000: 1.5}
RESUMED_TRIALS, RESUME_LIMIT_S = 1000, 4.0
MEMORY_TRIALS, MEMORY_LIMIT_BYTES = (100, 200), 64 << 20
SPEED_UP_LIMIT = 1.8
WAITED_LIMIT = 0.05  # share of the trials' time without a processor, above which wall times say more of other programs
GOAL = Goal(1.0)


class Linear:
    """A microsecond per channel."""

    def costs(self, widths: Ints) -> Floats:
        return (1.0 + widths.sum(axis=1)) * 1e-6


@dataclass
class Growing:
    """An optimiser that is told a drop for whatever it asks; one call is one ask and one tell."""

    optimizer: Optimizer
    rng: np.random.Generator

    def __call__(self) -> None:
        row, _ = self.optimizer.ask()
        self.optimizer.tell(row, drop_of(self.optimizer.space, row, self.rng))


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """51 groups in three stages, and five parts of a recipe."""
    groups = tuple(ChannelGroup(f"g{i:02d}", 64, (f"c{i:02d}",), False, f"stage{i // 17}") for i in range(51))
    legal = {group.name: tuple(range(8, 65, 4)) for group in groups}
    found = SearchSpace(Architecture("wide", (3, 32, 32), 10, groups, ()), legal, RecipeRanges(schedules=("one-shot", "gradual")))
    assert found.dimensions == DIMENSIONS
    return found


def drop_of(space: SearchSpace, row: Floats, rng: np.random.Generator) -> float:
    """Quadratic in the pruned fractions, some groups ten times as sensitive as others, with noise."""
    pruned = space.features(row[None]).pruned[0]
    return float(20 * (pruned**2 * np.geomspace(0.02, 0.2, space.groups)).sum() / 2 + rng.normal(0.0, 0.15))


def drawn_rows(space: SearchSpace, count: int, rng: np.random.Generator) -> Floats:
    keep = rng.uniform(0.3, 1.0, (count, 1)) + rng.normal(0.0, 0.1, (count, space.groups))
    numbers = np.round(rng.random((count, len(space.numbers))), 6)
    categories = [rng.integers(len(choices), size=(count, 1)) for choices in space.choices]
    return np.concatenate([space.snap(np.clip(keep, 0.1, 1.0)), numbers, *categories], axis=1).astype(np.float64)


@pytest.fixture
def growing(space: SearchSpace) -> Iterator[Growing]:
    optimizer = Optimizer(space, Linear(), GOAL, 0, [], planned=2000)
    yield Growing(optimizer, np.random.default_rng(1))
    optimizer.close()


def told(growing: Growing, count: int) -> None:
    space, rng = growing.optimizer.space, growing.rng
    for row in drawn_rows(space, count, rng):
        growing.optimizer.tell(row, drop_of(space, row, rng))
    growing.optimizer.replayed()


@pytest.mark.parametrize("count", ASK_LIMITS_S)
def test_asking_and_telling_stays_short(growing: Growing, benchmark: BenchmarkFixture, judged: bool, count: int) -> None:
    told(growing, count if judged else count // 10)
    benchmark.extra_info["trials"] = count if judged else count // 10
    # the first ask also fits hyper-parameters from nothing; ten cover every kind that follows it
    benchmark.pedantic(growing, rounds=10 if judged else 2, iterations=1, warmup_rounds=1)
    if judged:
        assert benchmark.stats.stats.mean <= ASK_LIMITS_S[count]


def test_memory_stays_flat(growing: Growing, benchmark: BenchmarkFixture, judged: bool) -> None:
    first, more = MEMORY_TRIALS if judged else (10, 5)
    told(growing, first)
    growing()
    before = resident_bytes()
    benchmark.pedantic(growing, rounds=more, iterations=1)
    grown = resident_bytes() - before
    print(f"\nresident memory: {before / 2**20:.0f} MiB at {first} trials, {grown / 2**20:+.1f} MiB after {more} more")
    benchmark.extra_info.update(resident_mib=before / 2**20, grown_mib=grown / 2**20, trials=more)
    assert grown <= MEMORY_LIMIT_BYTES


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def test_a_long_campaign_resumes_fast(space: SearchSpace, benchmark: BenchmarkFixture, judged: bool, tmp_path: Path) -> None:
    """From the journal on disk to the first evaluation after it."""
    count = RESUMED_TRIALS if judged else 50
    settings = CampaignSettings("long", trials=count + 1, seeds=1, budget_epochs=1.0, goal=GOAL)
    rng = np.random.default_rng(2)
    writer = Journal.create(tmp_path, settings.header(space))
    for number, row in enumerate(drawn_rows(space, count, rng)):
        config, recipe = space.decode(row)
        request = TrialRequest(number, MODEL, "drawn", config, recipe, 1.0, 0)
        drop = drop_of(space, row, rng)
        top1 = 0.93 - drop / 100
        writer.started(request, number)
        writer.finished(Trial(request, TrialOutcome(top1, top1 - 0.003, top1 + 0.003, drop), 1e-3), number)
    writer.close()

    def evaluate(trial: TrialRequest, report: object) -> TrialOutcome:
        raise KeyboardInterrupt

    def resumed() -> None:
        with pytest.raises(KeyboardInterrupt):
            campaign.run(settings, space, Linear(), evaluate, tmp_path, resume=True)

    benchmark.pedantic(resumed, rounds=1, iterations=1)
    assert len(journal.read(tmp_path).finished) == count
    if judged:
        assert benchmark.stats.stats.max <= RESUME_LIMIT_S


BURNING = """
import time
from dataclasses import dataclass
from search.records.trial import TrialOutcome

@dataclass(frozen=True)
class Burns:
    seconds: float

    def __call__(self, trial, report):
        began, until = time.monotonic(), time.process_time() + self.seconds
        while time.process_time() < until:
            sum(range(1000))
        return TrialOutcome(0.9, 0.89, 0.91, 1.0, tune_s=time.monotonic() - began)
"""


@dataclass(frozen=True)
class Turn:
    """So many trials on so many workers: seconds by the clock, and seconds that the trials took, waiting for a processor included."""

    workers: int
    wall_s: float
    trials_s: float


@pytest.mark.timeout(3600)
def test_a_second_dask_worker_nearly_doubles_the_trials(
    space: SearchSpace, benchmark: BenchmarkFixture, judged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials of so many seconds of processor time, one worker and two taking turns, their processes started.

    Where processors are free, the trials per hour are compared as they are. Where other programs hold them, a second worker
    cannot bring what is not there: then the shares of the time are compared in which a worker has a trial, which do not depend
    on how fast that trial gets on.
    """
    pytest.importorskip("distributed", reason="the extra 'distributed' is not installed")
    (tmp_path / "burning.py").write_text(BURNING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    from burning import Burns  # type: ignore[import-not-found]

    rounds, trials, seconds = (3, 16, 1.0) if judged else (1, 2, 0.1)
    with _on_dask(space, Burns(seconds), 1) as one, _on_dask(space, Burns(seconds), 2) as two:
        turns = benchmark.pedantic(lambda: [take(trials) for _ in range(rounds) for take in (one, two)], rounds=1, iterations=1)
    alone, both = (_together(turns, workers) for workers in (1, 2))
    waited = 1 - 2 * rounds * trials * seconds / (alone.trials_s + both.trials_s)
    measured = alone.wall_s / both.wall_s
    busy = [turn.trials_s / turn.wall_s / turn.workers for turn in (alone, both)]
    speed_up = measured if waited < WAITED_LIMIT else 2 * busy[1] / busy[0]
    print(
        f"\n{rounds * trials} trials of {seconds:g} processor seconds: {alone.wall_s:.1f} s with one worker, {both.wall_s:.1f} s with two, "
        f"{measured:.2f}x as measured, {waited:.0%} of the trials' time spent waiting for a processor; "
        f"one worker had a trial {busy[0]:.1%} of the time, each of two {busy[1]:.1%}, {2 * busy[1] / busy[0]:.2f}x on free processors"
    )
    benchmark.extra_info.update(measured=measured, waited_ratio=waited, busy_one_ratio=busy[0], busy_two_ratio=busy[1])
    if judged:
        assert speed_up >= SPEED_UP_LIMIT


def _together(turns: list[Turn], workers: int) -> Turn:
    mine = [turn for turn in turns if turn.workers == workers]
    return Turn(workers, sum(turn.wall_s for turn in mine), sum(turn.trials_s for turn in mine))


@contextmanager
def _on_dask(space: SearchSpace, evaluate: object, workers: int) -> Iterator[Callable[[int], Turn]]:
    """A local cluster whose workers have started their processes; gives a turn of so many trials."""
    import distributed

    from search.workers.dask_pool import DaskPool

    places = {str(i): {"cls": distributed.Nanny, "options": {"nthreads": 1, "host": "127.0.0.1"}} for i in range(workers)}
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard_address": None, "port": 0, "host": "127.0.0.1"}}
    with distributed.SpecCluster(workers=places, scheduler=scheduler, silence_logs=50) as cluster:
        pool = DaskPool(cluster.scheduler_address, evaluate, lambda number, phase, share: None)  # type: ignore[arg-type]
        numbers = itertools.count()

        config, recipe = space.decode(space.encode(space.architecture.dense(), space.start))

        def take(trials: int) -> Turn:
            """Nobody waits for the last trial of a turn: more are submitted until the last one that counts is over."""
            began, finished, trials_s = time.perf_counter(), 0, 0.0
            running = 0
            while finished < trials or running:
                while finished < trials and running < pool.slots:
                    pool.submit(TrialRequest(next(numbers), MODEL, "toy", config, recipe, 1.0, 0))
                    running += 1
                for _, outcome in pool.wait():
                    assert outcome.ok
                    running, finished = running - 1, finished + 1
                    if finished <= trials:
                        wall_s, trials_s = time.perf_counter() - began, trials_s + outcome.tune_s
            return Turn(workers, wall_s, trials_s)

        take(2 * workers)
        yield take
        pool.close()
