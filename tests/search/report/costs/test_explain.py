"""What a person is told of a network's costs: from what is stored, with what is missing said, on every medium alike."""

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from harness.errors import CampaignError
from harness.latency.explanation.roof import Roof
from harness.latency.explanation.staircase import WidthCost
from harness.latency.model.predictor import LatencyPredictor
from harness.records import benchmark_json
from harness.records.accuracy import Accuracy, WidthAccuracy
from harness.records.architecture import Architecture
from harness.records.benchmark_json import BenchmarkFile
from harness.training.stored_sensitivity import stored_weights_digest, weights_digest
from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.records import whole_file
from search.report import summary
from search.report.costs import explain
from search.report.costs import run as explain_run
from search.report.costs import tables as cost_tables
from search.report.costs import words as cost_words
from search.report.costs.explain import Explanation
from search.report.figures.cells import in_markdown
from search.space import known_costs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rehearsal.write(tmp_path_factory.mktemp("reports") / "campaigns" / "one", Rehearsal(simulated=False))


@pytest.fixture(scope="module")
def file(folder: Path) -> BenchmarkFile:
    return benchmark_json.read(folder / "measurements.json")


@pytest.fixture(scope="module")
def architecture(file: BenchmarkFile) -> Architecture:
    return file.architectures[0]


@pytest.fixture(scope="module")
def predictor(file: BenchmarkFile, architecture: Architecture) -> LatencyPredictor:
    return LatencyPredictor.fit(architecture, file.measurements)


@pytest.fixture(scope="module")
def predicted(predictor: LatencyPredictor) -> Explanation:
    return explain.of(predictor, None, {}, None)


