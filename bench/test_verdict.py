"""Which of several networks is faster on this device, from interleaved rounds in one process."""

import pytest

from harness import exported
from harness.devices.measure import comparison
from harness.latency.verdict.judgement import ADVISED_PAIRS, Outcome, compare
from harness.runner.images import architecture_for, read_contender


def pytest_generate_tests(metafunc):
    """One entry of the file per contender; without any there is nothing to compare."""
    if "contender" in metafunc.fixturenames:
        names = [text.partition("=")[0] for text in metafunc.config.getoption("--contender")]
        metafunc.parametrize("contender", names)


@pytest.fixture(scope="session")
def measured(device, network, contenders, batch_size, measure_together, collected, request):
    """All contenders, loaded at once and measured in turn, with the times of their layers; some may take images of another size."""
    artefacts = [read_contender(path, name, request.config, batch_size) for name, path in contenders]
    by_shape = {one.input_shape: architecture_for(one, network) for one in {one.input_shape: one for one in artefacts}.values()}
    found = [exported.beside(by_shape[one.input_shape], one) for one in artefacts]
    subjects = [subject for subject, _ in found]
    collected.architectures.extend(architecture for _, architecture in found)
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
