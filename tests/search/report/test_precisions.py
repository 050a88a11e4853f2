"""A joint campaign's report: the rival is the fastest at the limit in whatever precision, and each prediction is its precision's own."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from search.records.losses.drop import Drop
from search.records.outcome import IN_INT8
from search.report import report, sentences, summary
from search.report.summary import Summary
from tests.search.report.altered import change

FASTER = 0.5  # INT8's share of f32's time here


def in_int8(entry: Any) -> Any:
    """A measurement's entry of a benchmark file as if it had been taken in INT8."""
    taken = entry["extra_info"]["espalier"]
    taken["conditions"]["precision"] = taken["conditions"]["effective_precision"] = "int8"
    return halved(entry)


def halved(entry: Any) -> Any:
    entry["stats"]["data"] = [second * FASTER for second in entry["stats"]["data"]]
    return entry


def joint(folder: Path, copied: Path, lost: int, chosen_too: bool = False) -> Path:
    """The rehearsed campaign with one more network of the shelf, the dense one in INT8, and the predictor's networks in INT8 too.

    lost: validation pictures that this one answers wrongly beyond the dense one's. chosen_too: the optimised one in INT8 as well.
    """
    copied.mkdir()
    for path in folder.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    told, proof, stored = (json.loads((folder / name).read_text()) for name in ("contenders.json", "proof.json", "measurements.json"))
    dense = next(one for one in told["contenders"] if one["role"] == "dense")
    shelf = copy.deepcopy(dense) | {"name": "dense-int8", "role": "off-the-shelf", "precision": "int8", "artefact_digest": "8" * 64}
    for validation in (shelf["validation"], *(one["validation"] for one in shelf["repeats"])):
        validation["correct"] -= lost
    told["contenders"].append(shelf)
    measured = next(e for e in proof["benchmarks"] if e["extra_info"]["espalier"]["artefact_digest"] == dense["artefact_digest"])
    twin = in_int8(copy.deepcopy(measured))
    twin["extra_info"]["espalier"] |= {"artefact_digest": "8" * 64, "notes": [["contender", "dense-int8"]]}
    proof["benchmarks"].append(twin)
    if chosen_too:
        best = next(one for one in told["contenders"] if one["role"] == "optimised")
        told["contenders"].append(
            copy.deepcopy(best) | {"name": IN_INT8, "role": IN_INT8, "precision": "int8", "artefact_digest": "9" * 64}
        )
        measured = next(e for e in proof["benchmarks"] if e["extra_info"]["espalier"]["artefact_digest"] == best["artefact_digest"])
        twin = in_int8(copy.deepcopy(measured))
        twin["extra_info"]["espalier"] |= {"artefact_digest": "9" * 64, "notes": [["contender", IN_INT8]]}
        proof["benchmarks"].append(twin)
    stored["benchmarks"] += [in_int8(copy.deepcopy(entry)) for entry in stored["benchmarks"]]
    for name, document in (("contenders.json", told), ("proof.json", proof), ("measurements.json", stored)):
        (copied / name).write_text(json.dumps(document))
    return copied


@pytest.fixture
def with_int8(folder: Path, tmp_path: Path) -> Callable[[int], Summary]:
    return lambda lost: summary.load(joint(folder, tmp_path / "joint", lost))


def test_off_the_shelf_is_the_fastest_at_the_limit_in_whatever_precision(told: Summary, with_int8: Callable[[int], Summary]) -> None:
    assert told.off_the_shelf is not None
    assert told.off_the_shelf.contender.precision == ""
    again = with_int8(0)
    assert again.off_the_shelf is not None
    assert again.off_the_shelf.contender.name == "dense-int8"
    rivals = {one.against_off_the_shelf.baseline for one in again.compared if one.against_off_the_shelf is not None}
    assert rivals == {"dense-int8"}, "and every speed-up over the shelf is over it"
    assert again.optimised.against_off_the_shelf is not None
    assert told.optimised.against_off_the_shelf is not None
    assert again.optimised.against_off_the_shelf.times < told.optimised.against_off_the_shelf.times


