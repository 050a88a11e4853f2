"""A campaign that found nothing within its limit says which of three things happened, with figures, and gives what there is."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.errors import CampaignError, TrainingError
from harness.records.pruning_config import PruningConfig
from search.campaign import campaign, ends, notes
from search.campaign.campaign import CampaignResult, CampaignSettings
from search.campaign.ends import AllCrashed, AllOverLimit, NoneInTime, NothingPruned
from search.campaign.full_length import FullLength
from search.optimizer import choice, fidelity
from search.optimizer.seeds import initial_rows
from search.proof import entrants
from search.race.synthetic import FULL_EPOCHS, SyntheticEvaluate, SyntheticProblem
from search.records.losses.drop import Drop
from search.records.trial import PROMOTE, REPEAT, Evaluate, Report, TrialOutcome, TrialRequest
from search.space.goals import Goal

SETTINGS = CampaignSettings("c", trials=8, seeds=5, budget_epochs=FULL_EPOCHS, goal=Goal(1.0), finalists=2, repeats=1)
SHORT = replace(SETTINGS, trials=14, short_epochs=6.0)
EVALUATE = SyntheticEvaluate("vgg", 0)


@dataclass
class Worse:
    """Every pruned network loses more than the synthetic problem says, the dense one nothing, as where drops are counted from it.

    more, short_more: points at full length, and in shorter trials. stop_at: number of the trial in which it is interrupted.
    """

    dense: PruningConfig
    more: float
    short_more: float = 0.0
    stop_at: int = -1

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        if trial.number == self.stop_at:
            raise KeyboardInterrupt
        found = EVALUATE(trial, report)
        if trial.config == self.dense:
            return replace(found, drop_points=0.0)
        more = self.more if trial.budget_epochs == FULL_EPOCHS else self.short_more
        return replace(found, drop_points=abs(found.drop_points) + more)


def run(problem: SyntheticProblem, directory: Path, settings: CampaignSettings, evaluate: Evaluate, **more: object) -> CampaignResult:
    return campaign.run(settings, problem.space(), problem, evaluate, directory, **more)  # type: ignore[arg-type]


def promoted(result: CampaignResult) -> list[int]:
    """Numbers of the short trials that were brought to full length."""
    return [trial.request.of for trial in result.trials if trial.request.purpose == PROMOTE]


def test_all_over_the_limit_is_no_error_and_tells_the_least_harmed(vgg: SyntheticProblem, tmp_path: Path) -> None:
    dense = vgg.architecture.dense()
    result = run(vgg, tmp_path, SETTINGS, Worse(dense, 5.0))
    end = ends.of(result, Drop(0.4, 0.1, 0.7))
    assert isinstance(end, AllOverLimit)
    pruned = [one for one in result.standings if one.config != dense]
    least = min(pruned, key=lambda one: one.mean_points)
    assert end.nearest == result.chosen == least
    assert end.tuned == len(pruned) > 1
    assert least.observations == 2, "also what misses the limit is seen twice before it is told"
    assert not [one for one in result.trials if one.request.purpose == REPEAT and one.request.config == dense]
    said = end.sentence
    assert said.startswith("no network found keeps the limit of 1 point: ")
    assert f"lost {least.observed_points:.2f} points in 2 evaluations" in said
    assert least.observed_points > 5.0
    assert f"by all trials together {least.mean_points:.2f}" in said
    assert f"{result.dense_cost / least.cost:.2f}×" in said
    assert "the unpruned network itself lost 0.40 (0.10 to 0.70)" in said
    assert "--budget (now 27 epochs)" in said
    assert "--max-drop" in said
    assert "itself" not in replace(end, dense_lost=None).sentence
    assert notes.recommendation(result, end).startswith(said)


def test_the_comparison_then_gets_the_trade_off_and_never_the_unpruned_network(vgg: SyntheticProblem, tmp_path: Path) -> None:
    dense = vgg.architecture.dense()
    result = run(vgg, tmp_path, SETTINGS, Worse(dense, 5.0))
    entered = [config for config, *_ in entrants.finalists(result, 3)]
    assert result.chosen is not None
    assert entered[0] == result.chosen.config
    assert dense not in entered
    drops = {one.config: one.mean_points for one in choice.front([one for one in result.standings if one.config != dense])}
    assert len(entered) > 1
    assert [drops[config] for config in entered] == sorted(drops[config] for config in entered)


@pytest.mark.parametrize("goal", [Goal(None, 0.05), Goal(1.0, pareto=True)], ids=lambda goal: goal.kind)
def test_other_goals_end_as_they_did(vgg: SyntheticProblem, tmp_path: Path, goal: Goal) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, goal=goal), Worse(vgg.architecture.dense(), 5.0))
    assert ends.of(result) is None
    found = choice.choose([replace(one, candidate=True) for one in result.standings], goal)
    assert (result.chosen is None) == (found is None)
    assert result.chosen is None or result.chosen.trial == found.trial  # type: ignore[union-attr]


def test_a_network_within_the_limit_is_no_such_end(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, goal=Goal(40.0)), Worse(vgg.architecture.dense(), 0.0))
    assert ends.of(result) is None
    assert notes.recommendation(result).startswith("recommended: trial ")


def test_the_least_harmed_short_trials_are_seen_in_full_before_all_is_said_to_be_over(vgg: SyntheticProblem, tmp_path: Path) -> None:
    dense = vgg.architecture.dense()
    result = run(vgg, tmp_path, SHORT, Worse(dense, 5.0, short_more=20.0))
    assert isinstance(ends.of(result), AllOverLimit)
    short = {trial.number: trial for trial in fidelity.short_of(result.trials, 6.0)}
    seen = [short[number] for number in promoted(result) if short[number].request.config != dense]
    faster = [trial for trial in short.values() if trial.request.config != dense and trial.cost < result.dense_cost]
    least = min(faster, key=lambda trial: trial.outcome.drop_points)
    assert seen[0] == least
    assert 2 <= len(seen) <= fidelity.LEAST_HARMED_COUNT
    again = run(vgg, tmp_path, SHORT, Worse(dense, 5.0, short_more=20.0, stop_at=len(result.trials)), resume=True)
    assert again.trials == result.trials, "what was concluded stays so"


def test_what_short_trials_hid_is_found(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, SHORT, Worse(vgg.architecture.dense(), -0.5, short_more=20.0))
    assert ends.of(result) is None
    assert result.chosen_meets_goal
    assert result.chosen is not None
    assert result.chosen.cost < result.dense_cost


@pytest.mark.parametrize("past", [0, 1, 2, 4])
def test_a_killed_campaign_brings_no_more_to_full_length(vgg: SyntheticProblem, tmp_path: Path, past: int) -> None:
    dense, space = vgg.architecture.dense(), vgg.space()
    first_rows = initial_rows(space, vgg, (), 5, 0)
    whole = run(vgg, tmp_path / "whole", SHORT, Worse(dense, 5.0, short_more=20.0), first=first_rows)
    first = min(one.number for one in whole.trials if one.request.origin.endswith("least harmed"))
    with pytest.raises(KeyboardInterrupt):
        run(vgg, tmp_path / "killed", SHORT, Worse(dense, 5.0, 20.0, stop_at=first + past), first=first_rows)
    result = run(vgg, tmp_path / "killed", SHORT, Worse(dense, 5.0, 20.0), resume=True, first=first_rows)
    assert promoted(result) == promoted(whole)
    assert sum(one.request.origin.endswith("least harmed") for one in result.trials) <= fidelity.LEAST_HARMED_COUNT
    assert len(set(promoted(result))) == len(promoted(result))
    assert result.chosen == whole.chosen


def test_a_journal_that_ended_with_nothing_is_helped_and_one_with_a_choice_is_left_alone(
    vgg: SyntheticProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dense = vgg.architecture.dense()
    evaluate = Worse(dense, 5.0, short_more=20.0)
    with monkeypatch.context() as old:
        old.setattr(FullLength, "least_harmed", lambda self: [])
        before = run(vgg, tmp_path / "nothing", SHORT, evaluate)
        chosen = run(vgg, tmp_path / "chosen", SHORT, Worse(dense, 5.0, short_more=0.0))
    assert before.chosen is None
    assert chosen.chosen is not None
    assert not chosen.chosen_meets_goal
    helped = run(vgg, tmp_path / "nothing", SHORT, evaluate, resume=True)
    assert helped.trials[: len(before.trials)] == before.trials
    assert helped.chosen is not None
    left = run(vgg, tmp_path / "chosen", SHORT, Worse(dense, 5.0, stop_at=len(chosen.trials)), resume=True)
    assert (left.trials, left.chosen) == (chosen.trials, chosen.chosen)


REASONS = ("the loss was not a number after epoch 3", "ValueError: layer2.0.conv1 keeps 5 of 16", "its process died")


class Crashes:
    """Crashes in three ways, with other numbers and names each time; ``unpruned`` alone is evaluated."""

    def __init__(self, unpruned: PruningConfig | None = None, length: float = 0.0) -> None:
        self.unpruned, self.length = unpruned, length

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        if trial.config == self.unpruned or trial.budget_epochs < self.length:
            return EVALUATE(trial, report)
        number = trial.number
        if number % 4 == 3:
            raise ValueError(f"layer{number}.{number}.conv1 keeps {number} of 16")
        raise TrainingError(f"the loss was not a number after epoch {number}; lower the learning rate")


def test_crashes_are_told_by_their_reasons_the_commonest_first(vgg: SyntheticProblem, tmp_path: Path) -> None:
    with pytest.raises(CampaignError) as raised:
        run(vgg, tmp_path, SETTINGS, Crashes())
    assert raised.value.exit_code == 2
    lines = str(raised.value).splitlines()
    assert lines[0] == "all 5 trials crashed:"
    assert lines[1] == "  4 × the loss was not a number after epoch 0; lower the learning rate"
    assert lines[2] == "  1 × ValueError: layer3.3.conv1 keeps 3 of 16"
    assert "--name" in lines[3]
    assert len(lines) == 4
    with pytest.raises(CampaignError, match="all 5 trials crashed"):
        run(vgg, tmp_path, SETTINGS, EVALUATE, resume=True)


@pytest.mark.parametrize("most", [3, 50])
def test_where_only_the_unpruned_network_came_through_the_crashes_are_told_too(vgg: SyntheticProblem, tmp_path: Path, most: int) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, max_crashes=most), Crashes(vgg.architecture.dense()))
    end = ends.of(result)
    assert isinstance(end, AllCrashed)
    assert end.sentence.startswith(f"all {min(most, 7)} trials of pruned networks crashed:\n")
    with pytest.raises(CampaignError, match="of pruned networks crashed"):
        ends.refuse(end)
    with pytest.raises(CampaignError, match="of pruned networks crashed"):
        entrants.finalists(result, 3)


def test_crashes_at_full_length_only_are_told_as_such(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, SHORT, Crashes(vgg.architecture.dense(), length=FULL_EPOCHS))
    end = ends.of(result)
    assert isinstance(end, AllCrashed)
    assert "trials of pruned networks at full length crashed" in end.sentence


def slow(seconds: float) -> Callable[[TrialRequest, Report], TrialOutcome]:
    def evaluate(trial: TrialRequest, report: Report) -> TrialOutcome:
        time.sleep(seconds)
        return replace(EVALUATE(trial, report), tune_s=seconds)

    return evaluate


@pytest.mark.parametrize("settings", [SETTINGS, SHORT], ids=["full", "short"])
def test_none_in_time_tells_what_was_done_and_what_it_would_take(vgg: SyntheticProblem, tmp_path: Path, settings: CampaignSettings) -> None:
    hasty = replace(settings, hours=0.3 / 3600, repeats=0)
    result = run(vgg, tmp_path, hasty, slow(0.4))
    end = ends.of(result)
    assert isinstance(end, NoneInTime)
    said = end.sentence
    length = "6 epochs" if settings is SHORT else "27 epochs"
    assert f"1 trial of {length}" in said
    assert float(re.search(r"\((\S+) s each\)", said)[1]) >= 0.4  # and what asking took
    assert "nothing is lost" in said
    with pytest.raises(CampaignError) as raised:
        ends.refuse(end)
    assert raised.value.exit_code == 2
    needed = float(said.rpartition("python -m search resume c --hours=")[2])
    assert end.needed_hours == needed
    least = result.elapsed_s + (settings.trials - 1) * 0.4
    assert least <= needed * 3600 <= 6 * least
    resumed = run(vgg, tmp_path, replace(hasty, hours=needed), EVALUATE, resume=True)
    assert len(resumed.searched) == settings.trials
    assert resumed.trials[: len(result.trials)] == result.trials


def test_where_not_a_single_trial_was_finished_no_figure_is_made_up(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, hours=1e-12), EVALUATE)
    assert result.trials == ()
    end = ends.of(result)
    assert isinstance(end, NoneInTime)
    assert "done: nothing; nothing is lost; how long a trial takes is not known yet" in end.sentence
    assert end.needed_hours >= 10 * result.elapsed_s / 3600 > end.hours


def test_with_too_few_trials_nothing_pruned_was_tried(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, replace(SETTINGS, trials=1), EVALUATE)
    end = ends.of(result)
    assert isinstance(end, NothingPruned)
    assert "only the unpruned network" in end.sentence
    assert "python -m search resume c --trials=" in end.sentence
    with pytest.raises(CampaignError, match="only the unpruned"):
        ends.refuse(end)


def test_what_the_unpruned_network_lost_is_read_from_its_longest_trials(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, SETTINGS, Worse(vgg.architecture.dense(), 5.0))
    lost = ends.lost_by_tuning(result)
    assert lost is not None
    assert lost.points == 0.0
    assert lost.low < 0 < lost.high
    without = replace(result, trials=tuple(trial for trial in result.trials if trial.request.config != vgg.architecture.dense()))
    assert ends.lost_by_tuning(without) is None
