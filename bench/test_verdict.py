"""Which of several networks is faster on this device, from interleaved rounds in one process."""

import pytest

from harness.devices.measure import Protocol, Subject
from harness.latency.verdict import verdict
from harness.networks import export


def pytest_generate_tests(metafunc):
    """One entry of the file per contender; without any there is nothing to compare."""
    if "contender" in metafunc.fixturenames:
        names = [text.partition("=")[0] for text in metafunc.config.getoption("--contender")]
        metafunc.parametrize("contender", names)


@pytest.fixture(scope="session")
def measured(device, network, contenders, measure_together, request):
    """All contenders, loaded at once and measured in turn, with the times of their layers."""
    subjects = []
    for name, path in contenders:
        artefact = export.read(path, name)
        subjects.append(
            Subject(
                network=network.name,
                architecture_digest=network.architecture.digest,
                config=None,
                onnx=artefact.onnx,
                artefact_digest=artefact.digest,
                node_layers=artefact.node_layers,
                label=name,
            )
        )
    rounds = request.config.getoption("--rounds") or 1500
    found = measure_together(device, subjects, Protocol(rounds=rounds, blocks=10, precision_target=None, profile_compiles=3))
    return dict(zip([name for name, _ in contenders], found, strict=True))


def test_contender(measured, contender, record):
    """Record one contender beside the others, and say how it compares with the first."""
    record(measured[contender])
    first = next(iter(measured.values()))
    assert verdict(measured[contender].latency, first.latency).outcome in ("faster", "slower", "same", "cannot tell")
