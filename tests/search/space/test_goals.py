"""Goals that cannot be met are refused early."""

import numpy as np
import pytest

from harness.errors import CampaignError, UsageError
from harness.records.architecture import Architecture
from search.race.synthetic import SyntheticProblem
from search.records.trial import KnownCost, TuningChoice
from search.space.goals import Goal, check_choice, check_reachable, fastest
from search.space.space import SearchSpace


@pytest.mark.parametrize(
    ("goal", "kind", "text"),
    [
        (Goal(0.5), "max-drop", "the lowest latency within a drop of at most 0.5 points"),
        (Goal(0.5, 2e-3), "max-drop", "the lowest latency within a drop of at most 0.5 points, and at most 2 ms"),
        (Goal(None, 2e-3), "max-latency", "the lowest drop within at most 2 ms"),
        (Goal(None, pareto=True), "pareto", "the front of latency and drop"),
    ],
)
def test_goals_say_what_they_are(goal: Goal, kind: str, text: str) -> None:
    assert (goal.kind, goal.text) == (kind, text)


@pytest.mark.parametrize(
    ("goal", "drops", "missed"),
    [
        (Goal(0.5), (0.6, 0.7), True),
        (Goal(0.5), (0.6, 0.5), False),
        (Goal(0.5), (), False),
        (Goal(0.5, 1.0), (0.6,), True),
        (Goal(None, 1.0), (9.0,), False),
        (Goal(0.5, pareto=True), (9.0,), False),
    ],
)
def test_a_limit_is_missed_when_everything_found_loses_more(goal: Goal, drops: tuple[float, ...], missed: bool) -> None:
    assert goal.missed_by(drops) is missed


@pytest.mark.parametrize(
    ("fields", "says"),
    [((-0.1,), "percentage points"), ((101,), "percentage points"), ((float("nan"),), "percentage points"), ((None,), "nothing is asked")],
)
def test_goals_that_make_no_sense_are_refused(fields: tuple[float | None, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Goal(*fields)


def test_a_latency_that_is_no_latency_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 0"):
        Goal(None, 0.0)


def test_an_unreachable_latency_is_refused_with_the_nearest_one(space: SearchSpace, linear_latency: KnownCost) -> None:
    _, least_s = fastest(space, linear_latency)
    assert least_s == pytest.approx((1 + 8 + 0 + 0 + 8) * 1e-6)
    check_reachable(Goal(None, least_s), space, linear_latency)
    with pytest.raises(CampaignError, match=r"fastest is predicted at 0.017 ms; give --max-latency-ms=0.02 or more"):
        check_reachable(Goal(1.0, least_s * 0.99), space, linear_latency)


def test_a_staircase_does_not_hide_the_fastest(vgg: SyntheticProblem) -> None:
    space = vgg.space()
    _, least_s = fastest(space, vgg)
    rng = np.random.default_rng(0)
    narrow = space.encode(vgg.architecture.dense(), TuningChoice())[None].repeat(500, axis=0)
    narrow[:, : space.groups] = rng.integers(0, 3, (500, space.groups))
    assert least_s <= vgg.costs(space.widths(narrow)).min()


def test_a_search_in_which_there_is_nothing_to_choose_is_refused(architecture: Architecture) -> None:
    published = architecture.partial({"layer1.0.conv1": 7})
    alone = SearchSpace(architecture, {"layer1.0.conv1": (16,)}, exact=[published])
    assert alone.configurations == 1
    with pytest.raises(CampaignError, match=r"only legal configuration of toy on this device, and 1 published .*--precision=f32,int8"):
        check_choice(alone, [published], ("f32",))
    check_choice(alone, [published], ("f32", "int8"))
    check_choice(SearchSpace(architecture, {"layer1.0.conv1": (8, 16)}), [], ("f32",))
