"""What a campaign says about itself is what its trials say."""

from dataclasses import replace
from pathlib import Path

import pytest

from search.campaign import campaign, notes
from search.campaign.campaign import CampaignSettings
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records.events import Event, Note
from search.records.trial import REPEAT, SEED, Trial, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal

SETTINGS = CampaignSettings("c", trials=7, seeds=5, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=2)


@pytest.fixture
def dense(vgg: SyntheticProblem) -> Trial:
    request = TrialRequest(0, SEED, "", vgg.architecture.dense(), TuningChoice(), 27.0, 0)
    return Trial(request, TrialOutcome(0.92, 0.917, 0.923, 0.8, 1.0, 6.0, 2.0), 0.01, ask_s=0.5)


def test_the_time_of_a_trial_is_split_into_its_parts(dense: Trial) -> None:
    longer = replace(dense, outcome=replace(dense.outcome, tune_s=8.0))
    crashed = replace(dense, outcome=TrialOutcome.crashed("no", 100.0))
    told = notes.time_split([dense, crashed, longer])
    assert told == (
        "a trial took 10.50 s in the mean of 2: 0.50 s asking (5%), 1.00 s pruning (10%), 7.00 s tuning (67%), 2.00 s judging (19%)"
    )
    known = replace(dense, outcome=replace(dense.outcome, prune_s=0.0, tune_s=0.0, evaluate_s=0.0))
    assert notes.time_split([dense, known, longer]) == told, "the unpruned network was tuned before the search"
    assert notes.time_split([crashed]) == ""


def test_a_search_that_tunes_for_another_length_than_the_comparison_is_told() -> None:
    assert notes.budgets_differ(4.0, 4.0) == ""
    told = notes.budgets_differ(1.0, 4.0)
    assert told.startswith("trials are tuned for 1 epochs at full length, the networks of the final comparison for 4: ")
    assert "--budget and --proof-budget alike" in told


def test_a_campaign_ends_with_its_finalists_and_their_luck(vgg: SyntheticProblem, tmp_path: Path) -> None:
    events: list[Event] = []
    evaluate = SyntheticEvaluate("vgg", 0)
    result = campaign.run(SETTINGS, vgg.space(), vgg, evaluate, tmp_path, events.append)
    told = [event.text for event in events if isinstance(event, Note)]
    chosen = next(line for line in told if line.startswith("chosen: "))
    standing = result.chosen
    assert standing is not None
    repeats = [one for one in result.trials if one.request.purpose == REPEAT and one.request.of == standing.trial]
    assert len(repeats) == standing.observations - 1 > 0
    assert f"trial {standing.trial}, {standing.cost / result.dense_cost:.3f} of dense" in chosen
    first = next(one for one in result.trials if one.number == standing.trial).outcome.drop_points
    assert f"first seen {first:+.2f}, {abs(standing.mean_points - first):.2f} too" in chosen
    assert f"{standing.observations} evaluations" in chosen
    assert sum(line.startswith("a trial took") for line in told) == 1
