"""The parsers of what trtexec writes, against what real engines of several versions write."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from harness.devices.bundle import AGENT_DIRECTORY


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(AGENT_DIRECTORY))
    yield importlib.import_module("trtexec_files")
    sys.modules.pop("trtexec_files")


def row(start: float, end: float, latency: float) -> str:
    return f'{{ "startComputeMs" : {start}, "endComputeMs" : {end}, "computeMs" : {latency}, "latencyMs" : {latency} }}'


def test_a_latency_is_the_printed_one_never_a_difference(files: ModuleType) -> None:
    text = "[" + row(10000.1, 10000.4, 0.333252) + "]"
    assert files.times_ms(text, (10, 3, 0), 200) == [0.333252]


def test_before_8_5_the_rows_of_the_warm_up_are_dropped(files: ModuleType) -> None:
    text = "[" + ",".join([row(0.1, 5, 4.9), row(199.9, 204, 4.1), row(204, 208, 4.0)]) + "]"
    assert files.times_ms(text, (8, 2, 1), 200) == [4.0]
    assert files.times_ms(text, (8, 5, 2), 200) == [4.9, 4.1, 4.0]


def test_a_profile_has_medians_from_8_4_and_means_before(files: ModuleType) -> None:
    old = '[\n  { "count" : 625 }\n, { "name" : "a", "timeMs" : 625, "averageMs" : 1, "percentage" : 100 }\n]'
    new = '[\n  { "count" : 625 }\n, { "name" : "a", "timeMs" : 625, "averageMs" : 1, "medianMs" : 0.9, "percentage" : 100 }\n]'
    assert files.profile_rows(old) == (625, [("a", 1.0)])
    assert files.profile_rows(new) == (625, [("a", 0.9)])


def test_a_profile_with_unescaped_names_is_still_read(files: ModuleType) -> None:
    text = '[\n  { "count" : 20 }\n, { "name" : "a "b" \\c", "timeMs" : 20, "averageMs" : 1, "medianMs" : 0.5, "percentage" : 100 }\n]'
    assert files.profile_rows(text) == (20, [('a "b" \\c', 0.5)])


@pytest.mark.parametrize("text", ["", "[]", '[{ "count" : 50 }]', '[{ "name" : "a", "averageMs" : 1 }]', '{ "count" : 3 }'])
def test_an_unusable_profile_is_refused(files: ModuleType, text: str) -> None:
    with pytest.raises(files.Unreadable):
        files.profile_rows(text)


def test_a_profile_of_one_inference_is_read_and_refused_as_a_time(files: ModuleType) -> None:
    """Real engines' exports hold such files; zero-time rows in them are normal."""
    rows = '{ "name" : "conv1 + relu", "timeMs" : 0.026, "averageMs" : 0.026, "medianMs" : 0.026, "percentage" : 9.4 }'
    rows += ', { "name" : "Reformatting CopyNode for Input Tensor 0 to conv1", "timeMs" : 0, "averageMs" : 0, "percentage" : 0 }'
    count, found = files.profile_rows('[\n  { "count" : 1 }\n, ' + rows + "\n]")
    assert (count, [milliseconds for _, milliseconds in found]) == (1, [0.026, 0.0])
    with pytest.raises(files.Unreadable, match=r"of 1 inference, no time to quote; profile at least 10: --iterations=10"):
        files.enough_profiled(count)
    assert files.enough_profiled(10) is None


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("/l/conv2/Conv + /l/Add + /l/relu/Relu", ["/l/conv2/Conv", "/l/Add", "/l/relu/Relu"]),
        ("/a/Conv || /b/Conv", ["/a/Conv", "/b/Conv"]),
        ("PWN(/a/Sigmoid, /a/Mul)", ["/a/Sigmoid", "/a/Mul"]),
        ("PWN(PWN(/a/Sigmoid), /a/Mul)", ["/a/Sigmoid", "/a/Mul"]),
        ("/Reshape + (Unnamed Layer* 48) [Shuffle]", ["/Reshape"]),
        ("Reformatting CopyNode for Input Tensor 0 to /a/Conv + /a/Relu", []),
        ("Reformatting CopyNode for Output Tensor 0 to /a/Conv", []),
        ("639 copy", []),
        ("{ForeignNode[/a/Conv.../b/Relu]}", []),
        ("__myl_Conv_myl0_3", []),
    ],
)
def test_a_layers_name_says_which_nodes_it_is_or_nothing(files: ModuleType, name: str, nodes: list[str]) -> None:
    assert files.sources(name, []) == nodes


def test_the_engines_own_record_of_its_nodes_wins(files: ModuleType) -> None:
    layer = {"Name": "__myl_x", "LayerType": "kgen", "Metadata": "[ONNX Layer: /a/Conv]\x1e[ONNX Layer: /a/Relu]"}
    facts = files.layer_facts(json.dumps({"Layers": [layer]}))
    kind, told = facts["__myl_x"]
    assert (kind, files.sources("__myl_x", told)) == ("kgen", ["/a/Conv", "/a/Relu"])


RELEASES = {"v8001": (8, 0, 1), "v8201": (8, 2, 1), "v8412": (8, 4, 12), "v100300": (10, 3, 0), "v101303": (10, 13, 3)}


@pytest.mark.parametrize(("banner", "release"), RELEASES.items())
def test_a_version_is_read_from_the_banner(files: ModuleType, banner: str, release: tuple[int, int, int]) -> None:
    assert files.version(f"&&&& RUNNING TensorRT.trtexec [TensorRT {banner}] # trtexec --help") == release
