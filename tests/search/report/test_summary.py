import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.records.accuracy import Accuracy
from harness.records.measurement import LayerLatency, Measurement
from harness.records.pruning_config import PruningConfig
from search.race import rehearsal
from search.race.rehearsal import Rehearsal
from search.records.losses.drop import drop
from search.records.trial import MODEL, Trial, TrialOutcome, TrialRequest, TuningChoice
from search.report import layer_view, sentences, summary
from search.report.figures import wording
from search.report.layer_table import layer_table


def test_medians_are_those_of_the_stored_samples(folder: Path, told: summary.Summary) -> None:
    stored = json.loads((folder / "proof.json").read_text())
    medians = {e["extra_info"]["espalier"]["artefact_digest"]: statistics.median(e["stats"]["data"]) for e in stored["benchmarks"]}
    assert {c.contender.artefact_digest: c.measurement.latency.median_s for c in told.compared} == medians


def test_speed_ups_are_baseline_over_ours_with_an_interval_around_them(told: summary.Summary) -> None:
    for entry in told.compared[1:]:
        judged = entry.against_dense
        assert judged is not None
        ratio = told.dense.measurement.latency.median_s / entry.measurement.latency.median_s
        assert judged.times == pytest.approx(ratio, rel=0.01)
        assert judged.low <= judged.times <= judged.high
        assert judged.outcome == "faster"
    assert told.dense.against_dense is None
    assert told.dense.against_off_the_shelf is not None
    assert told.dense.against_off_the_shelf.outcome == "slower"


def test_the_rival_is_the_fastest_published_network(
    folder: Path, told: summary.Summary, spoilt: Callable[[str, Callable[[Any], object]], Path]
) -> None:
    def publish_more(document: Any) -> None:
        for entry in document["contenders"]:
            if entry["role"] == "candidate":
                entry["role"] = "off-the-shelf"

    assert told.off_the_shelf is not None
    assert told.off_the_shelf.contender.name == "agp"
    again = summary.load(spoilt("contenders.json", publish_more))
    assert again.off_the_shelf is not None
    assert again.off_the_shelf.contender.name == "optimised-2"
    assert again.off_the_shelf.against_off_the_shelf is None


def test_drop_interval_is_newcombes() -> None:
    """[Newcombe1998]_ table II, method 10, example (a): 56 of 70 against 48 of 80 gives 0.0524 to 0.3339."""
    lost = drop(Accuracy(48, 80), Accuracy(56, 70))
    assert lost.points == pytest.approx(20.0)
    assert (lost.low, lost.high) == pytest.approx((5.24, 33.39), abs=0.005)


counts = st.integers(1, 5000).flatmap(lambda total: st.builds(Accuracy, st.integers(0, total), st.just(total)))


@given(counts, counts)
@example(Accuracy(0, 1), Accuracy(993, 993))
def test_drop_lies_in_its_interval_and_turns_round_with_the_networks(ours: Accuracy, dense: Accuracy) -> None:
    there, back = drop(ours, dense), drop(dense, ours)
    assert -100 <= there.low <= there.points <= there.high <= 100
    assert (there.points, there.low, there.high) == pytest.approx((-back.points, -back.high, -back.low))


def trial(number: int, latency_s: float, top1: float, epochs: float = 2.0, ok: bool = True) -> Trial:
    request = TrialRequest(number, MODEL, "made up", PruningConfig.of("net", {"a": 1}), TuningChoice(), epochs, 0)
    found = TrialOutcome(top1, top1, top1, 100 * (1 - top1)) if ok else TrialOutcome.crashed("out of memory")
    return Trial(request, found, latency_s)


drawn = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6), st.sampled_from([0.0, 2.0]), st.booleans()), max_size=12)


@given(drawn)
def test_the_front_holds_exactly_what_nothing_of_its_length_beats(rows: list[tuple[int, int, float, bool]]) -> None:
    trials = [trial(i, latency / 10, top1 / 10, epochs, ok) for i, (latency, top1, epochs, ok) in enumerate(rows)]
    longest = max((t.request.budget_epochs for t in trials if t.outcome.ok), default=0.0)
    able = {t.number: (t.cost, -t.outcome.top1_ratio) for t in trials if t.outcome.ok and t.request.budget_epochs == longest}
    best = {a for a in able.values() if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in able.values())}
    found = summary.front(trials)
    assert {able[number] for number in found} == best
    assert [able[number][0] for number in found] == sorted({latency for latency, _ in best})


def test_predictions_come_with_the_error_on_networks_that_were_held_out(told: summary.Summary) -> None:
    assert told.designs == 60
    assert len(told.forecasts) == 20
    assert told.held_out is not None
    assert told.held_out.median_ratio < 0.02
    for entry in told.compared:
        assert entry.predicted is not None
        assert entry.predicted.seconds == pytest.approx(entry.measurement.latency.median_s, rel=0.05)


def test_too_few_designed_networks_leave_the_report_without_predictions(tmp_path: Path) -> None:
    told = summary.load(rehearsal.write(tmp_path / "one", Rehearsal(designs=3, held_out=0)))
    assert all(entry.predicted is None for entry in told.compared)
    assert "too few to predict" in told.notes[0]
    assert told.held_out is None
    assert told.forecasts == ()


def test_a_configuration_outside_of_the_measured_ones_is_not_predicted(
    spoilt: Callable[[str, Callable[[Any], object]], Path],
) -> None:
    def keep_all_branches(document: Any) -> None:
        kept = [e for e in document["benchmarks"] if 0 not in e["extra_info"]["espalier"]["config"].values()]
        document["benchmarks"] = kept

    told = summary.load(spoilt("measurements.json", keep_all_branches))
    assert 0 in dict(told.optimised.contender.config.channels).values()
    assert told.optimised.predicted is None
    assert told.dense.predicted is not None


