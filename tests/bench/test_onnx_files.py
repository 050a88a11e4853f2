"""An ONNX file of one's own through the bench suites, on a simulated device: measured, gated, read back; never another network instead."""

import json
from pathlib import Path

import pytest
from torch import nn

from harness.networks import export
from harness.records import benchmark_json
from tests.bench.test_suites import QUICK, ROOT, run_pytest
from tests.networks.foreign.written import picture_network, saved

ON = ("--device=simulated", *QUICK)
LATENCY, LAYERS = str(ROOT / "bench" / "test_network_latency.py"), str(ROOT / "bench" / "test_layer_latency.py")
_ALONE = ("alone-predictor", "alone-sensitivity", "alone-config", "alone-group")  # contenders, without a network
GATE, VERDICT = str(ROOT / "bench" / "test_regression.py"), str(ROOT / "bench" / "test_verdict.py")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an open batch, with its weights beside it."""
    return saved(picture_network(), tmp_path_factory.mktemp("files") / "own.onnx", "own.onnx.data")


def test_a_file_is_measured_and_gated_and_what_prunes_is_left_out_in_words(file: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    ended = run_pytest(str(ROOT / "bench"), f"--network={file}", "--batch-size=2", "-rs", f"--benchmark-json={before}", *ON)
    assert ended.returncode == 0, ended.stdout
    assert "is an ONNX file: it is measured, not pruned" in ended.stdout
    found = benchmark_json.read(before)
    measured = [one for one in found.measurements if one.network == "own"]
    assert [one.conditions.batch_size for one in measured] == [2, 2]
    architecture = found.architecture(measured[0].architecture_digest)
    (detailed,) = [one for one in measured if one.layers]
    assert {layer for node in detailed.layers for layer in node.source_layers} == {site.name for site in architecture.layers}
    gated = run_pytest(GATE, f"--network={file}", "--batch-size=2", f"--baseline={before}", f"--against={file}", *ON)
    assert gated.returncode == 0, gated.stdout
    assert "2 passed" in gated.stdout


def test_contenders_are_measured_by_themselves_and_read_back(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    ended = run_pytest(LATENCY, LAYERS, VERDICT, f"--contender=mine={file}", f"--benchmark-json={kept}", *ON)
    assert ended.returncode == 0, ended.stdout
    told = [entry["extra_info"] for entry in json.loads(kept.read_text())["benchmarks"]]
    names = [one["espalier"]["network"] for one in told if "espalier" in one]
    assert names == ["mine"] * 3
    found = benchmark_json.read(kept)
    for one in found.measurements:
        assert [site.name for site in found.architecture(one.architecture_digest).layers] == ["conv", "linear"]
    credited = [{layer for node in one.layers for layer in node.source_layers} for one in found.measurements if one.layers]
    assert credited == [{"conv", "linear"}] * 2


def test_a_foreign_contenders_accuracy_is_its_own(tmp_path: Path) -> None:
    """Not the default network's; one that guesses misses the gate, and is in the file all the same."""
    layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    (tmp_path / "guess.onnx").write_bytes(export.export(nn.Sequential(*layers).eval(), (1, 32, 32), "guess").onnx)
    words = ("--device=simulated", f"--contender=mine={tmp_path / 'guess.onnx'}", f"--benchmark-json={tmp_path / 'kept.json'}")
    ended = run_pytest(str(ROOT / "bench" / "test_accuracy.py"), *words)
    assert [one.network for one in benchmark_json.read(tmp_path / "kept.json").accuracies] == ["mine"], ended.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((LATENCY, "--network={}/none.onnx"), "there is no such file"),
        ((LATENCY, "--network={}/open.onnx"), "leaves H, W of its input images (1x3xHxW) open; give --input-shape=CxHxW"),
        ((LATENCY, "--network={}/four.onnx"), "is fixed at a batch of 4"),
        ((LATENCY, "--contender=a={}/four.onnx"), "is fixed at a batch of 4"),
        ((LATENCY, "--network={}/four.onnx", "--batch-size=4", "--weights=w.pt"), "an ONNX file has its weights inside"),
        ((LATENCY, "--network={}/four.onnx", "--batch-size=4", "--config=c.json"), "an ONNX file cannot be pruned"),
        ((str(ROOT / "bench" / "test_predictor.py"), "--network={}/four.onnx"), "it is measured, not pruned"),
        (
            (str(ROOT / "bench" / "test_predictor.py"), "--contender=a={}/wide.onnx"),
            "wide.onnx is an ONNX file: it is measured",
        ),
        (
            (str(ROOT / "bench" / "test_sensitivity.py"), "--contender=a={}/wide.onnx"),
            "wide.onnx is an ONNX file: it is measured",
        ),
        ((LATENCY, "--contender=a={}/wide.onnx", "--config=c.json"), "--config with --contender=a="),
        ((str(ROOT / "bench" / "test_compiled.py"), "--compile-only", "--contender=a={}/wide.onnx", "--group=conv1"), "cannot be pruned"),
        ((str(ROOT / "bench" / "test_width_staircase.py"), "--network={}/four.onnx"), "it is measured, not pruned"),
        ((str(ROOT / "bench" / "test_compiled.py"), "--compile-only", "--contender=a={}/open.onnx"), "leaves H, W of its input"),
    ],
    ids=["missing", "open", "batch", "contender", "weights", "config", "predictor", *_ALONE, "staircase", "compiled"],
)
def test_what_cannot_be_done_to_a_file_ends_in_one_line_and_code_2(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    saved(picture_network(("N", 3, "H", "W")), tmp_path / "open.onnx")
    saved(picture_network((4, 3, 16, 16)), tmp_path / "four.onnx")
    saved(picture_network((1, 3, 16, 16)), tmp_path / "wide.onnx")
    ended = run_pytest(*(word.format(tmp_path) for word in words), "--benchmark-disable", *ON)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert told in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
