"""The experiment's page: every aim judged by the figures that are on disk, and honest where they are missed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import UnknownName, UsageError
from harness.networks.datasets import Dataset, Split
from harness.records.measurement import Latency
from harness.training import stored_baseline
from harness.training.recipes import Recipe
from search import journey
from search.experiment import experiment
from search.experiment import page as experiment_page
from search.experiment import targets as experiment_targets
from search.experiment.page import Studied
from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.records import outcome
from search.records.losses.drop import Drop
from search.records.request import Request
from search.report import summary
from search.report.compared import Compared, SpeedUp
from search.report.summary import Summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made_up = Rehearsal(simulated=False, seeds=3, rivals=True)
    return rehearsal.write(tmp_path_factory.mktemp("reports") / "campaigns" / "one", made_up)


@pytest.fixture(scope="module")
def told(folder: Path) -> Summary:
    return summary.load(folder)


def with_optimised(told: Summary, speed: float, lost: float, verdict: str = "faster") -> Summary:
    """The summary as if the optimised network were so much faster and lost so many points."""
    judged = SpeedUp("dense", speed, speed * 0.98, speed * 1.02, verdict, 0.01)
    changed = [
        replace(entry, against_dense=judged, against_off_the_shelf=judged, test_drop=Drop(lost, lost - 0.3, lost + 0.3))
        if entry.contender.role == "optimised"
        else entry
        for entry in told.compared
    ]
    return replace(told, compared=tuple(changed))


@pytest.mark.parametrize(
    ("speed", "lost", "verdict", "met"),
    [(2.5, 0.4, "faster", True), (1.79, 0.4, "faster", False), (2.5, 0.51, "faster", False), (2.5, 0.4, "cannot tell", False)],
)
def test_the_first_aim_needs_speed_accuracy_and_a_verdict(told: Summary, speed: float, lost: float, verdict: str, met: bool) -> None:
    first = experiment_targets.targets(with_optimised(told, speed, lost, verdict), None)[0]
    assert first.met is met
    assert first.word == ("met" if met else "missed")


def test_random_search_and_uniform_cuts_are_judged_too(told: Summary) -> None:
    found = experiment_targets.targets(told, None)
    assert any("random search" in target.aim for target in found)
    assert any("uniform" in target.aim for target in found)
    assert {target.met for target in found} <= {True, False, None}


def test_a_machine_that_is_faster_today_leaves_predicted_speed_ups_right(told: Summary) -> None:
    def on_a_day(factor: float) -> list[experiment_targets.Target]:
        slowed = [
            replace(
                entry,
                measurement=replace(
                    entry.measurement,
                    latency=replace(
                        entry.measurement.latency, samples_s=tuple(factor * sample for sample in entry.measurement.latency.samples_s)
                    ),
                ),
                against_dense=entry.against_dense and replace(entry.against_dense, times=entry.predicted_times or 0.0),
            )
            for entry in told.compared
        ]
        found = experiment_targets.targets(replace(told, compared=tuple(slowed)), None)
        return [target for target in found if target.aim.startswith("predicted")]

    latency, speed = on_a_day(1.5)
    assert (latency.met, speed.met) == (False, True)


def test_what_disturbs_a_network_is_not_counted_as_the_models_error(told: Summary) -> None:
    def disturbed(entry: Compared) -> Compared:
        """As predicted on quiet stretches, and half as slow again in three of four samples."""
        quiet = entry.predicted_undisturbed_s
        assert quiet is not None
        latency = Latency(tuple(quiet * (1.0 if index % 4 == 0 else 1.5) for index in range(400)), (40,) * 10)
        return replace(entry, measurement=replace(entry.measurement, latency=latency))

    found = experiment_targets.targets(replace(told, compared=tuple(disturbed(entry) for entry in told.compared)), None)
    latency = next(target for target in found if target.aim.startswith("predicted within"))
    quiet = next(target for target in found if "without disturbance" in target.aim)
    count = len(told.compared)
    assert latency.seen.startswith(f"0 of {count}")
    assert quiet.met is None
    assert quiet.seen.startswith(f"{count} of {count}; worst 0.0 %")
    assert "50.0 %" in quiet.seen


@pytest.mark.parametrize(
    ("speed", "lost", "expected"), [(2.0, 0.2, "It held for resnet20"), (2.0, 1.5, "It did not hold"), (0.9, 0.0, "not hold")]
)
def test_the_answer_says_when_the_hypothesis_failed(told: Summary, speed: float, lost: float, expected: str) -> None:
    changed = with_optimised(told, speed, lost, "faster" if speed > 1 else "slower")
    assert expected in experiment_page.answer([changed])


def test_the_page_has_the_figures_of_the_campaign(told: Summary, tmp_path: Path) -> None:
    (tmp_path / experiment_page.LEARNT).write_text("Depth matters more than width.\n")
    page = experiment_page.write(tmp_path, [Studied(told, (), told, ("Not compiled: no such compiler.",))]).read_text()
    assert told.outcome.command in page
    for entry in told.compared:
        assert entry.contender.name in page
    assert "Depth matters more than width." in page
    assert "Not compiled: no such compiler." in page
    assert "3 seeds each" in page


def test_another_precision_is_read_from_its_own_file(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "one"))
    document = json.loads((copy / outcome.PROOF).read_text())
    for entry in document["benchmarks"]:
        entry["extra_info"]["espalier"]["conditions"]["precision"] = "bf16"
        entry["stats"]["data"] = [sample / 2 for sample in entry["stats"]["data"]]
    (copy / "proof-bf16.json").write_text(json.dumps(document))
    one, other = summary.load(copy), summary.load(copy, "proof-bf16.json")
    assert other.dense.measurement.latency.median_s == pytest.approx(one.dense.measurement.latency.median_s / 2)
    assert all(entry.predicted is None for entry in other.compared)  # f32 designs say nothing about bf16


@pytest.mark.parametrize(
    ("change", "finished"),
    [
        ({}, True),
        ({"proof_seeds": 2}, True),
        ({"workers": 4}, True),
        ({"proof_seeds": 4}, False),
        ({"rival": "other"}, False),
        ({"from_scratch": False}, False),
        ({"trials": 41}, False),
        ({"hours": 1.0}, False),
    ],
)
def test_a_comparison_is_finished_when_it_was_made_from_what_is_asked_for(
    folder: Path, tmp_path: Path, change: dict[str, object], finished: bool
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "one"))
    asked = Request(trials=40, proof_seeds=3, rival="random", from_scratch=True)
    outcome.write(copy, replace(outcome.read(copy), settings=asked.shown))
    assert journey.is_finished(copy, replace(asked, **change)) is finished  # type: ignore[arg-type]


def test_a_broken_comparison_is_made_again(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "one"))
    (copy / outcome.CONTENDERS).write_text((copy / outcome.CONTENDERS).read_text()[:-200])
    assert not journey.is_finished(copy, Request(trials=40))


def test_a_study_adds_to_a_campaign_what_its_comparison_lacks() -> None:
    old = Request(network="resnet20", trials=30, proof_seeds=1, workers=4)
    asked = Request(network="resnet20", trials=60, proof_seeds=3, rival="other", from_scratch=True)
    assert experiment._at_least(old, asked) == replace(old, proof_seeds=3, rival="other", from_scratch=True)
    assert experiment._at_least(replace(old, proof_seeds=5), asked).proof_seeds == 5


def test_a_plan_knows_its_studies(tmp_path: Path) -> None:
    plan = experiment.plan(["resnet56"], "fashion-mnist", None, "cpu", tmp_path)
    assert [study.network for study in plan.studies] == ["resnet56"]
    assert plan.campaign(plan.studies[0]) == "resnet56-fashion-mnist-cpu"
    assert all(study.trials <= experiment_targets.MAX_TRIALS for study in experiment.STUDIES)
    with pytest.raises(UnknownName, match="resnet20"):
        experiment.plan(["resnet99"], "fashion-mnist", None, "cpu", tmp_path)


def test_the_page_tells_of_what_is_finished_and_names_what_is_not(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    plan = experiment.plan(["resnet56"], "digits", None, "cpu", tmp_path)
    (finished,) = [study for study in plan.known if study.network == "resnet20"]
    shutil.copytree(folder, tmp_path / "campaigns" / plan.campaign(finished))
    page = experiment.write_page(plan, dataset).read_text()
    assert "## resnet20 on" in page
    assert "Not finished: resnet56, mobilenetv2 (`python -m search experiment --network=resnet56`)" in page
    assert "Not compiled for the ncs2: dense" in page
    assert "Not measured in bf16." in page


def test_the_page_of_an_experiment_that_has_just_begun_claims_nothing(dataset: Dataset, tmp_path: Path) -> None:
    page = experiment.write_page(experiment.plan(None, "digits", None, "cpu", tmp_path), dataset).read_text()
    assert "**No study is finished yet.**" in page
    assert "Not finished: resnet20, resnet56, mobilenetv2" in page


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    def split(count: int) -> Split:
        return Split(torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(count)), torch.arange(count) % 4)

    return Dataset("noise", "0" * 16, (1, 16, 16), 4, split(32), split(16), split(16))


def test_a_baseline_is_trained_once_and_refused_when_damaged(dataset: Dataset, tmp_path: Path) -> None:
    recipe = Recipe(epochs=0.5, batch_size=8, precision="f32", calibration_images=16)
    folder, cache = tmp_path / "baselines", tmp_path / "cache"
    seen: list[int] = []
    first = stored_baseline.find_or_train(folder, "resnet20", dataset, recipe, cache, lambda done, _: seen.append(done))
    assert seen
    seen.clear()
    assert stored_baseline.find_or_train(folder, "resnet20", dataset, recipe, cache, lambda done, _: seen.append(done)) == first
    assert not seen
    with pytest.raises(UsageError, match="other data"):
        stored_baseline.read(first.weights, replace(dataset, digest="1" * 16))
    content = bytearray(first.weights.read_bytes())
    content[-1] ^= 1
    first.weights.write_bytes(content)
    with pytest.raises(UsageError, match="restore it"):
        stored_baseline.read(first.weights, dataset)
    first.weights.with_suffix(".json").write_text("{}")
    with pytest.raises(UsageError, match="delete both it"):
        stored_baseline.read(first.weights, dataset)