def test_the_chosen_network_in_int8_stands_everywhere_and_changes_nothing_of_the_answer(
    folder: Path, tmp_path: Path, with_int8: Callable[[int], Summary]
) -> None:
    before, again = with_int8(0), summary.load(joint(folder, tmp_path / "too", 0, chosen_too=True))
    smaller = again.of_role(IN_INT8)
    assert smaller is not None
    judged = smaller.against_off_the_shelf
    assert judged is not None
    assert judged.low > 1.0
    assert again.optimised.contender.name == "optimised"
    assert again.found == tuple(one for one in again.compared if one.contender.name in {old.contender.name for old in before.found})
    assert (sentences.headline(again), sentences.limit_sentence(again)) == (sentences.headline(before), sentences.limit_sentence(before))
    said = sentences.rival_sentence(again)
    assert said.startswith(sentences.rival_sentence(before)[:-1])
    assert "; quantised after training too it cannot be told from that in speed" in said, "two blocks tell nothing"
    faster = change(again, IN_INT8, lambda one: replace(one, against_off_the_shelf=replace(judged, outcome="faster")))
    told = f"; quantised after training too it runs {judged.times:.2f}× faster than that ({judged.low:.1f}"
    assert told in sentences.rival_sentence(faster)
    worse = change(again, IN_INT8, lambda one: replace(one, validation_drop=Drop(1.43, 0.0, 3.0)))
    assert sentences.rival_sentence(worse).endswith(", over the limit on validation (1.43 points).")
    assert "over the limit" not in said
    assert not sentences.further_sentence(before)
    assert "--precision=f32,int8" in sentences.further_sentence(again)
    for written in report.write(again):
        assert IN_INT8 in written.read_text()
        assert "quantised after training too" in written.read_text()
    console = Console(file=io.StringIO(), width=100)
    report.print_summary(console, again)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "optimised-" in printed, "a long name takes two lines"
    assert "--precision=f32,int8" in printed
    shelf = next(one for one in again.compared if one.contender.name == "dense-int8")
    twin = replace(
        again,
        compared=tuple(
            replace(one, contender=replace(one.contender, artefact_digest=shelf.contender.artefact_digest)) if one is smaller else one
            for one in again.compared
        ),
    )
    assert sentences.rival_sentence(twin).endswith("; quantised after training it is that very network.")


def test_what_loses_more_than_the_limit_is_no_rival_however_fast(told: Summary, with_int8: Callable[[int], Summary]) -> None:
    again = with_int8(30)
    assert told.off_the_shelf is not None
    assert again.off_the_shelf is not None
    assert again.off_the_shelf.contender.name == told.off_the_shelf.contender.name
    ours, before = again.optimised.against_off_the_shelf, told.optimised.against_off_the_shelf
    assert ours is not None
    assert before is not None
    assert (ours.baseline, ours.times) == (before.baseline, before.times)


def test_predictions_come_from_the_precisions_own_table(told: Summary, with_int8: Callable[[int], Summary]) -> None:
    again = with_int8(0)
    by_name = {one.contender.name: one for one in again.compared}
    in_float, in_eight = by_name["dense"].predicted, by_name["dense-int8"].predicted
    assert in_float is not None
    assert in_eight is not None
    assert in_eight.seconds == pytest.approx(FASTER * in_float.seconds, rel=1e-3)
    assert told.dense.predicted is not None
    assert in_float.seconds == pytest.approx(told.dense.predicted.seconds), "INT8's networks are none of f32's table"
    assert by_name["dense-int8"].predicted_times == pytest.approx(1 / FASTER, rel=1e-3)
    assert again.designs == told.designs
    assert again.held_out is not None
    assert told.held_out is not None
    assert again.held_out.mape_ratio == pytest.approx(told.held_out.mape_ratio)
