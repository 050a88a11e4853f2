"""A campaign ends with its trials whatever interrupts it, and says why it ended."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import CampaignError, TrainingError, UsageError
from search.campaign import campaign, progress
from search.campaign.campaign import CampaignResult, CampaignSettings
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import journal
from search.records.events import Begun, Ended, Event, Improved, Note, TrialFinished, TrialProgress, TrialStarted
from search.records.journal import Journal
from search.records.trial import REPEAT, Report, TrialOutcome, TrialRequest
from search.space.goals import Goal

SETTINGS = CampaignSettings("c", trials=8, seeds=5, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1)
EVALUATE = SyntheticEvaluate("vgg", 0)


def run(problem: SyntheticProblem, directory: Path, settings: CampaignSettings = SETTINGS, **more: object) -> CampaignResult:
    evaluate = more.pop("evaluate", EVALUATE)
    return campaign.run(settings, problem.space(), problem, evaluate, directory, **more)  # type: ignore[arg-type]


def test_side_by_side_no_repetition_is_made_twice(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, trials=6, workers=2, finalists=3, repeats=2))
    repeated = [(t.request.of, t.request.seed) for t in result.trials if t.request.purpose == REPEAT]
    assert 2 <= len(repeated) <= 6
    assert len(set(repeated)) == len(repeated)
    assert {seed for _, seed in repeated} == {1, 2}


def configurations(result: CampaignResult) -> list[tuple[object, ...]]:
    return [(t.number, t.request.config, t.request.recipe, t.outcome.drop_points) for t in result.trials]


def test_a_campaign_tries_repeats_and_chooses(vgg: SyntheticProblem, tmp_path: Path) -> None:
    events: list[Event] = []
    result = run(vgg, tmp_path, observer=events.append)
    assert len(result.searched) == 8
    repeated = [t for t in result.trials if t.request.purpose == REPEAT]
    assert 1 <= len(repeated) <= 2
    assert all(t.request.seed == 1 for t in repeated)
    assert result.stop_reason == "all 8 trials are done"
    assert result.trials[0].request.config == vgg.architecture.dense()
    assert result.chosen is not None
    assert result.chosen.cost < result.dense_cost
    assert result.chosen in result.standings
    assert len(result.standings) == 8
    assert result.front
    kinds = [type(event) for event in events]
    assert kinds[0] is Begun
    assert kinds[-1] is Ended
    assert kinds.count(TrialStarted) == kinds.count(TrialFinished) == len(result.trials)
    assert Improved in kinds
    assert journal.read(tmp_path).stopped == result.stop_reason


@pytest.mark.parametrize("workers", [1, 2])
def test_a_campaign_prepares_once_and_only_for_trials_that_are_to_run(vgg: SyntheticProblem, tmp_path: Path, workers: int) -> None:
    settings, prepared = replace(SETTINGS, workers=workers), []

    def prepare() -> None:
        prepared.append(journal.read(tmp_path).next_number)

    first = run(vgg, tmp_path, settings, prepare=prepare)
    assert prepared == [1], "before the first trial runs, whose start is in the journal"
    again = run(vgg, tmp_path, settings, prepare=prepare, resume=True)
    assert prepared == [1]
    assert configurations(again) == configurations(first)
    run(vgg, tmp_path, replace(settings, trials=9), prepare=prepare, resume=True)
    assert len(prepared) == 2


def test_same_seed_same_trials(vgg: SyntheticProblem, tmp_path: Path) -> None:
    one, same = run(vgg, tmp_path / "a"), run(vgg, tmp_path / "b")
    other = run(vgg, tmp_path / "c", replace(SETTINGS, seed=1))
    assert configurations(one) == configurations(same) != configurations(other)


def test_the_result_is_read_from_the_journal(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path)
    read = campaign.result_of(SETTINGS, vgg.space(), vgg, journal.read(tmp_path))
    assert read.trials == result.trials
    assert read.chosen == result.chosen


class StopsAt:
    """Evaluates until a trial number, where it is interrupted."""

    def __init__(self, number: int, how: type[BaseException] = KeyboardInterrupt) -> None:
        self.number, self.how, self.seen = number, how, list[int]()

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        if trial.number == self.number:
            raise self.how
        self.seen.append(trial.number)
        return EVALUATE(trial, report)


@pytest.mark.parametrize("number", [0, 3, 5, 7, 8])
def test_an_interrupted_campaign_ends_with_the_same_number_of_trials(vgg: SyntheticProblem, tmp_path: Path, number: int) -> None:
    first, second = StopsAt(number), StopsAt(-1)
    with pytest.raises(KeyboardInterrupt):
        run(vgg, tmp_path, evaluate=first)
    result = run(vgg, tmp_path, evaluate=second, resume=True)
    assert not set(first.seen) & set(second.seen), "no finished trial is repeated"
    assert sorted(first.seen + second.seen) == list(range(len(result.trials)))
    assert len(result.searched) == 8
    in_flight = next(t for t in result.trials if t.number == number)
    assert in_flight.request.purpose in ("seed", "model", "repeat")


def test_a_finished_campaign_resumes_to_the_same_result(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path)
    nothing = StopsAt(-1)
    again = run(vgg, tmp_path, evaluate=nothing, resume=True)
    assert nothing.seen == []
    assert configurations(again) == configurations(result)
    assert again.chosen == result.chosen


def test_more_trials_are_added_by_resuming_with_more(vgg: SyntheticProblem, tmp_path: Path) -> None:
    run(vgg, tmp_path)
    result = run(vgg, tmp_path, replace(SETTINGS, trials=10), resume=True)
    assert len(result.searched) == 10


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"measurements": "new"}, r"with: measurements \(old in the journal, new now\); put back"),
        ({"accuracy": "new"}, "with: dense weights or data"),
        ({"goal": Goal(2.0)}, "with: goal"),
    ],
)
def test_a_campaign_about_something_else_is_refused(vgg: SyntheticProblem, tmp_path: Path, changes: dict[str, str], says: str) -> None:
    settings = replace(SETTINGS, trials=1, finalists=0, measurements="old", accuracy="old")
    run(vgg, tmp_path, settings)
    before = (tmp_path / journal.FILE).read_bytes()
    with pytest.raises(CampaignError, match=says):
        run(vgg, tmp_path, replace(settings, **changes), resume=True)  # type: ignore[arg-type]
    assert (tmp_path / journal.FILE).read_bytes() == before
    Journal.reopen(tmp_path)[0].close()


def test_another_space_is_refused(vgg: SyntheticProblem, tmp_path: Path) -> None:
    settings = replace(SETTINGS, trials=1, finalists=0)
    run(vgg, tmp_path, settings)
    with pytest.raises(CampaignError, match="with: space"):
        campaign.run(settings, vgg.space("stage"), vgg, EVALUATE, tmp_path, resume=True)


def not_a_number(trial: TrialRequest, report: Report) -> TrialOutcome:
    if trial.number % 2:
        return TrialOutcome(float("nan"), 0.0, 1.0, float("nan"))
    return EVALUATE(trial, report)


def test_an_accuracy_that_is_not_a_number_is_a_crashed_trial(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, evaluate=not_a_number)
    crashed = [t for t in result.searched if not t.outcome.ok]
    assert len(crashed) == 4
    assert all("not usable" in t.outcome.reason for t in crashed)
    assert result.chosen is not None


def always_crashes(trial: TrialRequest, report: Report) -> TrialOutcome:
    raise TrainingError("the loss is not a number; lower the learning rate")


def test_an_objective_that_always_crashes_stops_with_its_reason(vgg: SyntheticProblem, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="all 5 trials crashed:\n  5 × the loss is not a number"):
        run(vgg, tmp_path, evaluate=always_crashes)
    assert len(journal.read(tmp_path).finished) == 5


def crashes_from_three_on(trial: TrialRequest, report: Report) -> TrialOutcome:
    if trial.number >= 3:
        raise ValueError("out of\nmemory")
    return EVALUATE(trial, report)


def test_crashes_in_a_row_end_the_search_but_keep_its_result(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, max_crashes=3, repeats=0), evaluate=crashes_from_three_on)
    assert result.stop_reason == "the last 3 trials crashed, the last one with: ValueError: out of memory"
    assert len(result.trials) == 6
    assert result.chosen is not None


def test_time_ends_the_search(vgg: SyntheticProblem, tmp_path: Path) -> None:
    def slow(trial: TrialRequest, report: Report) -> TrialOutcome:
        time.sleep(0.6)
        return EVALUATE(trial, report)

    result = run(vgg, tmp_path, replace(SETTINGS, hours=0.5 / 3600, repeats=0), evaluate=slow)
    assert result.stop_reason == "the time of 0.000138889 h is used up"
    assert len(result.searched) == 1


def test_patience_ends_a_search_that_promises_nothing(vgg: SyntheticProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SMALL_IMPROVEMENT", 1e9)
    result = run(vgg, tmp_path, replace(SETTINGS, patience=2, repeats=0))
    assert len(result.searched) == SETTINGS.first_count + 2
    assert result.stop_reason.startswith("2 proposals in a row promised")


def test_a_guard_stops_before_the_next_proposal(vgg: SyntheticProblem, tmp_path: Path) -> None:
    def guard() -> None:
        if (tmp_path / journal.FILE).read_text().count('"finished"') == 2:
            raise CampaignError("the measurements were replaced; start again")

    with pytest.raises(CampaignError, match="replaced"):
        run(vgg, tmp_path, guard=guard)
    assert len(journal.read(tmp_path).finished) == 2
    assert len(run(vgg, tmp_path, resume=True).searched) == 8


def test_progress_is_passed_on(vgg: SyntheticProblem, tmp_path: Path) -> None:
    def reporting(trial: TrialRequest, report: Report) -> TrialOutcome:
        report("tune", 0.5)
        return EVALUATE(trial, report)

    events: list[Event] = []
    run(vgg, tmp_path, replace(SETTINGS, trials=1, finalists=0), evaluate=reporting, observer=events.append)
    assert TrialProgress(0, "tune", 0.5) in events


@pytest.mark.parametrize("goal", [Goal(None, 0.05), Goal(2.0, pareto=True)], ids=lambda goal: goal.kind)
def test_other_goals_are_met(vgg: SyntheticProblem, tmp_path: Path, goal: Goal) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, goal=goal))
    assert result.chosen is not None
    if goal.max_latency_s is not None:
        assert result.chosen.cost <= goal.max_latency_s
    assert (np.diff([one.mean_points for one in result.front]) < 0).all()


def test_two_limits_that_cannot_both_be_kept_are_told_early(vgg: SyntheticProblem, tmp_path: Path) -> None:
    events: list[Event] = []
    settings = replace(SETTINGS, trials=22, seeds=6, goal=Goal(0.2, max_latency_s=0.008), finalists=0)
    result = run(vgg, tmp_path / "hopeless", settings, observer=events.append)
    notes = [event.text for event in events if isinstance(event, Note) and "limits" in event.text]
    assert len(notes) == 1
    assert notes[0].startswith("both limits together look out of reach (chance ")
    assert "--max-latency-ms=" in notes[0]
    assert "--max-drop=" in notes[0]
    assert not result.chosen_meets_goal
    events.clear()
    easy = run(vgg, tmp_path / "easy", replace(settings, goal=Goal(3.0, max_latency_s=0.08)), observer=events.append)
    assert not any(isinstance(event, Note) and "limits" in event.text for event in events)
    assert easy.chosen_meets_goal


@pytest.mark.parametrize("changes", [{"trials": 0}, {"hours": 0.0}, {"workers": 0}, {"patience": -1}, {"budget_epochs": float("nan")}])
def test_settings_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=rf"{next(iter(changes))} is .*; give"):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]
