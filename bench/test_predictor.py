"""What every group's width costs in context: designed whole networks to fit on, random ones to judge the fit by."""

from dataclasses import replace

import pytest

from harness.devices.measure import DESIGNED_SET
from harness.latency import design
from harness.latency.predictor import LatencyPredictor
from harness.pipeline import latency_subject

SEED = 0


def pytest_generate_tests(metafunc):
    """One test, and so one entry of the file, per network."""
    if "place" in metafunc.fixturenames:
        designs, held_out = metafunc.config.getoption("--designs"), metafunc.config.getoption("--held-out")
        places = [("design", i) for i in range(designs)] + [("held-out", i) for i in range(held_out)]
        metafunc.parametrize("place", places, ids=[f"{role}-{i:03d}" for role, i in places])


@pytest.fixture(scope="session")
def measured(device, network, measure_together, request):
    """Every designed and held-out network, measured together."""
    count, spare = request.config.getoption("--designs"), request.config.getoption("--held-out")
    chosen = {"design": design.design(network.architecture, count, SEED), "held-out": design.held_out(network.architecture, spare, SEED)}
    subjects = [latency_subject(network, config, role) for role, configs in chosen.items() for config in configs]
    rounds = request.config.getoption("--rounds") or DESIGNED_SET.rounds
    found = measure_together(device, subjects, replace(DESIGNED_SET, rounds=rounds))
    places = [(role, i) for role, configs in chosen.items() for i in range(len(configs))]
    return dict(zip(places, found, strict=True))


def test_designed_network(measured, place, record):
    """One network of the design, or one that the fit never sees."""
    if place not in measured:
        pytest.skip("the network has fewer distinct configurations than were asked for")
    record(measured[place])


def test_held_out_error(measured, network, collected):
    """Fit on the design, judge on the networks that it never saw, and say how far off it is."""
    predictor = LatencyPredictor.fit(network.architecture, tuple(measured.values()))
    judged = predictor.held_out
    collected.texts.append("predictor: nothing held out" if judged is None else f"predictor: {judged.sentence()}")
