"""The comparison: every method plays the same problem by the same rules, and the scores are what they say."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError, UnknownName, UsageError
from search.race import compare, race
from search.race import table as race_table
from search.race.race import Choice, Run
from search.space.goals import Goal

RUN = Run("r56", 0, "m", 1, (0.9, 0.5, 0.4, 0.3), (0.2, 0.9, 1.2, math.nan), (0.1, 1.1, 0.7, 2.0), (), 0.01, 1.0, 0.25, 0.5)
POINTS = st.lists(st.tuples(st.floats(0.01, 1.5), st.floats(-1, 12), st.floats(-1, 12)), min_size=1, max_size=12)


def test_the_best_is_the_fastest_observed_within_the_limit() -> None:
    assert [RUN.best(count) for count in (0, 1, 2, 4)] == [1.0, 0.9, 0.5, 0.5]


def test_the_truly_best_is_the_fastest_tried_that_keeps_the_limit_without_noise() -> None:
    assert [RUN.truly_best(count) for count in (0, 1, 2, 4)] == [1.0, 0.9, 0.9, 0.4]


def test_without_a_choice_the_best_observation_is_recommended_and_judged_by_the_truth() -> None:
    assert (RUN.chosen_latency(4), RUN.chosen_truth(4)) == (0.5, 1.1)
    assert (RUN.chosen_latency(1), RUN.chosen_truth(1)) == (0.9, 0.1)
    nothing = replace(RUN, drops=(2.0,) * 4)
    assert (nothing.chosen_latency(4), nothing.chosen_truth(4)) == (1.0, 0.0)


def test_a_choice_counts_after_its_own_number_of_trials_only() -> None:
    chosen = replace(RUN, choices=(Choice(2, 0), Choice(4, 2), Choice(3, -1)))
    assert [chosen.chosen_latency(count) for count in (1, 2, 3, 4)] == [0.9, 0.9, 1.0, 0.4]
    assert [chosen.chosen_truth(count) for count in (2, 3, 4)] == [0.1, 0.0, 0.7]
    assert chosen.chosen_latency(100) == 0.4  # a campaign that ended early recommends its last choice


def test_hypervolume_is_the_dominated_share() -> None:
    """Two points by hand: 0.5 x (8 - 2) + 0.2 x (2 - 0.4), of 8."""
    run = replace(RUN, latencies=(0.5, 0.8, 1.2), drops=(2.0, 0.4, 0.0))
    assert run.hypervolume(3) == pytest.approx((0.5 * 6.0 + 0.2 * 1.6) / 8)
    assert run.hypervolume(1) == pytest.approx(0.5 * 6.0 / 8)
    assert replace(RUN, drops=(math.nan,) * 4).hypervolume(4) == 0.0
    true = replace(run, drops=(8.0,) * 3, truths=run.drops)
    assert [true.true_hypervolume(count) for count in (1, 3)] == [run.hypervolume(count) for count in (1, 3)]


@given(POINTS)
def test_more_trials_never_look_worse(points: list[tuple[float, float, float]]) -> None:
    """Every figure of merit is that of the best so far; a recommendation by observation is one of the trials counted."""
    run = replace(RUN, latencies=tuple(p[0] for p in points), drops=tuple(p[1] for p in points), truths=tuple(p[2] for p in points))
    counts = range(len(points) + 1)
    for falling in (run.best, run.truly_best):
        assert sorted((falling(count) for count in counts), reverse=True) == [falling(count) for count in counts]
    for rising in (run.hypervolume, run.true_hypervolume):
        assert sorted(rising(count) for count in counts) == [rising(count) for count in counts]
        assert 0.0 <= rising(len(points)) < 1.0
    assert all(run.place(count) < count for count in counts)


def test_scores_average_over_runs_and_rank_methods() -> None:
    better = replace(RUN, method="b", latencies=(0.4, 0.4, 0.4, 0.4), drops=(0.1,) * 4, truths=(0.1,) * 4)
    first, second = race_table.scores([RUN, replace(RUN, seed=2, latencies=(0.9, 0.7, 0.4, 0.3)), better], (2, 4))
    assert (first.method, second.method) == ("b", "m")
    assert second.best == pytest.approx((0.6, 0.6))
    assert second.best_spread == pytest.approx((0.1, 0.1))
    assert second.truly_best == pytest.approx((0.9, 0.4))
    assert (second.runs, second.within) == (2, (0.0, 0.0))
    assert second.chosen_ratio == pytest.approx((2.4, 2.4))
    assert second.reached_ratio == pytest.approx((1.2, 1.2))
    table = race_table.markdown([first, second])
    assert "| r56 | m | 2 | 0.600 ± 0.100 |" in table
    assert "| r56 | m | 2 | 0.900 ± 0.000 | 0.400 ± 0.000 |" in table
    assert "| r56 | m | 2 | 0.600 | 0.600 | 0% | 0% | 1.10 | 1.10 | 1.20 | 1.20 | 2.40 |" in table
    assert race_table.markdown([]) == "no method has run yet\n"


def test_an_unknown_near_optimum_is_a_dash_and_not_a_number() -> None:
    table = race_table.markdown(race_table.scores([replace(RUN, near_optimum=math.nan, reached=math.nan)], (4,)))
    assert "| r56 | m | 1 | 0.500 | 0% | 1.10 | - | - |" in table
    assert "nan" not in table


def test_runs_are_stored_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "runs.jsonl"
    assert race.read(path) == ()
    stored = replace(RUN, choices=(Choice(2, 0), Choice(4, -1)))
    race.append(path, stored)
    path.write_text(path.read_text()[:-1] + '\n{"problem": "r')
    race.append(path, replace(RUN, seed=2, near_optimum=math.nan, reached=math.nan))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + '\n{"pro')
    one, two = race.read(path)
    assert one == replace(stored, drops=one.drops)
    assert math.isnan(two.near_optimum)
    assert math.isnan(two.reached)
    path.write_text("nonsense\n" + lines[0] + "\n")
    with pytest.raises(CampaignError, match=r"line 1 of .* is no stored run"):
        race.read(path)


@pytest.mark.parametrize("method", ["random", "uniform", "smac", "espalier", "espalier-pareto"])
def test_every_method_plays_legal_configurations(tmp_path: Path, method: str) -> None:
    arena = compare.synthetic_arena("vgg", 0, Goal(1.0), noise_seed=0)
    played = compare.METHODS[method](arena, 15, 0)
    assert 13 <= len(played.trials) <= 15
    rows = np.asarray([arena.space.encode(t.request.config, t.request.recipe) for t in played.trials])
    assert arena.space.legal(rows).all()
    assert all(trial.outcome.ok for trial in played.trials)


def test_a_campaign_s_choices_are_what_it_would_recommend_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice after n trials knows the first n only: the same campaign, seen no further, chooses the same."""
    monkeypatch.setattr(compare, "COUNTS", (14, 18, 30))
    arena = compare.synthetic_arena("vgg", 0, Goal(1.0), noise_seed=0)
    played = compare.METHODS["espalier"](arena, 20, 0)
    assert [choice.trials for choice in played.choices] == [14, 18, 20]
    assert all(-1 <= choice.place < choice.trials for choice in played.choices)
    assert compare._choice(arena, arena.goal, played.trials[:18]) == played.choices[1]


