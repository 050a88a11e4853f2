"""The plan: as much of what was asked for as there is time for, never more, and what is cut is said."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.devices.measure import AGAIN_S
from harness.latency.model.predictor import FEWEST_NETWORKS
from search.campaign.plan import steps
from search.campaign.plan.steps import Pace, Plan, Scope
from search.records.request import Request

DIGITS = Scope(train_images=1157, seen_images=1797, dense_epochs=12)
SCOPES = st.builds(
    Scope,
    train_images=st.integers(100, 10**5),
    seen_images=st.integers(10**5, 2 * 10**5),
    dense_epochs=st.floats(0, 60),
    is_measured=st.booleans(),
    is_settled=st.booleans(),
)
PACES = st.builds(Pace, st.floats(10, 1e5), st.floats(0.01, 10), st.floats(0.1, 60))
REQUESTS = st.builds(
    Request,
    trials=st.integers(1, 60),
    budget=st.floats(0.5, 8),
    finalists=st.integers(0, 8),
    minutes=st.floats(0.1, 1000),
    workers=st.integers(1, 4),
    global_pruning=st.sampled_from([None, True, False]),
    proof_seeds=st.integers(0, 2),
)
QUICK, SLOW = Pace(800, 0.3, 5), Pace(80, 0.3, 5)


def planned_s(plan: Plan) -> float:
    return sum(step.seconds for step in plan.steps)


@given(REQUESTS, SCOPES, PACES, st.floats(0, 600))
def test_a_plan_fits_or_does_as_little_as_is_worth_doing_and_says_so(asked: Request, scope: Scope, pace: Pace, spent_s: float) -> None:
    plan = steps.fit(asked, scope, pace, spent_s)
    assert plan.limit_s is not None
    left_s = plan.limit_s - spent_s
    fits = planned_s(plan) <= min(steps.MARGIN * left_s, left_s - AGAIN_S)
    least = steps.fit(replace(asked, minutes=1e-9), scope, pace, spent_s)
    assert fits or plan.request == replace(least.request, minutes=asked.minutes)
    if plan.seconds > plan.limit_s:
        assert "less is not worth doing" in plan.lines[-1]


@given(REQUESTS, SCOPES, PACES, st.floats(1, 10))
def test_more_time_never_does_less(asked: Request, scope: Scope, pace: Pace, more: float) -> None:
    short, long = (steps.fit(replace(asked, minutes=minutes), scope, pace, 0.0) for minutes in (asked.minutes, asked.minutes * more))  # type: ignore[operator]
    assert planned_s(long) >= planned_s(short) * 0.999 or not long.cut


@given(REQUESTS, SCOPES, PACES)
def test_never_more_is_done_than_was_asked_for_and_measuring_stays_as_it_is(asked: Request, scope: Scope, pace: Pace) -> None:
    done = steps.fit(asked, scope, pace, 0.0).request
    assert 1 <= done.trials <= asked.trials
    assert done.finalists <= asked.finalists
    assert done.budget <= asked.budget
    assert min(asked.designs, FEWEST_NETWORKS) <= done.designs <= asked.designs
    assert (done.rounds, done.proof_seeds, done.max_drop) == (asked.rounds, asked.proof_seeds, asked.max_drop)
    assert (done.budget == done.proof_budget) == (asked.budget == asked.proof_budget)


@given(REQUESTS, SCOPES, PACES)
def test_every_cut_is_said(asked: Request, scope: Scope, pace: Pace) -> None:
    plan = steps.fit(asked, scope, pace, 0.0)
    settled = replace(asked, global_pruning=plan.request.global_pruning if asked.proof_seeds == 0 else asked.global_pruning or True)
    settled = asked if asked.global_pruning is False else settled
    assert bool(plan.cut) == (plan.request != settled and plan.request != replace(settled, proof_budget=plan.request.proof_budget))
    assert all(any(cut in line for line in plan.lines) for cut in plan.cut)


@given(REQUESTS, SCOPES, PACES)
def test_once_the_recipe_is_settled_lengths_stay(asked: Request, scope: Scope, pace: Pace) -> None:
    done = steps.fit(asked, replace(scope, is_settled=True), pace, 0.0)
    assert (done.request.budget, done.request.proof_budget, done.request.designs) == (asked.budget, asked.proof_budget, asked.designs)
    assert {step.name for step in done.steps} <= {steps.SEARCH, steps.PROOF}


@given(REQUESTS, SCOPES, PACES)
def test_without_a_limit_everything_is_done(asked: Request, scope: Scope, pace: Pace) -> None:
    whole = replace(asked, minutes=None)
    plan = steps.fit(whole, scope, pace, 0.0)
    assert (plan.request, plan.cut) == (replace(whole, global_pruning=asked.global_pruning is not False), ())


@given(REQUESTS, SCOPES, PACES, st.floats(0, 600))
def test_global_pruning_is_what_goes_first_and_never_where_somebody_asked_for_it(
    asked: Request, scope: Scope, pace: Pace, spent_s: float
) -> None:
    given, left = asked.global_pruning, steps.fit(asked, scope, pace, spent_s)
    if given is not None:
        assert left.request.global_pruning is given
        return
    without = steps.fit(replace(asked, global_pruning=False), scope, pace, spent_s)
    if left.request.global_pruning:
        assert replace(left.request, global_pruning=None) == asked, "nothing else was cut for it"
    else:
        assert left.request == without.request, "and without it all is as if nobody knew of it"
        assert not asked.proof_seeds or left.cut[0] == "no global pruning to compare with"


@given(REQUESTS, SCOPES, PACES, st.floats(0, 600))
def test_the_search_may_use_what_is_left_over_and_leaves_the_proof_its_time(
    asked: Request, scope: Scope, pace: Pace, spent_s: float
) -> None:
    plan = steps.fit(asked, scope, pace, spent_s)
    others = sum(step.seconds for step in plan.steps if step.name != steps.SEARCH)
    left_s = plan.limit_s - spent_s  # type: ignore[operator]
    if planned_s(plan) <= min(steps.MARGIN * left_s, left_s - AGAIN_S):
        assert plan.search_s + others <= left_s - AGAIN_S + 1e-6, "the comparison may wait its minute for the machine's fast state"


@given(REQUESTS, SCOPES, PACES, st.floats(0.05, 1), st.floats(0.05, 1))
def test_the_more_often_the_machine_is_fast_the_less_is_kept_free_for_waiting(
    asked: Request, scope: Scope, pace: Pace, one: float, other: float
) -> None:
    least, most = (steps.fit(asked, replace(scope, fast_share=share), pace, 0.0) for share in sorted((one, other)))
    assert 0 <= most.waiting_s <= AGAIN_S
    if least.request == most.request:
        assert most.waiting_s <= least.waiting_s
    always = steps.fit(asked, replace(scope, fast_share=1.0), pace, 0.0)
    unknown = steps.fit(asked, scope, pace, 0.0)
    assert always.waiting_s == 0.0, "all blocks asked for are pairs in the fast state"
    assert unknown.waiting_s == AGAIN_S
    assert planned_s(always) >= planned_s(unknown)


def test_five_minutes_of_digits_are_enough_for_everything_on_two_quick_cores_and_for_less_on_slower_ones() -> None:
    asked = Request(minutes=5)
    quick, slower, slow = (steps.fit(asked, DIGITS, pace, 20) for pace in (QUICK, replace(QUICK, images_per_s=600, network_s=0.39), SLOW))
    assert quick.seconds <= 300 - AGAIN_S >= slower.seconds, "the comparison may wait its minute"
    epochs = [plan.request.trials * plan.request.budget for plan in (quick, slower, slow)]
    assert epochs == sorted(epochs, reverse=True)
    assert min(quick.request.trials, slower.request.trials) >= 10
