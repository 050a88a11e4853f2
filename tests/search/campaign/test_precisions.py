"""One tuning tells a trial in every precision: each stands, each is learnt, and nothing is tuned for its sake again."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from search.campaign import campaign, notes
from search.campaign.campaign import CampaignResult, CampaignSettings
from search.optimizer.selector import Optimizer
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import journal
from search.records.journal import Journal
from search.records.trial import JUDGED, NEW, REPEAT, Floats, InPrecision, Ints, Report, Trial, TrialOutcome, TrialRequest
from search.space.goals import Goal
from search.space.screened_latency import LatencyByPrecision, cost_of
from search.space.space import SearchSpace

SETTINGS = CampaignSettings("c", trials=8, seeds=5, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1)
EVALUATE = SyntheticEvaluate("vgg", 0)
BOTH = ("f32", "int8")


@dataclass(frozen=True)
class Times:
    """So many times as slow as another latency."""

    of: SyntheticProblem
    ratio: float

    def costs(self, widths: Ints) -> Floats:
        return self.of.costs(widths) * self.ratio


@dataclass
class JointEvaluate:
    """A synthetic network that loses ``harm_points`` more in INT8; counts its tunings. crashes: INT8 cannot be judged."""

    harm_points: float = 0.05
    crashes: bool = False
    tunings: list[TrialRequest] = field(default_factory=list)

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        self.tunings.append(trial)
        found = EVALUATE(trial, report)
        seen = {"f32": found}
        if not self.crashes:
            seen["int8"] = replace(found, drop_points=found.drop_points + self.harm_points)
        others = tuple(
            InPrecision(name, one.top1_ratio, one.top1_low, one.top1_high, one.drop_points, 0.1)
            for name, one in seen.items()
            if name != trial.recipe.precision
        )
        ours = seen.get(trial.recipe.precision) or TrialOutcome.crashed("the device has no INT8 for this")
        return replace(ours, others=others, tune_s=7.0)

    @property
    def tuned(self) -> Counter[tuple[object, ...]]:
        """How often what was tuned, whatever it was to run in."""
        return Counter((one.config, replace(one.recipe, precision=""), one.budget_epochs, one.seed) for one in self.tunings)


def latency_of(problem: SyntheticProblem, int8: float = 0.5) -> LatencyByPrecision:
    return LatencyByPrecision({"f32": problem, "int8": Times(problem, int8)})


def space_of(problem: SyntheticProblem) -> SearchSpace:
    alone = problem.space()
    return SearchSpace(problem.architecture, alone.legal_widths, replace(alone.ranges, precisions=BOTH))


def run(
    problem: SyntheticProblem,
    directory: Path,
    evaluate: JointEvaluate,
    settings: CampaignSettings = SETTINGS,
    int8: float = 0.5,
    **more: object,
) -> CampaignResult:
    return campaign.run(settings, space_of(problem), latency_of(problem, int8), evaluate, directory, **more)  # type: ignore[arg-type]


def test_one_tuning_gives_a_trial_for_each_precision(vgg: SyntheticProblem, tmp_path: Path) -> None:
    evaluate, latency = JointEvaluate(), latency_of(vgg)
    result = run(vgg, tmp_path, evaluate)
    own, judged = ([t for t in result.trials if (t.request.purpose == JUDGED) is is_judged] for is_judged in (False, True))
    assert len(own) == len(judged) == len(evaluate.tunings)
    assert len(result.searched) == SETTINGS.trials, "what was only judged is no trial more"
    numbers = [t.number for t in result.trials]
    assert len(set(numbers)) == len(numbers)
    by_number = {t.number: t for t in own}
    for one in judged:
        tuned = by_number[one.request.of]
        assert one.request.config == tuned.request.config
        assert {one.request.recipe.precision, tuned.request.recipe.precision} == set(BOTH)
        assert replace(one.request.recipe, precision="") == replace(tuned.request.recipe, precision="")
        assert one.outcome.drop_points - tuned.outcome.drop_points == pytest.approx(
            evaluate.harm_points * (1 if one.request.recipe.precision == "int8" else -1)
        )
        assert (one.outcome.tune_s, one.outcome.prune_s) == (0.0, 0.0)
    for one in result.trials:
        request = one.request
        assert one.cost == pytest.approx(cost_of(vgg.architecture, latency, request.config, request.recipe.precision))
    assert max(evaluate.tuned.values()) == 1
    assert {(one.config, one.recipe.precision) for one in result.standings} == {
        (config, precision) for config in {t.request.config for t in own} for precision in BOTH
    }
    assert result.epochs == sum(t.request.budget_epochs for t in own), "judging is no tuning"
    assert f"of {len(own)}: " in notes.time_split(result.trials)
    assert result.trials == journal.read(tmp_path).finished


class Told(Optimizer):
    """Remembers what it was told."""

    rows: ClassVar[list[tuple[bytes, float]]] = []

    def tell(self, row: Floats, drop_points: float, crashed: bool = False) -> None:
        Told.rows.append((self.space.keys(np.asarray(row)[None])[0], drop_points))
        super().tell(row, drop_points, crashed)


def test_the_optimiser_learns_both_once_and_so_it_does_after_a_resume(vgg: SyntheticProblem, tmp_path: Path) -> None:
    Told.rows = []
    result = run(vgg, tmp_path, JointEvaluate(), optimizer_class=Told)
    told, space = list(Told.rows), space_of(vgg)
    known = [t for t in result.trials if t.request.purpose in NEW]
    of_new = {t.number for t in known}
    known += [t for t in result.trials if t.request.purpose == JUDGED and t.request.of in of_new]
    wanted = {space.keys(space.encode(t.request.config, t.request.recipe)[None])[0]: t.outcome.drop_points for t in known}
    assert len(told) == len(wanted) == 2 * len(of_new)
    assert dict(told) == pytest.approx(wanted)
    Told.rows = []
    run(vgg, tmp_path, JointEvaluate(), resume=True, optimizer_class=Told)
    assert sorted(Told.rows) == sorted(told)


@pytest.mark.parametrize("place", [0, 2, -1])
def test_a_campaign_killed_between_the_two_lines_makes_up_for_it_and_tunes_nothing_again(
    vgg: SyntheticProblem, tmp_path: Path, place: int
) -> None:
    whole = run(vgg, tmp_path / "whole", JointEvaluate())
    path = tmp_path / "whole" / journal.FILE
    lines = path.read_text().splitlines(keepends=True)
    judged = [number for number, line in enumerate(lines) if json.loads(line).get("request", {}).get("purpose") == JUDGED][place]
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / journal.FILE).write_text("".join(lines[:judged]))
    before = journal.read(tmp_path / "killed").finished
    evaluate = JointEvaluate()
    result = run(vgg, tmp_path / "killed", evaluate, resume=True)
    tuned_before = Counter(
        (t.request.config, replace(t.request.recipe, precision=""), t.request.budget_epochs, t.request.seed)
        for t in before
        if t.request.purpose != JUDGED
    )
    assert not set(tuned_before) & set(evaluate.tuned)
    assert result.trials[: len(before) + 1] == whole.trials[: len(before) + 1]
    assert Counter(t.request.of for t in result.trials if t.request.purpose == JUDGED).most_common(1)[0][1] == 1
    assert len(result.searched) == SETTINGS.trials


@pytest.mark.parametrize(("harm_points", "int8", "precision"), [(0.02, 0.5, "int8"), (30.0, 0.5, "f32"), (0.02, 2.0, "f32")])
@pytest.mark.parametrize("short_epochs", [None, 9.0])
def test_int8_is_recommended_where_it_is_faster_and_keeps_the_limit(
    vgg: SyntheticProblem, tmp_path: Path, harm_points: float, int8: float, precision: str, short_epochs: float | None
) -> None:
    settings = replace(SETTINGS, trials=14, short_epochs=short_epochs, goal=Goal(1.5, certainty=0.6))
    evaluate = JointEvaluate(harm_points)
    result = run(vgg, tmp_path, evaluate, settings, int8)
    assert result.chosen is not None
    assert result.chosen.recipe.precision == precision
    assert f"in {precision}" in notes.recommendation(result)
    assert max(evaluate.tuned.values()) == 1, "what is at full length in one precision is not tuned again for the other"


def test_a_trial_whose_int8_crashed_tells_f32_all_the_same(vgg: SyntheticProblem, tmp_path: Path) -> None:
    evaluate = JointEvaluate(crashes=True)
    result = run(vgg, tmp_path, evaluate, replace(SETTINGS, max_crashes=3))
    crashed = [t for t in result.trials if t.outcome.failed]
    assert crashed, "INT8 is faster here, and asked for"
    assert {t.request.recipe.precision for t in crashed} == {"int8"}
    judged = {t.request.of: t for t in result.trials if t.request.purpose == JUDGED}
    assert {t.number for t in crashed} == set(judged)
    assert all(t.outcome.ok and t.request.recipe.precision == "f32" for t in judged.values())
    assert len(result.searched) == SETTINGS.trials, "a crash in one precision is no trial that crashed whole"
    assert result.chosen is not None
    assert result.chosen.recipe.precision == "f32"


def test_a_repetition_repeats_both(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, JointEvaluate())
    repeated = [t for t in result.trials if t.request.purpose == REPEAT]
    assert repeated
    for trial in repeated:
        standings = [one for one in result.standings if one.config == trial.request.config]
        assert {one.recipe.precision for one in standings} == set(BOTH)
        assert len({one.observations for one in standings}) == 1
        assert standings[0].observations > 1


def test_journals_from_before_there_were_precisions_load(vgg: SyntheticProblem, tmp_path: Path) -> None:
    config, recipe = vgg.architecture.dense(), vgg.space().start
    settings = replace(SETTINGS, trials=1, finalists=0)
    before = campaign.run(settings, vgg.space(), vgg, EVALUATE, tmp_path)
    path = tmp_path / journal.FILE
    old = []
    for line in path.read_text().splitlines():
        document = json.loads(line)
        document.get("request", {"recipe": {"precision": ""}})["recipe"].pop("precision")
        document.get("outcome", {"others": ()}).pop("others")
        old.append(json.dumps(document) + "\n")
    path.write_text("".join(old))
    assert journal.read(tmp_path).finished == before.trials
    assert before.trials[0].request.config == config
    assert before.trials[0].request.recipe.precision == recipe.precision == ""
    again = campaign.run(settings, vgg.space(), vgg, EVALUATE, tmp_path, resume=True)
    assert again.trials == before.trials


def test_a_crashed_trial_with_others_survives_the_disk(vgg: SyntheticProblem, tmp_path: Path) -> None:
    request = TrialRequest(0, NEW[0], "", vgg.architecture.dense(), replace(vgg.space().start, precision="int8"), 27.0, 0)
    crashed = JointEvaluate(crashes=True)(request, lambda *_: None)
    written = Journal.create(tmp_path, SETTINGS.header(space_of(vgg)))
    written.finished(Trial(request, crashed, 1.0), 0.0)
    written.close()
    (read,) = journal.read(tmp_path).finished
    assert read.outcome.failed
    assert read.outcome.others == crashed.others
    assert math.isnan(read.outcome.drop_points)
