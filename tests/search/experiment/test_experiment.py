"""The experiment's page: every aim judged by the figures that are on disk, and honest where they are missed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UnknownName, UsageError
from harness.networks.datasets import Dataset
from harness.records.measurement import Latency
from harness.training import stored_baseline
from harness.training.recipes import Recipe
from search import journey, verbs
from search.experiment import experiment, studies
from search.experiment import targets as experiment_targets
from search.records import checks, outcome
from search.records.request import Request
from search.report import summary
from search.report.compared import Compared
from search.report.summary import Summary
from tests.search.experiment.judged import with_optimised


@pytest.mark.parametrize(
    ("speed", "lost", "verdict", "met"),
    [(2.5, 0.4, "faster", True), (1.79, 0.4, "faster", False), (2.5, 1.01, "faster", False), (2.5, 0.4, "cannot tell", False)],
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


@pytest.mark.parametrize(("asked", "finished"), [(None, True), (True, False)])
def test_a_comparison_of_before_there_was_global_pruning_is_without_it(
    folder: Path, tmp_path: Path, asked: bool | None, finished: bool
) -> None:
    copy, request = Path(shutil.copytree(folder, tmp_path / "one")), Request(trials=40, proof_seeds=3)
    settings = tuple(pair for pair in request.shown if pair[0] != "--global-pruning")
    outcome.write(copy, replace(outcome.read(copy), settings=settings))
    assert journey.is_finished(copy, replace(request, global_pruning=asked)) is finished


def test_a_broken_comparison_is_made_again(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "one"))
    (copy / outcome.CONTENDERS).write_text((copy / outcome.CONTENDERS).read_text()[:-200])
    assert not journey.is_finished(copy, Request(trials=40))


def test_a_study_adds_to_a_campaign_what_its_comparison_lacks() -> None:
    old = Request(network="resnet20", trials=30, proof_seeds=1, workers=4)
    asked = Request(network="resnet20", trials=60, proof_seeds=3, rival="other", from_scratch=True)
    assert experiment._at_least(old, asked) == replace(old, proof_seeds=3, rival="other", from_scratch=True)
    assert experiment._at_least(old, replace(asked, global_pruning=True)).global_pruning
    assert experiment._at_least(replace(old, proof_seeds=5), asked).proof_seeds == 5


def test_a_plan_knows_its_studies(tmp_path: Path) -> None:
    plan = studies.plan(["resnet56"], "fashion-mnist", None, "cpu", tmp_path)
    assert [study.network for study in plan.studies] == ["resnet56"]
    (study,) = plan.studies
    assert plan.campaign(study, study.in_float) == "resnet56-fashion-mnist-cpu"
    assert all(search.trials <= experiment_targets.MAX_TRIALS for study in studies.STUDIES for search in study.searches)


@pytest.mark.parametrize("study", [*studies.STUDIES, *studies.QUICK], ids=lambda study: f"{study.network}-{study.designs}")
def test_every_campaign_of_a_study_can_be_asked_for(study: studies.Study, tmp_path: Path) -> None:
    plan = studies.Plan((study,), (study,), "digits", None, "cpu", tmp_path)
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    asked = [plan.request(study, search, weights, rival) for search in study.searches for rival in (False, True)]
    assert len({request.name for request in asked}) == len(asked)
    assert {request.rival for request in asked} - {None} <= {request.name for request in asked}
    for request in asked:
        assert checks.checked(request)


def test_the_pages_alone_tell_of_what_is_finished_and_touch_nothing_else(folder: Path, tmp_path: Path) -> None:
    (quick,) = studies.QUICK
    plan = studies.plan(None, "digits", None, "cpu", tmp_path, quick=True)
    campaign = Path(shutil.copytree(folder, plan.folder(quick, quick.in_float)))
    before = {path: path.read_bytes() for path in campaign.rglob("*") if path.is_file()}
    assert verbs.main(["experiment", "--pages", "--quick", f"--reports={tmp_path}"]) == 0
    assert {path: path.read_bytes() for path in campaign.rglob("*") if path.is_file()} == before
    assert "## resnet20" in (tmp_path / "README.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"campaigns", "README.md", "resnet20.md", "experiment.svg"}


def test_pages_of_nothing_are_refused_and_those_that_are_there_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("what was there")
    assert verbs.main(["experiment", "--pages", "--quick", f"--reports={tmp_path}"]) == 2
    assert "python -m search experiment" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text() == "what was there"
    with pytest.raises(SystemExit, match="2"):
        verbs.main(["experiment", "--pages", "--without-device"])


def test_an_unknown_study_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="resnet20"):
        studies.plan(["resnet99"], "fashion-mnist", None, "cpu", tmp_path)


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
