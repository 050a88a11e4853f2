"""A trial is stopped early only where a finished one stood higher and ended hopeless."""

import math

from hypothesis import given
from hypothesis import strategies as st

from harness.records.pruning_config import PruningConfig
from search.optimizer.hopeless import floors, is_hopeless
from search.records.trial import MODEL, Trial, TrialOutcome, TrialRequest, TuningChoice

LIMIT = 1.0


def trial(number: int, top1: float, drop: float, epochs: float = 4.0) -> Trial:
    """One that stood at ``top1`` half-way and lost ``drop`` points in the end."""
    request = TrialRequest(number, MODEL, "", PruningConfig.of("n", {"a": 8}), TuningChoice(), epochs, 0)
    end = 0.95 - drop / 100
    return Trial(request, TrialOutcome(end, end - 0.01, end + 0.01, drop, curve=((0.5, top1),)), 1e-3)


GOOD = [trial(0, 0.93, 0.0), trial(1, 0.90, 0.8), trial(2, 0.88, 2.0)]
BAD = trial(3, 0.40, 30.0)


def test_nothing_is_stopped_before_a_trial_ended_hopeless() -> None:
    assert floors(GOOD, LIMIT, 4.0) == ()
    assert floors([BAD], LIMIT, 4.0) == ()
    assert floors([*GOOD[:1], BAD], LIMIT, 4.0) == (), "two trials are too few"


def test_the_floor_is_below_the_hopeless_one_and_names_it() -> None:
    (floor,) = floors([*GOOD, BAD], LIMIT, 4.0)
    assert floor.share == 0.5
    assert floor.top1_ratio < 0.40
    assert (floor.trial, floor.least_points) == (3, 30.0)


def test_trials_of_another_length_say_nothing() -> None:
    assert floors([*GOOD, trial(3, 0.40, 30.0, epochs=1.0)], LIMIT, 4.0) == ()


@given(st.lists(st.tuples(st.floats(0.1, 0.99), st.floats(-1.0, 60.0)), min_size=1, max_size=12))
def test_no_trial_that_was_not_hopeless_would_have_been_stopped(seen: list[tuple[float, float]]) -> None:
    """Whatever the curves are: a floor lies below every trial that ended well, and what is told is hopeless too."""
    trials = [trial(number, top1, drop) for number, (top1, drop) in enumerate(seen)]
    for floor in floors(trials, LIMIT, 4.0):
        assert all(dict(one.outcome.curve)[0.5] >= floor.top1_ratio for one in trials if not is_hopeless(one, LIMIT))
        assert floor.least_points > LIMIT
        assert math.isfinite(floor.top1_ratio)
