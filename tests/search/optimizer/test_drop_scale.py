"""Large drops are compressed and small ones are not, and what a few trials let expect near the limit follows from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from search.optimizer import drop_scale
from search.optimizer.acquisition import LEAP
from search.optimizer.drop_scale import KNEE, DropScale
from search.optimizer.selector import Optimizer
from search.optimizer.surrogate import DropModel
from search.race.plateau import Plateau
from search.records.trial import Floats, TuningChoice
from search.space.goals import Goal
from search.space.space import SearchSpace

LIMITS = st.floats(0.05, 10)
DROPS = st.floats(-5, 100)
NARROW = 0.05  # of every width: hopeless


@given(LIMITS, DROPS, DROPS)
def test_the_scale_keeps_the_order_and_leads_back(limit: float, one: float, other: float) -> None:
    scale, points = DropScale(limit), np.array([one, other])
    scaled = scale.scaled(points)
    assert scale.points(scaled) == pytest.approx(points, rel=1e-9, abs=1e-9)
    assert np.sign(scaled[0] - scaled[1]) == np.sign(np.sign(one - other) * (abs(scaled[0] - scaled[1]) > 0))
    kept = points <= KNEE * limit
    assert (scaled[kept] == points[kept]).all(), "near the limit points are points"
    assert (scaled <= points + 1e-12).all()


@given(LIMITS, st.floats(0, 60), st.floats(0.01, 5))
def test_told_in_points_the_chance_to_keep_the_limit_stays(limit: float, mean: float, deviation: float) -> None:
    scale = DropScale(limit)
    points, spread = scale.posterior_points(np.array([mean]), np.array([deviation]))
    assert ndtr((limit - points) / spread) == pytest.approx(ndtr((limit - mean) / deviation), rel=1e-9)


def test_a_latency_that_must_be_kept_leaves_drops_as_they_are() -> None:
    """There the least drop is sought, wherever that lies."""
    points = np.array([0.1, 8.0, 80.0])
    scale = drop_scale.of(Goal(max_drop_points=None, max_latency_s=1e-3))
    assert (scale.scaled(points) == points).all()
    assert drop_scale.of(Goal(1.0), 2.0).limit_points == 3.0, "short trials are let off that much"
    assert drop_scale.of(Goal(1.0), 0.0, 6.0).limit_points == 6.0, "and a front is sought further out"


@pytest.fixture(scope="module")
def plateau() -> Plateau:
    return Plateau(0)


def rows(space: SearchSpace, *keeps: float) -> Floats:
    dense = space.encode(space.architecture.dense(), TuningChoice())
    found = np.tile(dense, (len(keeps), 1))
    found[:, : space.groups] = space.snap(np.tile(np.array(keeps)[:, None], (1, space.groups)))
    return found


@pytest.mark.parametrize("limit", [0.5, 1.0, 2.0])
def test_trials_that_lost_nothing_leave_an_uncertainty_of_the_order_of_the_limit(plateau: Plateau, limit: float) -> None:
    """Before, the scale of two drops of 0 was 0, and the model was sure that nothing is ever lost."""
    space = plateau.space()
    model = DropModel().update(space.features(rows(space, 1.0, 0.75)), np.zeros(2), DropScale(limit))
    mean, deviation = model.predict(space.features(rows(space, 1.0, 0.75, 0.4, NARROW)))
    assert mean == pytest.approx(np.zeros(4), abs=1e-9)
    assert (deviation[:2] < 0.5 * limit).all(), "what was seen is known"
    assert 0.5 * limit < deviation[2] < deviation[3] < 5 * limit


def test_how_hopeless_a_trial_was_says_little_about_the_limit(plateau: Plateau) -> None:
    space, found = plateau.space(), []
    for lost in (8.0, 80.0):
        seen = space.features(rows(space, 1.0, 0.75, NARROW))
        model = DropModel().update(seen, np.array([0.0, 0.0, lost]), DropScale(1.0))
        mean, deviation = model.predict(space.features(rows(space, 1.0, 0.75, 0.6)))
        found.append(ndtr((1.0 - mean) / deviation))
        assert (mean[:2] < 0.3).all(), "a trial that lost nothing is still known to"
        assert (deviation[:2] < 0.4).all()
    assert found[0] == pytest.approx(found[1], abs=0.25)
    plain = DropModel().update(seen, np.array([0.0, 0.0, 80.0]))
    assert plain.predict(seen)[1][0] > 3.0, "on plain points it is not"


@pytest.mark.parametrize("lost", [20.0, 80.0])
def test_the_search_goes_down_in_leaps_and_then_between_what_held_and_what_did_not(plateau: Plateau, lost: float) -> None:
    space = plateau.space()
    begun = rows(space, 1.0, 0.75)
    asked = Optimizer(space, plateau, Goal(1.0), 0, list(begun), planned=12)
    ratios = asked.acquisition.ratios(rows(space, 1.0, 0.75, NARROW))
    for row in begun:
        assert asked.ask()[1]
        asked.tell(row, 0.0)
    leap = asked.acquisition.ratios(asked.ask()[0][None])[0]
    assert LEAP * ratios[1] - 0.02 <= leap < 0.9 * ratios[1], "a leap, but not to the narrowest network there is"
    asked.tell(rows(space, NARROW)[0], lost)
    between = asked.acquisition.ratios(asked.ask()[0][None])[0]
    assert ratios[2] < between < 0.97 * ratios[1]
    assert not math.isclose(between, leap)
    asked.close()
