"""Two engines layer by layer: fused nodes are one row, copies are told apart, and a width between two steps is the reason."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.compare import engines, profiles
from harness.compare.engines import Engine, align, reasons
from harness.errors import RecordError
from harness.latency.verdict.judgement import Outcome
from harness.records.measurement import LayerLatency
from tests.compare.conftest import measured


def node(name, layers, seconds=1e-5, channels=0, runs=3):
    return LayerLatency(name, tuple(layers), "Convolution", tuple(seconds * (1 + 0.001 * run) for run in range(runs)), channels)


DENSE = Engine("dense", (node("a", ["conv1"], 4e-5, 64), node("b", ["conv2"], 4e-5, 64), node("c", ["fc"])), "f16")


def test_a_width_between_two_steps_that_is_no_faster_is_the_reason_and_the_next_one_is_named() -> None:
    pruned = Engine("pruned", (node("a", ["conv1"], 4e-5, 52), node("b", ["conv2"], 3e-5, 48), node("c", ["fc"])), "f16")
    told = reasons(align(pruned, DENSE))
    assert told[1] == "1 of 2 narrower layers are faster"
    assert told[2].startswith("conv1: 64 to 52 channels, same, 1.000 of the time; 52 lies between two steps of 8 and is computed as 56: 48")
    assert "lies between two steps of 32" in " ".join(reasons(align(replace(pruned, precision="int8"), DENSE)))
    whole = Engine("pruned", (node("a", ["conv1"], 4e-5, 56), *pruned.nodes[1:]), "f16")
    assert "56 is a whole step of 8, so the layer waits for memory or for its launch" in " ".join(reasons(align(whole, DENSE)))


def test_nodes_that_share_a_layer_through_the_other_engine_are_one_row() -> None:
    fused = Engine("fused", (node("ab", ["conv1", "conv2"], 6e-5), node("c", ["fc"])))
    found = align(fused, DENSE)
    assert [row.layers for row in found.rows] == [("conv1", "conv2"), ("fc",)]
    assert found.rows[0].fused_otherwise
    assert found.rows[0].finding.outcome is Outcome.FASTER
    assert "fused otherwise: conv1+conv2 (1 nodes against 2)" in reasons(found)


def test_new_copies_and_lost_layers_are_told() -> None:
    split = Engine("split", (*DENSE.nodes[:2], node("reorder", [], 2e-5), node("d", ["extra"])))
    told = " | ".join(reasons(align(split, DENSE)))
    assert "20.0 µs in 1 nodes against 0.0 µs in 0; new: reorder (20.0 µs)" in told
    assert "only in split: extra" in told
    assert "not in split: fc" in told


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=3, unique=True), max_size=6),
       st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=0, max_size=3, unique=True), max_size=6))  # fmt: skip
def test_every_node_is_in_one_row_or_loose_and_no_layer_is_in_two_rows(ours, theirs) -> None:
    first, second = (
        Engine(name, tuple(node(f"{name}{at}", layers) for at, layers in enumerate(made))) for name, made in (("o", ours), ("t", theirs))
    )
    found = align(first, second)
    assert {one.node for one in found.loose} == {one.node for one in first.nodes if not one.source_layers}
    assert sum(len(row.ours) for row in found.rows) + len(found.loose) == len(first.nodes)
    assert sum(len(row.theirs) for row in found.rows) + len(found.their_loose) == len(second.nodes)
    layers = [layer for row in found.rows for layer in row.layers]
    assert len(layers) == len(set(layers))
    reasons(found)


def test_two_measurements_of_one_run_are_explained_and_unprofiled_ones_are_not() -> None:
    assert engines.between(measured(), measured())[0].startswith("ours takes 1.000 of the other's time")
    assert engines.between(replace(measured(), layers=()), measured()) == ()


def export(path, rows, key="medianMs"):
    path.write_text(json.dumps([{"count": 10}, *({"name": name, "averageMs": ms, key: ms} for name, ms in rows)]))
    return path


@pytest.fixture
def exports(tmp_path):
    """Profiles of two engines as trtexec writes them, with the layers of the second."""
    dense = export(tmp_path / "dense.json", [("net/conv1/Conv + net/relu1/Relu", 0.04), ("net/fc/Gemm", 0.01)])
    pruned = export(
        tmp_path / "pruned.json",
        [("net/quant_conv1/Conv", 0.04), ("Reformatting CopyNode for Input Tensor 0 to net/fc/Gemm", 0.02), ("net/fc/Gemm", 0.01)],
    )
    graph = tmp_path / "graph.json"
    conv = {
        "Name": "net/quant_conv1/Conv",
        "LayerType": "CaskConvolution",
        "OutMaps": 52,
        "Inputs": [{"Format/Datatype": "Int8 NC/32HW32"}],
    }
    graph.write_text(json.dumps({"Layers": [conv]}))
    return dense, pruned, graph


def test_two_exports_of_trtexec_are_aligned_by_layer(exports, capsys) -> None:
    dense, pruned, graph = exports
    assert profiles.main([f"{pruned}={graph}", str(dense)]) == 0
    told = capsys.readouterr().out
    assert "net/conv1+net/relu1  40.0 µs → 40.0 µs  1.000×, cannot tell" in told  # one profile each has no interval
    assert "new: Reformatting CopyNode for Input Tensor 0 to net/fc/Gemm (20.0 µs)" in told
    found = profiles.read(f"{pruned},{pruned}={graph}")
    assert (found.precision, found.nodes[0].channels, len(found.nodes[0].runs_s)) == ("int8", 52, 2)
    assert align(found, profiles.read(f"{dense},{dense}")).rows[0].finding.outcome is Outcome.SAME


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is not whole JSON"),
        ("[]", "a profile of no layer"),
        ("[3]", "is no profile of trtexec"),
        ("{}", "not written by Espalier"),
        ('[{"count": 9}, -0.0]', "a list of layers"),
        ('[{"name": "a", "averageMs": 1' + 400 * "0" + "}]", "tells no time"),
    ],
)
def test_files_that_are_no_engine_are_refused(tmp_path, exports, content, told, capsys) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    assert profiles.main([str(path), str(exports[0])]) == 2
    assert told in capsys.readouterr().err
    with pytest.raises(RecordError, match="profiles another engine"):
        profiles.read(f"{exports[0]},{exports[1]}")
    with pytest.raises(RecordError, match="describes no layers"):
        profiles.read(f"{exports[0]}={exports[1]}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("zero.json", "tells no time of any layer"),
        ("", "names no file between its commas"),
        ("zero.json,", "names no file between its commas"),
        ("ours.json,zero.json", "give it without ,zero.json"),
        ("ours.json=zero.json", "give it without =zero.json"),
    ],
)
def test_what_would_be_passed_over_in_silence_is_refused(tmp_path, monkeypatch, words, told) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero.json").write_text(json.dumps([{"count": 1}, {"name": "a", "averageMs": 0}]))
    (tmp_path / "ours.json").write_text("{}")
    with pytest.raises(RecordError, match=told):
        profiles.read(words)