def points(architecture: Architecture, **changed: str) -> tuple[WidthAccuracy, ...]:
    given = {"weights_digest": "w", "dataset": "digits", "dataset_digest": "d", "criterion": "l1"} | changed
    return tuple(
        WidthAccuracy(
            architecture.digest, group=group.name, channels=half, accuracy=Accuracy(350 - place, 359), dense=Accuracy(352, 359), **given
        )
        for place, group in enumerate(architecture.groups)
        for half in (group.channels // 2,)
    )


@pytest.fixture(scope="module")
def analysed(predictor: LatencyPredictor, architecture: Architecture) -> Explanation:
    series = {group.name: (WidthCost(group.channels, 5e-4), WidthCost(group.channels // 2, 4e-4)) for group in architecture.groups}
    return explain.of(predictor, None, series, explain.analysed(points(architecture)))


def test_every_group_gets_advice_and_vain_ones_come_last(predicted: Explanation) -> None:
    assert {one.group for one in predicted.advice} == set(predicted.staircase.groups)
    assert [one.in_vain for one in predicted.advice] == sorted(one.in_vain for one in predicted.advice)


def test_what_is_not_measured_is_said(predicted: Explanation, analysed: Explanation) -> None:
    assert (predicted.series, predicted.account.kind) == ("predicted", "predicted")
    told = " ".join(cost_words.sentences(predicted))
    for missing in ("no profiled run", "Widths are not measured", "Accuracy is not analysed"):
        assert missing in told
    assert analysed.series == "measured"
    assert not any("Widths are not measured" in sentence for sentence in cost_words.sentences(analysed))


def test_groups_without_measured_widths_are_named_and_not_filled_up_from_the_model(
    predictor: LatencyPredictor, architecture: Architecture
) -> None:
    told = explain.of(predictor, None, {"conv1": (WidthCost(16, 5e-4), WidthCost(8, 4e-4))}, None)
    assert {one.group for one in told.advice} == {"conv1"}
    note = next(note for note in told.notes if "left out" in note)
    assert all(group.name in note for group in architecture.groups if group.name != "conv1")


def test_one_image_is_the_least_loss_that_a_split_can_tell(analysed: Explanation) -> None:
    assert analysed.analysis is not None
    assert analysed.analysis.least_points == pytest.approx(100 / 359)
    first = analysed.advice[0]
    assert first.group == "conv1"
    assert first.lost is not None
    assert first.lost.points == pytest.approx(100 * 2 / 359)
    assert first.lost.low < first.lost.points < first.lost.high
    assert first.per_point_s == pytest.approx(1e-4 / (100 * 2 / 359))
    assert "2.79" not in cost_words.free_sentence(analysed)
    assert cost_words.free_sentence(analysed).startswith("No group can be narrowed without a loss of more than 0.28 points")


def test_the_headline_is_the_first_row_of_the_table(analysed: Explanation) -> None:
    row = cost_tables.advice(analysed).rows[0]
    said = cost_words.headline(analysed)
    assert said.startswith(f"Prune this next: {row[0].text}, {row[1].text}, saves 100.00 µs")
    assert f"{row[3].text} points" in said
    assert "measured" in said


@pytest.mark.parametrize("kind", ["predicted", "measured"])
def test_shares_on_the_page_add_up_to_all(kind: str, folder: Path, predictor: LatencyPredictor) -> None:
    dense = benchmark_json.read(folder / "proof.json").measurements[0]
    told = explain.of(predictor, dense if kind == "measured" else None, {}, None)
    assert told.account.kind == kind
    for table in (cost_tables.stages(told), cost_tables.layers(told)):
        *parts, whole = table.rows
        assert whole[1].text == "100 %"
        shown = [float(row[1].text.removesuffix(" %").replace("−", "-")) for row in parts]
        assert sum(shown) == pytest.approx(100, abs=0.06 * len(shown))


def test_the_markdown_holds_every_cell_and_the_command(analysed: Explanation) -> None:
    text = explain_run.markdown(analysed, "python -m search explain")
    assert cost_words.headline(analysed) in text
    for table in cost_tables.tables(analysed):
        assert f"## {table.title}\n" in text
        assert all(in_markdown(cell) in text for row in table.undrawn().rows for cell in row)
    assert text.endswith("`python -m search explain`.\n")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = whole_file.write(tmp_path / "new" / "one.md", "older")
    os.link(path, tmp_path / "kept")
    whole_file.write(path, "old")
    assert (tmp_path / "kept").read_text() == "older", "a reader of the older file still has all of it"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CampaignError, match="disk is full.*one.md could not be written.*needed.*make room or give"):
        whole_file.write(path, "new")
    assert path.read_text() == "old"


def stored(folder: Path, name: str, document: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(document))
    return folder / name


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"weights_digest": "other"}, "about other weights"),
        ({"dataset_digest": "other"}, "about other images"),
        ({"criterion": "l2"}, "by another criterion"),
    ],
    ids=["weights", "images", "criterion"],
)
def test_a_sensitivity_of_something_else_is_passed_over_with_the_reason(
    tmp_path: Path, architecture: Architecture, changed: dict[str, str], reason: str
) -> None:
    document = {"benchmarks": [], **benchmark_json.top_level([architecture], (), points(architecture, **changed))}
    stored(tmp_path / "sensitivity", "a.json", document)
    found = known_costs.sensitivities(tmp_path, architecture, "w", "d", "l1")
    assert (found.points, found.path) == ((), None)
    assert reason in found.passed_over[0]
    assert known_costs.sensitivities(tmp_path, architecture, *changed_to(changed)).points == points(architecture, **changed)


def changed_to(changed: dict[str, str]) -> tuple[str, str, str]:
    given = {"weights_digest": "w", "dataset_digest": "d", "criterion": "l1"} | changed
    return given["weights_digest"], given["dataset_digest"], given["criterion"]


def test_widths_of_other_conditions_are_passed_over_and_a_broken_file_too(
    tmp_path: Path, file: BenchmarkFile, architecture: Architecture
) -> None:
    swept = [replace(m, role="staircase") for m in file.measurements if m.config == architecture.dense()][:1]
    swept.append(replace(swept[0], config=architecture.partial({"conv1": 8})))
    folder = tmp_path / "widths"
    folder.mkdir()
    benchmark_json.write(folder / "a.json", BenchmarkFile(tuple(swept), (architecture,)))
    there = swept[0].conditions
    assert set(known_costs.widths(tmp_path, architecture, there).series) == {"conv1"}
    elsewhere = replace(there, device=replace(there.device, model="another"))
    found = known_costs.widths(tmp_path, architecture, elsewhere)
    assert (found.series, found.path) == ({}, None)
    assert "under different conditions" in found.passed_over[0]
    (folder / "b.json").write_text("{")
    assert any("b.json" in reason for reason in known_costs.widths(tmp_path, architecture, there).passed_over)


