"""Regression gate: fails only when the network, or a layer of it, is slower than the baseline beyond its limit, or misses a limit."""

import warnings

import pytest

from harness import exported
from harness.compare import engines, gate
from harness.devices.measure import comparison
from harness.latency.verdict.judgement import ADVISED_PAIRS
from harness.networks import export
from harness.runner import options

pytestmark = pytest.mark.gates


@pytest.fixture
def judge(gating, record_property):
    """Function: keep findings of a measurement, warn about what is open, fail on what is missed."""

    def judge_now(measurement, findings):
        for finding in findings:
            record_property(finding.row().what, finding.sentence())
            if finding.undecided and not gating.gate.strict:
                warnings.warn(finding.sentence(), stacklevel=1)
        gating.judge(gate.named(measurement), findings)

    return judge_now


def test_network_is_not_slower_than_the_other_model(
    device, network, subject, batch_size, measure_together, record, collected, judge, gating, pytestconfig
):
    """``--against=MODEL.onnx``: both are measured in turns, in this run, and their layers as well."""
    path = pytestconfig.getoption("--against")
    if path is None:
        pytest.skip("no --against=MODEL.onnx was given")
    gating.check_layers(device, network.architecture)
    read = export.read(path, path.stem, batch_size, options.input_shape(pytestconfig))
    subjects = [subject, exported.beside(network.architecture, read)[0]]
    rounds = pytestconfig.getoption("--rounds") or 1500
    ours, other = measure_together(device, subjects, comparison(rounds, ADVISED_PAIRS))
    record(ours)
    collected.texts.extend(engines.between(ours, other))
    judge(ours, (*gating.in_turns(ours, other), *gating.bounds(ours)))


def test_network_and_layers_are_not_slower_than_before(device, network, subject, measure, record, judge, gating, pytestconfig):
    """``--baseline=FILE``: against an earlier run's measurement, taken under the same conditions."""
    if pytestconfig.getoption("--baseline") is None:
        pytest.skip("no --baseline=FILE was given")
    gating.check(device, subject, network.architecture)
    ours = measure(device, subject)
    ours = gating.confirmed(ours, network.architecture, lambda: measure(device, subject, profile_compiles=0))
    record(ours)
    judge(ours, (*gating.against_baseline(ours, network.architecture), *gating.bounds(ours)))


def test_network_keeps_its_limits(device, network, subject, measure, record, judge, gating, pytestconfig):
    """The absolute limits of pyproject.toml, where neither --against nor --baseline asks for them."""
    if pytestconfig.getoption("--baseline") is not None or pytestconfig.getoption("--against") is not None:
        pytest.skip("judged beside the comparison")
    allowed = gating.limits(subject.network, device.info.name)
    if not allowed.absolute:
        pytest.skip(f"[tool.espalier.limits.{subject.network}] of pyproject.toml sets no absolute limit")
    ours = measure(device, subject, profile_compiles=0)
    record(ours)
    judge(ours, gating.bounds(ours))
