"""A stored campaign as a problem: what was really tried looks as it did, and hopeless trials are stopped on their way."""

from dataclasses import replace

import numpy as np

from search.race import compare, replayed
from search.records.trial import MODEL, STOPPED, Floor, TrialRequest

NAME = "resnet20-fashion-mnist-cpu"


def test_a_stored_campaign_is_replayed_near_its_real_drops() -> None:
    arena = replayed.arena(NAME, 0)
    trials = replayed._trials(replayed.CAMPAIGNS / NAME)
    assert len(trials) > 100
    real = np.asarray([one.outcome.drop_points for one in trials])
    assert arena.truth is not None
    told = np.asarray([arena.truth(one.request.config, arena.space.start) for one in trials])
    near = real < 5
    assert np.abs(told - real)[near].mean() < 0.5
    assert np.corrcoef(np.log1p(told.clip(0)), np.log1p(real.clip(0)))[0, 1] > 0.95


def test_a_watched_replay_is_stopped_at_a_floor_and_otherwise_ends_alike() -> None:
    arena = replayed.arena(NAME, 0)
    assert arena.watched is not None
    config = arena.space.architecture.dense()
    request = TrialRequest(0, MODEL, "", config, arena.space.start, arena.budget_epochs, 0)
    plain, watched = (evaluate(request, lambda *_: None) for evaluate in (arena.evaluate, arena.watched))
    assert watched.curve
    assert (watched.drop_points, watched.top1_ratio) == (plain.drop_points, plain.top1_ratio)
    stopped = arena.watched(replace(request, floors=(Floor(0.25, 1.0, 30.0, 7),)), lambda *_: None)
    assert stopped.status == STOPPED


def test_a_problem_is_found_by_its_name() -> None:
    assert NAME in replayed.names()
    assert compare.arena_of("r56", 7).instance == 2
