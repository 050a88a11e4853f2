"""Which of several networks is faster on this device, from interleaved rounds in one process."""

import pytest

from harness.devices.measure import comparison
from harness.latency.verdict.judgement import ADVISED_PAIRS, Outcome, compare
from harness.networks import export
from harness.pipeline import foreign_subject


def pytest_generate_tests(metafunc):
    """One entry of the file per contender; without any there is nothing to compare."""
    if "contender" in metafunc.fixturenames:
        names = [text.partition("=")[0] for text in metafunc.config.getoption("--contender")]
        metafunc.parametrize("contender", names)


@pytest.fixture(scope="session")
def measured(device, network, contenders, measure_together, request):
    """All contenders, loaded at once and measured in turn, with the times of their layers."""
    subjects = [foreign_subject(network.architecture, export.read(path, name)) for name, path in contenders]
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
