"""What one campaign found out about accuracy, another one on another device need not find out again."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import CampaignError
from harness.records.pruning_config import PruningConfig
from search.campaign import campaign, sharing
from search.campaign.campaign import CampaignSettings
from search.optimizer.random_search import RandomSearch
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import journal
from search.records.request import Request
from search.records.trial import MODEL, PROMOTE, SEED, Ints, Trial, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal
from search.space.recipe_ranges import RecipeRanges
from search.space.screened_latency import OUT_OF_REACH_S
from search.space.space import SearchSpace

SETTINGS = CampaignSettings("a", trials=8, seeds=5, budget_epochs=27.0, goal=Goal(1.0), repeats=0, accuracy="same", measurements="cpu")
EVALUATE = SyntheticEvaluate("vgg", 0)


class OtherDevice:
    """Twice as slow, and the last group is free."""

    def __init__(self, problem: SyntheticProblem) -> None:
        self.problem = problem

    def costs(self, widths: Ints) -> object:
        return 2 * self.problem.costs(widths) - 1e-9 * widths[:, -1]


def test_a_second_device_starts_from_the_first_ones_trials(vgg: SyntheticProblem, tmp_path: Path) -> None:
    first = campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    shared = sharing.gather(tmp_path, vgg.architecture.digest, "same")
    assert len(shared) == 8
    space = vgg.space(exact=sharing.configurations(shared))
    evaluated: list[TrialRequest] = []

    def evaluate(trial: TrialRequest, report: object) -> object:
        evaluated.append(trial)
        return EVALUATE(trial, report)  # type: ignore[arg-type]

    settings = replace(SETTINGS, name="b", measurements="ncs2")
    other = OtherDevice(vgg)
    second = campaign.run(settings, space, other, evaluate, tmp_path / "b", imported=shared)  # type: ignore[arg-type]
    known = {(t.request.config, t.request.recipe) for t in first.trials}
    assert len(second.searched) == 8
    assert not known & {(one.config, one.recipe) for one in evaluated}, "nothing is evaluated twice"
    assert len(second.standings) == 16
    imported = next(one for one in second.standings if one.config == vgg.architecture.dense())
    assert imported.cost == pytest.approx(second.dense_cost)
    assert imported.trial < -1
    again = journal.read(tmp_path / "b")
    assert len(again.imported) == 8
    resumed = campaign.run(settings, space, other, evaluate, tmp_path / "b", resume=True)  # type: ignore[arg-type]
    assert resumed.chosen == second.chosen


def test_a_random_rival_takes_over_nothing(vgg: SyntheticProblem, tmp_path: Path) -> None:
    campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "campaigns" / "a")
    smac = Request(reports=tmp_path, name="b")
    digest = vgg.architecture.digest

    def taken(request: Request) -> tuple[Trial, ...]:
        return sharing.taken_over(request, digest, "same", lambda line: None)

    assert len(taken(smac)) == 8, "a search does: it is what the rival must not have"
    assert taken(replace(smac, share=False)) == ()
    for rival in (smac, replace(smac, old="a")):
        assert taken(replace(rival, optimizer="random")) == ()
    alone = campaign.run(
        replace(SETTINGS, name="rival"),
        vgg.space(),
        vgg,
        EVALUATE,
        tmp_path / "campaigns" / "rival",
        imported=taken(replace(smac, optimizer="random")),
        optimizer_class=RandomSearch,
    )
    assert {one.trial for one in alone.standings} <= {trial.number for trial in alone.trials}
    assert journal.read(tmp_path / "campaigns" / "rival").imported == ()


def test_each_evaluation_is_shared_once_and_only_when_it_applies(vgg: SyntheticProblem, tmp_path: Path) -> None:
    settings = replace(SETTINGS, trials=2, finalists=0)
    campaign.run(settings, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    campaign.run(settings, vgg.space(), vgg, EVALUATE, tmp_path / "b")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / journal.FILE).write_text("nonsense\nnonsense\n")
    digest = vgg.architecture.digest
    assert [t.number for t in sharing.gather(tmp_path, digest, "same")] == [-2, -3]
    assert sharing.gather(tmp_path, digest, "other weights") == ()
    assert sharing.gather(tmp_path, "other network", "same") == ()
    assert sharing.gather(tmp_path, digest, "") == ()
    assert len(sharing.gather(tmp_path, digest, "same", leave_out="a")) == 2


def test_a_fork_takes_over_what_still_applies(vgg: SyntheticProblem, tmp_path: Path) -> None:
    campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    taken = sharing.fork(journal.read(tmp_path / "a"), vgg.architecture.digest)
    assert len(taken) == 8
    legal = vgg.space().legal_widths
    narrower = SearchSpace(vgg.architecture, legal, RecipeRanges(("l1",), ("one-shot",)))
    settings = replace(SETTINGS, name="f", goal=Goal(2.0), trials=3, seeds=1)
    result = campaign.run(settings, narrower, vgg, EVALUATE, tmp_path / "f", imported=taken)
    assert 0 < len(result.imported) < 8
    assert {t.request.recipe.criterion for t in result.imported} == {"l1"}
    with pytest.raises(CampaignError, match="about another network"):
        sharing.fork(journal.read(tmp_path / "a"), "other")


def test_widths_of_another_device_are_learnt_from_but_never_proposed(vgg: SyntheticProblem, tmp_path: Path) -> None:
    """Whatever was legal elsewhere, the space of a resumed campaign follows from its own journal."""
    campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    shared = sharing.gather(tmp_path, vgg.architecture.digest, "same")
    wide = {g.name: tuple(w for w in vgg.space().legal_widths[g.name] if w % 16 == 0) for g in vgg.architecture.groups}
    own = SearchSpace(vgg.architecture, wide, vgg.space().ranges)
    assert not all(own.covers(trial.request.config, trial.request.recipe) for trial in shared)
    space, usable = sharing.widened(own, shared, SETTINGS.lengths)
    assert usable == shared
    assert space.legal_widths == own.legal_widths
    second = campaign.run(replace(SETTINGS, name="b"), space, vgg, EVALUATE, tmp_path / "b", imported=usable)
    assert len(second.imported) == len(shared)
    proposed = [trial.request.config for trial in second.trials if trial.request.purpose == "model"]
    assert all(config.kept(name) in own.legal_widths[name] for config in proposed for name in own.names)
    again, same = sharing.widened(own, journal.read(tmp_path / "b").imported, SETTINGS.lengths)
    assert (again.digest, len(same)) == (space.digest, len(shared))


def test_recipes_that_do_not_apply_leave_no_trace_in_the_space(vgg: SyntheticProblem, tmp_path: Path) -> None:
    campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    shared = sharing.gather(tmp_path, vgg.architecture.digest, "same")
    coarse = {g.name: tuple(w for w in vgg.space().legal_widths[g.name] if w % 16 == 0) for g in vgg.architecture.groups}
    strict = SearchSpace(vgg.architecture, coarse, RecipeRanges(criteria=("l1",), schedules=("one-shot",)))
    space, usable = sharing.widened(strict, shared, SETTINGS.lengths)
    assert 0 < len(usable) < len(shared)
    assert space.digest == strict.including(sharing.configurations(usable)).digest
    assert space.digest != strict.including(sharing.configurations(shared)).digest


def test_drops_after_another_length_of_tuning_are_not_taken_over(vgg: SyntheticProblem, tmp_path: Path) -> None:
    campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    shared = sharing.gather(tmp_path, vgg.architecture.digest, "same")
    longer = replace(SETTINGS, budget_epochs=54.0)
    assert sharing.widened(vgg.space(), shared, longer.lengths)[1] == ()
    assert sharing.widened(vgg.space(), shared, replace(longer, short_epochs=27.0).lengths)[1] == shared


def test_short_trials_of_another_campaign_are_promoted_to_this_ones_length(vgg: SyntheticProblem, tmp_path: Path) -> None:
    """A fork that only tunes for longer has nothing short to do again: it begins with what the other one left off at."""
    first = replace(SETTINGS, trials=24, short_epochs=2.0, budget_epochs=9.0, finalists=1)
    campaign.run(first, vgg.space(), vgg, EVALUATE, tmp_path / "a")
    taken = sharing.fork(journal.read(tmp_path / "a"), vgg.architecture.digest)
    longer = replace(first, name="b", trials=2, budget_epochs=27.0)
    space, usable = sharing.widened(vgg.space(), taken, longer.lengths)
    result = campaign.run(longer, space, vgg, EVALUATE, tmp_path / "b", imported=usable)
    shorter = {trial.number: trial.request.config for trial in result.imported if trial.request.purpose in (SEED, MODEL)}
    promoted = [trial.request for trial in result.trials if trial.request.purpose == PROMOTE]
    assert len(promoted) >= 4
    assert all(shorter[one.of] == one.config for one in promoted[:4])
    assert result.trials[0].request.purpose == PROMOTE
    assert result.calibration is not None
    assert result.calibration.pairs >= 4
    assert len({one.of for one in promoted}) == len(promoted)
    again = campaign.run(longer, space, vgg, EVALUATE, tmp_path / "b", resume=True)
    assert again.chosen == result.chosen
    assert len(again.trials) == len(result.trials)


def test_what_cannot_be_predicted_here_is_no_candidate(vgg: SyntheticProblem, tmp_path: Path) -> None:
    """The most accurate configuration is dense; where its latency is unknown it stands in no table and on no front."""

    class Unknown:
        def costs(self, widths: Ints) -> object:
            found = vgg.costs(widths)
            found[(widths == vgg.channels).all(axis=1)] = OUT_OF_REACH_S
            return found

    result = campaign.run(SETTINGS, vgg.space(), Unknown(), EVALUATE, tmp_path)  # type: ignore[arg-type]
    assert any(trial.request.config == vgg.architecture.dense() for trial in result.trials)
    assert all(one.cost < OUT_OF_REACH_S for one in (*result.standings, *result.front))


def in_(precision: str, number: int = 0) -> Trial:
    config = PruningConfig.of("any", {"conv1": 3})
    request = TrialRequest(number, SEED, "initial design", config, TuningChoice(precision=precision), 1.0, 0)
    return Trial(request, TrialOutcome(0.9, 0.88, 0.92, 0.5), 1e-3)


def test_a_fork_names_the_precision_where_there_are_several_and_only_there() -> None:
    plain, joint = [in_("")], [in_("f32"), in_("int8", 1)]
    assert sharing.restated(plain, ["f32"], ["f32"]) == tuple(plain)
    assert sharing.restated(joint, ["f32", "int8"], ["f32", "int8"]) == tuple(joint)
    assert sharing.restated(plain, ["f32"], ["f32", "int8"]) == (in_("f32"),)
    assert sharing.restated(plain, ["bf16"], ["f32", "int8"]) == ()
    assert sharing.restated(joint, ["f32", "int8"], ["f32"]) == (in_(""),), "what INT8 lost says nothing of f32"
    assert sharing.restated(joint, ["f32", "int8"], ["f32", "int8"], same_int8=False) == (in_("f32"),), "other layers were in float"
