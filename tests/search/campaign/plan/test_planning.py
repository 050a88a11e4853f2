"""A campaign's plan is made of what is known here: speeds, sizes, what lies on disk, what the last campaign's steps took."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.networks import datasets
from harness.networks.datasets import Dataset
from harness.pipeline import Network
from harness.records.accuracy import Accuracy
from harness.training.processor import Way
from harness.training.recipes import Recipe
from search.campaign.plan import planning, steps
from search.campaign.plan.training_speed import Trained
from search.records.display import Display
from search.records.recipe_record import RecipeRecord
from search.records.request import Request
from search.records.training_record import TrainingRecord

QUICK = Trained(TrainingRecord(Way(), "quick"), 1000.0)
RECORD = RecipeRecord(Recipe(epochs=4), Accuracy(270, 280))


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits", None)


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Request(reports=tmp_path)


@pytest.fixture
def display() -> Display:
    return Display(Console(file=io.StringIO(), width=200))


def said(display: Display) -> str:
    file = display.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def names(plan: steps.Plan) -> list[str]:
    return [step.name for step in plan.steps]


def test_the_plan_is_said_step_by_step_with_its_sum(request_: Request, digits: Dataset, display: Display) -> None:
    plan = planning.first(request_, digits, QUICK, display)
    assert names(plan) == [steps.DENSE, steps.CHECK, steps.DESIGNED, steps.RECIPE, steps.SEARCH, steps.PROOF]
    assert all(name in said(display) for name in names(plan))
    assert plan.seconds == pytest.approx(plan.spent_s + sum(step.seconds for step in plan.steps))
    assert f"plan: about {steps.clock(plan.seconds)}" in said(display)


def test_what_lies_on_disk_is_not_planned(request_: Request, digits: Dataset, display: Display) -> None:
    folder = request_.reports / "benchmarks" / "cpu"
    folder.mkdir(parents=True)
    (folder / "resnet20-digits-f32.json").write_text("{}")
    plan = planning.first(replace(request_, weights=Path("dense.safetensors")), digits, QUICK, display)
    assert not {steps.DENSE, steps.DESIGNED} & set(names(plan))


def test_where_compiled_cost_is_lowered_nothing_is_planned_to_be_measured(request_: Request, digits: Dataset, display: Display) -> None:
    architecture = Network.by_name("resnet20", digits).architecture
    plan = planning.first(replace(request_, objective="compiled-cost", device="ncs2"), digits, QUICK, display, architecture)
    assert names(plan) == [steps.DENSE, steps.CHECK, steps.COMPILED, steps.RECIPE, steps.SEARCH, steps.PROOF]
    assert "measur" not in said(display)
    assert plan.waiting_s == 0.0


def test_the_next_campaign_knows_how_long_measuring_took(request_: Request, digits: Dataset, display: Display) -> None:
    planning.remember(request_, planning.DESIGNED, seconds=200.0, networks=100)
    plan = planning.first(request_, digits, QUICK, display)
    (designed,) = (step for step in plan.steps if step.name == steps.DESIGNED)
    assert designed.seconds == pytest.approx(2.0 * (request_.designs + steps.HELD_OUT))


def test_the_search_shrinks_where_the_first_steps_took_longer(request_: Request, digits: Dataset, display: Display) -> None:
    first = planning.first(replace(request_, minutes=60), digits, QUICK, display)
    assert not first.cut
    same = planning.again(first, digits, replace(RECORD, seconds=10.0, trials_worth=2.0), 1.0, display)
    slower = planning.again(first, digits, replace(RECORD, seconds=300.0, trials_worth=2.0), 1.0, display)
    assert same.request == first.request
    assert slower.request.trials < first.request.trials
    assert slower.request.budget == first.request.budget
    assert f"{slower.request.trials} trials instead of {first.request.trials}" in said(display)


def test_a_machine_that_is_mostly_fast_gives_the_minute_back_to_the_search(request_: Request, digits: Dataset, display: Display) -> None:
    first = planning.first(replace(request_, minutes=3), digits, replace(QUICK, images_per_s=600.0), display)
    assert first.request.trials < request_.trials
    record = replace(RECORD, seconds=8.0, trials_worth=2.0)
    loud, quiet = (planning.again(first, digits, record, share, display) for share in (0.2, 1.0))
    assert loud.request.trials < quiet.request.trials
    assert first.request.trials < quiet.request.trials <= request_.trials
    assert first.request.finalists <= quiet.request.finalists <= request_.finalists
    assert f"{quiet.request.trials} trials instead of {first.request.trials}" in said(display)
    assert "there is time for it" in said(display)


def test_global_pruning_that_was_planned_goes_first_unless_it_was_asked_for(request_: Request, digits: Dataset, display: Display) -> None:
    slow = replace(RECORD, seconds=300.0, trials_worth=2.0)
    given = planning.first(replace(request_, minutes=60, global_pruning=True), digits, QUICK, display)
    free = planning.first(replace(request_, minutes=60), digits, QUICK, display)
    assert given.request == free.request
    assert "2 of them by Torch-Pruning" in said(display)
    assert planning.again(given, digits, slow, 1.0, display).request.global_pruning is True
    assert "no global pruning" not in said(display)
    assert planning.again(free, digits, slow, 1.0, display).request.global_pruning is False
    assert "plan: no global pruning to compare with" in said(display)
