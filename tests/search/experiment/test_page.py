"""The experiment's first screen: what one gets, instead of what, on which machine, how sure; whoever reads it finds the rest."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.networks.datasets import Dataset
from search.experiment import experiment, picture, rows, studies, study_page
from search.experiment import page as experiment_page
from search.experiment import targets as experiment_targets
from search.experiment.studied import Studied
from search.records import outcome
from search.records.losses.drop import Drop
from search.report.compared import Compared
from search.report.summary import Summary
from tests.search.experiment.judged import joint_of, with_optimised


@pytest.mark.parametrize(
    ("speed", "lost", "expected"), [(2.0, 0.2, "It held for resnet20"), (2.0, 1.5, "It did not hold"), (0.9, 0.0, "not hold")]
)
def test_the_answer_says_when_the_hypothesis_failed(told: Summary, speed: float, lost: float, expected: str) -> None:
    changed = with_optimised(told, speed, lost, "faster" if speed > 1 else "slower")
    assert expected in experiment_page.answer([changed])


def test_a_studys_page_has_the_figures_of_the_campaign(told: Summary, tmp_path: Path) -> None:
    page = study_page.write(tmp_path, Studied(told, (), told, ("Not compiled: no such compiler.",))).read_text()
    assert told.outcome.command in page
    for entry in told.compared:
        assert entry.contender.name in page
    for target in experiment_targets.targets(told, told):
        assert target.seen in page
    assert "Not compiled: no such compiler." in page


def test_the_first_screen_has_ten_rows_at_most_and_names_the_machine(told: Summary, tmp_path: Path) -> None:
    (tmp_path / experiment_page.LEARNT).write_text("Depth matters more than width.\n")
    text = experiment_page.write(tmp_path, [Studied(told, (), None, (), joint_of(told))]).read_text()
    first, _, rest = text.partition("## resnet20")
    assert told.conditions.device.model in first
    assert f"]({picture.PICTURE})" in first
    assert "Depth matters" not in text
    for linked in re.findall(r"\]\(([^)]+)\)", text):
        assert (tmp_path / linked).is_file(), linked
    table = [line for line in rest.partition("## How")[0].splitlines() if line.startswith("|")]
    assert 2 < len(table) - 2 <= rows.MOST


def test_missed_aims_are_told_on_the_first_page(told: Summary, tmp_path: Path) -> None:
    slow = with_optimised(told, 1.1, 0.2)
    text = experiment_page.write(tmp_path, [Studied(slow, (), None, (), slow)]).read_text()
    missed = experiment_targets.missed(experiment_targets.joint_targets(slow))
    assert any("4.5×" in target.aim for target in missed)
    for target in missed:
        assert f"{target.aim}: {target.seen}" in text


@pytest.mark.parametrize(("speed", "lost", "met"), [(4.6, 0.4, True), (4.4, 0.4, False), (4.6, 1.1, False)])
def test_the_joint_aim_is_another_than_that_of_f32(told: Summary, speed: float, lost: float, met: bool) -> None:
    assert experiment_targets.joint_targets(with_optimised(told, speed, lost))[0].met is met


def changed(told: Summary, drops: Sequence[float]) -> Summary:
    """The summary as if its networks had lost so many points of the validation pictures."""
    lost = [
        entry if entry.contender.role == "dense" else replace(entry, validation_drop=Drop(drop, drop - 0.1, drop + 0.1))
        for entry, drop in zip(told.compared, drops, strict=True)
    ]
    return replace(told, compared=tuple(lost))


@given(data=st.data())
def test_every_rival_stands_there_at_its_best(told: Summary, data: st.DataObject) -> None:
    many = joint_of(told)
    drops = data.draw(st.lists(st.floats(-1, 3), min_size=len(many.compared), max_size=len(many.compared)))
    lost = changed(many, drops)
    shown = rows.leading(lost)
    assert len(shown) <= rows.MOST
    assert {"dense", "optimised"} <= {entry.contender.role for entry in shown}
    for role in ("off-the-shelf", "uniform"):
        entries = [entry for entry in lost.compared if entry.contender.role == role]
        found = rows.best(lost, lambda one, role=role: one.role == role)  # type: ignore[misc]
        assert found in shown
        within = [entry for entry in entries if not rows.is_over(lost, entry)]
        assert found is not None
        assert not [one for one in within if _faster(one, found)] or found not in within
        assert found in within or not within
        if not within:
            assert _points(found) == min(map(_points, entries))


def _faster(one: Compared, other: Compared) -> bool:
    return one.latency.median_s < other.latency.median_s


def _points(entry: Compared) -> float:
    assert entry.validation_drop is not None
    return entry.validation_drop.points


def test_the_picture_shows_every_compared_network_once_and_draws_alike(told: Summary, tmp_path: Path) -> None:
    study = Studied(told, (), None, (), joint_of(told))
    drawn = picture.write(tmp_path, [study])
    assert drawn is not None
    first = drawn.read_bytes()
    assert picture.write(tmp_path, [study]) == drawn
    assert drawn.read_bytes() == first
    tree = ElementTree.fromstring(first)
    told_texts = {"".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert any(told.conditions.device.model in text for text in told_texts)
    assert picture.write(tmp_path, []) is None


def test_the_page_tells_of_what_is_finished_and_names_what_is_not(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    plan = studies.plan(["resnet56"], "digits", None, "cpu", tmp_path)
    (finished,) = [study for study in plan.known if study.network == "resnet20"]
    copytree(folder, plan.folder(finished, finished.in_float))
    page = experiment.write_page(plan, dataset).read_text()
    assert "## resnet20" in page
    assert "Not finished: resnet56, mobilenetv2 (`python -m search experiment --network=resnet56`)" in page
    study = (tmp_path / study_page.name_of("resnet20")).read_text()
    assert "Not compiled for the ncs2: dense" in study
    assert "Not measured in bf16." in study
    assert "Not searched yet: channels, bits and sizes together." in study


def test_rivals_that_the_joint_search_was_not_held_against_are_named(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    plan = studies.plan(["resnet20"], "digits", None, "cpu", tmp_path)
    (study,) = plan.studies
    for search in study.searches:
        copytree(folder, plan.folder(study, search))
    together = plan.folder(study, study.joint)
    told = outcome.read(together)
    outcome.write(together, replace(told, contenders=tuple(one for one in told.contenders if one.role != "random")))
    experiment.write_page(plan, dataset)
    page = (tmp_path / study_page.name_of("resnet20")).read_text()
    assert "Channels, bits and sizes together, not compared yet: random search's choice." in page


def test_the_page_of_an_experiment_that_has_just_begun_claims_nothing(dataset: Dataset, tmp_path: Path) -> None:
    page = experiment.write_page(studies.plan(None, "digits", None, "cpu", tmp_path), dataset).read_text()
    assert "**No study is finished yet.**" in page
    assert "Not finished: resnet20, resnet56, mobilenetv2" in page
