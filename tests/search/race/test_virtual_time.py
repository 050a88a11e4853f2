"""Campaigns of short and full trials on several workers, in virtual time."""

import statistics
from pathlib import Path

import numpy as np
import pytest

from harness.records.pruning_config import PruningConfig
from search.optimizer import fidelity
from search.race import synthetic, virtual_time
from search.race.virtual_time import LengthsEvaluate, VirtualPool
from search.records import journal
from search.records.trial import MODEL, PROMOTE, REPEAT, TrialRequest, TuningChoice

CAMPAIGNS = Path(__file__).parents[3] / "reports" / "campaigns"


def request(number: int, width: int, epochs: float) -> TrialRequest:
    groups = synthetic.problem("r56", 0).architecture.groups
    config = PruningConfig.of("r56", {group.name: min(width, group.channels) for group in groups})
    return TrialRequest(number, MODEL, "", config, TuningChoice(), epochs, 0)


def test_trials_end_in_the_order_of_their_time_and_the_clock_goes_on() -> None:
    pool = VirtualPool(LengthsEvaluate(synthetic.problem("r56", 0)), 3)
    for number, (width, epochs) in enumerate(((64, 4.0), (64, 0.25), (8, 0.25))):
        pool.submit(request(number, width, epochs))
    first = pool.wait()[0][0].number
    at = pool.now_epochs
    pool.submit(request(3, 8, 0.25))
    assert [first, *(pool.wait()[0][0].number for _ in range(3))] == [2, 3, 1, 0]
    assert pool.now_epochs > at > 0


def test_short_drops_grow_with_full_ones() -> None:
    drops = [virtual_time.short_drop(full / 10) for full in range(-5, 300)]
    assert drops == sorted(drops)


def test_the_curve_of_short_drops_goes_through_what_two_campaigns_saw() -> None:
    seen = []
    for name in ("resnet56-five-workers-fashion-mnist-cpu", "resnet56-fashion-mnist-cpu-random"):
        told = journal.read(CAMPAIGNS / name).finished
        low, high = fidelity.pairs(fidelity.short_of(told, virtual_time.SHORT_EPOCHS), fidelity.promoted_of(told, virtual_time.FULL_EPOCHS))
        seen.append(low - [virtual_time.short_drop(one) for one in high])
    errors = np.concatenate(seen)
    assert len(errors) == 20
    assert abs(errors.mean()) < 0.2
    assert abs(errors).mean() < 0.5


def early_latencies() -> list[float]:
    """Of the model's proposals until the first full trial is over, as ratios to the dense network."""
    played, problem = virtual_time.play("r56", 0, workers=5, trials=24), synthetic.problem("r56", 0)
    trials = played.result.trials
    before = next(place for place, trial in enumerate(trials) if trial.request.purpose == PROMOTE)
    return [virtual_time.ratio(problem, trial.request.config) for trial in trials[:before] if trial.request.purpose == MODEL]


def test_while_the_first_full_trials_run_the_search_leaves_the_dense_network(monkeypatch: pytest.MonkeyPatch) -> None:
    hopeful = statistics.median(early_latencies())
    monkeypatch.setattr(fidelity, "HOPED_POINTS", 0.0)
    assert hopeful < statistics.median(early_latencies()) - 0.05, "as it was: short drops taken for full ones"


def test_a_choice_that_nothing_faster_could_replace_is_not_left_far_behind() -> None:
    """All of the first finalists turn out to be too bold here; the dense network's neighbours are no answer."""
    played = virtual_time.play("r56", 1, workers=2)
    assert played.true_drop_points <= virtual_time.GOAL.drop_limit
    assert played.over < 1.5
    purposes = [trial.request.purpose for trial in played.result.trials]
    assert PROMOTE in purposes[purposes.index(REPEAT) :]
