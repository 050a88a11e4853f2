"""Regression gate: fails only when the network, or a layer of it, is slower than the baseline beyond its limit."""

import warnings

import pytest

from harness import exported
from harness.devices.measure import comparison
from harness.latency.verdict.judgement import ADVISED_PAIRS
from harness.networks import export
from harness.runner import options, regression


def judge(findings, collected, pytestconfig):
    """Keep the findings for the summary; fail on a slowdown beyond the limit, warn about what is open."""
    collected.findings.extend(findings)
    strict = pytestconfig.getoption("--strict-verdict")
    failing = [finding for finding in findings if finding.beyond or (strict and finding.undecided)]
    for finding in findings:
        if finding.undecided and finding not in failing:
            warnings.warn(finding.sentence(), stacklevel=1)
    if failing:
        pytest.fail("\n".join(finding.sentence() for finding in failing), pytrace=False)


def test_network_is_not_slower_than_the_other_model(
    device, network, subject, batch_size, measure_together, record, collected, pytestconfig
):
    """``--against=MODEL.onnx``: both are measured in turns, in this run."""
    path = pytestconfig.getoption("--against")
    if path is None:
        pytest.skip("no --against=MODEL.onnx was given")
    read = export.read(path, path.stem, batch_size, options.input_shape(pytestconfig))
    subjects = [subject, exported.beside(network.architecture, read)[0]]
    rounds = pytestconfig.getoption("--rounds") or 1500
    ours, other = measure_together(device, subjects, comparison(rounds, ADVISED_PAIRS))
    record(ours)
    limits = regression.limits(network.name, pytestconfig.rootpath / "pyproject.toml")
    judge([regression.interleaved(ours, other, limits.network, pytestconfig.getoption("--same-within"))], collected, pytestconfig)


def test_network_and_layers_are_not_slower_than_before(device, network, subject, measure, record, collected, pytestconfig):
    """``--baseline=FILE``: against an earlier run's measurement, taken under the same conditions."""
    path = pytestconfig.getoption("--baseline")
    if path is None:
        pytest.skip("no --baseline=FILE was given")
    ours = measure(device, subject)
    record(ours)
    before = regression.baseline(path, ours)
    limits = regression.limits(network.name, pytestconfig.rootpath / "pyproject.toml")
    same_within = pytestconfig.getoption("--same-within")
    findings = [regression.stored(ours, before, limits.network, same_within)]
    judge([*findings, *regression.layers(ours, before, limits, same_within)], collected, pytestconfig)
