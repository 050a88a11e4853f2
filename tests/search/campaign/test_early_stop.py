"""A hopeless trial is stopped, says so in the journal, and is never taken for a full observation."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from search.campaign import campaign
from search.campaign.campaign import CampaignResult, CampaignSettings
from search.race import synthetic
from search.race.synthetic import SyntheticProblem
from search.records import journal
from search.records.events import Event, Note
from search.records.sensitivity_record import Sensitivity
from search.records.trial import MODEL, SEED, STOPPED, Report, TrialOutcome, TrialRequest, crashes_in_a_row
from search.space.goals import Goal
from search.space.recipe_ranges import NUMBERS, RecipeRanges
from search.space.space import SearchSpace

SETTINGS = CampaignSettings("c", trials=9, seeds=3, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1)


@dataclass(frozen=True)
class Halved:
    """The third new network ends hopeless, and every later one stands lower on its way."""

    problem: SyntheticProblem

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        drop = self.problem.true_drop(trial.config, trial.recipe)
        if trial.purpose not in (SEED, MODEL) or trial.number < 3:
            return replace(outcome(drop), curve=((0.5, 0.9 - drop / 100),))
        stood = 0.5 if trial.number == 3 else 0.3
        for floor in trial.floors:
            if stood < floor.top1_ratio:
                return TrialOutcome.stopped(floor, ((0.5, stood),), trial.budget_epochs, 1.0)
        return replace(outcome(40.0), curve=((0.5, stood),))


def outcome(drop: float) -> TrialOutcome:
    top1 = 0.95 - drop / 100
    return TrialOutcome(top1, top1 - 0.005, top1 + 0.005, drop)


def fixed(problem: SyntheticProblem) -> SearchSpace:
    best = synthetic.TUNED
    ranges = RecipeRanges(
        (best.criterion,), (best.schedule,), off_the_shelf=best, **{number: (getattr(best, number),) * 2 for number in NUMBERS}
    )
    return SearchSpace(problem.architecture, problem.space().legal_widths, ranges, "layer")


def run(
    problem: SyntheticProblem, folder: Path, said: list[str], settings: CampaignSettings = SETTINGS, resume: bool = False
) -> CampaignResult:
    def hear(event: Event) -> None:
        if isinstance(event, Note):
            said.append(event.text)

    return campaign.run(settings, fixed(problem), problem, Halved(problem), folder, hear, resume=resume)


def test_a_stopped_trial_is_told_kept_and_never_a_full_observation(vgg: SyntheticProblem, tmp_path: Path) -> None:
    said: list[str] = []
    result = run(vgg, tmp_path, said)
    stopped = [one for one in result.trials if one.outcome.status == STOPPED]
    assert stopped
    assert len([line for line in said if "stopped after 13.5 of 27 epochs at a top-1 of 30.0%: trial 3 stood higher" in line]) == len(
        stopped
    )
    for one in stopped:
        assert math.isnan(one.outcome.drop_points)
        assert one.outcome.least_points == 40.0
        assert one.number not in {standing.trial for standing in result.standings}
    assert crashes_in_a_row(result.trials) == 0
    assert len(result.searched) == 9, "it was one of the trials"
    again = journal.read(tmp_path).finished
    assert [one.outcome.curve for one in again] == [one.outcome.curve for one in result.trials]
    assert [one.request.floors for one in again] == [one.request.floors for one in result.trials]


def test_a_journal_of_before_has_neither_floors_nor_curves(vgg: SyntheticProblem, tmp_path: Path) -> None:
    run(vgg, tmp_path, [])
    path = tmp_path / journal.FILE
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    for document in documents:
        document.get("request", {}).pop("floors", None)
        for name in ("curve", "least_points"):
            document.get("outcome", {}).pop(name, None)
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    assert all(one.outcome.curve == () and one.request.floors == () for one in journal.read(tmp_path).finished)


def test_the_beginning_of_a_campaign_is_not_begun_again_by_a_resume(vgg: SyntheticProblem, tmp_path: Path) -> None:
    """More trials are a larger third, but a campaign whose model has proposed has its beginning behind it."""
    first = run(vgg, tmp_path, [], replace(SETTINGS, seeds=12))
    more = run(vgg, tmp_path, [], replace(SETTINGS, seeds=12, trials=15), resume=True)
    count = [sum(one.request.purpose == SEED for one in result.trials) for result in (first, more)]
    assert count == [3, 3]
    assert len(more.searched) == 15


def test_what_was_seen_of_the_groups_shapes_the_beginning(vgg: SyntheticProblem, tmp_path: Path) -> None:
    space = fixed(vgg)
    configs = []
    for place, seen in enumerate((None, synthetic.look("vgg", 0, 0), Sensitivity(()))):
        result = campaign.run(replace(SETTINGS, finalists=0), space, vgg, Halved(vgg), tmp_path / str(place), sensitivity=seen)
        configs.append([one.request.config for one in result.trials if one.request.purpose == SEED])
    assert configs[0] != configs[1]
    assert configs[0] == configs[2]
