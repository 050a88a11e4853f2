"""Which of several networks is faster on this device, from interleaved rounds in one process."""

import pytest

from harness.devices.measure import comparison
from harness.latency.verdict.judgement import ADVISED_PAIRS, Outcome, compare
from harness.networks import export
from harness.pipeline import foreign_subject
from harness.runner.images import architecture_for


def pytest_generate_tests(metafunc):
    """One entry of the file per contender; without any there is nothing to compare."""
    if "contender" in metafunc.fixturenames:
        names = [text.partition("=")[0] for text in metafunc.config.getoption("--contender")]
        metafunc.parametrize("contender", names)


@pytest.fixture(scope="session")
def measured(device, network, contenders, measure_together, request, collected):
    """All contenders, loaded at once and measured in turn, with the times of their layers; some may take images of another size."""
    exported = [export.read(path, name) for name, path in contenders]
    by_shape = {one.input_shape: architecture_for(one, network) for one in {one.input_shape: one for one in exported}.values()}
    collected.architectures.extend(by_shape.values())
    subjects = [foreign_subject(by_shape[one.input_shape], one) for one in exported]
    rounds = request.config.getoption("--rounds") or 1500
    found = measure_together(device, subjects, comparison(rounds, ADVISED_PAIRS))
    return dict(zip([name for name, _ in contenders], found, strict=True))


def test_contender(measured, contender, record, collected):
    """Record one contender beside the others, and say how it compares with the first."""
    record(measured[contender])
    first = next(iter(measured.values()))
    told = compare(measured[contender], first, across_precisions=True)
    collected.texts.append(f"{contender} against {next(iter(measured))}: {told.sentence()}")
    assert told.outcome in Outcome
