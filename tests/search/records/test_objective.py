"""What is lowered: each kind of cost is told by its own words, kept under its own name, and searched for alike."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CampaignError
from search.campaign import campaign, notes
from search.campaign.campaign import CampaignSettings
from search.campaign.watch import Watch
from search.race.synthetic import SyntheticEvaluate, SyntheticProblem
from search.records import journal
from search.records.costs.objective import COMPILED_COST, LATENCY, OBJECTIVES, told_cost
from search.records.display import Display
from search.records.events import Begun, Event, Improved, Note
from search.records.trial import Floats, Ints, Trial
from search.space.goals import Goal
from tests.search.records.test_journal import HEADER, trial

TIMES = 2.0**30  # a power of two, which moves no bit but the exponent
SETTINGS = CampaignSettings("c", trials=9, seeds=4, budget_epochs=27.0, goal=Goal(1.0), finalists=2, repeats=1)
OF_TIME = re.compile(r"µs|\bms\b|[Ff]aster|[Ll]atenc|[Ss]peed")


class InUnits:
    """The problem's costs in another unit than seconds."""

    def __init__(self, problem: SyntheticProblem) -> None:
        self.problem = problem

    def costs(self, widths: Ints) -> Floats:
        return np.asarray(self.problem.costs(widths) * TIMES)


@pytest.mark.parametrize("optimizer", ["smac", "random"])
def test_a_search_proposes_and_chooses_alike_whichever_kind_of_cost_it_lowers(
    vgg: SyntheticProblem, tmp_path: Path, optimizer: str
) -> None:
    from search.optimizer.random_search import RandomSearch
    from search.optimizer.selector import Optimizer

    kind, evaluate = {"smac": Optimizer, "random": RandomSearch}[optimizer], SyntheticEvaluate("vgg", 0)
    timed = campaign.run(SETTINGS, vgg.space(), vgg, evaluate, tmp_path / "a", optimizer_class=kind)
    goal = replace(SETTINGS.goal, objective=COMPILED_COST)
    events: list[Event] = []
    asked = replace(SETTINGS, goal=goal)
    compiled = campaign.run(asked, vgg.space(), InUnits(vgg), evaluate, tmp_path / "b", events.append, optimizer_class=kind)
    assert [one.request.config for one in compiled.trials] == [one.request.config for one in timed.trials]
    assert compiled.chosen is not None
    assert timed.chosen is not None
    assert compiled.chosen.config == timed.chosen.config
    assert [one.compiled_cost for one in compiled.trials] == [one.latency_s * TIMES for one in timed.trials]
    assert all(math.isnan(one.latency_s) for one in compiled.trials)
    said = [event.text for event in events if isinstance(event, Note)] + [notes.recommendation(compiled), goal.text]
    said += [one.request.origin for one in compiled.trials]
    assert not [line for line in said if OF_TIME.search(line)]
    assert "times cheaper to the compiler than dense" in notes.recommendation(compiled)


def test_while_it_runs_costs_are_told_by_their_kind(vgg: SyntheticProblem, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    with display.step("search", 9) as bar:
        watch = Watch(display, bar)
        watch(Begun("the goal", 3, 100, 12345.0, 9, 0, COMPILED_COST))
        watch(Improved(COMPILED_COST.at(trial(0), 12000.0)))
    said = capsys.readouterr().out
    assert "dense predicted at a compiled cost of 12\u202f345" in said
    assert "trial 0: predicted compiled cost 12\u202f000 (0.97 of dense)" in said
    assert not OF_TIME.search(said)


@given(st.floats(0, 1e12), st.floats(1e-9, 1e3))
def test_a_trial_has_one_kind_of_cost_and_comes_back_from_its_journal_as_it_was(cost: float, latency_s: float) -> None:
    import tempfile

    each = [COMPILED_COST.at(replace(trial(0), ask_s=0.0), cost), LATENCY.at(trial(1), latency_s)]
    with tempfile.TemporaryDirectory() as folder:
        opened = journal.Journal.create(Path(folder), HEADER)
        for one in each:
            opened.finished(one, 1.0)
        opened.close()
        found = journal.read(Path(folder)).finished
    assert [(one.cost, one.compiled_cost) for one in found] == [(cost, cost), (latency_s, None)]
    assert [math.isnan(one.latency_s) for one in found] == [True, False]


def test_costs_of_another_kind_are_never_kept_beside_the_campaigns_own() -> None:
    there = COMPILED_COST.at(trial(0), 700.0)
    (back,) = LATENCY.restated([there], [1e-3])
    assert (back.latency_s, back.compiled_cost, back.cost) == (1e-3, None, 1e-3)
    (again,) = COMPILED_COST.restated([back], [700.0])
    assert again.cost == there.cost
    assert math.isnan(again.latency_s)


def test_a_line_with_both_kinds_or_neither_is_refused(tmp_path: Path) -> None:
    opened = journal.Journal.create(tmp_path, HEADER)
    opened.finished(trial(0), 1.0)
    opened.close()
    path = tmp_path / journal.FILE
    header, line = path.read_text().splitlines()
    for spoilt in ({"latency_s": None}, {"compiled_cost": 3.0}):
        path.write_text(f"{header}\n{json.dumps({**json.loads(line), **spoilt})}\n{line}\n")
        with pytest.raises(CampaignError, match="both a latency and a compiled cost, or neither"):
            journal.read(tmp_path)


def test_a_latencys_line_is_written_as_it_was_before_there_was_another_kind(tmp_path: Path) -> None:
    opened = journal.Journal.create(tmp_path, HEADER)
    opened.finished(trial(0), 1.0)
    opened.close()
    line = json.loads((tmp_path / journal.FILE).read_text().splitlines()[1])
    assert list(line) == ["kind", "elapsed_s", "request", "outcome", "latency_s", "ask_s"]


def test_each_kind_is_told_by_its_own_words() -> None:
    assert [OBJECTIVES[name].predicted(cost) for name, cost in (("latency", 742e-6), ("compiled-cost", 742.0))] == [
        "predicted 742.0 µs",
        "predicted compiled cost 742",
    ]
    assert LATENCY.gain(3.9, 1.0) == "3.90× faster than dense"
    assert COMPILED_COST.gain(3.9, 1.0) == "3.90 times cheaper to the compiler than dense"
    assert told_cost(12340) == "12\u202f340"


def test_a_trials_cost_is_the_one_that_its_campaign_lowers() -> None:
    timed: Trial = trial(0)
    assert timed.cost == timed.latency_s
    assert COMPILED_COST.at(timed, 0.0).cost == 0.0, "also where the compiler charges nothing"