def test_a_probe_raises_the_roofs_and_so_tells_overhead_that_the_network_hides(
    tmp_path: Path, predictor: LatencyPredictor, architecture: Architecture, folder: Path
) -> None:
    alone = explain.of(predictor, None, {}, None)
    probe = architecture.with_network("roof-probe")
    dense = benchmark_json.read(folder / "proof.json").measurements[0]
    fast = [replace(node, runs_s=tuple(run / 10 for run in node.runs_s)) for node in dense.layers]
    made = replace(dense, network="roof-probe", architecture_digest=probe.digest, config=probe.dense(), layers=tuple(fast))
    (tmp_path / "roof").mkdir()
    benchmark_json.write(tmp_path / "roof" / "f32.json", BenchmarkFile((made,), (probe,)))
    found = known_costs.roof_layers(tmp_path, predictor.conditions)
    told = explain.of(predictor, None, {}, None, probes=found)
    assert told.account.roof == Roof.of(found)
    assert told.account.roof.macs_per_s > 5 * alone.account.roof.macs_per_s
    assert {str(told.account.bound(place)) for place in range(len(told.account.layers))} == {"overhead-bound"}
    assert "probe of the roofs" in " ".join(cost_words.sentences(told))
    elsewhere = replace(predictor.conditions, device=replace(predictor.conditions.device, model="another"))
    assert known_costs.roof_layers(tmp_path, elsewhere) == ()


def test_the_digest_of_stored_weights_is_that_of_the_network(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    safetensors.torch.save_file(model.state_dict(), tmp_path / "w.safetensors")
    assert stored_weights_digest(tmp_path / "w.safetensors") == weights_digest(model)


def test_a_campaign_estimates_by_its_own_trials_and_says_so(folder: Path) -> None:
    told = summary.load(folder).explained
    assert told is not None
    assert told.account.kind == "measured"
    assert told.analysis is not None
    assert told.analysis.kind == "estimated"
    said = " ".join(cost_words.sentences(told))
    assert "estimated by the campaign's surrogate from 33 trials of 2 epochs" in said
    assert "python -m search explain --name=one" in said
    tried = {group: min(config.kept(group) for config in configs(folder)) for group, _ in told.staircase.series}
    assert all(loss.channels >= tried[loss.group] for loss in told.analysis.losses), "nothing is said beyond what was tried"


def configs(folder: Path) -> list[rehearsal.PruningConfig]:
    return [trial.request.config for trial in summary.load(folder).trials if trial.outcome.ok and trial.request.budget_epochs == 2.0]


def test_a_campaign_of_few_trials_tells_no_accuracy(tmp_path: Path) -> None:
    told = summary.load(rehearsal.write(tmp_path / "few", Rehearsal(trials=8))).explained
    assert told is not None
    assert told.analysis is None
    assert all(one.lost is None and one.per_point_s is None for one in told.advice)
    assert "too few to estimate it" in " ".join(told.notes)


def test_a_campaign_prefers_a_stored_analysis_of_its_very_weights(folder: Path, architecture: Architecture) -> None:
    (folder / "dense").mkdir()
    weights = folder / "dense" / "weights.safetensors"
    safetensors.torch.save_file(nn.Conv2d(1, 1, 1).state_dict(), weights)
    found = points(architecture, weights_digest=stored_weights_digest(weights))
    document = {"benchmarks": [], **benchmark_json.top_level([architecture], (), found)}
    path = stored(folder.parent.parent / "benchmarks" / "cpu" / "sensitivity", "one.json", document)
    told = summary.load(folder).explained
    path.unlink()
    assert told is not None
    assert told.analysis is not None
    assert told.analysis.kind == "measured"
    assert len(told.analysis.losses) == len(found)
    assert asdict(told.analysis.losses[0])["points_lost"] == pytest.approx(100 * 2 / 359)


@given(st.lists(st.integers(0, 512), min_size=1, max_size=6, unique=True))
def test_widths_are_listed_as_people_say_them(widths: list[int]) -> None:
    said = cost_words.listed(widths)
    assert [int(word) for word in re.findall(r"\d+", said)] == widths
    assert (" and " in said) == (len(widths) > 1)
