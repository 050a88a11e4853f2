"""The comparison: every method plays the same problem by the same rules, and the scores are what they say."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import CampaignError, UnknownName, UsageError
from search import compare, race
from search.goals import Goal
from search.race import Run

RUN = Run("r56", 0, "m", 1, (0.9, 0.5, 0.4, 0.3), (0.2, 0.9, 1.2, math.nan), (0.1, 1.1, 1.3, 2.0), -1, 0.01, 1.0, 0.25, 0.5)


def test_the_best_is_the_fastest_observed_within_the_limit() -> None:
    assert [RUN.best(count) for count in (0, 1, 2, 4)] == [1.0, 0.9, 0.5, 0.5]
    assert (RUN.chosen_latency, RUN.chosen_truth) == (0.5, 1.1)
    recommended = replace(RUN, chosen=0)
    assert (recommended.chosen_latency, recommended.chosen_truth) == (0.9, 0.1)
    nothing = replace(RUN, drops=(2.0,) * 4)
    assert (nothing.chosen_latency, nothing.chosen_truth) == (1.0, 0.0)


def test_hypervolume_is_the_dominated_share() -> None:
    """Two points by hand: 0.5 x (8 - 2) + 0.2 x (2 - 0.4), of 8."""
    run = replace(RUN, latencies=(0.5, 0.8, 1.2), drops=(2.0, 0.4, 0.0))
    assert run.hypervolume(3) == pytest.approx((0.5 * 6.0 + 0.2 * 1.6) / 8)
    assert run.hypervolume(1) == pytest.approx(0.5 * 6.0 / 8)
    assert replace(RUN, drops=(math.nan,) * 4).hypervolume(4) == 0.0


def test_scores_average_over_runs_and_rank_methods() -> None:
    better = replace(RUN, method="b", latencies=(0.4, 0.4, 0.4, 0.4), drops=(0.1,) * 4, truths=(0.1,) * 4)
    first, second = race.scores([RUN, replace(RUN, seed=2, latencies=(0.9, 0.7, 0.4, 0.3)), better], (2, 4))
    assert (first.method, second.method) == ("b", "m")
    assert second.best == pytest.approx((0.6, 0.6))
    assert second.best_spread == pytest.approx((0.1, 0.1))
    assert (second.runs, second.within) == (2, 0.0)
    assert second.chosen_ratio == pytest.approx(2.4)
    assert second.reached_ratio == pytest.approx(1.2)
    table = race.markdown([first, second])
    assert "| r56 | m | 2 | 0.600 ± 0.100 |" in table
    assert race.markdown([]) == "no method has run yet\n"


def test_runs_are_stored_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "runs.jsonl"
    assert race.read(path) == ()
    race.append(path, RUN)
    path.write_text(path.read_text()[:-1] + '\n{"problem": "r')
    race.append(path, replace(RUN, seed=2, near_optimum=math.nan, reached=math.nan))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + '\n{"pro')
    one, two = race.read(path)
    assert one == replace(RUN, drops=one.drops)
    assert math.isnan(two.near_optimum)
    assert math.isnan(two.reached)
    path.write_text("nonsense\n" + lines[0] + "\n")
    with pytest.raises(CampaignError, match=r"line 1 of .* is no stored run"):
        race.read(path)


@pytest.mark.parametrize("method", ["random", "uniform", "smac", "espalier"])
def test_every_method_plays_legal_configurations(tmp_path: Path, method: str) -> None:
    arena = compare.synthetic_arena("vgg", 0, Goal(1.0), noise_seed=0)
    played = compare.METHODS[method](arena, 15, 0)
    assert 13 <= len(played.trials) <= 15
    rows = np.asarray([arena.space.encode(t.request.config, t.request.recipe) for t in played.trials])
    assert arena.space.legal(rows).all()
    assert all(trial.outcome.ok for trial in played.trials)


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
    with pytest.raises(UsageError, match=r"espalier\[compare\]"):
        compare.METHODS["optuna-tpe"](compare.synthetic_arena("vgg", 0, Goal(1.0), 0), 2, 0)
