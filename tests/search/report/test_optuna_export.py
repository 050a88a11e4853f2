"""A campaign can be looked at in Optuna's dashboard."""

import sys
from pathlib import Path

import pytest

from harness.errors import CampaignError, UsageError
from search.campaign import campaign
from search.campaign.campaign import CampaignSettings
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.report import optuna_export
from search.space.goals import Goal


def test_every_trial_is_in_the_study(vgg: SyntheticProblem, tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    settings = CampaignSettings("c", trials=4, seeds=4, budget_epochs=27.0, goal=Goal(1.0), finalists=0)
    result = campaign.run(settings, vgg.space(), vgg, SyntheticEvaluate("vgg", 0), tmp_path / "c")
    path = tmp_path / "study.db"
    assert optuna_export.export("c", result.trials, vgg.space(), path) == 4
    study = optuna.load_study(study_name="c", storage=f"sqlite:///{path}")
    assert [trial.values for trial in study.trials] == [[t.cost, t.outcome.drop_points] for t in result.trials]
    assert study.trials[0].params["g00"] == 64
    with pytest.raises(CampaignError, match="exists; choose another file"):
        optuna_export.export("c", result.trials, vgg.space(), path)


def test_without_optuna_the_package_is_named(vgg: SyntheticProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match="pip install 'optuna>="):
        optuna_export.export("c", (), vgg.space(), tmp_path / "study.db")
