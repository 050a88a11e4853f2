"""The regression gate: exit only on a slowdown that is real and beyond its limit, never across different conditions."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConditionsDiffer, RecordError, UsageError
from harness.latency.verdict.finding import Finding
from harness.latency.verdict.judgement import Outcome
from harness.pages import ci_summary
from harness.records import benchmark_json
from harness.records.conditions import Conditions, DeviceInfo, Snapshot
from harness.records.measurement import Latency, LayerLatency, Measurement
from harness.runner import regression
from harness.runner.regression import Limits

DEVICE = DeviceInfo("cpu", "openvino", "2026.4.1", "a processor", "a host", "3.11")
MOMENT = Snapshot("2026-01-01T00:00:00+00:00")
CONDITIONS = Conditions(DEVICE, "f32", "f32", 1, 1, 1, MOMENT, MOMENT, (("torch", "2.13.0"),), "abc")


def measured(median_s: float, spread: float = 0.002, layer_s: float = 1e-5, conditions: Conditions = CONDITIONS) -> Measurement:
    samples = tuple(median_s * (1 + spread * (index % 5 - 2) / 2) for index in range(100))
    layers = (LayerLatency("/conv1/Conv", ("conv1",), "Convolution", (layer_s, layer_s * 1.01, layer_s * 0.99)),)
    latency = Latency(samples, (20,) * 5)
    return Measurement("resnet20", "a" * 16, None, "d" * 64, 1000, latency, conditions, 0.1, 0.001, layers=layers, profiled=latency)


def test_a_real_slowdown_beyond_the_limit_fails() -> None:
    found = regression.stored(measured(1.05e-3), measured(1e-3), limit=0.03, same_within=0.01)
    assert found.outcome is Outcome.SLOWER
    assert found.beyond


def test_a_slowdown_within_the_limit_passes() -> None:
    found = regression.stored(measured(1.02e-3), measured(1e-3), limit=0.03, same_within=0.01)
    assert found.outcome is Outcome.SLOWER
    assert not found.beyond


def test_noise_that_hides_a_slowdown_is_undecided_and_not_slower() -> None:
    found = regression.stored(measured(1.05e-3, spread=0.3), measured(1e-3, spread=0.3), limit=0.03, same_within=0.01)
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.undecided
    assert not found.beyond


@given(st.floats(1e-6, 1.0), st.floats(0.5, 2.0))
def test_swapping_the_two_turns_the_ratio_over(median_s: float, factor: float) -> None:
    there = regression.stored(measured(median_s * factor), measured(median_s), 0.03, 0.01)
    back = regression.stored(measured(median_s), measured(median_s * factor), 0.03, 0.01)
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert there.low == pytest.approx(1 / back.high)
    assert not (there.beyond and back.beyond)


def test_different_conditions_are_refused_by_name() -> None:
    other = replace(CONDITIONS, effective_precision="bf16")
    with pytest.raises(ConditionsDiffer, match="effective_precision \\(f32 against bf16\\)"):
        regression.stored(measured(1e-3), measured(1e-3, conditions=other), 0.03, 0.01)


def test_a_slower_layer_is_named_and_a_vanished_one_is_an_error() -> None:
    found = regression.layers(measured(1e-3, layer_s=2e-5), measured(1e-3, layer_s=1e-5), Limits(), 0.01)
    assert [(one.subject, one.beyond) for one in found] == [("conv1", True)]
    with pytest.raises(UsageError, match="conv1"):
        regression.layers(replace(measured(1e-3), layers=()), measured(1e-3), Limits(), 0.01)


def test_the_baseline_is_found_in_a_file_by_network_and_conditions(tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    before = measured(1e-3)
    entry = {"extra_info": benchmark_json.extra_info(before), "stats": {"data": list(before.latency.samples_s)}}
    path.write_text(json.dumps({"benchmarks": [entry], **benchmark_json.top_level(())}))
    assert regression.baseline(path, measured(2e-3)) == before
    with pytest.raises(RecordError, match="resnet56"):
        regression.baseline(path, replace(before, network="resnet56"))
    with pytest.raises(ConditionsDiffer, match="threads"):
        regression.baseline(path, replace(before, conditions=replace(CONDITIONS, threads=2)))


def test_limits_come_from_pyproject_by_network_and_by_layer(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        "[tool.espalier.limits]\nnetwork = 0.1\n"
        "[tool.espalier.limits.resnet20]\nlayer = 0.2\n[tool.espalier.limits.resnet20.layers]\nconv1 = 0.5\n"
    )
    found = regression.limits("resnet20", path)
    assert (found.network, found.of_layer("fc"), found.of_layer("conv1")) == (0.1, 0.2, 0.5)
    assert regression.limits("resnet56", path) == Limits(network=0.1)
    assert regression.limits("resnet20", tmp_path / "none.toml") == Limits()
    path.write_text("[tool.espalier.limits]\nnetwork = '3%'\n")
    with pytest.raises(UsageError, match="network = '3%'"):
        regression.limits("resnet20", path)


def finding(outcome: Outcome, ratio: float, high: float) -> Finding:
    return Finding("resnet20", outcome, ratio, 2 * ratio - high, high, 0.03, "20 block pairs")


def test_annotations_and_the_summary_are_github_s(tmp_path: Path) -> None:
    findings = [
        finding(Outcome.SAME, 1.0, 1.001),
        finding(Outcome.CANNOT_TELL, 1.0, 1.1),
        finding(Outcome.SLOWER, 1.2, 1.21),
    ]
    summary = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    lines = ci_summary.publish(environment, [measured(1e-3)], findings, strict=False)
    assert [line.partition(" ")[0] for line in lines] == ["::warning", "::error"]
    strict = ci_summary.publish({"GITHUB_ACTIONS": "true"}, [], findings, strict=True)
    assert [line.partition(" ")[0] for line in strict] == ["::error", "::error"]
    assert ci_summary.publish({}, [measured(1e-3)], findings, strict=True) == []
    text = summary.read_text()
    assert "| resnet20 | cpu | f32 | 1.000 ms |" in text
    assert text.index("slower") < text.index("cannot tell") < text.index("| same |")
