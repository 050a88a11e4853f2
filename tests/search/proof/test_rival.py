"""A rival enters the final comparison with what it found itself, never with what it took over from another campaign."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import CampaignError
from search.campaign import campaign, common_recipe, sharing
from search.campaign.campaign import CampaignSettings
from search.optimizer.random_search import RandomSearch
from search.proof import comparison
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import folder as folders
from search.records import journal
from search.records.request import Request
from search.space.goals import Goal

SETTINGS = CampaignSettings("a", trials=8, seeds=5, budget_epochs=27.0, goal=Goal(1.0), repeats=0, accuracy="same", measurements="cpu")
EVALUATE = SyntheticEvaluate("vgg", 0)


@pytest.fixture
def asked(vgg: SyntheticProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Function: what enters for a rival that tried so many itself, with the journal of its campaign and what all of it would recommend.

    Its networks are the synthetic problem's, which no device has measured and nothing has tuned: where a real campaign asks what that
    took, the problem answers.
    """
    campaign.run(SETTINGS, vgg.space(), vgg, EVALUATE, tmp_path / "campaigns" / "a")
    subject, stored = SimpleNamespace(network=SimpleNamespace(architecture=vgg.architecture)), SimpleNamespace(known=vgg)
    monkeypatch.setattr(common_recipe, "known", lambda *given: SimpleNamespace(recipe=None))
    monkeypatch.setattr(comparison, "space_of", lambda *given: (vgg.space(), None))

    def rival(trials: int) -> tuple[Any, journal.Contents, Any]:
        settings = replace(SETTINGS, name="random", trials=max(trials, 1), seeds=1, goal=Goal(3.0))
        folder = tmp_path / "campaigns" / "random"
        taken = sharing.gather(tmp_path / "campaigns", vgg.architecture.digest, "same")
        whole = campaign.run(settings, vgg.space(), vgg, EVALUATE, folder, imported=taken, optimizer_class=RandomSearch)
        if not trials:
            lines = (folder / journal.FILE).read_text().splitlines()
            kept = [line for line in lines if json.loads(line).get("kind") not in ("started", "finished")]
            (folder / journal.FILE).write_text("\n".join(kept) + "\n")
        folders.write_request(folder, Request(name="random", reports=tmp_path, optimizer="random"))
        monkeypatch.setattr(comparison, "settings_of", lambda *given: settings)
        entered = comparison._rival(Request(rival="random", reports=tmp_path), subject, stored)
        return entered, journal.read(folder), whole

    return rival


def test_what_it_took_over_does_not_enter(asked: Any) -> None:
    entered, told, whole = asked(4)
    assert whole.chosen.trial < 0, "what was taken over is better: else this shows nothing"
    assert told.imported
    assert entered.config in {trial.request.config for trial in told.finished}
    assert entered.config != whole.chosen.config


def test_one_that_tried_nothing_itself_is_refused(asked: Any) -> None:
    with pytest.raises(CampaignError, match="--rival=random has no trial of its own"):
        asked(0)
