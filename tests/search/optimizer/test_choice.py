"""The recommendation: by posterior, not by luck."""

from dataclasses import replace

import numpy as np
import pytest

from harness.records.pruning_config import PruningConfig
from search.campaign.result import CampaignResult
from search.campaign.settings import CampaignSettings
from search.optimizer import choice
from search.optimizer.choice import Standing
from search.optimizer.fidelity import Calibration
from search.proof import entrants
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records.trial import Trial, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal

RECIPE = TuningChoice()


def standing(trial: int, latency_s: float, mean: float, chance: float) -> Standing:
    return Standing(trial, None, RECIPE, latency_s, mean - 0.1, mean, 0.2, 1, chance)  # type: ignore[arg-type]


def named(trial: int, latency_s: float, mean: float, chance: float) -> Standing:
    """With a configuration of its own, that keeps as many channels as the trial's number."""
    return replace(standing(trial, latency_s, mean, chance), config=PruningConfig.of("toy", {"conv": trial}))


FOUND = (standing(1, 0.3, 1.4, 0.05), standing(2, 0.4, 0.95, 0.6), standing(3, 0.5, 0.7, 0.95), standing(4, 0.9, 0.1, 0.99))


def test_the_fastest_that_is_certain_enough_is_chosen() -> None:
    assert choice.choose(FOUND, Goal(1.0)) == FOUND[2]


def test_the_certainty_is_the_users() -> None:
    assert choice.choose(FOUND, Goal(1.0, certainty=0.5)) == FOUND[1]
    assert choice.choose(FOUND, Goal(1.0, certainty=0.98)) == FOUND[3]


def test_without_certainty_the_most_certain_one_is_chosen() -> None:
    assert choice.choose(FOUND, Goal(1.0, certainty=0.995)) == FOUND[3]
    assert choice.choose(FOUND[:2], Goal(1.0)) == FOUND[1]
    assert choice.choose(FOUND[:1], Goal(1.0)) == FOUND[0]
    assert choice.choose((), Goal(1.0)) is None


def test_within_a_latency_the_least_drop_is_chosen() -> None:
    assert choice.choose(FOUND, Goal(None, 0.45)) == FOUND[1]
    assert choice.choose(FOUND, Goal(None, 0.1)) is None


def test_finalists_are_those_that_may_yet_be_chosen() -> None:
    assert [one.trial for one in choice.finalists(FOUND, Goal(1.0), 2)] == [3, 2]
    assert [one.trial for one in choice.finalists(FOUND, Goal(None, 0.6), 2)] == [3, 2]
    unlikely = standing(5, 0.35, 1.2, 0.25)  # a quarter of a chance to save half as much again
    assert [one.trial for one in choice.finalists((*FOUND, unlikely), Goal(1.0), 4)] == [3, 2, 5, 4]


def test_the_reserve_is_the_fastest_that_is_surer_than_the_recommended_one() -> None:
    sure, surer = standing(5, 0.6, 0.5, 0.985), standing(6, 0.55, 0.5, 0.96)
    assert choice.reserve((*FOUND, sure, surer), Goal(1.0)) == sure
    assert choice.reserve((sure, FOUND[3]), Goal(1.0)) is None, "the recommended one is sure itself"
    assert choice.reserve(FOUND[:2], Goal(1.0)) is None
    assert choice.reserve(FOUND, Goal(None, 0.6)) is None
    assert choice.reserve((), Goal(1.0)) is None


def test_the_recommended_one_is_repeated_first_then_its_rivals() -> None:
    assert choice.next_repetition(FOUND, Goal(1.0), 3) == FOUND[2]
    verified = replace(FOUND[2], observations=3)
    assert choice.next_repetition((*FOUND[:2], verified, FOUND[3]), Goal(1.0), 3) == FOUND[1]
    rival = replace(FOUND[1], observations=3)
    assert choice.next_repetition((FOUND[0], rival, verified, FOUND[3]), Goal(1.0), 3) is None
    assert choice.next_repetition((), Goal(1.0), 3) is None