def test_a_campaign_for_the_front_asks_for_more_than_the_limit() -> None:
    arena = compare.synthetic_arena("vgg", 0, Goal(1.0), noise_seed=0)
    wide, narrow = (compare.METHODS[name](arena, 24, 0).trials for name in ("espalier-pareto", "espalier"))
    assert [t.request.config for t in wide[:7]] == [t.request.config for t in narrow[:7]], "the initial design, a third of 22"
    assert [t.request.config for t in wide[7:]] != [t.request.config for t in narrow[7:]]


def test_a_race_is_resumable_and_repeats_nothing(tmp_path: Path) -> None:
    arenas = [compare.synthetic_arena("vgg", 0, Goal(1.0), noise_seed=0)]
    told: list[Run] = []
    path = tmp_path / "runs.jsonl"
    compare.race_methods(arenas, ["uniform"], 13, [0], path, told.append)
    runs = compare.race_methods(arenas, ["uniform", "random"], 13, [0], path, told.append)
    assert [run.method for run in told] == ["uniform", "random"]
    assert len(runs) == len(race.read(path)) == 2
    assert runs[1].near_optimum == pytest.approx(0.1839)
    truth = runs[0].truths[0]
    assert abs(truth - runs[0].drops[0]) < 1.0


def test_a_synthetic_race_leaves_a_table_and_a_picture(tmp_path: Path) -> None:
    table = compare.synthetic_race(["vgg"], ["uniform", "random"], 13, [0, 1], tmp_path / "race", lambda run: None)
    text = table.read_text()
    assert text.startswith("SIMULATED")
    assert "| vgg | uniform | 2 |" in text
    assert "latency@13" in text
    picture = (tmp_path / "race" / "race.svg").read_text()
    assert "SIMULATED" in picture or "<svg" in picture
    assert len(race.read(tmp_path / "race" / "runs.jsonl")) == 4


def test_an_unknown_method_and_a_missing_optuna_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="method 'magic'"):
        compare.race_methods([], ["magic"], 1, [0], tmp_path / "runs", lambda run: None)
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match="pip install 'optuna>="):
        compare.METHODS["optuna-tpe"](compare.synthetic_arena("vgg", 0, Goal(1.0), 0), 2, 0)
