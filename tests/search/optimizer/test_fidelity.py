"""Cheap evaluations stand for expensive ones, as far as both were seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.records.pruning_config import PruningConfig
from search.campaign import campaign
from search.campaign.campaign import CampaignResult, CampaignSettings
from search.optimizer import choice, fidelity
from search.optimizer.fidelity import Calibration
from search.race.synthetic import FULL_EPOCHS, SyntheticEvaluate, SyntheticProblem
from search.records.events import Event, Note
from search.records.trial import MODEL, PROMOTE, REPEAT, SCREEN, SEED, Evaluate, Report, Trial, TrialOutcome, TrialRequest, TuningChoice
from search.space.goals import Goal

SHORT = CampaignSettings("c", trials=26, seeds=8, budget_epochs=FULL_EPOCHS, short_epochs=6.0, goal=Goal(1.0), finalists=3, repeats=1)
SCREENED = CampaignSettings("c", trials=20, seeds=10, budget_epochs=FULL_EPOCHS, screen=True, goal=Goal(1.0), finalists=2, repeats=1)


def test_a_relation_is_learnt_with_its_error() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0.5, 30, 40)
    high = np.expm1(0.6 * np.log1p(low)) + rng.normal(0, 0.05, 40)
    found = Calibration.fit(low, high)
    assert found.slope == pytest.approx(0.6, abs=0.02)
    assert found.pairs == 40
    assert found.error_points < 0.2
    expected, deviation = found.predict(10.0)
    assert expected == pytest.approx(np.expm1(0.6 * np.log1p(10.0)), abs=0.2)
    assert 0 < deviation < 1
    assert found.chance(1.0, 2.0) > 0.99
    assert found.chance(29.0, 2.0) < 0.01


@given(st.lists(st.tuples(st.floats(-1, 80), st.floats(-1, 80)), min_size=2, max_size=12), st.floats(-2, 90))
def test_a_relation_from_anything_predicts_finite_drops_in_order(seen: list[tuple[float, float]], at: float) -> None:
    low, high = np.asarray(seen).T
    found = Calibration.fit(low, high)
    expected, deviation = found.predict(at)
    assert np.isfinite([expected, deviation, found.error_points]).all()
    assert deviation > 0
    assert expected <= fidelity.TOLD_AT_MOST_POINTS


def test_two_pairs_shift_the_limit_before_them_experience_does() -> None:
    for longer, hoped in ((1.0, 0.0), (4.0, 0.95), (16.0, 1.9)):
        assert fidelity.limit_shift(np.array([2.0]), np.array([1.0]), 0.5, longer) == pytest.approx(hoped)
    assert fidelity.limit_shift(np.array([2.0, 3.0]), np.array([1.0, 1.0]), 0.5, 16.0) == 1.5


def test_what_is_brought_back_grows_with_what_was_lost() -> None:
    low = np.array([0.2, 0.5, 1.0, 2.0, 4.0])
    high = np.expm1(0.5 * np.log1p(low))
    assert fidelity.limit_shift(low, high, 0.5, 4.0) == pytest.approx(1.25 - 0.5, abs=0.1)
    assert fidelity.limit_shift(low, high, 3.0, 4.0) == pytest.approx(4.0 + fidelity.PROMOTE_MARGIN_POINTS - 3.0), "no further than seen"


@given(st.lists(st.tuples(st.floats(-1, 80), st.floats(-1, 80)), min_size=2, max_size=12), st.floats(0, 10))
def test_the_shifted_limit_lies_among_the_drops_that_were_seen(seen: list[tuple[float, float]], limit: float) -> None:
    low, high = np.asarray(seen).T
    shifted = limit + fidelity.limit_shift(low, high, limit, 4.0)
    assert np.isfinite(shifted)
    if len(low) >= fidelity.LEAST_PAIRS_TO_RELATE and fidelity.Calibration.fit(low, high).slope >= fidelity.LEAST_SLOPE:
        assert low.min() - 1e-9 <= shifted <= low.max() + fidelity.PROMOTE_MARGIN_POINTS + 1e-9


@given(st.floats(0.1, 2.0), st.floats(-1.0, 1.0), st.floats(0.0, 20.0))
def test_the_inverse_undoes_the_prediction(slope: float, intercept: float, at: float) -> None:
    found = fidelity.Calibration(slope, intercept, 0.1, 0.1, 5)
    expected, _ = found.predict(at)
    if expected < fidelity.TOLD_AT_MOST_POINTS:
        assert found.inverse(expected) == pytest.approx(at, abs=1e-6)


def short_trial(number: int, latency_s: float, drop: float) -> Trial:
    request = TrialRequest(number, MODEL, "", PruningConfig.of("toy", {"conv1": 4}), TuningChoice(), 0.25, 0)
    return Trial(request, TrialOutcome(0.9, 0.89, 0.91, drop), latency_s)


def test_the_first_promotions_look_further_for_what_full_length_brings_back() -> None:
    short = [short_trial(number, 1.0 - number / 10, drop) for number, drop in enumerate((0.1, 0.3, 0.7, 0.9, 1.2, 1.6, 1.9))]
    nobody, nothing = np.array([]), np.array([])

    def hoped(longer: float) -> float:
        return 0.5 + fidelity.limit_shift(nobody, nothing, 0.5, longer)

    first = fidelity.due_for_promotion(short, set(), hoped(4.0), 4, longer=4.0)
    assert [trial.number for trial in first] == [5, 4, 3, 2]
    later = fidelity.due_for_promotion(short, {trial.number for trial in first}, 0.5, 2, longer=4.0)
    assert [trial.number for trial in later] == [1, 0]
    longer = fidelity.due_for_promotion(short, set(), hoped(16.0), 4, longer=16.0)
    assert [trial.number for trial in longer] == [6, 5, 4, 3], "of a longer full length more is hoped for"
    useful = fidelity.due_for_promotion(short, set(), hoped(4.0), 4, longer=4.0, cheaper_than=0.7)
    assert [trial.number for trial in useful] == [5, 4], "nothing slower than what is good enough is brought to full length"


@given(st.integers(0, 200))
def test_promotions_keep_pace_with_short_trials(short: int) -> None:
    assert fidelity.promotions_by(short) <= fidelity.promotions_by(short + 1) <= fidelity.promotions_by(short) + fidelity.FIRST_COUNT
    assert (fidelity.promotions_by(short) == 0) == (short < fidelity.PROMOTE_EVERY)


def test_promotions_that_were_planned_when_a_campaign_was_killed_are_made_up_for(vgg: SyntheticProblem, tmp_path: Path) -> None:
    stops = Stops(SyntheticEvaluate("vgg", 0), 12)  # the twelfth short trial is over, its promotions are not begun
    with pytest.raises(KeyboardInterrupt):
        run(vgg, tmp_path, SHORT, evaluate=stops)
    lines = (tmp_path / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"purpose":"promote"' not in line]
    assert len(kept) < len(lines)
    (tmp_path / "journal.jsonl").write_text("".join(kept))
    result = run(vgg, tmp_path, SHORT, resume=True)
    promoted = [trial.request.of for trial in result.trials if trial.request.purpose == PROMOTE]
    assert len(promoted) == len(set(promoted)) >= fidelity.promotions_by(SHORT.trials)


def run(problem: SyntheticProblem, directory: Path, settings: CampaignSettings, **more: object) -> CampaignResult:
    evaluate = more.pop("evaluate", SyntheticEvaluate("vgg", 0))
    return campaign.run(settings, problem.space(), problem, evaluate, directory, **more)  # type: ignore[arg-type]


class SlowPromotions:
    """Two slots; a promotion ends only when nothing else runs."""

    slots = 2

    def __init__(self, evaluate: SyntheticEvaluate) -> None:
        self.evaluate, self.running, self.together = evaluate, list[TrialRequest](), list[set[str]]()

    def submit(self, request: TrialRequest) -> None:
        self.running.append(request)

    def wait(self) -> list[tuple[TrialRequest, TrialOutcome]]:
        self.together.append({one.purpose for one in self.running})
        first = next((one for one in self.running if one.purpose != PROMOTE), self.running[0])
        self.running.remove(first)
        return [(first, self.evaluate(first, lambda phase, share: None))]

    def close(self) -> None:
        pass


def test_no_worker_waits_for_the_last_promotion(vgg: SyntheticProblem, tmp_path: Path) -> None:
    pool = SlowPromotions(SyntheticEvaluate("vgg", 0))
    result = run(vgg, tmp_path, SHORT, pool=lambda progress: pool)
    assert {PROMOTE, REPEAT} in pool.together, "repetitions begin while a promotion runs"
    assert not pool.running
    seeds = [(trial.request.of, trial.request.seed) for trial in result.trials if trial.request.purpose == REPEAT]
    assert len(seeds) == len(set(seeds)) > 0


def test_short_trials_are_promoted_and_only_full_ones_are_chosen(vgg: SyntheticProblem, tmp_path: Path) -> None:
    events: list[Event] = []
    result = run(vgg, tmp_path, SHORT, observer=events.append)
    of = {purpose: [t for t in result.trials if t.request.purpose == purpose] for purpose in (SEED, MODEL, PROMOTE, REPEAT)}
    assert len(of[SEED]) + len(of[MODEL]) == len(result.searched) == 26
    assert {t.request.budget_epochs for t in result.searched} == {6.0}
    at_most = fidelity.promotions_by(26) + 2 * SHORT.finalists  # and stand-ins
    assert 4 <= len(of[PROMOTE]) <= at_most
    assert {t.request.budget_epochs for t in of[PROMOTE] + of[REPEAT]} == {FULL_EPOCHS}
    assert len({t.request.of for t in of[PROMOTE]}) == len(of[PROMOTE]), "nothing is promoted twice"
    assert {one.trial for one in result.standings} <= {t.number for t in of[PROMOTE]}
    assert result.chosen in result.standings
    assert result.calibration is not None
    assert result.calibration.pairs == len(of[PROMOTE])
    assert any(isinstance(event, Note) and "brings back" in event.text for event in events)
    assert result.epochs == 26 * 6 + 27 * (len(of[PROMOTE]) + len(of[REPEAT]))
    for number, one in enumerate(t for t in result.trials if t.request.purpose == PROMOTE):
        short = next(t for t in result.trials if t.number == one.request.of)
        assert short.request.config == one.request.config, number


class Stops:
    def __init__(self, evaluate: Evaluate, number: int) -> None:
        self.evaluate, self.number, self.seen = evaluate, number, list[int]()

    def __call__(self, trial: TrialRequest, report: Report) -> TrialOutcome:
        if trial.number == self.number:
            raise KeyboardInterrupt
        self.seen.append(trial.number)
        return self.evaluate(trial, report)


@pytest.mark.parametrize(("settings", "number"), [(SHORT, 12), (SHORT, 13), (SCREENED, 9), (SCREENED, 24)])
def test_campaigns_with_fidelities_resume_too(vgg: SyntheticProblem, tmp_path: Path, settings: CampaignSettings, number: int) -> None:
    evaluate = SyntheticEvaluate("vgg", 0)
    first, second = Stops(evaluate, number), Stops(evaluate, -1)
    with pytest.raises(KeyboardInterrupt):
        run(vgg, tmp_path, settings, evaluate=first)
    result = run(vgg, tmp_path, settings, evaluate=second, resume=True)
    assert sorted(first.seen + second.seen) == sorted(t.number for t in result.trials)
    assert len({t.number for t in result.trials}) == len(result.trials)
    assert len(result.searched) == settings.trials
    promoted = [t.request.of for t in result.trials if t.request.purpose == PROMOTE]
    assert len(set(promoted)) == len(promoted)


def test_what_was_concluded_by_older_rules_stays_so(vgg: SyntheticProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "stand_in", lambda *_: None)
    concluded = run(vgg, tmp_path, SHORT)
    monkeypatch.setattr(choice, "stand_in", lambda space, short, taken, *_: next(one for one in short if one.number not in taken))
    again = run(vgg, tmp_path, SHORT, resume=True)
    assert (len(again.trials), again.chosen) == (len(concluded.trials), concluded.chosen)
    more = run(vgg, tmp_path, replace(SHORT, trials=27), resume=True)
    assert len(more.trials) > len(concluded.trials) + 1


def test_without_repetitions_nothing_stands_in(vgg: SyntheticProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says then that the finalists did not hold, and nothing would end it but the last short trial."""
    monkeypatch.setattr(choice, "stand_in", lambda space, short, taken, *_: next((one for one in short if one.number not in taken), None))
    result = run(vgg, tmp_path, replace(SHORT, repeats=0))
    assert sum(trial.request.purpose == PROMOTE for trial in result.trials) <= 9


def test_a_screen_saves_the_tuning_of_hopeless_configurations(vgg: SyntheticProblem, tmp_path: Path) -> None:
    result = run(vgg, tmp_path, SCREENED)
    screens = [t for t in result.trials if t.request.purpose == SCREEN]
    tried = [t for t in result.trials if t.request.purpose in (SEED, MODEL)]
    assert len(screens) == len(result.searched) == 20
    assert {t.request.budget_epochs for t in screens} == {0.0}
    assert all(next(s for s in screens if s.number == t.request.of).request.config == t.request.config for t in tried)
    assert fidelity.LEAST_PAIRS_TO_SCREEN <= len(tried) <= 20
    out = [s for s in screens if s.number not in {t.request.of for t in tried}]
    assert all(vgg.true_drop(s.request.config, s.request.recipe) > 1.0 for s in out), "nothing good is screened out"
    assert result.chosen is not None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"short_epochs": 2.0}, "no shorter than full length"),
        ({"short_epochs": -1.0}, "no shorter"),
        ({"budget_epochs": 0.0, "screen": True}, "no screen"),
    ],
)
def test_lengths_that_make_no_sense_are_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replace(CampaignSettings("c", budget_epochs=2.0), **changes)  # type: ignore[arg-type]
