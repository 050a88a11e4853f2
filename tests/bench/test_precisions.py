"""Contenders of several precisions, side by side, are each measured and judged in their own, and recorded so."""

from __future__ import annotations

import pytest

from harness.networks import datasets, export, onnx_graph, zoo
from harness.quantisation import calibration
from harness.quantisation.quantising import quantise
from harness.records import benchmark_json
from harness.records.benchmark_json import BenchmarkFile
from tests.bench.test_suites import ROOT, run_pytest

SUITES = tuple(str(ROOT / "bench" / name) for name in ("test_verdict.py", "test_accuracy.py"))
PRECISIONS = {"plain": "f32", "stamped": "f16", "quantised": "int8"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchmarkFile, str]:
    """The untrained dense network as it is, to be run in f16, and in INT8, beside each other."""
    folder, dataset = tmp_path_factory.mktemp("bench"), datasets.load("digits")
    plain = export.export(zoo.build("resnet20", dataset.input_shape, dataset.classes), dataset.input_shape, "plain")
    quantised = quantise(plain, calibration.of(dataset, 8)).artefact
    given = []
    for name, artefact in (("plain", plain), ("stamped", onnx_graph.stamped(plain, "f16")), ("quantised", quantised)):
        (folder / f"{name}.onnx").write_bytes(artefact.onnx)
        given.append(f"--contender={name}={folder / name}.onnx")
    options = ("--device=simulated", "--precision=f32", "--dataset=digits", "--network=resnet20", "--rounds=20", *given)
    path = folder / "found.json"
    ended = run_pytest(*SUITES, *options, f"--benchmark-json={path}")
    assert ended.returncode == 1, ended.stdout + ended.stderr  # the untrained network guesses, which the gate does not let pass
    return benchmark_json.read(path), ended.stdout


def test_each_is_measured_in_its_own_precision_and_recorded_so(measured: tuple[BenchmarkFile, str]) -> None:
    file, _ = measured
    asked = {dict(one.notes)["contender"]: one.conditions.precision for one in file.measurements}
    assert asked == PRECISIONS
    effective = {dict(one.notes)["contender"]: one.conditions.effective_precision for one in file.measurements}
    assert effective["quantised"] == "int8"
    assert effective["stamped"] == "f16"
    assert len({one.artefact_digest for one in file.measurements}) == len(PRECISIONS)
    median = {dict(one.notes)["contender"]: one.latency.median_s for one in file.measurements}
    assert median["quantised"] < 0.9 * median["plain"], "the simulated device is faster in INT8"


def test_each_is_judged_in_its_own_precision(measured: tuple[BenchmarkFile, str]) -> None:
    file, _ = measured
    by_digest = {one.artefact_digest: dict(one.notes)["contender"] for one in file.measurements}
    in_int8 = {by_digest[one.artefact_digest]: one.effective_precision == "int8" for one in file.accuracies}
    assert in_int8 == {name: precision == "int8" for name, precision in PRECISIONS.items()}


def test_networks_of_different_precisions_have_a_verdict(measured: tuple[BenchmarkFile, str]) -> None:
    _, told = measured
    assert "quantised against plain" in told
    assert "stamped against plain" in told