def test_the_stand_in_is_the_safest_large_saving(vgg: SyntheticProblem) -> None:
    """Short trials of 2 points more than at full length; the fastest would lose 1.5 at a limit of 1."""
    space, channels = vgg.space(), {group.name: group.channels for group in vgg.architecture.groups}

    def short(number: int, share: float, latency_s: float, drop: float) -> Trial:
        config = PruningConfig.of(vgg.architecture.network, {name: max(8, int(count * share) // 8 * 8) for name, count in channels.items()})
        request = TrialRequest(number, "model", "", config, RECIPE, 0.25, 0)
        return Trial(request, TrialOutcome(0.9, 0.89, 0.91, drop), latency_s)

    trials = [short(1, 0.4, 0.3, 3.5), short(2, 0.5, 0.4, 2.7), short(3, 0.6, 0.5, 2.6), short(4, 0.9, 0.88, 2.1)]
    relation = Calibration.fit(np.array([2.1, 2.5, 3.0, 4.0]), np.array([0.1, 0.5, 1.0, 2.0]))
    assert choice.stand_in(space, trials, (), Goal(1.0), relation, 0.9) == trials[1]
    assert choice.stand_in(space, trials, (2,), Goal(1.0), relation, 0.9) == trials[2]
    assert choice.stand_in(space, trials, (2, 3), Goal(1.0), relation, 0.9) is None, "2 % are not worth a full trial"
    assert choice.stand_in(space, trials[:1], (), Goal(1.0), relation, 0.9) is None


def test_a_repetition_under_way_is_not_begun_twice() -> None:
    assert choice.next_repetition(choice.expecting(FOUND, [FOUND[2].trial]), Goal(1.0), 2) == FOUND[1]
    assert choice.next_repetition(choice.expecting(FOUND, []), Goal(1.0), 2) == FOUND[2]


def test_within_a_latency_rivals_are_those_of_low_drop() -> None:
    verified = replace(FOUND[2], observations=3)
    rival = replace(FOUND[1], mean_points=0.75)
    assert choice.next_repetition((rival, verified), Goal(None, 0.6), 3) == rival
    hopeless = replace(FOUND[0], deviation_points=0.1)
    assert choice.next_repetition((hopeless, verified), Goal(None, 0.6), 3) is None


def test_the_front_holds_what_nothing_beats() -> None:
    beaten = standing(5, 0.6, 0.8, 0.8)
    assert [one.trial for one in choice.front((*FOUND, beaten))] == [1, 2, 3, 4]


def trials_of(problem: SyntheticProblem, keeps: list[float], seeds: int = 1) -> list[Trial]:
    evaluate, trials = SyntheticEvaluate("vgg", 0), []
    for keep in keeps:
        for seed in range(seeds):
            config = problem.space().decode(_row(problem, keep))[0]
            request = TrialRequest(len(trials), "model", "", config, RECIPE, 27.0, seed)
            trials.append(Trial(request, evaluate(request, lambda phase, share: None), keep))
    return trials


def _row(problem: SyntheticProblem, keep: float) -> np.ndarray:
    space = problem.space()
    row = space.encode(problem.architecture.dense(), RECIPE)
    row[: space.groups] = space.snap(np.full((1, space.groups), keep))[0]
    return row


def test_repetitions_count_as_one_configuration_and_narrow_it(vgg: SyntheticProblem) -> None:
    keeps = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    once = choice.standings(vgg.space(), trials_of(vgg, keeps), Goal(1.0))
    often = choice.standings(vgg.space(), trials_of(vgg, keeps, seeds=5), Goal(1.0))
    assert len(once) == len(often) == 6
    assert [one.observations for one in often] == [5] * 6
    assert [one.cost for one in often] == sorted(keeps)
    assert np.mean([one.deviation_points for one in often]) < np.mean([one.deviation_points for one in once])
    for one in often:
        low, high = one.interval_points
        assert low - 0.3 < vgg.true_drop(one.config, one.recipe) < high + 0.3


def test_crashed_trials_are_no_standing(vgg: SyntheticProblem) -> None:
    trials = trials_of(vgg, [1.0, 0.7])
    trials[1] = replace(trials[1], outcome=TrialOutcome.crashed("no"))
    assert len(choice.standings(vgg.space(), trials, Goal(1.0))) == 1
    assert choice.standings(vgg.space(), trials[1:], Goal(1.0)) == ()


def test_a_lucky_observation_is_told_as_such(vgg: SyntheticProblem) -> None:
    trials = trials_of(vgg, [1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65])
    lucky = replace(trials[6], outcome=replace(trials[6].outcome, drop_points=trials[6].outcome.drop_points - 1.0))
    found = choice.standings(vgg.space(), [*trials[:6], lucky, trials[7]], Goal(1.0))
    one = next(one for one in found if one.trial == 6)
    assert one.curse_points > 0.3
    assert one.curse_points == pytest.approx(one.mean_points - one.observed_points)


def test_who_enters_the_comparison_differs_in_latency() -> None:
    chosen, twin, near, sure = named(1, 0.500, 0.5, 0.95), named(2, 0.495, 0.5, 0.9), named(3, 0.53, 0.5, 0.96), named(4, 0.8, 0.5, 0.99)
    result = CampaignResult(CampaignSettings("c", goal=Goal(1.0)), (), (), (twin, chosen, near, sure), (), chosen, "", 0.0, 1.0)
    order = [config.kept("conv") for config, *_ in entrants.finalists(result, 4)]
    assert order == [1, 4, 3, 2], "recommended, in reserve, another, and the recommended one's twin last"
    assert [config.kept("conv") for config, *_ in entrants.finalists(result, 3)] == [1, 4, 3]
    only = replace(result, standings=(twin, chosen))
    assert [config.kept("conv") for config, *_ in entrants.finalists(only, 3)] == [1, 2], "alike is better than nobody"


def test_nobody_without_a_chance_enters_the_comparison_but_by_the_front_that_was_asked_for() -> None:
    ruined, chosen = named(1, 0.1, 21.0, 0.0), named(2, 0.5, 0.5, 0.98)
    twin, slower = named(3, 0.51, 0.5, 0.98), named(4, 0.6, 0.6, 0.95)
    settings = CampaignSettings("c", goal=Goal(1.0))
    result = CampaignResult(settings, (), (), (ruined, chosen, twin, slower), (ruined, chosen), chosen, "", 0.0, 1.0)
    assert [config.kept("conv") for config, *_ in entrants.finalists(result, 4)] == [2, 4, 3]
    front = replace(result, settings=replace(settings, goal=Goal(1.0, pareto=True)))
    assert [config.kept("conv") for config, *_ in entrants.finalists(front, 4)] == [2, 1]


def test_what_repetitions_cannot_tell_stays_in_the_interval_and_in_the_chance(vgg: SyntheticProblem) -> None:
    """The same drops judged on a quarter of the pictures: none is surer to keep a limit that it was seen to keep."""
    trials = trials_of(vgg, [1.0, 0.9, 0.8, 0.7, 0.6, 0.5], seeds=3)
    fewer = [replace(one, outcome=replace(one.outcome, top1_low=one.outcome.top1_low - 0.02)) for one in trials]
    many, few = (choice.standings(vgg.space(), some, Goal(1.0)) for some in (trials, fewer))
    for surer, one in zip(many, few, strict=True):
        assert one.deviation_points >= surer.deviation_points, "fewer pictures are expected to be noisier"
        assert one.pictures_points > surer.pictures_points > 0
        (low, high), (surer_low, surer_high) = one.interval_points, surer.interval_points
        assert high - low > surer_high - surer_low
        if surer.mean_points < 0.9 and surer.chance < 1:
            assert one.chance < surer.chance


def test_the_unpruned_network_keeps_every_limit(vgg: SyntheticProblem) -> None:
    for limit in (0.0, 1.0):
        slowest = choice.standings(vgg.space(), trials_of(vgg, [1.0, 0.7, 0.4]), Goal(limit), dense_cost=1.0)[-1]
        assert slowest.config == vgg.architecture.dense()
        assert slowest.chance == 1.0
        assert not slowest.candidate