def test_layers_and_the_named_remainder_add_up_to_the_unprofiled_whole(told: summary.Summary) -> None:
    table = told.layers
    assert table is not None
    layers = [sum(getattr(row, side).median_s for row in table.rows if getattr(row, side)) for side in ("before", "after")]
    rest = [sum(getattr(other, side) for other in table.others) for side in ("before_s", "after_s")]
    assert layers[0] + rest[0] == pytest.approx(told.dense.measurement.latency.median_s)
    assert layers[1] + rest[1] == pytest.approx(told.optimised.measurement.latency.median_s)
    assert rest == pytest.approx([table.remainder_before_s, table.remainder_after_s])
    assert sum(stage.before_s for stage in table.stages) == pytest.approx(layers[0])
    assert {"reorders and copies", "host", "cut off", "bursts", "profiler and drift"} < {other.name for other in table.others}


def test_removed_layers_are_those_of_removed_branches(told: summary.Summary) -> None:
    assert told.layers is not None
    kept = dict(told.optimised.contender.config.channels)
    gone = {site.name for site in told.architecture.layers if site.branch and kept[site.branch] == 0}
    assert gone
    assert {row.name for row in told.layers.rows if row.removed} == gone
    assert all(row.after is None and row.macs_after == 0 for row in told.layers.rows if row.removed)


def without(measurement: Measurement, *names: str) -> tuple[LayerLatency, ...]:
    return tuple(node for node in measurement.layers if not set(names) & set(node.source_layers))


def test_layers_that_one_kernel_runs_on_either_side_share_a_row(told: summary.Summary) -> None:
    dense, pair = told.dense.measurement, ("layer2.1.conv1", "layer2.1.conv2")
    fused = LayerLatency("fused", (pair[1], "relu", pair[0]), "Convolution", (3e-6, 3e-6, 6e-6))
    together = replace(dense, layers=(*without(dense, *pair), fused))
    table = layer_table(told.architecture, told.architecture.dense(), dense, together)
    assert table is not None
    (row,) = [row for row in table.rows if set(row.layers) & set(pair)]
    assert row.layers == pair
    assert (row.channels_before, row.channels_after) == ((32, 32), (32, 32))
    assert row.after is not None
    assert row.before is not None
    assert (row.after.low_s, row.after.median_s, row.after.high_s) == (3e-6, 3e-6, 6e-6)
    apart = layer_table(told.architecture, told.architecture.dense(), dense, dense)
    assert apart is not None
    alone = [row.before for row in apart.rows if row.name in pair]
    assert row.before.median_s == pytest.approx(sum(spread.median_s for spread in alone if spread))
    assert row.macs_before == sum(row.macs_before for row in apart.rows if row.name in pair)
    assert [name for row in table.rows for name in row.layers] == [site.name for site in told.architecture.layers]


def test_a_layer_that_cannot_be_attributed_keeps_its_row_without_a_time(told: summary.Summary) -> None:
    dense = told.dense.measurement
    table = layer_table(told.architecture, told.architecture.dense(), replace(dense, layers=without(dense, "layer2.0.conv1")), dense)
    assert table is not None
    (row,) = [row for row in table.rows if row.name == "layer2.0.conv1"]
    assert row.before is None
    assert row.after is not None
    cells = next(cells for cells in layer_view.layers(table, sentences.unit_for(told)).rows if cells[0].text == row.name)
    assert (cells[3].text, cells[3].note) == (wording.MISSING, "cannot attribute")


def test_a_profile_that_lost_a_layer_is_not_shown_as_if_it_were_whole(tmp_path: Path) -> None:
    folder = rehearsal.write(tmp_path / "one")

    def drop_layer(document: Any) -> None:
        for entry in document["benchmarks"]:
            stored = entry["extra_info"]["espalier"]
            stored["layers"] = [node for node in stored["layers"] if node["kind"] != "Pooling" and "fc" not in node["source_layers"]]

    path = folder / "proof.json"
    document = json.loads(path.read_text())
    drop_layer(document)
    path.write_text(json.dumps(document))
    told = summary.load(folder)
    assert told.layers is None
    assert any("no profiled node runs fc" in note for note in told.notes)


def test_one_simulated_measurement_makes_the_whole_summary_simulated(
    told: summary.Summary, spoilt: Callable[[str, Callable[[Any], object]], Path]
) -> None:
    def simulate(document: Any) -> None:
        for entry in document["benchmarks"]:
            entry["extra_info"]["espalier"]["conditions"]["device"]["simulated"] = True
            entry["extra_info"]["espalier"]["provenance"] = "SIMULATED"

    assert told.provenance == "measured"
    again = summary.load(spoilt("proof.json", simulate))
    assert again.provenance == "SIMULATED"
    assert "simulated (False then, True now)" in again.notes[0]


def test_contenders_that_are_the_same_network_keep_their_own_measurements(
    told: summary.Summary, spoilt: Callable[[str, Callable[[Any], object]], Path]
) -> None:
    digest = told.optimised.contender.artefact_digest

    def equal(document: Any) -> None:
        for entry in document["benchmarks"]:
            if dict(entry["extra_info"]["espalier"]["notes"])["contender"].startswith("optimised"):
                entry["extra_info"]["espalier"]["artefact_digest"] = digest

    copy = spoilt("proof.json", equal)
    document = json.loads((copy / "contenders.json").read_text())
    for entry in document["contenders"]:
        if entry["name"].startswith("optimised"):
            entry["artefact_digest"] = digest
    (copy / "contenders.json").write_text(json.dumps(document))
    again = summary.load(copy)
    assert [e.measurement.latency.median_s for e in again.compared] == [e.measurement.latency.median_s for e in told.compared]
